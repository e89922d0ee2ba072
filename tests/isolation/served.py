"""A location of a running mesh for one test: its code, its process, what the host knows of it.

Used by the tests of reloads and of runs. Each test brings the source of its code, in which
`@name@` stands for the location (assets have one owner in a mesh, so their names hold it) and
`@version@` for what was deployed.
"""

import contextlib
import pathlib
from collections.abc import AsyncGenerator, Sequence

from atoll.api.v1 import events_pb2, locations_pb2, runs_pb2
from atoll.client import connection, runs
from atoll.events.v1 import events_pb2 as stored_pb2
from tests.e2e import mesh

AT_THE_GATE = "at the gate"
"""What user code logs when it has come to where it waits."""


class Location:
    """One location; not started yet."""

    def __init__(
        self, running: mesh.Mesh, folder: pathlib.Path, client: connection.Client, source: str
    ) -> None:
        self.name = f"location_{len(running.locations)}"
        self.mesh = running
        self.client = client
        self.folder = folder
        self._source = source

    def deploy(self, version: str, source: str | None = None) -> None:
        """Put code in place, in one step, so that a watcher never sees half of it."""
        text = self._source if source is None else source
        draft = self.folder / "definitions.draft"
        draft.write_text(text.replace("@version@", version).replace("@name@", self.name))
        draft.replace(self.folder / "definitions.py")

    def start(self, *options: str) -> None:
        """Start the code server, or start it again."""
        if self.name not in self.mesh.locations:
            self.mesh.add(self.name, self.folder / "definitions.py", options=options)
        self.mesh.start_location(self.name)

    async def shown(self) -> locations_pb2.Location:
        return await self.client.locations.get(self.name)

    async def launch(self, job: str) -> str:
        return (await self.client.runs.launch(runs.Launch(job, self.name))).run_id

    async def begin(self, job: str) -> str:
        """Launch a run and wait until it is at its gate."""
        run_id = await self.launch(job)
        await self.until_said(run_id, AT_THE_GATE)
        return run_id

    async def until_said(self, run_id: str, words: str) -> str:
        """Wait until user code of a run has logged something, and return the message."""
        query = events_pb2.EventFilter(run_id=run_id, kinds=["log_message"])

        async def said(client: connection.Client) -> str:
            found = [stored.event.message async for stored in client.events.list(query)]
            return next((message for message in found if words in message), "")

        return await self.mesh.until(said)

    async def until_status(
        self, run_id: str, *statuses: "runs_pb2.RunStatus.ValueType"
    ) -> runs_pb2.Run:
        async def arrived(client: connection.Client) -> runs_pb2.Run | None:
            run = await client.runs.get(run_id)
            return run if run.status in statuses else None

        run = await self.mesh.until(arrived)
        assert run is not None
        return run

    async def until_away(self) -> None:
        async def away(client: connection.Client) -> bool:
            shown = await client.locations.get(self.name)
            return shown.state == stored_pb2.LOCATION_STATE_UNREACHABLE

        await self.mesh.until(away)

    async def ended(self, run_id: str, within_s: float = mesh.WITHIN_S) -> runs_pb2.Run:
        return await self.client.runs.wait(run_id, timeout_s=within_s)

    async def run(self, job: str) -> runs_pb2.Run:
        return await self.ended(await self.launch(job))

    async def events(self, run_id: str, kinds: Sequence[str] = ()) -> list[stored_pb2.Event]:
        query = events_pb2.EventFilter(run_id=run_id, kinds=kinds)
        return [stored.event async for stored in self.client.events.list(query)]


@contextlib.asynccontextmanager
async def location(
    running: mesh.Mesh,
    folder: pathlib.Path,
    source: str,
    *options: str,
    first: str | None = None,
) -> AsyncGenerator[Location]:
    """Serve a location for a while: version "one" of some code, or something else `first`."""
    async with running.client() as client:
        made = Location(running, folder, client, source)
        made.deploy("one", first)
        made.start(*options)
        try:
            yield made
        finally:
            if running.is_running(made.name):
                running.terminate(made.name)

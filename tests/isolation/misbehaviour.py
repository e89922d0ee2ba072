"""Bad neighbours: each makes a location behave badly for as long as it is entered, and gives a
function that tells how often the location did since.

Used by the test that measures what other locations feel of it.
"""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import psycopg

from atoll.api.v1 import automation_pb2, runs_pb2
from atoll.client import connection, runs
from atoll.events.v1 import events_pb2
from tests.e2e import mesh

LOCATIONS = pathlib.Path(__file__).with_name("locations")
_ARRIVED = (events_pb2.LOCATION_STATE_SERVING, events_pb2.LOCATION_STATE_FAILED)

Count = Callable[[], Awaitable[int]]


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """A running mesh that bad neighbours move into and out of."""

    mesh: mesh.Mesh
    client: connection.Client

    @contextlib.asynccontextmanager
    async def location(self, file: str) -> AsyncGenerator[str]:
        """Serve a location for a while, as a new one: what failed before is not held against it.

        Its assets have its name in theirs, since each has one owner in the mesh for ever.
        """
        name = f"{pathlib.Path(file).stem}_{len(self.mesh.locations)}"
        self.mesh.add(name, LOCATIONS / file, environment={"NAME_OF_LOCATION": name})
        self.mesh.start_location(name)

        async def arrived(client: connection.Client) -> bool:
            states = {each.name: each.state async for each in client.locations.list()}
            return states.get(name) in _ARRIVED

        try:
            await self.mesh.until(arrived)
            yield name
        finally:
            self.mesh.terminate(name)


@contextlib.asynccontextmanager
async def sensors_that_never_return(neighbourhood: Neighbourhood) -> AsyncGenerator[Count]:
    """Ticks that are killed at their deadline, most of them after burning a core."""
    async with neighbourhood.location("hanging.py") as name:
        yield lambda: _failed_ticks(neighbourhood.client, name)


@contextlib.asynccontextmanager
async def modules_that_cannot_be_imported(neighbourhood: Neighbourhood) -> AsyncGenerator[Count]:
    """Loads that fail, one after the other: of a module that raises, and of one that exits."""
    async with (
        neighbourhood.location("broken.py") as broken,
        neighbourhood.location("exiting.py") as exiting,
    ):

        async def load(name: str, why: str) -> None:
            answer = await neighbourhood.client.locations.reload(name)
            assert why in answer.load_failure.message

        async def load_both() -> None:
            await load(broken, "this module cannot be imported")
            await load(exiting, "ended with exit code 7")

        async with _again_and_again(load_both) as count:
            yield count


@contextlib.asynccontextmanager
async def code_that_ends_its_process(neighbourhood: Neighbourhood) -> AsyncGenerator[Count]:
    """Ticks and runs that call os._exit, without pause."""
    client = neighbourhood.client
    async with neighbourhood.location("crashing.py") as name:

        async def crash() -> None:
            launched = await client.runs.launch(runs.Launch("crash_job", name))
            ended = await client.runs.wait(launched.run_id, timeout_s=mesh.WITHIN_S)
            assert ended.status == runs_pb2.RUN_STATUS_FAILURE

        await neighbourhood.mesh.serving(name)
        async with _again_and_again(crash) as count:
            yield count
        assert await _failed_ticks(client, name)


@contextlib.asynccontextmanager
async def a_run_that_floods(neighbourhood: Neighbourhood) -> AsyncGenerator[Count]:
    """A run that logs as fast as it can, until it is canceled."""
    client = neighbourhood.client
    async with neighbourhood.location("flooding.py") as name:
        await neighbourhood.mesh.serving(name)
        launched = await client.runs.launch(runs.Launch("flood_job", name))

        async def started(client: connection.Client) -> bool:
            return (await client.runs.get(launched.run_id)).HasField("start_time")

        await neighbourhood.mesh.until(started)
        yield lambda: _stored(neighbourhood.mesh, launched.run_id)
        # What keeps the mesh going comes first wherever it shares a machine with user code.
        (worker,) = neighbourhood.mesh.run_workers(name)
        assert _niceness(worker) > _niceness(neighbourhood.mesh.pid(name))
        await client.runs.cancel(launched.run_id)
        ended = await client.runs.wait(launched.run_id, timeout_s=mesh.WITHIN_S)
        assert ended.status == runs_pb2.RUN_STATUS_CANCELED


@contextlib.asynccontextmanager
async def _again_and_again(work: Callable[[], Awaitable[None]]) -> AsyncGenerator[Count]:
    times = 0

    async def go_on() -> None:
        nonlocal times
        while True:
            await work()
            times += 1

    async def count() -> int:
        if task.done():
            task.result()
        return times

    task = asyncio.create_task(go_on())
    try:
        yield count
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _failed_ticks(client: connection.Client, location_name: str) -> int:
    found = 0
    async for sensor in client.sensors.list(location_name=location_name):
        async for tick in client.sensors.ticks(location_name, sensor.definition.name, limit=100):
            assert tick.status == automation_pb2.TICK_STATUS_FAILURE
            found += 1
    return found


async def _stored(running: mesh.Mesh, run_id: str) -> int:
    """Return how many events of a run are in the log; they are too many to be read."""
    assert running.postgres is not None
    query = "SELECT high_water FROM producers WHERE run_id = %s"
    async with await psycopg.AsyncConnection.connect(running.postgres.url) as database:
        row = await (await database.execute(query, [run_id])).fetchone()
    return row[0] if row else 0


def _niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)

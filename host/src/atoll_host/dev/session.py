"""One session of ``atoll dev``: the host, one code server a location, and what is told about them.

It starts the host and waits until it answers, then all locations at once; it prints a table once
each of them serves or has failed, narrates until it is told to stop, and stops in the opposite
order. The guardian ends what outlives that.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from atoll._cli import rendering
from atoll._rpc import addresses
from atoll.api.v1 import locations_pb2
from atoll.client import connection, documents, errors
from atoll.events.v1 import events_pb2
from atoll_host.dev import console, interpreters, narrator, processes, project

HOST_READY_TIMEOUT_S: Final = 90.0
LOCATIONS_READY_TIMEOUT_S: Final = 60.0
LOOK_EVERY_S: Final = 0.1
STORAGE_DIR_NAME: Final = "storage"
LOCATIONS_DIR_NAME: Final = "locations"
# The entry point of the command line, by whatever interpreter.
CLI: Final = ("-m", "atoll")

_COLUMNS = (
    rendering.Column("LOCATION", colour="bold"),
    rendering.Column("STATE", is_status=True),
    rendering.Column("BUILD", shrinks=True),
    rendering.Column("ASSETS", align="right"),
    rendering.Column("JOBS", align="right"),
    rendering.Column("SENSORS", align="right"),
    rendering.Column("PYTHON"),
    rendering.Column("ATOLL"),
    rendering.Column("ENVIRONMENT", shrinks=True),
)


class SessionError(Exception):
    """The session cannot begin: what was wrong has been printed by who found it."""


class Session:
    """Runs a project until it is told to stop."""

    def __init__(self, settings: project.Project, out: console.Console) -> None:
        self._project = settings
        self._out = out
        self._address = _fixed_address(settings.listen)
        self._interpreters: dict[str, interpreters.Interpreter] = {}
        self._begun = False
        self._host_came_up = False
        self._host = self._process(_host_program(settings, self._address))
        self._servers = [
            self._process(_location_program(settings, location, self._address))
            for location in settings.locations
        ]
        self._narrator = narrator.Narrator(self._address, out)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until the stop is asked for.

        Raises:
            project.ProjectError: If an interpreter cannot run Atoll.
            SessionError: If the host does not come up.
        """
        stopped = asyncio.create_task(stop.wait(), name="dev stop")
        try:
            work = asyncio.create_task(self._begin(), name="dev begin")
            await asyncio.wait({stopped, work}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
            await stopped
        finally:
            stopped.cancel()
            await self._stop()

    def kill(self) -> None:
        """End every process at once."""
        for process in (*self._servers, self._host):
            process.kill()

    async def _begin(self) -> None:
        locations = self._project.locations
        self._interpreters = await interpreters.check(locations, path=self._project.path)
        _check_free(self._address)
        self._project.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = rendering.count(len(locations), "location")
        self._say(f"Starting the host at {self._address} and {number}.")
        self._begun = True
        self._host.start()
        await self._host_ready()
        await self._narrator.start()
        for server in self._servers:
            server.start()
        await self._locations_ready()

    async def _host_ready(self) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + HOST_READY_TIMEOUT_S
        died = asyncio.create_task(self._host.died(), name="dev host died")
        try:
            while not died.done() and loop.time() < ends_at:
                try:
                    async with connection.connect(self._address, timeout_s=1.0):
                        # Somebody else's host on the port would answer, too; ours would have died.
                        await asyncio.wait({died}, timeout=LOOK_EVERY_S)
                        if not died.done():
                            self._host_came_up = True
                            return
                except errors.ConnectError:
                    await asyncio.wait({died}, timeout=LOOK_EVERY_S)
        finally:
            died.cancel()
        if died.done() and not died.cancelled():
            # Its last words, printed above, say why.
            message = "The host could not start."
        else:
            message = f"The host was not ready within {HOST_READY_TIMEOUT_S:g} s."
        raise SessionError(message)

    async def _locations_ready(self) -> None:
        """Wait until every location serves or has failed, and print the table."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + LOCATIONS_READY_TIMEOUT_S
        names = {location.name for location in self._project.locations}
        found: dict[str, locations_pb2.Location] = {}
        async with connection.connect(self._address) as client:
            while loop.time() < ends_at:
                found = {each.name: each async for each in client.locations.list()}
                settled = {name for name, each in found.items() if _is_settled(each)}
                if names <= settled:
                    break
                await asyncio.sleep(LOOK_EVERY_S)
            job = await self._a_job(client)
        rows = [
            self._row(location, found.get(location.name)) for location in self._project.locations
        ]
        self._out.plain("")
        self._out.plain(rendering.table(_COLUMNS, rows, self._out.terminal))
        self._out.plain("")
        for name in sorted(names & set(found)):
            if found[name].HasField("load_failure"):
                # Its code server has printed the whole of it above.
                self._out.line(name, documents.failure_line(found[name].load_failure), "red")
        # The commands look there by themselves, unless told otherwise.
        at = "" if self._address == project.LISTEN_DEFAULT else f" --host {self._address}"
        self._say(f"Ready. Try: atoll runs launch{at} --job {job} --wait. Stop: Ctrl-C.")

    async def _a_job(self, client: connection.Client) -> str:
        """Return a job that can be tried: the first of the first location that has one."""
        for location in self._project.locations:
            with contextlib.suppress(errors.NotFoundError):
                found = await client.locations.get(location.name)
                # Jobs that Atoll made for the assets of a schedule or a sensor are no names for
                # people.
                named = [name for name in found.job_names if not name.startswith("__")]
                if named:
                    return named[0]
        return "JOB"

    def _row(
        self, settings: project.LocationSettings, location: locations_pb2.Location | None
    ) -> list[str]:
        interpreter = self._interpreters[settings.name]
        found = location or locations_pb2.Location()
        return [
            settings.name,
            documents.enum_name(found, "state") if location else "NOT REGISTERED",
            found.build.build_id or rendering.NOTHING,
            str(found.counts.assets),
            str(found.counts.jobs),
            str(found.counts.sensors),
            interpreter.python,
            interpreter.atoll,
            str(settings.python.parent.parent),
        ]

    async def _stop(self) -> None:
        if not self._begun:
            return
        self._say("Stopping.")
        await self._narrator.stop()
        await asyncio.gather(*(server.stop() for server in self._servers))
        await self._host.stop()
        self._say("Stopped.")

    def _process(self, program: processes.Program) -> processes.ManagedProcess:
        name = program.name

        def on_line(line: str) -> None:
            self._out.line(name, line)

        def on_death(code: int, pause_s: float) -> None:
            if name == console.HOST and not self._host_came_up:
                # The session ends with what it said last.
                return
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            again = rendering.duration(pause_s)
            self._out.line(name, f"The process ended ({how}); starting again in {again}.", "red")

        return processes.ManagedProcess(program, on_line=on_line, on_death=on_death)

    def _say(self, text: str) -> None:
        self._out.line(console.ATOLL, text, "bold")


@dataclasses.dataclass
class _Signals:
    """The first signal asks for a stop, the second takes no more time over it."""

    session: Session
    stop: asyncio.Event

    def received(self) -> None:
        if self.stop.is_set():
            self.session.kill()
        self.stop.set()


async def run(settings: project.Project) -> int:
    """Run a session until SIGINT or SIGTERM, and return the exit code of the command."""
    out = console.Console([location.name for location in settings.locations])
    stop = asyncio.Event()
    session = Session(settings, out)
    signals = _Signals(session, stop)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, signals.received)
    try:
        await session.run(stop)
    except (SessionError, project.ProjectError) as error:
        out.lines(console.ATOLL, f"Error: {error}", "red")
        return 1
    return 0


def _is_settled(location: locations_pb2.Location) -> bool:
    return location.state in {
        events_pb2.LOCATION_STATE_SERVING,
        events_pb2.LOCATION_STATE_FAILED,
    }


def _check_free(address: str) -> None:
    """Check that nobody listens at an address: another host there would pass for this one.

    Raises:
        SessionError: Somebody does.
    """
    where = addresses.parse(address)
    with contextlib.closing(_unbound(where)) as probe:
        # As the host will: connections that a host before this one had do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((where.host, where.port))
        except OSError as error:
            message = (
                f"The host cannot listen on {address}: {error.strerror}. Does another 'atoll dev' "
                "or 'atoll host' run? Stop it, or choose another port with --listen."
            )
            raise SessionError(message) from error


def _fixed_address(listen: str) -> str:
    """Return the address with a port: the host must come back at the same one when it restarts."""
    where = addresses.parse(listen)
    if where.port:
        return listen
    with contextlib.closing(_unbound(where)) as probe:
        probe.bind((where.host, 0))
        return str(dataclasses.replace(where, port=probe.getsockname()[1]))


def _unbound(where: addresses.Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)


def _host_program(settings: project.Project, address: str) -> processes.Program:
    command = [
        sys.executable,
        *CLI,
        "host",
        "--no-credentials",
        "--config",
        str(settings.path),
        "--listen",
        address,
        "--data-dir",
        str(settings.data_dir),
    ]
    return processes.Program(
        name=console.HOST,
        command=command,
        environment=dict(os.environ) | {"PYTHONUNBUFFERED": "1"},
        working_directory=settings.path.parent,
    )


def _location_program(
    settings: project.Project, location: project.LocationSettings, address: str
) -> processes.Program:
    command: list[str] = [
        str(location.python),
        *CLI,
        "serve",
        f"--{location.code_kind}",
        location.code,
        *_options(settings.data_dir, location, address),
    ]
    extra = {
        "ATOLL_HOST": address,
        "ATOLL_STORAGE_DIR": str(settings.data_dir / STORAGE_DIR_NAME),
    }
    return processes.Program(
        name=location.name,
        command=command,
        environment=processes.location_environment(location.python, extra),
        working_directory=location.working_directory,
    )


def _options(data_dir: Path, location: project.LocationSettings, address: str) -> Sequence[str]:
    options = [
        "--name",
        location.name,
        "--host",
        address,
        "--state-dir",
        str(data_dir / LOCATIONS_DIR_NAME / location.name),
    ]
    if location.build_id is not None:
        options += ["--build-id", location.build_id]
    if location.watch:
        options.append("--watch")
    return options

"""A mesh of real processes for tests: one Postgres, one host, any number of code servers.

    with mesh.Mesh(tmp_path) as running:
        running.add("sales", mesh.CODE / "upstream.py")
        running.start()
        await running.serving("sales")
        async with running.client() as client: ...

Postgres belongs to the test and not to the host, so that either can be killed alone. Everything is
bound to the life of the test process, signalled by its id, and gone after `stop`. Nothing sleeps:
`until` looks again whenever the host logged an event, and at least every `LOOK_EVERY_S`.
"""

import asyncio
import contextlib
import dataclasses
import functools
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Self, TypeVar

from atoll._rpc import tls
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import connection, errors
from atoll.events.v1 import events_pb2
from atoll.process.v1 import process_pb2
from atoll_host.dev import guardian, processes
from atoll_storage import embedded
from tests.e2e import releases as releases_of

CODE = pathlib.Path(__file__).with_name("locations")
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
CLI = ("-m", "atoll")
LOOK_EVERY_S = 0.2
WITHIN_S = 60.0
STOP_WITHIN_S = 10.0

# What hosts of an earlier release may not know: given to those that name it in their help.
NEWER_HOST_OPTIONS = ("--no-credentials",)

Found = TypeVar("Found")


@dataclasses.dataclass
class LocationSetup:
    """How a location is served."""

    code: pathlib.Path
    python: str = sys.executable
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    token_in_environment: bool = False


class Mesh:
    """Starts, kills, stops and watches the processes of a mesh.

    Attributes:
        credentials: Whether everybody is asked for credentials; locations then get tokens. Set it
            before anything starts.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        durable: bool = False,
        host_options: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        tls: tls.ClientFiles | None = None,
        releases: releases_of.Releases | None = None,
    ) -> None:
        """Make a mesh in which nothing runs.

        Args:
            folder: Where data, state and logs go.
            durable: Whether Postgres survives a crash of the machine; slower.
            host_options: Further options of `atoll host`.
            environment: Variables for all processes.
            tls: What clients trust and show; None speaks no TLS.
            releases: The interpreters of the host and, where they name none, of the locations.
        """
        self.credentials = False
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.locations: dict[str, LocationSetup] = {}
        self.tls = tls
        self._durable = durable
        self._host_options = host_options
        self._environment = dict(environment or {})
        self._releases = releases or releases_of.Releases("one release")
        self._running: dict[str, subprocess.Popen] = {}
        self.postgres: embedded.EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_postgres(self) -> None:
        self.postgres = embedded.EmbeddedPostgres.start_blocking(
            self.folder / "postgres", durable=self._durable
        )

    def stop_postgres(self) -> None:
        if self.postgres is not None:
            self.postgres.stop_blocking()
            self.postgres = None

    def start_host(self) -> None:
        python = self._releases.host
        of_this_release = python == sys.executable
        environment = processes.location_environment(pathlib.Path(python)) | self._environment
        if of_this_release:
            environment = dict(os.environ) | self._environment
        if self.postgres is not None:
            environment["ATOLL_DATABASE_URL"] = self.postgres.url
        options = ["--listen", self.address, "--data-dir", str(self.folder / "host")]
        wanted = () if self.credentials else NEWER_HOST_OPTIONS
        options += [option for option in wanted if option in _host_help(python)]
        command = [python, *CLI, "host", *options, *self._host_options]
        self._start("host", command, environment, self.folder)

    def add(self, name: str, code: pathlib.Path, **setup: object) -> None:
        """Add a location that serves a file; `setup` holds further fields of LocationSetup."""
        setup.setdefault("python", self._releases.locations)
        self.locations[name] = LocationSetup(code, **setup)

    def start_location(self, name: str) -> None:
        setup = self.locations[name]
        environment = processes.location_environment(pathlib.Path(setup.python))
        environment |= {
            "ATOLL_HOST": self.address,
            "ATOLL_STORAGE_DIR": str(self.folder / "storage"),
            **self._environment,
            **setup.environment,
        }
        options = ["--file", str(setup.code), "--name", name]
        options += ["--state-dir", str(self.state_dir(name)), *setup.options]
        if self.credentials and setup.token_in_environment:
            environment["ATOLL_LOCATION_TOKEN"] = self.location_token(name).read_text().strip()
        elif self.credentials:
            options += ["--token-file", str(self.location_token(name))]
        command = [setup.python, *CLI, "serve", *options]
        self._start(name, command, environment, setup.code.parent)

    @property
    def admin_token(self) -> pathlib.Path:
        """The file of the first admin's token, which the host makes when it starts."""
        return self.folder / "host" / "admin.token"

    @property
    def token(self) -> str:
        """The token that clients call with; empty while there is none."""
        return self.admin_token.read_text().strip() if self.admin_token.is_file() else ""

    def location_token(self, name: str) -> pathlib.Path:
        """The file of a location's token, which an admin makes once the host answers."""
        file = self.folder / "tokens" / name
        file.parent.mkdir(exist_ok=True)
        until_s = time.monotonic() + WITHIN_S
        while not file.exists():
            arguments = ("create", f"code of {name}", "--code-server", name, "--output", str(file))
            done = self.cli("tokens", *arguments)
            assert done.returncode in {0, 3, 4}, done.stderr
            assert done.returncode == 0 or time.monotonic() < until_s, done.stderr
        return file

    def state_dir(self, name: str) -> pathlib.Path:
        return self.folder / "locations" / name

    def run_workers(self, name: str) -> list[int]:
        """The ids of the live run workers of a location."""
        found = []
        for file in self.state_dir(name).glob("runs/*/worker.pb"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                identity = process_pb2.WorkerIdentity.FromString(file.read_bytes())
                if start_ticks(identity.pid) == identity.start_ticks:
                    found.append(identity.pid)
        return found

    def definitions_processes(self, name: str) -> list[int]:
        """The ids of the children of a location's code server."""
        return children(self.pid(name))

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def is_running(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def kill(self, name: str) -> None:
        """End a process at once, as a crash would."""
        process = self._running.pop(name)
        process.kill()
        process.wait(STOP_WITHIN_S)

    def terminate(self, name: str) -> int:
        """Ask a process to end, and return its exit code."""
        process = self._running.pop(name)
        process.terminate()
        try:
            return process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_WITHIN_S)
            raise AssertionError(f"{name} did not stop:\n{self.log(name)}") from None

    def log(self, name: str) -> str:
        file = self.folder / "logs" / f"{name}.log"
        return file.read_text(errors="replace") if file.is_file() else ""

    def start(self) -> None:
        """Start Postgres, the host and every location that was added."""
        self.start_postgres()
        self.start_host()
        for name in self.locations:
            self.start_location(name)

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.stop_postgres)
            for name in list(self._running):
                # Last in, first out: the locations end before the host, and that before Postgres.
                stack.callback(self._end, name)
        for name in self.locations:
            for pid in self.run_workers(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncGenerator[connection.Client]:
        """A connection to the host, once it answers."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                stack = contextlib.AsyncExitStack()
                try:
                    client = await stack.enter_async_context(
                        connection.connect(self.address, tls=self.tls, token=self.token)
                    )
                    break
                except (errors.ConnectError, errors.UnauthenticatedError):
                    self._assert_alive("host")
                    await asyncio.sleep(0.02)  # The port opens without telling anybody.
        async with stack:
            yield client

    async def until(
        self,
        condition: Callable[[connection.Client], Awaitable[Found]],
        *,
        within_s: float = WITHIN_S,
    ) -> Found:
        """Return what a condition gives as soon as it is true, through restarts of the host.

        Args:
            condition: Looked at anew after every event, and every LOOK_EVERY_S.
            within_s: How long it may take.
        """
        last: object = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        async with self.client() as client:
                            async for _ in ticking(client):
                                last = await condition(client)
                                if last:
                                    return last
                    except (errors.RpcError, errors.ConnectError) as error:
                        last = error
        except TimeoutError:
            logs = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in self._names())
            text = f"Not within {within_s:g} s; last seen: {last!r}\n{logs}"
            raise AssertionError(text) from None

    async def serving(self, *names: str) -> None:
        """Wait until these locations serve; those that failed to load end the wait."""

        async def condition(client: connection.Client) -> bool:
            found = {each.name: each async for each in client.locations.list()}
            for name in names:
                self._assert_alive(name)
                if name in found and found[name].HasField("load_failure"):
                    raise AssertionError(f"{name} did not load: {found[name].load_failure}")
            serving = events_pb2.LOCATION_STATE_SERVING
            return all(name in found and found[name].state == serving for name in names)

        await self.until(condition)

    def cli(self, *arguments: str, timeout_s: float = WITHIN_S) -> subprocess.CompletedProcess:
        """Run `atoll` against the host."""
        environment = {"ATOLL_HOST": self.address, "ATOLL_TOKEN": self.token}
        if self.tls is not None:
            environment["ATOLL_CA_FILE"] = str(self.tls.ca)
        return run_cli(*arguments, environment=environment, timeout_s=timeout_s)

    def _names(self) -> list[str]:
        return ["host", *self.locations]

    def _assert_alive(self, name: str) -> None:
        process = self._running.get(name)
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{name} ended ({process.returncode}):\n{self.log(name)}")

    def _start(
        self, name: str, command: list[str], environment: Mapping[str, str], folder: pathlib.Path
    ) -> None:
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                guardian.bound_command(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        if self.is_running(name):
            self.terminate(name)


async def ticking(client: connection.Client) -> AsyncGenerator[None]:
    """Yield at once, after every event, and every LOOK_EVERY_S."""
    async with client.events.watch(api_pb2.EventFilter()) as watch:
        following = asyncio.ensure_future(anext(watch))
        try:
            while True:
                yield
                await asyncio.wait({following}, timeout=LOOK_EVERY_S)
                if following.done():
                    following.result()
                    following = asyncio.ensure_future(anext(watch))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def run_cli(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
    timeout_s: float = WITHIN_S,
) -> subprocess.CompletedProcess:
    """Run `atoll` to its end, as a person would, at 100 columns in UTC."""
    variables = dict(os.environ) | {"COLUMNS": "100", "TZ": "UTC"} | dict(environment or {})
    return subprocess.run(
        [sys.executable, *CLI, *arguments],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@functools.cache
def _host_help(python: str) -> str:
    """What `atoll host --help` of an interpreter says."""
    command = [python, *CLI, "host", "--help"]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=WITHIN_S, check=True
    ).stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks after boot; zero for one that is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    state, *rest = text.rpartition(")")[2].split()
    return 0 if state == "Z" else int(rest[18])


def children(pid: int) -> list[int]:
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def gone(*pids: int, within_s: float = STOP_WITHIN_S) -> bool:
    """Whether processes, which need not be our children, end in time."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([descriptor], [], [], within_s)[0]:
                return False
        finally:
            os.close(descriptor)
    return True

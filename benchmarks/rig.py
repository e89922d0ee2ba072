"""The place where cases measure: one durable Postgres, and meshes of real processes on it.

A case asks for a mesh, which gets a database of its own, a host, and as many locations as the case
wants. Postgres starts when the first mesh is asked for.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Self

import psycopg

from atoll.client import connection, errors
from atoll_storage import embedded
from benchmarks import processes
from tests.packaging import environments

READY_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.02
_HOST_LISTENS = r"listens on (\S+:\d+)"


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = READY_TIMEOUT_S
) -> None:
    """Wait until something holds that nothing announces."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        await asyncio.sleep(_LOOK_EVERY_S)


@dataclasses.dataclass
class Mesh:
    """A host on a database of its own, and locations that joined it.

    Attributes:
        address: Where the host listens.
        database_url: Its database.
        host: The process of the host.
        client: A connection to it.
        folder: Where the locations keep their state and code.
    """

    address: str
    database_url: str
    host: processes.Process
    client: connection.Client
    folder: Path
    _stack: contextlib.AsyncExitStack

    async def add_location(self, name: str, source: str) -> processes.Process:
        """Start a code server for definitions given as source text, and wait until it serves."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "definitions.py").write_text(source)
        process = await start_code_server(name, folder, self.address, self.folder / "storage")
        self._stack.push_async_callback(process.stop)

        async def serves() -> bool:
            process.check()
            self.host.check()
            with contextlib.suppress(errors.RpcError):
                return bool((await self.client.locations.get(name)).build.build_id)
            return False

        await until(serves, f"location {name} serves")
        return process


async def copied_environment(folder: Path) -> str:
    """Make an environment for a location that shares no file with others; return its command."""
    wheel = await asyncio.to_thread(environments.wheel)
    uv, python = str(environments.UV), str(folder / "bin" / "python")
    for arguments in (
        ("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)),
        ("pip", "install", "--quiet", "--link-mode", "copy", "--python", python, str(wheel)),
    ):
        process = await asyncio.create_subprocess_exec(uv, *arguments)
        if await process.wait():
            raise RuntimeError(f"uv {arguments[0]} failed")
    return str(folder / "bin" / "atoll")


async def start_code_server(
    name: str,
    folder: Path,
    host_address: str,
    storage: Path | None = None,
    *,
    command: str | None = None,
) -> processes.Process:
    """Start the code server of `definitions.py` in a folder."""
    return await processes.Process.start(
        [
            command or processes.atoll_command(),
            "serve",
            "--file",
            str(folder / "definitions.py"),
            "--name",
            name,
            "--host",
            host_address,
            "--state-dir",
            str(folder / "state"),
        ],
        log=folder / "serve.log",
        environment={"ATOLL_STORAGE_DIR": str(storage or folder / "storage")},
    )


class Rig:
    """Starts and stops what cases need.

    Attributes:
        work: A folder for files; emptied at the beginning and at the end.
    """

    def __init__(self, work: Path, scale: float) -> None:
        self.work = work
        self._scale = scale
        self._postgres: embedded.EmbeddedPostgres | None = None
        self._numbers = itertools.count(1)
        self._short = Path()

    async def __aenter__(self) -> Self:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        # Postgres may drop to a user that cannot enter the folder of the project.
        self._short = Path(tempfile.mkdtemp(prefix="atoll-bench-"))
        self._short.chmod(0o755)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._postgres is not None:
            await self._postgres.stop()
        shutil.rmtree(self._short, ignore_errors=True)
        shutil.rmtree(self.work, ignore_errors=True)

    def count(self, usual: int, at_least: int = 3) -> int:
        """Return how many samples to take."""
        return max(at_least, round(usual * self._scale))

    def folder(self, name: str) -> Path:
        """Return a new empty folder."""
        path = self.work / f"{next(self._numbers)}-{name}"
        path.mkdir()
        return path

    async def database(self) -> str:
        """Return the URL of a new, empty database with durable settings."""
        if self._postgres is None:
            self._postgres = await embedded.EmbeddedPostgres.start(self._short / "pg", durable=True)
        name = f"bench_{next(self._numbers)}"
        async with await psycopg.AsyncConnection.connect(
            self._postgres.url, autocommit=True
        ) as link:
            await _check_durable(link)
            await link.execute(f"CREATE DATABASE {name}".encode())
        parts = psycopg.conninfo.conninfo_to_dict(self._postgres.url)
        return _url(parts, name)

    @contextlib.asynccontextmanager
    async def mesh(
        self, *, host_arguments: tuple[str, ...] = (), database_url: str = ""
    ) -> AsyncGenerator[Mesh, None]:
        """Start a host on a new database, or on one that another host left."""
        url = database_url or await self.database()
        folder = self.folder("mesh")
        async with contextlib.AsyncExitStack() as stack:
            host = await processes.Process.start(
                [
                    processes.atoll_command(),
                    "host",
                    "--no-credentials",
                    "--listen",
                    "127.0.0.1:0",
                    *host_arguments,
                ],
                log=folder / "host.log",
                environment={"ATOLL_DATABASE_URL": url, "PYTHONUNBUFFERED": "1"},
            )
            stack.push_async_callback(host.stop)

            async def listens() -> bool:
                host.check()
                return bool(host.said(_HOST_LISTENS))

            await until(listens, "the host listens")
            address = host.said(_HOST_LISTENS)
            client = await stack.enter_async_context(connection.connect(address))
            try:
                yield Mesh(address, url, host, client, folder, stack)
            except Exception as error:
                error.add_note(_said_last(folder))
                raise


def _said_last(folder: Path) -> str:
    """Return the end of what each process of a mesh said: the files are removed in the end."""
    logs = sorted(folder.rglob("*.log"))
    return "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}" for log in logs)


async def _check_durable(link: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    # Figures of a database that may forget what it acknowledged would say nothing.
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        row = await (await link.execute(f"SHOW {setting}".encode())).fetchone()
        if row != ("on",):
            raise RuntimeError(f"Postgres runs with {setting} = {row}: it must be on")


def _url(parts: dict[str, object], database: str) -> str:
    """Write connection parameters as a URL; the folder of a socket goes into the query."""
    query = "&".join(f"{name}={value}" for name, value in parts.items() if name in {"host", "port"})
    user = parts.get("user", "")
    password = f":{parts['password']}" if parts.get("password") else ""
    return f"postgresql://{user}{password}@/{database}?{query}"

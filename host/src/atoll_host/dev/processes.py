"""One process of a session: started, its output read line by line, started again when it dies.

The processes are bound to the life of the session (see ``bound``), are in sessions of their own so
that Ctrl-C reaches them only in the order that the session chooses, and are signalled by their ids.

    WAITING --start--> RUNNING --dies--> BACKING OFF --after a pause--> RUNNING ...
                          └-------------stop-------------> STOPPED
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from atoll_host.dev import guardian

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 15.0
# Whoever lived this long was well; its next death begins with the shortest pause again.
HEALTHY_AFTER_S: Final = 10.0
STOP_GRACE_S: Final = 8.0
KILL_WAIT_S: Final = 2.0
LINE_BYTES_MAX: Final = 8192
TAIL_LINES_MAX: Final = 40
# A child that outlives the program holds its output open; the death is told all the same.
LAST_WORDS_S: Final = 0.5
_CHUNK_BYTES: Final = 65_536

# Never handed to a location: it must not reach the database, nor take another environment for its
# own.
_WITHHELD: Final = (
    "ATOLL_DATABASE_URL",
    "VIRTUAL_ENV",
    "PYTHONHOME",
    "PYTHONPATH",
    "__PYVENV_LAUNCHER__",
)


@dataclasses.dataclass(frozen=True)
class Program:
    """What to run.

    Attributes:
        name: Who it is, for people.
        command: The command line.
        environment: All of its environment variables.
        working_directory: The folder it runs in.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    working_directory: Path


def location_environment(python: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of a location: this process's, fitted to its interpreter.

    Args:
        python: The interpreter of the location.
        extra: Variables to add.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    if python == Path(sys.executable) and "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    folder = python.parent
    if (folder.parent / "pyvenv.cfg").is_file():
        environment["VIRTUAL_ENV"] = str(folder.parent)
    environment["PATH"] = os.pathsep.join((str(folder), environment.get("PATH", os.defpath)))
    environment["PYTHONUNBUFFERED"] = "1"
    return environment | dict(extra or {})


class ManagedProcess:
    """Keeps one program running until it is stopped."""

    def __init__(
        self,
        program: Program,
        *,
        on_line: Callable[[str], None],
        on_death: Callable[[int, float], None],
    ) -> None:
        """Make a process that does not run yet.

        Args:
            program: What to run.
            on_line: Gets each line of its output.
            on_death: Gets the exit code and the pause before the next start when it dies.
        """
        self.program = program
        self._on_line = on_line
        self._on_death = on_death
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._died = asyncio.Event()
        self._readers: set[asyncio.Task[None]] = set()
        self.tail: list[str] = []
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The id of the process; None while it does not run."""
        return self._child.pid if self._child is not None else None

    def start(self) -> None:
        """Start the program, and from now on start it again whenever it dies."""
        self._keeper = asyncio.create_task(self._keep(), name=f"dev process {self.program.name}")

    async def died(self) -> None:
        """Wait for the first death of the program."""
        await self._died.wait()

    async def stop(self, *, grace_s: float = STOP_GRACE_S) -> None:
        """End the program: SIGTERM, then SIGKILL after the grace period. May be repeated."""
        self._stop_asked.set()
        if self._keeper is not None:
            await self._end(self._keeper, grace_s)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _end(self, keeper: asyncio.Task[None], grace_s: float) -> None:
        for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_WAIT_S)):
            self._signal(number)
            done, _ = await asyncio.wait({keeper}, timeout=patience_s)
            if done:
                return
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)

    def kill(self) -> None:
        """End the program at once."""
        self._stop_asked.set()
        self._signal(signal.SIGKILL)

    async def _keep(self) -> None:
        now = asyncio.get_running_loop().time
        deaths = 0
        while not self._stop_asked.is_set():
            started = now()
            code = await self._run_once()
            self._died.set()
            if self._stop_asked.is_set():
                return
            deaths = 1 if now() - started > HEALTHY_AFTER_S else deaths + 1
            pause_s = min(BACKOFF_FIRST_S * 2.0 ** (deaths - 1), BACKOFF_MAX_S)
            self._on_death(code, pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop_asked.wait(), pause_s)

    async def _run_once(self) -> int:
        self.starts += 1
        # A pipe of our own: asyncio's would not report the death of the program as long as one of
        # its detached children holds the other end.
        read_end, write_end = os.pipe()
        try:
            child = await asyncio.create_subprocess_exec(
                *guardian.bound_command(self.program.command),
                cwd=self.program.working_directory,
                env=dict(self.program.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        self._child = child
        if self._stop_asked.is_set():
            self._signal(signal.SIGTERM)
        reader = asyncio.create_task(self._read(read_end), name=f"dev output {self.program.name}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        try:
            code = await child.wait()
            # What it wrote last is in the pipe. A child that outlives it may go on writing.
            await asyncio.wait({reader}, timeout=LAST_WORDS_S)
        finally:
            self._child = None
        return code

    async def _read(self, read_end: int) -> None:
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read_end, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await stream.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._tell(line)
                if len(rest) > LINE_BYTES_MAX:
                    self._tell(rest)
                    rest = b""
            if rest:
                self._tell(rest)
        finally:
            transport.close()

    def _tell(self, line: bytes) -> None:
        text = line[:LINE_BYTES_MAX].decode("utf-8", "replace").rstrip()
        self.tail = [*self.tail[-TAIL_LINES_MAX + 1 :], text]
        self._on_line(text)

    def _signal(self, number: int) -> None:
        if self._child is not None and self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.send_signal(number)

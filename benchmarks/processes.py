"""Real processes of Atoll, started as users start them, with what is needed to measure them.

Used by the rig and by cases that start a code server without a host. Every process is stopped by
its id, with a deadline; its output goes to a file that is shown when it dies early.
"""

import asyncio
import contextlib
import dataclasses
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

STOP_DEADLINE_S = 20.0
_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Without bytecode every start compiles anew; a deployed location is not run like that.
_LEFT_OUT = ("ATOLL_", "PYTEST_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


class ProcessEndedError(Exception):
    """A process ended that should have gone on."""


def atoll_command() -> str:
    """Return the command of the environment that runs the benchmarks."""
    return str(Path(sys.executable).with_name("atoll"))


@dataclasses.dataclass(frozen=True)
class Spent:
    """What a command took.

    Attributes:
        wall_s: From its start to its end.
        processor_s: The processor time of it and of all that it started and waited for. What other
            processes of the machine do hardly shows in it.
    """

    wall_s: float
    processor_s: float


def run(
    arguments: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path | None = None
) -> Spent:
    """Run a command to its end; nothing else that was started may end meanwhile."""
    before, begun = _of_children_s(), time.perf_counter()
    subprocess.run(
        arguments, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL, timeout=120
    )
    return Spent(time.perf_counter() - begun, _of_children_s() - before)


def _of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def inherited_environment() -> dict[str, str]:
    """Return this process's environment variables without those that change what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}


class Process:
    """A process and everything it started."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    async def start(
        cls, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start a command whose output goes to a file."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env=inherited_environment() | dict(environment or {}),
                cwd=log.parent,
            )
        return cls(process, log)

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def said(self, pattern: str) -> str:
        """Return the group of the first match in the output so far, empty while there is none."""
        found = re.search(pattern, self._log.read_text(errors="replace"))
        return found[1] if found else ""

    def check(self) -> None:
        """Raise if the process has ended, with what it said last."""
        if self._process.returncode is not None:
            said = self._log.read_text(errors="replace")[-4000:]
            raise ProcessEndedError(
                f"{self._log.stem} ended with status {self._process.returncode}:\n{said}"
            )

    async def stop(self) -> None:
        """End the process in good order, or kill it at the deadline."""
        if self._process.returncode is not None:
            return
        family = process_tree(self.pid)
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_DEADLINE_S)
        except TimeoutError:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await self._process.wait()


def process_tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def proportional_memory_bytes(pids: Sequence[int]) -> int:
    """Return the memory of processes, what they share counted once (PSS)."""
    total_kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total_kib += int(line.split()[1])
    return total_kib * 1024


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _CLOCK_TICKS_PER_S

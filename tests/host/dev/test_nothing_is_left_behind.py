"""Real processes: what dev starts, starts again and ends, also when it is killed itself."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from atoll_host.dev import processes

pytestmark = pytest.mark.e2e

# Starts a worker in a session of its own, as run workers are, says its id, and waits for ever.
FAMILY = """
import os, subprocess, sys, threading
child = subprocess.Popen(
    [sys.executable, "-c", "import threading; threading.Event().wait()"], start_new_session=True
)
print(os.getpid(), child.pid, flush=True)
threading.Event().wait()
"""
STUBBORN = """
import signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
threading.Event().wait()
"""


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


class Watched:
    """A managed process whose lines and deaths can be waited for."""

    def __init__(self, *command: str) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.deaths: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
        program = processes.Program("p", list(command), dict(os.environ), Path.cwd())
        self.process = processes.ManagedProcess(
            program,
            on_line=self.lines.put_nowait,
            on_death=lambda code, pause_s: self.deaths.put_nowait((code, pause_s)),
        )

    async def line(self) -> str:
        return await asyncio.wait_for(self.lines.get(), 20)

    async def death(self) -> tuple[int, float]:
        return await asyncio.wait_for(self.deaths.get(), 20)


@contextlib.asynccontextmanager
async def running(*command: str):
    watched = Watched(*command)
    watched.process.start()
    try:
        yield watched
    finally:
        await watched.process.stop(grace_s=2)


async def test_a_process_that_dies_is_started_again_after_growing_pauses():
    async with running(*python("-c", "print('up'); raise SystemExit(3)")) as watched:
        assert await watched.line() == "up"
        assert await watched.death() == (3, 0.5)
        assert await watched.line() == "up"
        assert await watched.death() == (3, 1.0)


async def test_a_killed_process_is_started_again():
    async with running(*python("-c", FAMILY)) as watched:
        parent, child = map(int, (await watched.line()).split())
        os.kill(parent, signal.SIGKILL)
        code, _ = await watched.death()
        assert code == -signal.SIGKILL
        assert int((await watched.line()).split()[0]) != parent
        os.kill(child, signal.SIGKILL)


async def test_a_process_that_ignores_the_request_is_ended_all_the_same():
    async with running(*python("-c", STUBBORN)) as watched:
        assert await watched.line() == "up"
        pid = watched.process.pid
        await watched.process.stop(grace_s=0.2)
        assert not is_alive(pid)
        assert watched.deaths.empty()


async def test_a_stop_does_not_wait_for_the_next_start():
    async with running(*python("-c", "raise SystemExit(1)")) as watched:
        await watched.death()
        await asyncio.wait_for(watched.process.stop(), 0.4)
        assert watched.process.starts == 1


async def test_a_program_that_is_not_there_is_told():
    async with running("/nowhere/python") as watched:
        assert "/nowhere/python cannot be run" in await watched.line()
        assert (await watched.death())[0] == 127


async def test_a_line_without_end_is_shown_in_pieces():
    code = "import sys; sys.stdout.write('x' * 100_000); sys.stdout.flush()"
    async with running(*python("-c", code)) as watched:
        assert set(await watched.line()) == {"x"}


def test_a_location_never_sees_the_database(monkeypatch):
    monkeypatch.setenv("ATOLL_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = processes.location_environment(Path("/opt/env/bin/python"), {"A": "b"})
    assert "ATOLL_DATABASE_URL" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["PATH"].startswith("/opt/env/bin:")
    assert environment["A"] == "b"


GUARDED = """
import sys
from atoll_host.dev import guardian
sys.exit(guardian.guard(sys.argv[1:]))
"""


@pytest.fixture
def guarded(request) -> Callable[..., subprocess.Popen]:
    def start(*arguments: str) -> subprocess.Popen:
        process = subprocess.Popen(
            python("-c", GUARDED, *arguments), stdout=subprocess.PIPE, text=True
        )

        def end() -> None:
            process.kill()
            process.wait(10)
            process.stdout.close()

        request.addfinalizer(end)
        return process

    return start


def gone(*pids: int, within_s: float = 15.0) -> bool:
    """Wait for the end of processes that need not be our children."""
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


def test_a_detached_worker_ends_with_the_session(guarded):
    guardian = guarded("-c", FAMILY)
    session, worker = map(int, guardian.stdout.readline().split())
    guardian.send_signal(signal.SIGINT)
    guardian.wait(20)
    assert gone(session, worker, within_s=0)


def test_a_killed_session_leaves_no_worker(guarded):
    guardian = guarded("-c", FAMILY)
    session, worker = map(int, guardian.stdout.readline().split())
    os.kill(session, signal.SIGKILL)
    assert guardian.wait(20) == 128 + signal.SIGKILL
    assert gone(worker, within_s=0)


def test_a_killed_guardian_takes_the_session_along(guarded):
    guardian = guarded("-c", FAMILY)
    session, worker = map(int, guardian.stdout.readline().split())
    guardian.kill()
    assert gone(session)
    os.kill(worker, signal.SIGKILL)  # Nobody is left who could have: it was detached on purpose.


def test_the_exit_code_is_that_of_the_session(guarded):
    assert guarded("-c", "raise SystemExit(5)").wait(20) == 5

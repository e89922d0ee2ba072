"""The death of a process is noticed, with a pidfd and without one."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from atoll._server import processes


def no_pidfd(pid: int) -> int:
    raise OSError(38, "not here")


@pytest.mark.parametrize("pidfd", [True, False])
async def test_a_death_is_noticed_and_told(monkeypatch, pidfd):
    if not pidfd:
        monkeypatch.setattr(os, "pidfd_open", no_pidfd)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220
    told = asyncio.Event()
    handle = processes.ProcessHandle(child.pid, told.set, lambda: child.poll() is not None)
    assert not handle.dead.is_set()
    handle.kill()
    await asyncio.wait_for(told.wait(), 5)
    assert handle.dead.is_set()
    handle.close()
    handle.close()
    assert child.wait(5) == -signal.SIGKILL
    child.stdin.close()


async def test_a_process_that_is_gone_is_dead():
    child = subprocess.Popen([sys.executable, "-c", ""])  # noqa: ASYNC220
    child.wait(10)
    handle = processes.ProcessHandle(child.pid)
    assert handle.dead.is_set()
    handle.kill()
    handle.close()


@pytest.mark.parametrize(
    ("code", "text"),
    [(None, "died"), (3, "ended with exit code 3"), (-9, "was killed by SIGKILL"), (-99, "99")],
)
def test_an_exit_is_described(code, text):
    assert text in processes.describe_exit(code)

"""A process that never reads its socket still dies with the process at the other end."""

import os
import signal
import socket
import sys
import time

import pytest

from atoll._location import lifeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel signals on Linux only")


def _busy_child(reading: int, writing: int, *, undo: bool = False) -> int:
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(writing)
            lifeline.die_with(reading)
            if undo:
                lifeline.live_on(reading)
            os.write(told, b"x")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    return pid


def _ended(pid: int, timeout_s: float) -> int | None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        os.sched_yield()
    return None


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_it_is_killed_when_the_other_end_closes(kind):
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        ends = socket.socketpair()
        reading, writing = (end.detach() for end in ends)
    pid = _busy_child(reading, writing)
    os.close(reading)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    os.close(writing)
    assert _ended(pid, 5) == -signal.SIGKILL


def test_it_is_killed_when_the_other_end_was_closed_before():
    reading, writing = os.pipe()
    os.close(writing)
    pid = os.fork()
    if pid == 0:
        lifeline.die_with(reading)
        os._exit(0)
    os.close(reading)
    assert _ended(pid, 5) == -signal.SIGKILL


def test_undone_it_lives():
    reading, writing = os.pipe()
    pid = _busy_child(reading, writing, undo=True)
    os.close(reading)
    os.close(writing)
    assert _ended(pid, 0.1) is None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

"""The process that a developer's terminal knows as ``atoll dev``: it outlives all it started.

Run workers leave the process tree on purpose, so that they survive their code server. The guardian
is the subreaper of everything below it: whoever loses its parent becomes its child. It starts the
session in a process of its own, passes signals on, and when the session has ended, however it
ended, it ends what is left: SIGTERM first, SIGKILL after a grace period. It starts no thread, loads
no gRPC and holds no state worth losing.

Killed itself, it takes the session along: the session is bound to it (see ``bound``), and ends the
rest in order.
"""

import contextlib
import ctypes
import logging
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import types
from collections.abc import Generator, Sequence
from typing import Final

from atoll_host.dev import bound

GRACE_S: Final = 5.0
KILL_WAIT_S: Final = 2.0
_PR_SET_CHILD_SUBREAPER: Final = 36
_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KILLED_BY_SIGNAL: Final = 128

_logger = logging.getLogger(__name__)


def guard(arguments: Sequence[str]) -> int:
    """Run a session to its end, then end what it left behind.

    Args:
        arguments: The command line of the session, without the interpreter.

    Returns:
        The exit code of the session.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with _signals() as wakeup:
        session = subprocess.Popen(
            bound_command([sys.executable, *arguments]), start_new_session=True
        )
        code = _wait(session, wakeup)
        _end_the_rest(wakeup)
    return code if code >= 0 else _KILLED_BY_SIGNAL - code


def bound_command(command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program bound to the life of this process."""
    return [sys.executable, "-I", "-S", str(bound.__file__), str(os.getpid()), *command]


@contextlib.contextmanager
def _signals() -> Generator[int]:
    """Write every signal of interest into a pipe, and yield the end to read them from."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    old_wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    numbers = (*_FORWARDED, signal.SIGCHLD)
    old_handlers = {number: signal.signal(number, _only_wake) for number in numbers}
    try:
        yield reader
    finally:
        for number, handler in old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_wakeup)
        os.close(reader)
        os.close(writer)


def _only_wake(_number: int, _frame: types.FrameType | None) -> None:
    """Do nothing: a handler must be there for the wake-up to be written."""


def _wait(session: "subprocess.Popen[bytes]", wakeup: int) -> int:
    while True:
        code = session.poll()
        if code is not None:
            return code
        for number in _take_signals(wakeup, timeout_s=None):
            if number in _FORWARDED:
                session.send_signal(signal.SIGTERM)
        _reap_orphans(session.pid)


def _take_signals(wakeup: int, timeout_s: float | None) -> bytes:
    ready, _, _ = select.select([wakeup], [], [], timeout_s)
    return os.read(wakeup, 4096) if ready else b""


def _reap_orphans(session_pid: int) -> None:
    """Collect adopted processes that have ended, but leave the session to its own wait."""
    for pid in children():
        if pid != session_pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _end_the_rest(wakeup: int) -> None:
    """End every process that is left below this one."""
    started = time.monotonic()
    told: set[int] = set()
    while time.monotonic() - started < GRACE_S + KILL_WAIT_S:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = children()
        if not left:
            return
        too_late = time.monotonic() - started > GRACE_S
        for pid in left:
            if too_late or pid not in told:
                told.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if too_late else signal.SIGTERM)
        # SIGCHLD ends the wait early; the time-out is for children that were adopted meanwhile.
        _take_signals(wakeup, timeout_s=0.1)
    _logger.error(
        "Some processes could not be ended", extra={"action": "dev_stop", "pids": children()}
    )


def children() -> list[int]:
    """Return the ids of the child processes of this process; empty where the system tells none."""
    try:
        text = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pid) for pid in text.split()]

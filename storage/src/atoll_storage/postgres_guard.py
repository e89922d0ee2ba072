"""The process between an embedded Postgres server and its owner: ends the one with the other.

Started by `atoll_storage.embedded` as a script of its own (`python -I -S postgres_guard.py ORDER`),
so it imports the standard library only. Its standard input is a pipe that the owner holds open: end
of file, by `stop` or by the owner's death in whatever way, asks the server for a fast shutdown.
Should the guard itself be killed, the kernel sends the server the same signal (Linux). What must
not come in: anything that reads the database or the data directory.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

FAST_SHUTDOWN_TIMEOUT_S = 30.0
IMMEDIATE_SHUTDOWN_TIMEOUT_S = 10.0
_PR_SET_PDEATHSIG = 1


def _die_with_guard(guard_pid: int) -> Callable[[], None]:
    """Return what the child runs before exec: a fast shutdown comes when the guard dies."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def arrange() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != guard_pid:
                os._exit(1)

    return arrange


def _start(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        order["command"],
        stdin=subprocess.DEVNULL,
        stdout=order["log_fd"],
        stderr=order["log_fd"],
        pass_fds=order["keep_fds"],
        cwd="/",
        env=order["environment"],
        preexec_fn=_die_with_guard(os.getpid()),  # noqa: PLW1509 - the guard has one thread
        user=order["uid"],
        group=order["gid"],
        extra_groups=None if order["uid"] is None else [],
    )


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Ask for a fast shutdown, then insist."""
    for sign, timeout_s in (
        (signal.SIGINT, FAST_SHUTDOWN_TIMEOUT_S),
        (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_TIMEOUT_S),
        (signal.SIGKILL, None),
    ):
        server.send_signal(sign)
        try:
            server.wait(timeout_s)
        except subprocess.TimeoutExpired:
            continue
        return


def main() -> int:
    """Run the server until it ends or the owner is gone; return its exit status."""
    order = json.loads(sys.argv[1])
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    # A handler that does nothing: what counts is the byte that it writes to the wakeup pipe.
    for sign in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda _sign, _frame: None)
    server = _start(order)
    os.write(1, f"{server.pid}\n".encode())
    os.close(1)
    while server.poll() is None:
        readable, _, _ = select.select([0, wake_read], [], [])
        received = os.read(wake_read, 64) if wake_read in readable else b""
        if 0 in readable or signal.SIGTERM in received or signal.SIGINT in received:
            _stop(server)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


if __name__ == "__main__":
    sys.exit(main())

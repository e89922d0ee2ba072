"""A handle on a process that may not be this one's child: notice its death, send it signals.

On Linux a pidfd, which stays bound to the very process however ids are reused; elsewhere the
process is looked at a few times a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

_LOOK_EVERY_S = 0.1


class ProcessHandle:
    """One process. Make it while the process is known to be this one.

    Args:
        pid: The process.
        on_death: Called when it dies.
        ended: For a child of this process, tells whether it has ended; needed without a pidfd,
            since a child that nobody has waited for still seems to exist.
    """

    def __init__(
        self,
        pid: int,
        on_death: Callable[[], None] | None = None,
        ended: Callable[[], bool] | None = None,
    ) -> None:
        self.pid = pid
        self._on_death = on_death
        self._ended = ended or (lambda: not _exists(pid))
        self.dead = asyncio.Event()
        self._descriptor = -1
        self._looking: asyncio.Task[None] | None = None
        if sys.platform == "linux":
            self._watch_descriptor()
        else:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    def _watch_descriptor(self) -> None:
        try:
            self._descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self._set_dead()
            return
        except OSError:
            # A kernel or a sandbox without pidfd.
            self._looking = asyncio.get_running_loop().create_task(self._look())
            return
        asyncio.get_running_loop().add_reader(self._descriptor, self._died)

    def _died(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._set_dead()

    def _set_dead(self) -> None:
        self.dead.set()
        if self._on_death is not None:
            self._on_death()

    async def _look(self) -> None:
        while not self._ended():  # noqa: ASYNC110  # without pidfd, nothing tells
            await asyncio.sleep(_LOOK_EVERY_S)
        self._set_dead()

    def kill(self) -> None:
        """Kill the process, and its group if it leads one. A dead one is left alone."""
        if self.dead.is_set() or self.pid <= 1:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, signal.SIGKILL)
            elif self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop watching. May be repeated."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def describe_exit(exit_code: int | None) -> str:
    """Return how a process ended, in words that follow "The process".

    Args:
        exit_code: The exit code; negative is the number of a signal, None is unknown.
    """
    if exit_code is None:
        return "died"
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"

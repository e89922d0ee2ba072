"""Ends a process together with whoever holds the other end of a descriptor.

Whatever it is doing: user code may hang in an import or in a tick, where nobody reads the socket
on which the end of the other side would be seen. So the kernel is asked to kill: a descriptor in
asynchronous mode sends a signal when its peer goes away, and that signal is SIGKILL.
(PR_SET_PDEATHSIG would tie a process to the *thread* that made it.) Nothing else in here.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys


def die_with(descriptor: int) -> None:
    """Have this process killed when anything happens on a descriptor, or has ended there already.

    Fit for the reading end of a pipe that nobody writes to, and for a socket on which nothing is
    due. Off Linux this does nothing: there an orphan lives until it reads its socket again.

    Args:
        descriptor: The descriptor. It must stay open.
    """
    if sys.platform != "linux":
        return
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    # Only what happens from now on sends the signal; the other end may have gone before.
    poller = select.poll()
    poller.register(descriptor, 0)
    if poller.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)


def live_on(descriptor: int) -> None:
    """Undo `die_with`.

    Args:
        descriptor: The descriptor.
    """
    if sys.platform != "linux":
        return
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_ASYNC)

"""Lets the processes that run user code give way to what keeps the mesh going.

Called by run workers and evaluators before user code runs. User code may keep every core of its
machine busy for hours; code server, host and Postgres, where they share the machine, must get their
milliseconds at once all the same, or every other location waits for it. Nothing is lost by it: user
code still gets all that the others leave. Priority can only be lowered, so this holds for all that
user code starts, too.
"""

from __future__ import annotations

import contextlib
import os
import pathlib

RUNS = 10
"""For run workers: long and patient."""

TICKS = 5
"""For evaluators: they decide what runs, within a deadline."""

# Where Linux groups processes by session, priorities count only inside a session, and the session
# has one of its own.
_SESSION_PRIORITY = pathlib.Path("/proc/self/autogroup")


def give_way(niceness: int) -> None:
    """Lower the priority of this process, and of the session that it leads.

    Args:
        niceness: By how much.
    """
    os.nice(niceness)
    # Best effort: not everywhere, and the kernel takes only some ten changes a second.
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            _SESSION_PRIORITY.write_bytes(str(niceness).encode())

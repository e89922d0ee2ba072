"""Tells a process from another one that got the same process id later.

Used by run workers to write down who they are and by the code server to find them again. Reads
/proc; where there is none (not Linux), the start is unknown and the worker's lock alone decides.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys

from atoll.process.v1 import process_pb2

_STATE_FIELD = 0
_START_FIELD = 19
_DEAD_STATES = ("Z", "X")


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on; none without such a process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The second field is the program's name in parentheses and may hold anything, parentheses and
    # blanks included.
    return text.rpartition(")")[2].split()


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks after boot; 0 when unknown.

    Args:
        pid: The process.
    """
    fields = _stat_fields(pid)
    return int(fields[_START_FIELD]) if len(fields) > _START_FIELD else 0


def of_this_process(build_id: str) -> process_pb2.WorkerIdentity:
    """Return who this process is.

    Args:
        build_id: The build that it runs.
    """
    pid = os.getpid()
    return process_pb2.WorkerIdentity(pid=pid, start_ticks=start_ticks(pid), build_id=build_id)


def runs_still(identity: process_pb2.WorkerIdentity) -> bool:
    """Return whether the very process still runs; a zombie does not.

    Args:
        identity: What the process wrote about itself.
    """
    if sys.platform != "linux":
        return _exists(identity.pid)
    fields = _stat_fields(identity.pid)
    if len(fields) <= _START_FIELD or fields[_STATE_FIELD] in _DEAD_STATES:
        return False
    return int(fields[_START_FIELD]) == identity.start_ticks


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill_group(identity: process_pb2.WorkerIdentity, signal_number: signal.Signals) -> None:
    """Send a signal to the process group that the process leads or led.

    The group outlives its leader while the leader's children live; no new process gets the id of a
    living group. So a group is left alone only when its id now belongs to another process.

    Args:
        identity: What the leader wrote about itself.
        signal_number: The signal.
    """
    if identity.pid <= 1:
        return
    reused = _exists(identity.pid) and start_ticks(identity.pid) != identity.start_ticks
    if reused:
        return
    try:
        os.killpg(identity.pid, signal_number)
    except (ProcessLookupError, PermissionError):
        # Nobody is left. (macOS answers EPERM for a group of zombies.)
        return

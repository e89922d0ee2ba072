"""Tells whether this process may be forked, from the threads that it has.

Called by the definitions process when it decides how to make processes, and by runs whose executor
wants processes for steps. A fork copies one thread only: whatever the others held stays locked for
ever in the child. So a process with threads is not forked, unless the threads belong to a library
that is known to put itself right in a forked child.
"""

import dataclasses
import os
import pathlib
import sys
import threading

_TASKS = pathlib.Path("/proc/self/task")
_MAPS = pathlib.Path("/proc/self/maps")
_NAMES_SHOWN_MAX = 5

# OpenBLAS joins its pool before a fork and starts it anew after it (pthread_atfork); one pool for
# each copy that is mapped. Its threads carry the name of the program.
_OPENBLAS = "openblas"
# The purging threads of jemalloc register the same handlers. Arrow brings them along.
_FORK_SAFE_NAMES = frozenset({"jemalloc_bg_thd"})


@dataclasses.dataclass(frozen=True, slots=True)
class Threads:
    """The threads of a process besides its main thread.

    Attributes:
        python: The names of those that Python knows.
        native: The names of those that only the kernel knows.
        openblas_pool_max: How many of the native ones OpenBLAS may account for.
    """

    python: tuple[str, ...] = ()
    native: tuple[str, ...] = ()
    openblas_pool_max: int = 0


def observe() -> Threads:
    """Return the threads of this process besides its main thread."""
    python = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    # The kernel's id of a main thread is that of its process; what Python noted of it is that of
    # the parent where this process was forked itself.
    known = {thread.native_id for thread in python} | {os.getpid()}
    native = tuple(name for task, name in _tasks() if task not in known)
    return Threads(
        python=tuple(thread.name for thread in python),
        native=native,
        openblas_pool_max=_openblas_copies() * max((os.cpu_count() or 1) - 1, 0) if native else 0,
    )


def hazard(platform: str = sys.platform, threads: Threads | None = None) -> str:
    """Return why forking is unsafe, as a clause; empty when it is safe.

    Args:
        platform: The platform, as `sys.platform` names it.
        threads: The threads of the process; as it is now where not given.
    """
    if platform != "linux":
        return f"this platform ({platform}) does not support it well"
    if threads is None:
        threads = observe()
    if threads.python:
        return f"importing the code left {_counted('thread', threads.python)} running"
    unexplained = _unexplained(threads)
    if unexplained:
        return f"a library left {_counted('native thread', unexplained)} running"
    return ""


def left_behind(threads: Threads) -> str:
    """Return in words what threads there are that make no fork unsafe.

    Args:
        threads: The threads of the process.
    """
    if not threads.native:
        return "no threads behind"
    names = ", ".join(sorted(set(threads.native)))
    return f"only the threads of libraries that survive a fork ({names})"


def _unexplained(threads: Threads) -> tuple[str, ...]:
    rest = [name for name in threads.native if name not in _FORK_SAFE_NAMES]
    return tuple(rest) if len(rest) > threads.openblas_pool_max else ()


def _counted(noun: str, names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN_MAX])
    more = ", ..." if len(names) > _NAMES_SHOWN_MAX else ""
    plural = "" if len(names) == 1 else "s"
    return f"{len(names)} {noun}{plural} ({shown}{more})"


def _tasks() -> list[tuple[int, str]]:
    if not _TASKS.is_dir():
        return []
    found: list[tuple[int, str]] = []
    for task in _TASKS.iterdir():
        try:
            name = (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue  # The thread has just ended.
        found.append((int(task.name), name))
    return found


def _openblas_copies() -> int:
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    return len({line.split()[-1] for line in lines if _OPENBLAS in line.rpartition("/")[2]})

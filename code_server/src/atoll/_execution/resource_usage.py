"""What a step uses of the machine: processor time and the peak of its memory.

Called by `steps` before and after each step. Told by the operating system for the process as a
whole, its children that have ended included: exact for a step in a process of its own.
"""

import resource
import sys

from atoll._definitions import events

_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024


class UsageMeter:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._own = resource.getrusage(resource.RUSAGE_SELF)
        self._children = resource.getrusage(resource.RUSAGE_CHILDREN)

    def used(self) -> events.ResourceUsage:
        """Return what was used since."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return events.ResourceUsage(
            cpu_user_ms=1000
            * (own.ru_utime - self._own.ru_utime + children.ru_utime - self._children.ru_utime),
            cpu_system_ms=1000
            * (own.ru_stime - self._own.ru_stime + children.ru_stime - self._children.ru_stime),
            memory_peak_bytes=max(own.ru_maxrss, children.ru_maxrss) * _BYTES_PER_UNIT,
        )

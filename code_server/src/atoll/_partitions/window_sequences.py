"""Time windows by number: the arithmetic of the definition, its sets and its mappings.

Called by time window definitions and time window mappings. Window 0 is the first one of the
definition; those before it have negative numbers. Windows that are left out have no number. Moments
are seconds since 1970.
"""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from atoll._partitions import exclusions, timelines, window_formats


class TimeWindow(NamedTuple):
    """A stretch of time.

    Attributes:
        start: The first moment in it.
        end: The first moment after it.
    """

    start: dt.datetime
    end: dt.datetime


class WindowSequence:
    """The windows between the ticks of a timeline.

    Attributes:
        timeline: The ticks at which windows start and end.
        format: The names of the windows.
    """

    def __init__(
        self,
        timeline: timelines.Timeline,
        fmt: str,
        start: int,
        schedules: tuple[timelines.Timeline, ...] = (),
        moments: tuple[int, ...] = (),
    ) -> None:
        """Make a sequence of windows.

        Args:
            timeline: The ticks at which windows start and end.
            fmt: How windows are named by their start.
            start: Window 0 is the first that starts here or later.
            schedules: Windows that start at their ticks are left out.
            moments: Windows that start at them are left out.
        """
        self.timeline = timeline
        self.format = window_formats.WindowFormat(timeline, fmt)
        self._first = timeline.before(start)
        self._left_out = exclusions.Exclusions(timeline, self._first, schedules, moments)

    def key(self, index: int) -> str:
        """Return the name of a window."""
        return self.format.key(self.timeline.at(self._first + self._number(index)))

    def index(self, key: str) -> int | None:
        """Return the number of the window with a name, None where there is none."""
        place = self.format.number(key)
        if place is None:
            return None
        index = self._index(place - self._first)
        return index if self._number(index) == place - self._first else None

    def moments(self, index: int) -> tuple[int, int]:
        """Return the start and the end of a window."""
        place = self._first + self._number(index)
        return self.timeline.at(place).timestamp, self.timeline.at(place + 1).timestamp

    def window(self, index: int) -> TimeWindow:
        """Return a window as dates."""
        start, end = self.moments(index)
        zone = self.timeline.zone.tzinfo
        return TimeWindow(
            dt.datetime.fromtimestamp(start, zone), dt.datetime.fromtimestamp(end, zone)
        )

    def starting_before(self, moment: float) -> int:
        """Return the number of the first window that starts at a moment or later."""
        return self._index(self.timeline.before(moment) - self._first)

    def ended_by(self, moment: float) -> int:
        """Return the number of the first window that ends after a moment."""
        # The last tick up to the moment is the end of the last window that has ended.
        ticks = self.timeline.before(int(moment // 1) + 1) - self._first
        return self._index(ticks - 1)

    def overlapping(self, start: float, end: float) -> tuple[int, int]:
        """Return the numbers, from one to before another, of the windows that a time touches."""
        return self.ended_by(start), self.starting_before(end)

    def runs(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the stretches of time that windows from one to before another cover."""
        if end <= start:
            return []
        first, last = self._number(start), self._number(end - 1) + 1
        at, base = self.timeline.at, self._first
        spans = self._left_out.runs(first, last) if self._left_out else [(first, last)]
        return [(at(base + low).timestamp, at(base + high).timestamp) for low, high in spans]

    def _number(self, index: int) -> int:
        """Return a window's place among all, those that are left out as well."""
        return self._left_out.kept(index) if self._left_out and index >= 0 else index

    def _index(self, number: int) -> int:
        """Return how many windows before a place are not left out."""
        if self._left_out and number > 0:
            return number - self._left_out.count_before(number)
        return number

"""Windows that are left out: which, and how many there are before another.

Called by window sequences. Left-out windows are found by walking over the ticks of the schedules
that leave them out, once and only as far as somebody asked.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable

from atoll import errors
from atoll._partitions import timelines

# Walks are made at least this long, so that asking for one window after another stays cheap.
_WALK_MIN = 1_000
# What leaves out more windows than these between two others leaves out all of them.
_LEFT_OUT_MAX = 20_000


class Exclusions:
    """The numbers of windows that are left out, counted from the first window."""

    def __init__(
        self,
        timeline: timelines.Timeline,
        first: int,
        schedules: Iterable[timelines.Timeline],
        moments: Iterable[int],
    ) -> None:
        """Make the numbers of windows that are left out.

        Args:
            timeline: The starts of all windows.
            first: The number of the first one.
            schedules: Every window that starts at one of their ticks is left out.
            moments: Every window that starts at one of them is left out.
        """
        self._timeline = timeline
        self._first = first
        self._schedules = tuple(schedules)
        self._moments = frozenset(
            timeline.before(moment) - first for moment in moments if timeline.is_tick(moment)
        )
        self._lock = threading.Lock()
        self._known_to = 0
        self._numbers: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._schedules or self._moments)

    def count_before(self, number: int) -> int:
        """Return how many windows before one are left out."""
        return bisect.bisect_left(self._numbers_to(number), number)

    def kept(self, index: int) -> int:
        """Return the number of the window that has so many before it that are not left out.

        Raises:
            InvalidDefinitionError: There is none, or none soon.
        """
        number = index
        # A run of windows that are left out is passed in steps that grow with it: it has to end.
        while number - index - self.count_before(index) <= _LEFT_OUT_MAX:
            try:
                following = index + self.count_before(number + 1)
            except OverflowError:
                break
            if following == number:
                return number
            number = following
        raise errors.InvalidDefinitionError(
            f"The exclusions of {self._timeline.cron.text!r} leave out every window, or more than"
            f" {_LEFT_OUT_MAX} before the next. Leave out less, or write a cron schedule with fewer"
            " windows."
        )

    def runs(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the ranges of numbers between two that are not left out."""
        numbers = self._numbers_to(end)
        left_out = numbers[bisect.bisect_left(numbers, start) : bisect.bisect_left(numbers, end)]
        starts = [start, *(number + 1 for number in left_out)]
        return [
            (low, high) for low, high in zip(starts, [*left_out, end], strict=True) if low < high
        ]

    def _numbers_to(self, number: int) -> list[int]:
        if self and number > self._known_to:
            with self._lock:
                self._walk(max(number, self._known_to + _WALK_MIN))
        return self._numbers

    def _walk(self, number: int) -> None:
        if number <= self._known_to:
            return
        start = self._timeline.at(self._first + self._known_to).timestamp
        end = self._timeline.at(self._first + number).timestamp
        found = {moment for moment in self._moments if self._known_to <= moment < number}
        for schedule in self._schedules:
            first, last = schedule.before(start), schedule.before(end)
            if last - first > number - self._known_to:
                # It fires more often than windows start, so fewer windows are looked at than ticks.
                places = range(self._first + self._known_to, self._first + number)
                starts = zip(places, self._timeline.ticks(places.start, places.stop), strict=True)
                found.update(
                    place - self._first
                    for place, tick in starts
                    if schedule.is_tick(tick.timestamp)
                )
                continue
            for tick in schedule.ticks(first, last):
                place = self._timeline.before(tick.timestamp)
                if self._timeline.at(place).timestamp == tick.timestamp:
                    found.add(place - self._first)
        self._numbers = [*self._numbers, *sorted(found)]
        self._known_to = number

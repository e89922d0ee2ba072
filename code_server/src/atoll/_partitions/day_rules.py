"""On which days a cron schedule fires, counted by arithmetic.

Called by `crons`. Days are numbers, as `datetime.date.toordinal` gives them. A rule answers two
questions without walking: how many of its days come before a day, and which day is its n-th.
"""

from __future__ import annotations

import bisect
import datetime as dt
import threading
from collections.abc import Callable, Iterator

YEAR_MIN = 1
YEAR_MAX = 9998
# Rules that depend on months are counted from the start of this year.
_BASE_YEAR = 1970
_DAYS_A_WEEK = 7
ORDINAL_MIN = 1
ORDINAL_MAX = dt.date(YEAR_MAX, 12, 31).toordinal()


class Weekdays:
    """Some days of each week; 0 is Sunday, as in cron."""

    def __init__(self, days: frozenset[int]) -> None:
        # Day number 1, the first of January of the year 1, was a Monday: modulo seven is cron's.
        self._days = sorted(days)

    def count_before(self, ordinal: int) -> int:
        """Return how many of the rule's days come before a day."""
        weeks, rest = divmod(ordinal, _DAYS_A_WEEK)
        return weeks * len(self._days) + bisect.bisect_left(self._days, rest)

    def nth(self, number: int) -> int:
        """Return the day with a number, counted as `count_before` counts."""
        weeks, rest = divmod(number, len(self._days))
        return weeks * _DAYS_A_WEEK + self._days[rest]


class CalendarDays:
    """Days that depend on the month: found a year at a time, and remembered."""

    def __init__(self, days_of_month: Callable[[int, int], list[int]]) -> None:
        """Make a rule.

        Args:
            days_of_month: Gives the days of a year's month on which the rule holds, in order.
        """
        self._days_of_month = days_of_month
        self._lock = threading.Lock()
        self._first_year = _BASE_YEAR
        self._years: list[list[int]] = []
        # One more than there are years: how many days come before the start of each.
        self._counts = [0]

    def count_before(self, ordinal: int) -> int:
        """Return how many of the rule's days come before a day, counted from a fixed year."""
        year = dt.date.fromordinal(min(max(ordinal, ORDINAL_MIN), ORDINAL_MAX)).year
        self._cover(year)
        place = year - self._first_year
        return self._counts[place] + bisect.bisect_left(self._years[place], ordinal)

    def nth(self, number: int) -> int:
        """Return the day with a number, counted as `count_before` counts.

        Raises:
            OverflowError: The day is after the last year that dates can have.
        """
        self._cover(_BASE_YEAR)
        while number >= self._counts[-1]:
            self._cover(self._first_year + len(self._years))
        while number < self._counts[0]:
            self._cover(self._first_year - 1)
        place = bisect.bisect_right(self._counts, number) - 1
        return self._years[place][number - self._counts[place]]

    def _cover(self, year: int) -> None:
        if not YEAR_MIN <= year <= YEAR_MAX:
            raise OverflowError(f"The year {year} is out of the calendar.")
        if self._first_year <= year < self._first_year + len(self._years):
            return
        with self._lock:
            while self._first_year + len(self._years) <= year:
                self._years.append(list(self._days_of(self._first_year + len(self._years))))
                self._counts.append(self._counts[-1] + len(self._years[-1]))
            if year < self._first_year:
                earlier = [list(self._days_of(each)) for each in range(year, self._first_year)]
                counts = [self._counts[0]]
                for days in reversed(earlier):
                    counts.insert(0, counts[0] - len(days))
                self._years = earlier + self._years
                self._counts = counts[:-1] + self._counts
                self._first_year = year

    def _days_of(self, year: int) -> Iterator[int]:
        for month in range(1, 13):
            first = dt.date(year, month, 1).toordinal() - 1
            yield from (first + day for day in self._days_of_month(year, month))


DayRule = Weekdays | CalendarDays

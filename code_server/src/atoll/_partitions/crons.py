"""Cron schedules as data: at which times of which days they fire.

Called by timelines. A schedule of five fields is turned into a rule for days and a list of times of
the day, both of which can be counted: walking from tick to tick would cost seconds for a million
hourly partitions. Time zones are not known here.
"""

from __future__ import annotations

import calendar
import functools
from collections.abc import Iterator

from atoll import errors
from atoll._partitions import day_rules

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTH_NAMES = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
_DAY_NAMES = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_HOURS_A_DAY = 24
_LAST = "l"
_NO_NAMES: dict[str, int] = {}
# Any span of as many years holds every combination of date, weekday and leap year.
_YEARS_TO_TRY = range(2000, 2028)


class Cron:
    """A cron schedule.

    Attributes:
        text: The five fields.
        days: On which days it fires.
        times: At which seconds of such a day, in order.
        every_hour: Whether it fires in every hour. It then follows the time that passes: an hour
            that the clock skips has no tick, one that the clock repeats has its ticks twice. Other
            schedules name times of the day, and each of those comes once.
    """

    __slots__ = ("days", "every_hour", "text", "times")

    def __init__(self, text: str) -> None:
        self.text = " ".join(_ALIASES.get(text.strip().lower(), text).split())
        fields = self.text.lower().split()
        if len(fields) != 5:  # noqa: PLR2004  # the fields of cron
            raise _invalid(text, "it has not the five fields minute, hour, day, month and weekday")
        minutes = _Field(text, "minute", 0, 59).numbers(fields[0])
        hours = _Field(text, "hour", 0, 23).numbers(fields[1])
        self.times = tuple((hour * 60 + minute) * 60 for hour in hours for minute in minutes)
        self.every_hour = len(hours) == _HOURS_A_DAY
        self.days = _day_rule(text, fields[2:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cron) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Cron({self.text!r})"


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Cron:
    """Return a cron schedule.

    Args:
        text: Five fields, or an alias such as `@daily`.

    Raises:
        InvalidDefinitionError: The text is no cron schedule, or one that never fires.
    """
    return Cron(text)


def _invalid(text: str, why: str) -> errors.InvalidDefinitionError:
    return errors.InvalidDefinitionError(
        f"The cron schedule {text!r} cannot be used: {why}. Write five fields such as"
        f" '30 2 * * 1' (every Monday at 02:30), or an alias such as '@daily'."
    )


class _Field:
    """One of the five fields: reads its numbers."""

    def __init__(
        self, text: str, name: str, low: int, high: int, names: dict[str, int] = _NO_NAMES
    ) -> None:
        self._text = text
        self._name = name
        self._low = low
        self._high = high
        self._names = names

    def numbers(self, field: str) -> list[int]:
        """Return the numbers of a field in order."""
        return sorted({number for term in field.split(",") for number in self._term(term)})

    def number(self, word: str) -> int:
        """Return the number that a word stands for."""
        number = self._names.get(word, -1)
        if word.isascii() and word.isdigit():
            number = int(word)
        if not self._low <= number <= self._high:
            why = f"{word!r} is no {self._name} ({self._low} to {self._high})"
            raise _invalid(self._text, why)
        return number

    def _term(self, term: str) -> range:
        span, slash, step = term.partition("/")
        stride = 1
        if slash:
            stride = int(step) if step.isascii() and step.isdigit() else 0
            if stride < 1:
                raise _invalid(self._text, f"{step!r} is no step of a {self._name}")
        if span == "*":
            return range(self._low, self._high + 1, stride)
        first, dash, last = span.partition("-")
        start = self.number(first)
        end = self.number(last) if dash else (self._high if slash else start)
        if end < start:
            raise _invalid(self._text, f"{span!r} runs backwards")
        return range(start, end + 1, stride)


def _day_rule(text: str, fields: list[str]) -> day_rules.DayRule:
    """Return the rule for days that the last three fields make together."""
    dates, months_field, weekdays_field = fields
    months = _Field(text, "month", 1, 12, _MONTH_NAMES).numbers(months_field)
    weekdays = _Weekdays(text, weekdays_field)
    if dates == "*" and months_field == "*" and not weekdays.in_month:
        return day_rules.Weekdays(weekdays.every)
    rule = _MonthDays(text, dates, frozenset(months), weekdays)
    if not any(rule(year, month) for year in _YEARS_TO_TRY for month in months):
        raise _invalid(text, "no such day is in the calendar")
    return day_rules.CalendarDays(rule)


class _Weekdays:
    """The field of weekdays: those of every week, and such as `fri#2` or `fril`."""

    def __init__(self, text: str, field: str) -> None:
        names = _Field(text, "weekday", 0, 7, _DAY_NAMES)
        every: set[int] = set()
        in_month: set[tuple[int, int]] = set()
        for term in field.split(","):
            day, hash_sign, nth = term.partition("#")
            if hash_sign:
                if nth not in {"1", "2", "3", "4", "5"}:
                    raise _invalid(text, f"{term!r} is no weekday of a month, such as 'fri#2'")
                in_month.add((names.number(day) % 7, int(nth)))
            elif len(term) > 1 and term.endswith(_LAST):
                in_month.add((names.number(term[:-1]) % 7, -1))
            else:
                every.update(number % 7 for number in names.numbers(term))
        self.every = frozenset(every)
        self.in_month = frozenset(in_month)

    def holds(self, weekday: int, day: int, length: int) -> bool:
        """Return whether a day of a month is one of them."""
        if weekday in self.every:
            return True
        last = day + 7 > length
        return (weekday, (day + 6) // 7) in self.in_month or (
            last and (weekday, -1) in self.in_month
        )


class _MonthDays:
    """The days of a month on which dates, months and weekdays together let a schedule fire."""

    def __init__(self, text: str, dates: str, months: frozenset[int], weekdays: _Weekdays) -> None:
        terms = dates.split(",")
        plain = [term for term in terms if term != _LAST]
        self._dates = frozenset(
            _Field(text, "day of the month", 1, 31).numbers(",".join(plain)) if plain else ()
        )
        self._last = len(plain) < len(terms)
        self._months = months
        self._weekdays = weekdays
        self._any_weekday = len(weekdays.every) == 7  # noqa: PLR2004  # days of a week
        # As cron has it: two fields that both name days widen each other, a star narrows nothing.
        self._both = dates.startswith("*") or self._any_weekday

    def __call__(self, year: int, month: int) -> list[int]:
        """Return the days of a month, in order."""
        return list(self._of(year, month)) if month in self._months else []

    def _of(self, year: int, month: int) -> Iterator[int]:
        first, length = calendar.monthrange(year, month)
        for day in range(1, length + 1):
            date = day in self._dates or (self._last and day == length)
            if self._any_weekday:
                if date:
                    yield day
                continue
            # The calendar's Monday is 0, cron's is 1.
            weekday = self._weekdays.holds((first + day) % 7, day, length)
            if (date and weekday) if self._both else (date or weekday):
                yield day

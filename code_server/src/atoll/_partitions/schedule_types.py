"""The usual lengths of time windows, and the cron schedules that they are.

Called by the definitions of time windows.
"""

from __future__ import annotations

import enum
import re

from atoll import errors

_DAYS_OF_WEEK = range(8)
_DAYS_OF_MONTH = range(1, 32)


class ScheduleType(enum.Enum):
    """How long a time window is."""

    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"


_PATTERNS = {
    ScheduleType.HOURLY: re.compile(r"\d+ \* \* \* \*"),
    ScheduleType.DAILY: re.compile(r"\d+ \d+ \* \* \*"),
    ScheduleType.WEEKLY: re.compile(r"\d+ \d+ \* \* \d+"),
    ScheduleType.MONTHLY: re.compile(r"\d+ \d+ \d+ \* \*"),
}
_DAY_FIELDS = {ScheduleType.WEEKLY: 4, ScheduleType.MONTHLY: 2}


def of(cron: str) -> ScheduleType | None:
    """Return the usual length that the windows of a cron schedule have, if it is one."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(cron)), None)


def offset(cron: str, place: int) -> int:
    """Return the minute (0) or the hour (1) at which windows start; 0 where there are several.

    Args:
        cron: The cron schedule.
        place: Which field of it.
    """
    field = cron.split()[place]
    return int(field) if field.isdigit() else 0


def day_offset(cron: str) -> int:
    """Return the day of the week or month on which windows start.

    Args:
        cron: The cron schedule.

    Raises:
        InvalidInvocationError: Windows do not start on such a day.
    """
    kind = of(cron)
    if kind not in _DAY_FIELDS:
        text = f"Windows of the schedule {cron!r} do not start on a day of the week or the month."
        raise errors.InvalidInvocationError(text)
    return int(cron.split()[_DAY_FIELDS[kind]])


def cron_schedule(
    cron: str | None,
    kind: ScheduleType | str | None,
    offsets: tuple[int | None, int | None, int | None],
) -> str:
    """Return the cron schedule that a definition means.

    Args:
        cron: A cron schedule, or
        kind: the length of windows, and
        offsets: the minute, the hour and the day at which they start.

    Raises:
        InvalidDefinitionError: Both or neither were given, or an offset does not fit.
    """
    if cron is not None:
        if kind is not None or any(offset is not None for offset in offsets):
            raise errors.InvalidDefinitionError(
                f"The cron schedule {cron!r} says when windows start. Leave out schedule_type,"
                " minute_offset, hour_offset and day_offset."
            )
        return cron
    if kind is None:
        raise errors.InvalidDefinitionError(
            "Time window partitions need to know when windows start: give"
            " cron_schedule='0 0 * * *', or schedule_type='DAILY'."
        )
    return _of_kind(_kind(kind), *offsets)


def moved(cron: str, given: tuple[int | None, int | None, int | None, int | None]) -> str:
    """Return a cron schedule that fires as often as another one, at other times.

    Args:
        cron: The other one.
        given: The minute, the hour, the day of the week and the day of the month that differ.

    Raises:
        InvalidDefinitionError: The schedule is for windows for which one of them has no meaning.
    """
    minute, hour, weekday, date = given
    kind = of(cron)
    if all(value is None for value in given):
        return cron
    if kind is None:
        raise errors.InvalidDefinitionError(
            f"The schedule {cron!r} is for windows that are no hours, days, weeks or months, so"
            " it cannot be moved to another minute, hour or day. Write a cron schedule instead."
        )
    if kind is not ScheduleType.WEEKLY:
        _refuse(kind, "day_of_week", weekday)
    if kind is not ScheduleType.MONTHLY:
        _refuse(kind, "day_of_month", date)
    if kind is ScheduleType.HOURLY:
        _refuse(kind, "hour_of_day", hour)
    fields = cron.split()
    allowed = (range(60), range(24), _DAYS_OF_MONTH, _DAYS_OF_WEEK)
    names = ("minute_of_hour", "hour_of_day", "day_of_month", "day_of_week")
    for place, value in ((0, minute), (1, hour), (2, date), (3, weekday)):
        if value is not None:
            field = 4 if place == len(allowed) - 1 else place
            fields[field] = str(_checked(names[place], value, allowed[place]))
    return " ".join(fields)


def _kind(kind: ScheduleType | str) -> ScheduleType:
    try:
        return kind if isinstance(kind, ScheduleType) else ScheduleType(kind.upper())
    except (ValueError, AttributeError) as error:
        known = ", ".join(each.value for each in ScheduleType)
        text = f"{kind!r} is no length of time windows; there are {known}."
        raise errors.InvalidDefinitionError(text) from error


def _of_kind(kind: ScheduleType, minute: int | None, hour: int | None, day: int | None) -> str:
    fields = [str(_checked("minute_offset", minute or 0, range(60))), "*", "*", "*", "*"]
    if kind is ScheduleType.HOURLY:
        _refuse(kind, "hour_offset", hour)
    else:
        fields[1] = str(_checked("hour_offset", hour or 0, range(24)))
    if kind is ScheduleType.WEEKLY:
        fields[4] = str(_checked("day_offset", day or 0, _DAYS_OF_WEEK))
    elif kind is ScheduleType.MONTHLY:
        fields[2] = str(_checked("day_offset", 1 if day is None else day, _DAYS_OF_MONTH))
    else:
        _refuse(kind, "day_offset", day)
    return " ".join(fields)


def _refuse(kind: ScheduleType, name: str, value: int | None) -> None:
    if value is not None and value != 0:
        text = f"{name}={value} has no meaning for {kind.value.lower()} windows. Leave it out."
        raise errors.InvalidDefinitionError(text)


def _checked(name: str, value: int, allowed: range) -> int:
    if value not in allowed:
        text = f"{name} is a number from {allowed[0]} to {allowed[-1]}, not {value!r}."
        raise errors.InvalidDefinitionError(text)
    return value

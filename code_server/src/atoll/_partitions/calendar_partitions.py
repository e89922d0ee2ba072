"""Partitions that are hours, days, weeks or months.

Called by users. Each is a time window definition that is written in fewer words, and equal to the
one that is written in more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from atoll._partitions import schedule_types, time_window_partitions

_DATE = "%Y-%m-%d"
_DATE_AND_TIME = "%Y-%m-%d-%H:%M"


class HourlyPartitionsDefinition(time_window_partitions.TimeWindowPartitionsDefinition):
    """Partitions that are hours."""

    def __init__(
        self,
        start_date: dt.datetime | str,
        end_date: dt.datetime | str | None = None,
        minute_offset: int = 0,
        timezone: str | None = None,
        fmt: str | None = None,
        end_offset: int = 0,
        exclusions: Sequence[time_window_partitions.Exclusion] | None = None,
    ) -> None:
        """Define partitions.

        Args:
            start_date: The first partition is the first window that starts then or later. A text is
                read by `fmt`; a date says what wall clocks show in the time zone.
            end_date: The last partition ends then or earlier; None means that there is always a
                next.
            minute_offset: At which minute windows start.
            timezone: The time zone, UTC where not given.
            fmt: How partitions are named by their start, as `strftime` has it.
            end_offset: How many partitions there are beyond the last one that has ended.
            exclusions: Windows that are left out: the moments at which they start, or cron
                schedules of them.

        Raises:
            InvalidDefinitionError: The values do not fit each other.
        """
        super().__init__(
            start_date,
            fmt or _DATE_AND_TIME,
            end=end_date,
            schedule_type=schedule_types.ScheduleType.HOURLY,
            timezone=timezone,
            end_offset=end_offset,
            minute_offset=minute_offset,
            exclusions=exclusions,
        )


class DailyPartitionsDefinition(time_window_partitions.TimeWindowPartitionsDefinition):
    """Partitions that are days."""

    def __init__(
        self,
        start_date: dt.datetime | str,
        end_date: dt.datetime | str | None = None,
        minute_offset: int = 0,
        hour_offset: int = 0,
        timezone: str | None = None,
        fmt: str | None = None,
        end_offset: int = 0,
        exclusions: Sequence[time_window_partitions.Exclusion] | None = None,
    ) -> None:
        """Define partitions.

        Args:
            start_date: The first partition is the first window that starts then or later. A text is
                read by `fmt`; a date says what wall clocks show in the time zone.
            end_date: The last partition ends then or earlier; None means that there is always a
                next.
            minute_offset: At which minute windows start.
            hour_offset: At which hour windows start.
            timezone: The time zone, UTC where not given.
            fmt: How partitions are named by their start, as `strftime` has it.
            end_offset: How many partitions there are beyond the last one that has ended.
            exclusions: Windows that are left out: the moments at which they start, or cron
                schedules of them.

        Raises:
            InvalidDefinitionError: The values do not fit each other.
        """
        super().__init__(
            start_date,
            fmt or _DATE,
            end=end_date,
            schedule_type=schedule_types.ScheduleType.DAILY,
            timezone=timezone,
            end_offset=end_offset,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            exclusions=exclusions,
        )


class WeeklyPartitionsDefinition(time_window_partitions.TimeWindowPartitionsDefinition):
    """Partitions that are weeks."""

    def __init__(
        self,
        start_date: dt.datetime | str,
        end_date: dt.datetime | str | None = None,
        minute_offset: int = 0,
        hour_offset: int = 0,
        day_offset: int = 0,
        timezone: str | None = None,
        fmt: str | None = None,
        end_offset: int = 0,
        exclusions: Sequence[time_window_partitions.Exclusion] | None = None,
    ) -> None:
        """Define partitions.

        Args:
            start_date: The first partition is the first window that starts then or later. A text is
                read by `fmt`; a date says what wall clocks show in the time zone.
            end_date: The last partition ends then or earlier; None means that there is always a
                next.
            minute_offset: At which minute windows start.
            hour_offset: At which hour windows start.
            day_offset: On which day of the week windows start; 0 is Sunday.
            timezone: The time zone, UTC where not given.
            fmt: How partitions are named by their start, as `strftime` has it.
            end_offset: How many partitions there are beyond the last one that has ended.
            exclusions: Windows that are left out: the moments at which they start, or cron
                schedules of them.

        Raises:
            InvalidDefinitionError: The values do not fit each other.
        """
        super().__init__(
            start_date,
            fmt or _DATE,
            end=end_date,
            schedule_type=schedule_types.ScheduleType.WEEKLY,
            timezone=timezone,
            end_offset=end_offset,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            day_offset=day_offset,
            exclusions=exclusions,
        )


class MonthlyPartitionsDefinition(time_window_partitions.TimeWindowPartitionsDefinition):
    """Partitions that are months."""

    def __init__(
        self,
        start_date: dt.datetime | str,
        end_date: dt.datetime | str | None = None,
        minute_offset: int = 0,
        hour_offset: int = 0,
        day_offset: int = 1,
        timezone: str | None = None,
        fmt: str | None = None,
        end_offset: int = 0,
        exclusions: Sequence[time_window_partitions.Exclusion] | None = None,
    ) -> None:
        """Define partitions.

        Args:
            start_date: The first partition is the first window that starts then or later. A text is
                read by `fmt`; a date says what wall clocks show in the time zone.
            end_date: The last partition ends then or earlier; None means that there is always a
                next.
            minute_offset: At which minute windows start.
            hour_offset: At which hour windows start.
            day_offset: On which day of the month windows start. None starts in a month without it.
            timezone: The time zone, UTC where not given.
            fmt: How partitions are named by their start, as `strftime` has it.
            end_offset: How many partitions there are beyond the last one that has ended.
            exclusions: Windows that are left out: the moments at which they start, or cron
                schedules of them.

        Raises:
            InvalidDefinitionError: The values do not fit each other.
        """
        super().__init__(
            start_date,
            fmt or _DATE,
            end=end_date,
            schedule_type=schedule_types.ScheduleType.MONTHLY,
            timezone=timezone,
            end_offset=end_offset,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            day_offset=day_offset,
            exclusions=exclusions,
        )

"""Partitions that are windows of time.

Called by users, by mappings and by what looks for the partitions of a time. Nothing here lists the
windows to find or count them: a century of hours costs as much as a day.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._partitions import (
    contexts,
    index_ranges,
    ordered_subsets,
    schedule_types,
    timelines,
    window_formats,
    window_lookups,
    window_sequences,
    zones,
)

Exclusion = str | dt.datetime


class TimeWindowPartitionsDefinition(window_lookups.WindowLookups):
    """Partitions that are the windows of time between the ticks of a cron schedule."""

    partitions_subset_class = ordered_subsets.OrderedPartitionsSubset

    def __init__(
        self,
        start: dt.datetime | str,
        fmt: str,
        end: dt.datetime | str | None = None,
        schedule_type: schedule_types.ScheduleType | str | None = None,
        timezone: str | None = None,
        end_offset: int = 0,
        minute_offset: int | None = None,
        hour_offset: int | None = None,
        day_offset: int | None = None,
        cron_schedule: str | None = None,
        exclusions: Sequence[Exclusion] | None = None,
    ) -> None:
        """Define partitions.

        Args:
            start: The first partition is the first window that starts then or later. A text is
                read by `fmt`; a date says what wall clocks show in the time zone.
            fmt: How partitions are named by their start, as `strftime` has it.
            end: The last partition ends then or earlier; None means that there is always a next.
            schedule_type: The length of windows, in place of a cron schedule.
            timezone: The time zone, UTC where not given.
            end_offset: How many partitions there are beyond the last one that has ended.
            minute_offset: At which minute windows start, with a schedule type.
            hour_offset: At which hour windows start, with a schedule type.
            day_offset: On which day windows start, with a schedule type: of the week, where 0 is
                Sunday, or of the month.
            cron_schedule: At each of its ticks a window ends and the next starts.
            exclusions: Windows that are left out: the moments at which they start, or cron
                schedules of them.

        Raises:
            InvalidDefinitionError: The values do not fit each other.
        """
        offsets = (minute_offset, hour_offset, day_offset)
        cron = schedule_types.cron_schedule(cron_schedule, schedule_type, offsets)
        self._timeline = timelines.timeline(cron, timezone or "UTC")
        self.fmt = fmt
        window_formats.check(self._timeline, fmt)
        self.end_offset = end_offset
        self._windows: window_sequences.WindowSequence | None = None
        self._start = self._moment(start, "start")
        self._end = None if end is None else self._moment(end, "end")
        self._excluded_moments, self._excluded_schedules = self._exclusions(exclusions or ())

    @property
    def cron_schedule(self) -> str:
        """The cron schedule at whose ticks windows start and end."""
        return self._timeline.cron.text

    @property
    def timezone(self) -> str:
        """The name of the time zone."""
        return self._timeline.zone.name

    @property
    def start(self) -> dt.datetime:
        """When the first window starts, or a moment after the window before it has."""
        return self._date(self._start)

    @property
    def end(self) -> dt.datetime | None:
        """When the last window has ended, None if there is always a next."""
        return None if self._end is None else self._date(self._end)

    @property
    def start_timestamp(self) -> float:
        """`start` in seconds since 1970."""
        return float(self._start)

    @property
    def end_timestamp(self) -> float | None:
        """`end` in seconds since 1970."""
        return None if self._end is None else float(self._end)

    @property
    def exclusions(self) -> list[Exclusion] | None:
        """Which windows are left out: moments at which they start, and cron schedules."""
        moments = map(self._date, self._excluded_moments)
        return [*self._excluded_schedules, *moments] or None

    @property
    def schedule_type(self) -> schedule_types.ScheduleType | None:
        """The length of windows, None where it is none of the usual."""
        return schedule_types.of(self.cron_schedule)

    @property
    def minute_offset(self) -> int:
        """At which minute windows start."""
        return schedule_types.offset(self.cron_schedule, 0)

    @property
    def hour_offset(self) -> int:
        """At which hour windows start."""
        return schedule_types.offset(self.cron_schedule, 1)

    @property
    def day_offset(self) -> int:
        """On which day of the week or of the month windows start."""
        return schedule_types.day_offset(self.cron_schedule)

    @property
    def is_basic_daily(self) -> bool:
        """Whether windows are days from midnight to midnight."""
        return self.cron_schedule == "0 0 * * *"

    @property
    def is_basic_hourly(self) -> bool:
        """Whether windows are full hours."""
        return self.cron_schedule == "0 * * * *"

    @property
    def windows(self) -> window_sequences.WindowSequence:
        """The windows by number."""
        if self._windows is None:
            schedules = tuple(
                timelines.timeline(each, self.timezone) for each in self._excluded_schedules
            )
            self._windows = window_sequences.WindowSequence(
                self._timeline, self.fmt, self._start, schedules, self._excluded_moments
            )
        return self._windows

    def count_in(self, context: contexts.PartitionLoadingContext) -> int:
        """Return how many partitions there are."""
        count = self.windows.ended_by(context.now.timestamp()) + self.end_offset
        return max(0, count if self._end is None else min(count, self._count_to_end))

    def key_in(self, number: int, context: contexts.PartitionLoadingContext) -> str:
        """Return the key of the partition with a number."""
        del context
        return self.windows.key(number)

    def number_in(self, key: str, context: contexts.PartitionLoadingContext) -> int | None:
        """Return the number of the partition with a key, None where there is none."""
        index = self.index_of(key)
        return index if index is not None and index < self.count_in(context) else None

    def key_at(self, index: int) -> str:
        """Return the key of the window with a number, which may lie before the first one."""
        return self.windows.key(index)

    def index_of(self, key: str) -> int | None:
        """Return the number of the window with a key, whether or not it has ended yet."""
        index = self.windows.index(key)
        if index is None or index < 0 or (self._end is not None and index >= self._count_to_end):
            return None
        return index

    @property
    def positions_name(self) -> str:
        """What the written positions are: starts of the first and ends of the last windows."""
        return "time_windows"

    def positions(self, start: int, end: int) -> list[Any]:
        """Return what stands for the numbers from one to before another when they are written."""
        return [self.windows.moments(start)[0], self.windows.moments(end - 1)[1]]

    def range_at(self, positions: list[Any]) -> tuple[int, int]:
        """Return the numbers, from one to before another, that written positions stand for."""
        start, end = positions
        return self.windows.starting_before(start), self.windows.starting_before(end)

    def empty_subset(self) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set of no partition."""
        return ordered_subsets.OrderedPartitionsSubset(self, index_ranges.IndexRanges())

    def subset_with_all_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set of all partitions that there are.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: Not needed.
        """
        count = self.count_in(contexts.resolve(current_time, dynamic_partitions_store))
        return self._subset(0, count)

    def subset_of_plain(self, plain: dict[str, Any]) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set that its `to_plain` wrote."""
        return ordered_subsets.from_plain(self, plain)

    def identity(self) -> list[Any]:
        """Return what tells the definition from others."""
        excluded = [*self._excluded_schedules, *self._excluded_moments]
        bounds = [self._start, self._end, self.end_offset]
        return ["time_window", self.cron_schedule, self.timezone, self.fmt, *bounds, excluded]

    def get_cron_schedule(
        self,
        minute_of_hour: int | None = None,
        hour_of_day: int | None = None,
        day_of_week: int | None = None,
        day_of_month: int | None = None,
    ) -> str:
        """Return the cron schedule of a job that fills each partition once it has ended.

        Args:
            minute_of_hour: At which minute to run, in place of the one at which windows start.
            hour_of_day: At which hour to run.
            day_of_week: On which day of the week to run; 0 is Sunday.
            day_of_month: On which day of the month to run.

        Raises:
            InvalidDefinitionError: The windows are of a length for which a value has no meaning.
        """
        given = (minute_of_hour, hour_of_day, day_of_week, day_of_month)
        return schedule_types.moved(self.cron_schedule, given)

    def equal_except_for_start_or_end(self, other: TimeWindowPartitionsDefinition) -> bool:
        """Return whether another definition has the same windows, but for the first and the last.

        Args:
            other: The other definition.
        """
        mine, theirs = self.identity(), other.identity()
        return [*mine[:4], *mine[6:]] == [*theirs[:4], *theirs[6:]]

    def __str__(self) -> str:
        told = f"of {self.cron_schedule!r}" if self.schedule_type is None else ""
        kind = "" if self.schedule_type is None else f"{self.schedule_type.value.lower()} "
        ends = "" if self._end is None else f" to {self.end}"
        return f"the {kind}partitions {told}{' ' if told else ''}from {self.start}{ends}"

    def __repr__(self) -> str:
        told = [f"start={self.start.isoformat()!r}", f"fmt={self.fmt!r}"]
        told += [] if self.end is None else [f"end={self.end.isoformat()!r}"]
        told += [f"timezone={self.timezone!r}", f"cron_schedule={self.cron_schedule!r}"]
        told += [f"end_offset={self.end_offset}"] if self.end_offset else []
        told += [f"exclusions={self.exclusions!r}"] if self.exclusions else []
        return f"{type(self).__name__}({', '.join(told)})"

    @functools.cached_property
    def _count_to_end(self) -> int:
        return self.windows.ended_by(self._start if self._end is None else self._end)

    def _subset(self, start: int, end: int) -> ordered_subsets.OrderedPartitionsSubset:
        ranges = index_ranges.IndexRanges([(start, end)])
        return ordered_subsets.OrderedPartitionsSubset(self, ranges)

    def _moment(self, value: dt.datetime | str, what: str) -> int:
        """Return the first moment at which wall clocks show a time."""
        if isinstance(value, str):
            moment = window_formats.WindowFormat(self._timeline, self.fmt).moment(value)
            if moment is None:
                raise errors.InvalidDefinitionError(
                    f"{what}={value!r} does not have the format {self.fmt!r} of the partition keys."
                    " Write it so, or give a datetime."
                )
            return moment
        if not isinstance(value, dt.datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
            text = f"{what} is a datetime, or a text of the format {self.fmt!r}, not {value!r}."
            raise errors.InvalidDefinitionError(text)
        wall = value.replace(tzinfo=None) - zones.EPOCH
        return self._timeline.zone.earliest(int(wall.total_seconds()))

    def _exclusions(
        self, exclusions: Sequence[Exclusion]
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        if isinstance(exclusions, str):
            text = f"exclusions is a list; write exclusions=[{exclusions!r}]."
            raise errors.InvalidDefinitionError(text)
        schedules = {
            timelines.timeline(each, self.timezone).cron.text
            for each in exclusions
            if isinstance(each, str)
        }
        moments = {
            self._moment(each, "a moment of exclusions")
            for each in exclusions
            if not isinstance(each, str)
        }
        return tuple(sorted(moments)), tuple(sorted(schedules))

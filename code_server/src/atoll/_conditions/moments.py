"""When time alone, or what an instance keeps, makes partitions other than before.

Called by plans, which say when a target is due, and by the conditions that look at a schedule.
Pure: the time comes in.
"""

from __future__ import annotations

import functools
import math

from atoll._partitions import (
    definitions,
    dynamic_partitions,
    multi_partitions,
    time_window_partitions,
    timelines,
)


# Ten thousand targets may ask for the same tick in one evaluation.
@functools.lru_cache(maxsize=1024)
def latest_tick(cron_schedule: str, cron_timezone: str, now: float) -> float:
    """Return the last tick of a schedule at or before a moment, in seconds since 1970.

    Args:
        cron_schedule: The schedule.
        cron_timezone: Its time zone.
        now: The moment.
    """
    timeline = timelines.timeline(cron_schedule, cron_timezone)
    return float(timeline.at(timeline.before(math.floor(now) + 1) - 1).timestamp)


@functools.lru_cache(maxsize=1024)
def next_tick(cron_schedule: str, cron_timezone: str, now: float) -> float:
    """Return the first tick of a schedule after a moment, in seconds since 1970.

    Args:
        cron_schedule: The schedule.
        cron_timezone: Its time zone.
        now: The moment.
    """
    timeline = timelines.timeline(cron_schedule, cron_timezone)
    return float(timeline.at(timeline.before(math.floor(now) + 1)).timestamp)


def next_change(partitions_def: definitions.PartitionsDefinition | None, now: float) -> float:
    """Return when there may be more partitions by the passing of time alone; infinity for never.

    Args:
        partitions_def: The partitions; None for none.
        now: The moment.
    """
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        dimensions = partitions_def.partitions_defs
        return min(next_change(each.partitions_def, now) for each in dimensions)
    if not isinstance(partitions_def, time_window_partitions.TimeWindowPartitionsDefinition):
        return math.inf
    found = next_tick(partitions_def.cron_schedule, partitions_def.timezone, now)
    end = partitions_def.end_timestamp
    if end is not None and partitions_def.end_offset >= 0 and now >= end:
        return math.inf
    return found


def dynamic_names(partitions_def: definitions.PartitionsDefinition | None) -> set[str]:
    """Return the names of the dynamic partitions that partitions are made of.

    Args:
        partitions_def: The partitions; None for none.
    """
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        dimensions = partitions_def.partitions_defs
        return {name for each in dimensions for name in dynamic_names(each.partitions_def)}
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        return {partitions_def.name} if partitions_def.name is not None else set()
    return set()


def kind_of(partitions_def: definitions.PartitionsDefinition | None) -> str | None:
    """Return what makes partitions others than before: their kind, and how time is cut.

    Keys that are added or removed leave it as it is, and so does another start.

    Args:
        partitions_def: The partitions; None for none.
    """
    if partitions_def is None:
        return None
    if isinstance(partitions_def, time_window_partitions.TimeWindowPartitionsDefinition):
        return f"time {partitions_def.cron_schedule} {partitions_def.timezone}"
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        return " * ".join(
            f"{each.name}: {kind_of(each.partitions_def)}"
            for each in partitions_def.partitions_defs
        )
    return partitions_def.partitions_subset_class.kind + type(partitions_def).__name__

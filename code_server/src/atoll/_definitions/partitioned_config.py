"""Run configuration that depends on the partition.

Called by users, for the `config` of a job, and by what launches runs of its partitions. What
partitions there are is the business of `_partitions`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

from typing_extensions import ParamSpec

from atoll import errors
from atoll._definitions import run_config
from atoll._partitions import (
    calendar_partitions,
    contexts,
    definitions,
    dynamic_partitions,
    partition_keys,
    static_partitions,
    time_window_partitions,
)

_PARTITION_SET_TAG = "atoll/partition_set"

_Parameters = ParamSpec("_Parameters")
_Given = TypeVar("_Given", bound="run_config.RunConfig | Mapping[str, Any]")
_Config = run_config.RunConfig | Mapping[str, Any]
_Tags = Mapping[str, str]
_PartitionFunction = Callable[[partition_keys.Partition], Any]
_Exclusions = Sequence[time_window_partitions.Exclusion] | None


class PartitionedConfig(Generic[_Parameters, _Given]):
    """Run configuration that depends on the partition.

    Attributes:
        partitions_def: The partitions.
        run_config_for_partition_fn: Returns the configuration of a `Partition`.
        run_config_for_partition_key_fn: Returns the configuration of a partition key.
        tags_for_partition_fn: Returns the tags of a `Partition`.
        tags_for_partition_key_fn: Returns the tags of a partition key.
    """

    def __init__(
        self,
        partitions_def: definitions.PartitionsDefinition,
        run_config_for_partition_fn: _PartitionFunction | None = None,
        decorated_fn: Callable[_Parameters, _Given] | None = None,
        tags_for_partition_fn: _PartitionFunction | None = None,
        run_config_for_partition_key_fn: Callable[[str], _Config] | None = None,
        tags_for_partition_key_fn: Callable[[str], _Tags] | None = None,
    ) -> None:
        """Make run configuration.

        Args:
            partitions_def: The partitions.
            run_config_for_partition_fn: Returns the configuration of a `Partition`.
            decorated_fn: What a direct call of the configuration calls.
            tags_for_partition_fn: Returns the tags of a `Partition`.
            run_config_for_partition_key_fn: Returns the configuration of a partition key.
            tags_for_partition_key_fn: Returns the tags of a partition key.

        Raises:
            InvalidDefinitionError: Two functions were given for the same, or none for the
                configuration.
        """
        self.partitions_def = partitions_def
        self.run_config_for_partition_fn = run_config_for_partition_fn
        self.run_config_for_partition_key_fn = run_config_for_partition_key_fn
        self.tags_for_partition_fn = tags_for_partition_fn
        self.tags_for_partition_key_fn = tags_for_partition_key_fn
        self._decorated_fn = decorated_fn
        if (run_config_for_partition_fn is None) == (run_config_for_partition_key_fn is None):
            raise errors.InvalidDefinitionError(
                "The run configuration of a partition comes from one function: give one of"
                " run_config_for_partition_fn= and run_config_for_partition_key_fn=."
            )
        if tags_for_partition_fn is not None and tags_for_partition_key_fn is not None:
            raise errors.InvalidDefinitionError(
                "The tags of a partition come from one function: give one of"
                " tags_for_partition_fn= and tags_for_partition_key_fn=."
            )

    @staticmethod
    def from_flexible_config(
        config: Any, partitions_def: definitions.PartitionsDefinition
    ) -> PartitionedConfig[..., Any]:
        """Return the configuration of a partitioned job from whatever was given as `config`.

        Args:
            config: A partitioned configuration, or one that is the same for all partitions.
            partitions_def: The partitions of the job.

        Raises:
            InvalidDefinitionError: It is for other partitions, or cannot be the configuration of a
                partitioned job.
        """
        if isinstance(config, PartitionedConfig):
            found = cast("PartitionedConfig[..., Any]", config)
            if found.partitions_def != partitions_def:
                raise errors.InvalidDefinitionError(
                    f"The configuration is for {found.partitions_def}, the job has"
                    f" {partitions_def}. Leave out partitions_def=, or give both the same."
                )
            return found
        if config is not None and not isinstance(config, run_config.RunConfig | Mapping):
            raise errors.InvalidDefinitionError(
                f"The config of a partitioned job is run configuration or a partitioned"
                f" configuration, not {config!r}. Use @partitioned_config."
            )
        same = cast("_Config", {} if config is None else config)
        return PartitionedConfig(partitions_def, run_config_for_partition_key_fn=lambda _: same)

    def get_partition_keys(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Sequence[str]:
        """Return all partition keys in order.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        return self.partitions_def.get_partition_keys(current_time, dynamic_partitions_store)

    def get_run_config_for_partition_key(self, partition_key: str) -> Mapping[str, Any]:
        """Return the run configuration of a partition.

        Args:
            partition_key: The key of the partition.

        Raises:
            InvariantViolationError: The function returned something else.
        """
        by_key, by_partition = (
            self.run_config_for_partition_key_fn,
            self.run_config_for_partition_fn,
        )
        given: Any = None
        if by_key is not None:
            given = by_key(partition_key)
        elif by_partition is not None:
            given = by_partition(self._partition(partition_key))
        if isinstance(given, run_config.RunConfig):
            return given.to_config_dict()
        if isinstance(given, Mapping):
            return cast("Mapping[str, Any]", given)
        raise errors.InvariantViolationError(
            f"The run configuration of the partition {partition_key!r} is {given!r}. Return a"
            " RunConfig or a dictionary."
        )

    def get_tags_for_partition_key(
        self, partition_key: str, job_name: str | None = None
    ) -> dict[str, str]:
        """Return the tags of a run of a partition: those of the function, and the partition's.

        Args:
            partition_key: The key of the partition.
            job_name: The job of the run.

        Raises:
            InvariantViolationError: The function returned something else.
        """
        by_key, by_partition = self.tags_for_partition_key_fn, self.tags_for_partition_fn
        given: Any = {}
        if by_key is not None:
            given = by_key(partition_key)
        elif by_partition is not None:
            given = by_partition(self._partition(partition_key))
        tags = _checked_tags(partition_key, given)
        tags.update(self.partitions_def.get_tags_for_partition_key(partition_key))
        if job_name is not None:
            tags[_PARTITION_SET_TAG] = f"{job_name}_partition_set"
        return tags

    def __call__(self, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Given:
        """Call the function that was decorated.

        Raises:
            InvalidInvocationError: No function was decorated.
        """
        if self._decorated_fn is None:
            raise errors.InvalidInvocationError(
                "This configuration is not made by a decorator, so there is no function to call."
                " Use get_run_config_for_partition_key(...)."
            )
        return self._decorated_fn(*args, **kwargs)

    def _partition(self, key: str) -> partition_keys.Partition:
        """Return a partition for functions that take one: its value is its window, or its key."""
        if isinstance(self.partitions_def, time_window_partitions.TimeWindowPartitionsDefinition):
            window = self.partitions_def.time_window_for_partition_key(key)
            return partition_keys.Partition(window, key)
        return partition_keys.Partition(key, key)


class _ByKey(Protocol):
    """Decorates a function that takes a partition key."""

    def __call__(self, fn: Callable[[str], _Given], /) -> PartitionedConfig[[str], _Given]: ...


class _ByTime(Protocol):
    """Decorates a function that takes the start and the end of a partition."""

    def __call__(
        self, fn: Callable[[dt.datetime, dt.datetime], _Given], /
    ) -> PartitionedConfig[[dt.datetime, dt.datetime], _Given]: ...


_TimeTags = Callable[[dt.datetime, dt.datetime], _Tags] | None


def partitioned_config(
    partitions_def: definitions.PartitionsDefinition,
    tags_for_partition_key_fn: Callable[[str], _Tags] | None = None,
) -> _ByKey:
    """Make run configuration of a function that takes a partition key.

    Args:
        partitions_def: The partitions.
        tags_for_partition_key_fn: Returns the tags of a partition key.
    """

    def decorate(function: Callable[[str], _Given]) -> PartitionedConfig[[str], _Given]:
        return PartitionedConfig(
            partitions_def,
            decorated_fn=function,
            run_config_for_partition_key_fn=function,
            tags_for_partition_key_fn=tags_for_partition_key_fn,
        )

    return decorate


def static_partitioned_config(
    partition_keys: Sequence[str],
    tags_for_partition_fn: Callable[[str], _Tags] | None = None,
    tags_for_partition_key_fn: Callable[[str], _Tags] | None = None,
) -> _ByKey:
    """Make run configuration for partitions whose keys are written down.

    Args:
        partition_keys: The keys, in order.
        tags_for_partition_fn: The same as the next one; the older name.
        tags_for_partition_key_fn: Returns the tags of a partition key.
    """
    partitions_def = static_partitions.StaticPartitionsDefinition(partition_keys)
    return partitioned_config(
        partitions_def, _one(tags_for_partition_fn, tags_for_partition_key_fn)
    )


def dynamic_partitioned_config(
    partition_fn: Callable[[dt.datetime | None], Sequence[str]],
    tags_for_partition_fn: Callable[[str], _Tags] | None = None,
    tags_for_partition_key_fn: Callable[[str], _Tags] | None = None,
) -> _ByKey:
    """Make run configuration for partitions that a function names.

    Args:
        partition_fn: Returns the partition keys, given the current time.
        tags_for_partition_fn: The same as the next one; the older name.
        tags_for_partition_key_fn: Returns the tags of a partition key.
    """
    partitions_def = dynamic_partitions.DynamicPartitionsDefinition(partition_fn)
    return partitioned_config(
        partitions_def, _one(tags_for_partition_fn, tags_for_partition_key_fn)
    )


def hourly_partitioned_config(  # the field's signature
    start_date: dt.datetime | str,
    minute_offset: int = 0,
    timezone: str | None = None,
    fmt: str | None = None,
    end_offset: int = 0,
    tags_for_partition_fn: _TimeTags = None,
    exclusions: _Exclusions = None,
) -> _ByTime:
    """Make run configuration of a function that takes the start and the end of one of the hours.

    Args:
        start_date: The first partition is the first window that starts then or later.
        minute_offset: At which minute windows start.
        timezone: The time zone, UTC where not given.
        fmt: How partitions are named by their start, as `strftime` has it.
        end_offset: How many partitions there are beyond the last one that has ended.
        tags_for_partition_fn: Returns the tags, given the start and the end.
        exclusions: Windows that are left out: when they start, or cron schedules of them.
    """
    return _by_time(
        calendar_partitions.HourlyPartitionsDefinition(
            start_date,
            minute_offset=minute_offset,
            timezone=timezone,
            fmt=fmt,
            end_offset=end_offset,
            exclusions=exclusions,
        ),
        tags_for_partition_fn,
    )


def daily_partitioned_config(  # the field's signature
    start_date: dt.datetime | str,
    minute_offset: int = 0,
    hour_offset: int = 0,
    timezone: str | None = None,
    fmt: str | None = None,
    end_offset: int = 0,
    tags_for_partition_fn: _TimeTags = None,
    exclusions: _Exclusions = None,
) -> _ByTime:
    """Make run configuration of a function that takes the start and the end of one of the days.

    Args:
        start_date: The first partition is the first window that starts then or later.
        minute_offset: At which minute windows start.
        hour_offset: At which hour windows start.
        timezone: The time zone, UTC where not given.
        fmt: How partitions are named by their start, as `strftime` has it.
        end_offset: How many partitions there are beyond the last one that has ended.
        tags_for_partition_fn: Returns the tags, given the start and the end.
        exclusions: Windows that are left out: when they start, or cron schedules of them.
    """
    return _by_time(
        calendar_partitions.DailyPartitionsDefinition(
            start_date,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            timezone=timezone,
            fmt=fmt,
            end_offset=end_offset,
            exclusions=exclusions,
        ),
        tags_for_partition_fn,
    )


def weekly_partitioned_config(  # the field's signature
    start_date: dt.datetime | str,
    minute_offset: int = 0,
    hour_offset: int = 0,
    day_offset: int = 0,
    timezone: str | None = None,
    fmt: str | None = None,
    end_offset: int = 0,
    tags_for_partition_fn: _TimeTags = None,
    exclusions: _Exclusions = None,
) -> _ByTime:
    """Make run configuration of a function that takes the start and the end of one of the weeks.

    Args:
        start_date: The first partition is the first window that starts then or later.
        minute_offset: At which minute windows start.
        hour_offset: At which hour windows start.
        day_offset: On which day of the week windows start; 0 is Sunday.
        timezone: The time zone, UTC where not given.
        fmt: How partitions are named by their start, as `strftime` has it.
        end_offset: How many partitions there are beyond the last one that has ended.
        tags_for_partition_fn: Returns the tags, given the start and the end.
        exclusions: Windows that are left out: when they start, or cron schedules of them.
    """
    return _by_time(
        calendar_partitions.WeeklyPartitionsDefinition(
            start_date,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            day_offset=day_offset,
            timezone=timezone,
            fmt=fmt,
            end_offset=end_offset,
            exclusions=exclusions,
        ),
        tags_for_partition_fn,
    )


def monthly_partitioned_config(  # the field's signature
    start_date: dt.datetime | str,
    minute_offset: int = 0,
    hour_offset: int = 0,
    day_offset: int = 1,
    timezone: str | None = None,
    fmt: str | None = None,
    end_offset: int = 0,
    tags_for_partition_fn: _TimeTags = None,
    exclusions: _Exclusions = None,
) -> _ByTime:
    """Make run configuration of a function that takes the start and the end of one of the months.

    Args:
        start_date: The first partition is the first window that starts then or later.
        minute_offset: At which minute windows start.
        hour_offset: At which hour windows start.
        day_offset: On which day of the month windows start.
        timezone: The time zone, UTC where not given.
        fmt: How partitions are named by their start, as `strftime` has it.
        end_offset: How many partitions there are beyond the last one that has ended.
        tags_for_partition_fn: Returns the tags, given the start and the end.
        exclusions: Windows that are left out: when they start, or cron schedules of them.
    """
    return _by_time(
        calendar_partitions.MonthlyPartitionsDefinition(
            start_date,
            minute_offset=minute_offset,
            hour_offset=hour_offset,
            day_offset=day_offset,
            timezone=timezone,
            fmt=fmt,
            end_offset=end_offset,
            exclusions=exclusions,
        ),
        tags_for_partition_fn,
    )


def _by_time(
    partitions_def: time_window_partitions.TimeWindowPartitionsDefinition, tags: _TimeTags
) -> _ByTime:
    def tags_of(key: str) -> _Tags:
        return {} if tags is None else tags(*partitions_def.time_window_for_partition_key(key))

    def decorate(
        function: Callable[[dt.datetime, dt.datetime], _Given],
    ) -> PartitionedConfig[[dt.datetime, dt.datetime], _Given]:
        return PartitionedConfig(
            partitions_def,
            decorated_fn=function,
            run_config_for_partition_key_fn=lambda key: function(
                *partitions_def.time_window_for_partition_key(key)
            ),
            tags_for_partition_key_fn=None if tags is None else tags_of,
        )

    return decorate


def _one(
    older: Callable[[str], _Tags] | None, newer: Callable[[str], _Tags] | None
) -> Callable[[str], _Tags] | None:
    if older is not None and newer is not None:
        raise errors.InvalidDefinitionError(
            "The tags of a partition come from one function: give tags_for_partition_key_fn= only."
        )
    return older or newer


def _checked_tags(partition_key: str, given: Any) -> dict[str, str]:
    tags: dict[Any, Any] = {**given} if isinstance(given, Mapping) else {None: given}
    if all(isinstance(name, str) and isinstance(value, str) for name, value in tags.items()):
        return tags
    raise errors.InvariantViolationError(
        f"The tags of the partition {partition_key!r} are {given!r}. Return a dictionary of texts."
    )

"""Schedules that fill the partitions of a job as they come.

Called by users.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import jobs as job_definitions
from atoll._definitions import metadata as metadata_values
from atoll._definitions import (
    run_requests,
    schedule_policies,
    schedules,
    sources,
    unresolved_schedules,
)
from atoll._partitions import (
    multi_partitions,
    partition_keys,
    static_partitions,
    time_window_partitions,
)

_OFFSETS = ("minute_of_hour", "hour_of_day", "day_of_week", "day_of_month")


class _When(records.Record):
    """When the schedule is due, as far as the user says."""

    cron_schedule: str | None
    execution_timezone: str | None
    offsets: tuple[int | None, ...]


def build_schedule_from_partitioned_job(
    job: schedules.JobTarget,
    description: str | None = None,
    name: str | None = None,
    minute_of_hour: int | None = None,
    hour_of_day: int | None = None,
    day_of_week: int | None = None,
    day_of_month: int | None = None,
    default_status: schedules.DefaultScheduleStatus = schedules.DefaultScheduleStatus.STOPPED,
    tags: Mapping[str, str] | None = None,
    cron_schedule: str | None = None,
    execution_timezone: str | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    owners: Sequence[str] | None = None,
    *,
    skipped_times: schedule_policies.SkippedTimes = "shift",
    repeated_times: schedule_policies.RepeatedTimes = "first",
    max_catchup_runs: int | None = None,
    max_tick_retries: int | None = None,
) -> schedules.ScheduleDefinition | unresolved_schedules.UnresolvedPartitionedScheduleDefinition:
    """Build a schedule that asks for a run of each partition once it is there.

    For windows of time it is due when a window has ended, or at another minute, hour or day of
    that. With a second dimension it asks for a run of each partition of that. For static partitions
    it asks for a run of all partitions at the times of `cron_schedule`.

    Args:
        job: The job, with partitions.
        description: What the schedule is for.
        name: The name; made of the job's where not given.
        minute_of_hour: At which minute to run, for windows of time.
        hour_of_day: At which hour to run, for windows of a day or longer.
        day_of_week: On which day to run, for windows of a week; 0 is Sunday.
        day_of_month: On which day to run, for windows of a month.
        default_status: Whether it asks for runs until somebody starts or stops it.
        tags: Labels of the runs.
        cron_schedule: When it is due, for static partitions.
        execution_timezone: The time zone of `cron_schedule`; UTC where not given.
        metadata: What to attach to the definition.
        owners: Who answers for the schedule.
        skipped_times: As for `ScheduleDefinition`.
        repeated_times: As for `ScheduleDefinition`.
        max_catchup_runs: How many partitions whose tick was missed are made up for.
        max_tick_retries: As for `ScheduleDefinition`.

    Returns:
        The schedule, for `Definitions(schedules=...)`.

    Raises:
        InvalidDefinitionError: The job has no partitions, or none that such a schedule can fill.
    """
    own_name = name or f"{job.name}_schedule"
    offsets = (minute_of_hour, hour_of_day, day_of_week, day_of_month)
    when = _When(cron_schedule, execution_timezone, offsets)
    options: dict[str, Any] = {
        "description": description,
        "default_status": default_status,
        "tags": tags,
        "metadata": metadata,
        "owners": owners,
        "skipped_times": skipped_times,
        "repeated_times": repeated_times,
        "max_catchup_runs": max_catchup_runs,
        "max_tick_retries": max_tick_retries,
    }
    if isinstance(job, job_definitions.JobDefinition):
        return _built(own_name, job, when, options, sources.of_caller())
    known = job.own_partitions
    if known.partitions_def is None:
        source = sources.of_caller()
        return unresolved_schedules.UnresolvedPartitionedScheduleDefinition(
            own_name,
            job,
            source,
            lambda resolved: _built(own_name, resolved, when, options, source),
        )
    made = _built(own_name, known, when, options, sources.of_caller())
    return made.with_updated_job(job)


def _built(
    name: str, job: Any, when: _When, options: Mapping[str, Any], source: Any
) -> schedules.ScheduleDefinition:
    cron, timezone = _when_due(name, job, when)
    tags: Mapping[str, str] | None = options["tags"]

    def ask(context: Any) -> Iterable[run_requests.RunRequest | run_requests.SkipReason]:
        moment = context.scheduled_execution_time
        some = False
        for key in _due_keys(job.partitions_def, moment):
            some = True
            request = job.run_request_for_partition(
                key,
                run_key=str(key),
                tags=tags,
                current_time=moment,
                dynamic_partitions_store=context.instance,
            )
            # The schedule says which job it is: it may have been given another since.
            yield request.with_replaced_attrs(job_name=None)
        if not some:
            yield run_requests.SkipReason(f"The job {job.name!r} has no partitions yet.")

    made = schedules.ScheduleDefinition(
        name,
        cron_schedule=cron,
        execution_timezone=timezone,
        job=job,
        execution_fn=ask,
        **options,
    )
    # Where the user called the builder, not where the function stands.
    made.source = source
    return made


def _when_due(name: str, job: Any, when: _When) -> tuple[str, str | None]:
    partitions = job.partitions_def
    given = [what for what, one in zip(_OFFSETS, when.offsets, strict=True) if one is not None]
    window = _windows_of(partitions)
    if window is not None:
        own = {"cron_schedule": when.cron_schedule, "execution_timezone": when.execution_timezone}
        wrong = [what for what, one in own.items() if one is not None]
        if wrong:
            raise errors.InvalidDefinitionError(
                f"The schedule {name!r} is due when the partitions of the job {job.name!r} have "
                f"ended, so {' and '.join(wrong)} cannot be chosen. Give {', '.join(_OFFSETS)} to "
                "move it."
            )
        return window.get_cron_schedule(*when.offsets), window.timezone
    if not isinstance(partitions, static_partitions.StaticPartitionsDefinition):
        told = "no partitions" if partitions is None else f"the partitions {partitions!r}"
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} cannot fill the partitions of the job {job.name!r}, which has "
            f"{told}. It takes windows of time, windows of time with a second dimension, or static "
            "partitions; for others write a @schedule."
        )
    if given or when.cron_schedule is None:
        problem = f"got {' and '.join(given)}" if given else "got no cron_schedule"
        raise errors.InvalidDefinitionError(
            f"The schedule {name!r} asks for all partitions of the job {job.name!r} at the times "
            f"of a cron schedule: {problem}. Give cron_schedule."
        )
    return when.cron_schedule, when.execution_timezone


def _windows_of(
    partitions: Any,
) -> time_window_partitions.TimeWindowPartitionsDefinition | None:
    if isinstance(partitions, multi_partitions.MultiPartitionsDefinition):
        if partitions.has_time_window_dimension:
            return partitions.time_window_partitions_def
        return None
    if isinstance(partitions, time_window_partitions.TimeWindowPartitionsDefinition):
        return partitions
    return None


def _due_keys(partitions: Any, moment: Any) -> Iterable[str]:
    """Return the partitions that are there at a moment and were not before."""
    window = _windows_of(partitions)
    if window is None:
        every: Sequence[str] = partitions.get_partition_keys()
        return every
    last = window.get_last_partition_key(moment)
    if last is None:
        return ()
    if not isinstance(partitions, multi_partitions.MultiPartitionsDefinition):
        return (last,)
    time_name = partitions.time_window_dimension.name
    (other,) = (one for one in partitions.partitions_defs if one.name != time_name)
    return [
        partition_keys.MultiPartitionKey({time_name: last, other.name: key})
        for key in other.partitions_def.get_partition_keys(moment)
    ]

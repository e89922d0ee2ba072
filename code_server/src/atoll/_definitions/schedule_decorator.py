"""The decorator that makes schedules of functions.

Called by users.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from atoll import errors
from atoll._definitions import metadata as metadata_values
from atoll._definitions import schedule_policies, schedules


def schedule(
    cron_schedule: str | Sequence[str],
    *,
    job_name: str | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    tags_fn: schedules.ScheduleFunction | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    should_execute: schedules.ScheduleFunction | None = None,
    environment_vars: Mapping[str, str] | None = None,
    execution_timezone: str | None = None,
    description: str | None = None,
    job: schedules.JobTarget | None = None,
    default_status: schedules.DefaultScheduleStatus = schedules.DefaultScheduleStatus.STOPPED,
    required_resource_keys: Collection[str] | None = None,
    target: schedules.ScheduleTarget | None = None,
    owners: Sequence[str] | None = None,
    skipped_times: schedule_policies.SkippedTimes = "shift",
    repeated_times: schedule_policies.RepeatedTimes = "first",
    max_catchup_runs: int | None = None,
    max_tick_retries: int | None = None,
) -> Callable[[schedules.ScheduleFunction], schedules.ScheduleDefinition]:
    """Make a schedule of a function that says what to run at a tick.

    The function returns or yields run requests, a reason to skip, or the configuration of one run;
    None skips. It takes the context, if any parameter, and resources.

    Args:
        cron_schedule: When it is due: a cron schedule, or several.
        job_name: The name of the job that it asks for.
        name: The name of the schedule; the function's where not given.
        tags: Labels of the runs.
        tags_fn: Makes the labels, given the context.
        metadata: What to attach to the definition.
        should_execute: Tells whether to call the function at all, given the context.
        environment_vars: Not used: a location has the environment that it was started with.
        execution_timezone: The time zone of the cron schedule; UTC where not given.
        description: What the schedule is for; the function's docstring where not given.
        job: The job that it asks for.
        default_status: Whether it asks for runs until somebody starts or stops it.
        required_resource_keys: The resources that the function takes from `context.resources`.
        target: The job, or the assets, that it asks for.
        owners: Who answers for the schedule.
        skipped_times: What becomes of a time of the day that daylight saving skips: "shift", it is
            due at the first moment that there is, or "skip", it is not due on that day.
        repeated_times: What becomes of a time of the day that daylight saving repeats: it is due
            the "first" time, the "last" time, or "both" times. A cron schedule of every hour
            follows the time that passes, whatever is said here.
        max_catchup_runs: How many of the ticks that were missed while the host or the location was
            away are made up for, the newest of them; what the host says where not given.
        max_tick_retries: How often a tick that failed is tried again; what the host says where not
            given.

    Returns:
        A decorator that makes the schedule.

    Raises:
        InvalidDefinitionError: Something of it cannot be, or two things contradict each other.

    Example:
        ```
        @schedule("0 3 * * *", job=load)
        def nightly(context: ScheduleEvaluationContext) -> RunRequest:
            return RunRequest(tags={"day": f"{context.scheduled_execution_time:%Y-%m-%d}"})
        ```
    """
    if callable(cron_schedule):
        raise errors.InvalidDefinitionError(
            "@schedule needs to know when: write @schedule('0 3 * * *', job=...) above the "
            "function."
        )

    def decorate(function: schedules.ScheduleFunction) -> schedules.ScheduleDefinition:
        return schedules.ScheduleDefinition(
            name or function.__name__,
            cron_schedule=cron_schedule,
            job_name=job_name,
            tags=tags,
            tags_fn=tags_fn,
            metadata=metadata,
            should_execute=should_execute,
            environment_vars=environment_vars,
            execution_timezone=execution_timezone,
            execution_fn=function,
            description=description,
            job=job,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            target=target,
            owners=owners,
            skipped_times=skipped_times,
            repeated_times=repeated_times,
            max_catchup_runs=max_catchup_runs,
            max_tick_retries=max_tick_retries,
        )

    return decorate

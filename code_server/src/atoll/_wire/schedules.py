"""Schedules as messages: their definitions, and what an evaluation decided.

Used by the snapshot of a location and by evaluators. Nothing is validated here.
"""

from __future__ import annotations

from collections.abc import Iterator

from atoll._definitions import definitions, jobs, schedules, ticks
from atoll._wire import keys as key_messages
from atoll._wire import metadata, runs, texts
from atoll._wire import ticks as tick_messages
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2

_STATUSES = {
    schedules.DefaultScheduleStatus.RUNNING: snapshot_pb2.SCHEDULE_STATUS_RUNNING,
    schedules.DefaultScheduleStatus.STOPPED: snapshot_pb2.SCHEDULE_STATUS_STOPPED,
}
_SKIPPED = {
    "shift": snapshot_pb2.SKIPPED_TIMES_SHIFT,
    "skip": snapshot_pb2.SKIPPED_TIMES_SKIP,
}
_REPEATED = {
    "first": snapshot_pb2.REPEATED_TIMES_FIRST,
    "last": snapshot_pb2.REPEATED_TIMES_LAST,
    "both": snapshot_pb2.REPEATED_TIMES_BOTH,
}


def to_messages(defined: definitions.Definitions) -> Iterator[snapshot_pb2.ScheduleDefinition]:
    """Yield the schedules of a location, by name.

    Args:
        defined: The definitions of the location.
    """
    for name in sorted({schedule.name for schedule in defined.schedules}):
        yield to_message(defined.get_schedule_def(name), defined)


def to_message(
    schedule: schedules.ScheduleDefinition, defined: definitions.Definitions
) -> snapshot_pb2.ScheduleDefinition:
    """Return a schedule.

    Args:
        schedule: The schedule.
        defined: The definitions of its location.
    """
    policies = schedule.policies
    message = snapshot_pb2.ScheduleDefinition(
        name=texts.valid(schedule.name),
        cron_schedules=[texts.valid(cron) for cron in schedule.cron_schedules],
        execution_timezone=texts.valid(schedule.execution_timezone or ""),
        description=texts.valid(str(schedule.description or "")),
        job_name=texts.valid(schedule.job_name),
        default_status=_STATUSES[schedule.default_status],
        tags={texts.valid(name): texts.valid(value) for name, value in schedule.tags.items()},
        owners=[texts.valid(owner) for owner in schedule.owners],
        skipped_times=_SKIPPED[policies.skipped_times],
        repeated_times=_REPEATED[policies.repeated_times],
        catch_up_max=policies.max_catchup_runs,
        retries_max=policies.max_tick_retries,
    )
    if schedule.has_anonymous_job:
        job: jobs.JobDefinition = defined.get_job_def(schedule.job_name)
        message.asset_selection.extend(key_messages.to_messages(job.asset_keys))
    if schedule.source is not None:
        message.source.file = texts.valid(schedule.source.file)
        message.source.line = schedule.source.line
    metadata.fill(message.metadata, schedule.metadata)
    return message


def to_response(result: ticks.TickResult) -> location_pb2.EvaluateScheduleResponse:
    """Return what a schedule decided.

    Args:
        result: The decision.

    Raises:
        InvalidConfigError: The configuration of a run request holds what JSON cannot say.
    """
    return location_pb2.EvaluateScheduleResponse(
        run_requests=[runs.request_to_message(request) for request in result.run_requests],
        skip_reason=texts.valid(result.skip_reason or ""),
        dynamic_partitions_requests=[
            tick_messages.change_to_message(request)
            for request in result.dynamic_partitions_requests
        ],
    )

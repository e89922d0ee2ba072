"""Turns what became of one step of a schedule into the commit to store. Pure.

Called by `evaluating`. Everything that a tick decided goes into one `records.ScheduleCommit`;
whatever is wrong in it makes the whole tick a failure that says what. A failed tick leaves the
position where it was, so that it is tried again, until it has failed as often as it may.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.automation import answers
from atoll_host.automation.schedules import due, planning
from atoll_host.runs import requests
from atoll_storage import records

SCHEDULE_NAME_TAG = "atoll/schedule_name"
SCHEDULED_TIME_TAG = "atoll/scheduled_execution_time"
EMPTY_RESULT = "Schedule function returned an empty result"
LOG_LINES_MAX = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One evaluation, as far as its tick is concerned.

    Attributes:
        task: Whose tick, against which state.
        time: The time that the tick is for.
        definition: The schedule's definition.
        place: The schedule's location.
        tick_id: The tick.
        start_time: When the evaluation began.
    """

    task: due.Task
    time: int
    definition: snapshot_pb2.ScheduleDefinition
    place: requests.Place
    tick_id: str
    start_time: dt.datetime

    @property
    def scheduled_time(self) -> dt.datetime:
        """The time that the tick is for."""
        return _moment(self.time)

    @property
    def whose(self) -> str:
        """The schedule, in words."""
        return f"Schedule {self.definition.name!r}"


def request(case: Case, timeout_s: float) -> location_pb2.EvaluateScheduleRequest:
    """Return what to ask the location."""
    message = location_pb2.EvaluateScheduleRequest(
        schedule_name=case.definition.name, tick_id=case.tick_id
    )
    message.scheduled_time.FromDatetime(case.scheduled_time)
    message.timeout.FromMilliseconds(round(timeout_s * 1000))
    return message


def decide(
    case: Case, response: location_pb2.EvaluateScheduleResponse, new_run_id: Callable[[], str]
) -> records.ScheduleCommit:
    """Return the commit for an answer of a location.

    Args:
        case: What was asked.
        response: What was answered.
        new_run_id: Makes the ids of the runs.
    """
    if response.HasField("failure"):
        return failed(case, response.failure, response)
    contradiction = answers.contradiction(response, case.whose)
    if contradiction:
        return failed(case, _failure("InvalidScheduleResult", contradiction), response)
    try:
        changes = answers.changes(response, case.whose)
        runs = _runs(case, response, changes, new_run_id)
    except errors.HostError as error:
        return failed(case, _failure(type(error).__name__, str(error)), response)
    tick = _tick(case, response)
    answers.tell_outcome(tick, response, EMPTY_RESULT)
    return records.ScheduleCommit(
        key=case.task.schedule.key,
        expected_version=case.task.state.version,
        position=case.scheduled_time,
        tick=tick,
        runs=runs,
        dynamic_partitions=changes,
    )


def failed(
    case: Case,
    failure: values_pb2.Failure,
    response: location_pb2.EvaluateScheduleResponse | None = None,
) -> records.ScheduleCommit:
    """Return the commit for a tick that failed: it is tried again, or given up."""
    state, schedule = case.task.state, case.task.schedule
    failures = state.failures + 1 if state.failing_time == case.scheduled_time else 1
    again = failures <= schedule.retries_max
    tick = _tick(case, response or location_pb2.EvaluateScheduleResponse())
    tick.status = automation_pb2.TICK_STATUS_FAILURE
    tick.failure.CopyFrom(failure)
    what = "It is tried again." if again else "It is not tried again: the next time is."
    _say(tick, f"This was try {failures} of {schedule.retries_max + 1} of the tick. {what}")
    return records.ScheduleCommit(
        key=schedule.key,
        expected_version=state.version,
        position=state.position if again else case.scheduled_time,
        failing_time=case.scheduled_time if again else None,
        failures=failures if again else 0,
        tick=tick,
    )


def left_out(
    task: due.Task, step: planning.LeaveOut, tick_id: str, now: dt.datetime
) -> records.ScheduleCommit:
    """Return the commit that tells of ticks that were missed and are not made up for.

    Args:
        task: Whose.
        step: Which.
        tick_id: The id of the one tick that stands for all.
        now: The time.
    """
    count, first, last = step.count, _moment(step.first), _moment(step.last)
    if count.number == 1:
        what = f"1 tick, of {first.isoformat()}, was missed and is not made up for"
    else:
        about = "" if count.exact else "about "
        what = (
            f"{about}{count.number} ticks, from {first.isoformat()} to {last.isoformat()}, were "
            "missed and are not made up for"
        )
    reason = f"{what}: of missed ticks, the newest {step.catch_up_max} are."
    tick = automation_pb2.Tick(
        tick_id=tick_id,
        status=automation_pb2.TICK_STATUS_SKIPPED,
        skip_reason=reason[0].upper() + reason[1:],
    )
    tick.start_time.FromDatetime(now)
    tick.scheduled_time.FromDatetime(last)
    return records.ScheduleCommit(
        key=task.schedule.key,
        expected_version=task.state.version,
        position=last,
        tick=tick,
    )


def past_deadline(case: Case, timeout_s: float, cause: str) -> values_pb2.Failure:
    """Return the failure of an evaluation that did not end in time."""
    return _failure(
        "TickDeadlineExceeded",
        f"{case.whose} did not end within its deadline of {timeout_s:g} s, so the process that "
        f"evaluated it was killed ({cause}). Make the schedule faster, or leave the work to a run.",
    )


def unstorable(case: Case, cause: str) -> values_pb2.Failure:
    """Return the failure of an evaluation whose result cannot be stored."""
    return _failure(
        "InvalidScheduleResult",
        f"What {case.whose.lower()} returned cannot be stored: {cause!r}. Return text that "
        "Postgres can store.",
    )


def state_after(
    state: records.ScheduleState, commit: records.ScheduleCommit, tick: automation_pb2.Tick
) -> records.ScheduleState:
    """Return the state of a schedule after a commit, as storage keeps it."""
    return dataclasses.replace(
        state,
        version=commit.expected_version + 1,
        position=commit.position,
        last_tick_time=tick.end_time.ToDatetime(tzinfo=dt.UTC),
        failing_time=commit.failing_time,
        failures=commit.failures,
        waiting_reason="",
    )


def request_id(key: records.ScheduleKey, time: int, run_key: str) -> str:
    """Return what makes a run of a schedule one of its kind: no second one is stored with it.

    Args:
        key: The schedule.
        time: The time that the tick is for.
        run_key: The run key, empty for none.
    """
    what = json.dumps([key.location_name, key.schedule_name, time, run_key])
    return f"schedule/{hashlib.sha256(what.encode()).hexdigest()}"


def _runs(
    case: Case,
    response: location_pb2.EvaluateScheduleResponse,
    changes: Sequence[records.DynamicPartitionsChange],
    new_run_id: Callable[[], str],
) -> list[records.NewRun]:
    place = dataclasses.replace(case.place, dynamic=case.place.dynamic.after(changes))
    runs: list[records.NewRun] = []
    for number, message in enumerate(response.run_requests, start=1):
        try:
            runs.append(_run(case, place, message, response.build_id, new_run_id()))
        except errors.HostError as error:
            named = f" (run key {message.run_key!r})" if message.run_key else ""
            raise errors.InvalidRequest(
                f"Run request {number} of {len(response.run_requests)}{named} of schedule "
                f"{case.definition.name!r} is refused, and the whole tick with it. {error}"
            ) from error
    return runs


def _run(
    case: Case,
    place: requests.Place,
    message: location_pb2.RunRequest,
    build_id: str,
    run_id: str,
) -> records.NewRun:
    """Check what a schedule asks for and return the run."""
    requested = requests.of_run_request(message)
    job_name = case.definition.job_name
    if requested.job_name not in {"", job_name}:
        raise errors.UnknownJob(
            f"Job {requested.job_name!r} is not that of schedule {case.definition.name!r}, which "
            f"asks for {job_name!r}. Make a schedule for each job.",
            job_name=requested.job_name,
            location_name=place.location_name,
        )
    requested = dataclasses.replace(requested, job_name=job_name)
    run = requests.launch(place, requested, run_id)
    tags = {
        SCHEDULE_NAME_TAG: case.definition.name,
        SCHEDULED_TIME_TAG: case.scheduled_time.isoformat(),
        requests.TICK_TAG: case.tick_id,
    }
    if requested.run_key:
        tags[requests.RUN_KEY_TAG] = requested.run_key
    return dataclasses.replace(
        run,
        tags={**run.tags, **tags},
        requested_build_id=build_id,
        request_id=request_id(case.task.schedule.key, case.time, requested.run_key),
        tick_id=case.tick_id,
        run_key=requested.run_key,
    )


def _tick(case: Case, response: location_pb2.EvaluateScheduleResponse) -> automation_pb2.Tick:
    key = case.task.schedule.key
    tick = automation_pb2.Tick(
        tick_id=case.tick_id,
        location_name=key.location_name,
        schedule_name=key.schedule_name,
        build_id=response.build_id,
        log_lines=response.log_lines[:LOG_LINES_MAX],
    )
    tick.start_time.FromDatetime(case.start_time)
    tick.scheduled_time.FromDatetime(case.scheduled_time)
    if response.HasField("duration"):
        tick.evaluation_duration.CopyFrom(response.duration)
    return tick


def _say(tick: automation_pb2.Tick, text: str) -> None:
    """Add a line of the host to what the schedule logged."""
    line = tick.log_lines.add(level=events_pb2.LOG_LEVEL_INFO, message=text)
    line.timestamp.CopyFrom(tick.start_time)


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _failure(kind: str, text: str) -> values_pb2.Failure:
    return values_pb2.Failure(type=kind, message=text)

"""Turns what an evaluation answered into the tick to commit. Pure.

Called by `evaluating`. Everything that an evaluation decided goes into one `records.TickCommit`;
whatever is wrong in it makes the whole tick a failure that says what, and leaves cursor and
position where they were.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.automation import answers
from atoll_host.automation.sensors import due
from atoll_host.instance import reporting
from atoll_host.runs import other_locations, requests
from atoll_storage import records, webhook_records

EMPTY_RESULT = "Sensor function returned an empty result"
LOG_LINES_MAX = 1000

_ASSET_EVENTS = reporting.KINDS


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One evaluation, as far as its tick is concerned.

    Attributes:
        evaluation: What was evaluated, against which state.
        definition: The sensor's definition.
        place: The sensor's location.
        tick_id: The tick.
        start_time: When the evaluation began.
        event: The event that the sensor is evaluated for; None for kinds that are not due for one.
        delivery: The delivery that a webhook sensor is evaluated for.
        others: The other locations, as far as the sensor may ask for their jobs.
        retry_after_s: How long to wait for the next evaluation should this one fail.
    """

    evaluation: due.Evaluation
    definition: snapshot_pb2.SensorDefinition
    place: requests.Place
    tick_id: str
    start_time: dt.datetime
    event: events_pb2.StoredEvent | None = None
    delivery: webhook_records.Delivery | None = None
    others: other_locations.Others = other_locations.NO_OTHERS
    retry_after_s: float = 0.0

    @property
    def whose(self) -> str:
        """The sensor, in words."""
        return f"Sensor {self.definition.name!r}"

    @property
    def event_id(self) -> int:
        """The position that the tick decides on; 0 for a tick that is not for one event."""
        if self.delivery is not None:
            return self.delivery.number
        return 0 if self.event is None else self.event.id


def request(case: Case, timeout_s: float) -> location_pb2.EvaluateSensorRequest:
    """Return what to ask the location."""
    state = case.evaluation.state
    message = location_pb2.EvaluateSensorRequest(
        sensor_name=state.key.sensor_name,
        tick_id=case.tick_id,
        cursor=state.cursor,
        triggering_event=case.event,
        last_run_key=state.last_run_key,
        start_event_id=state.start_position,
    )
    if case.delivery is not None:
        message.webhook_delivery.delivery_id = case.delivery.delivery_id
        message.webhook_delivery.receive_time.FromDatetime(case.delivery.receive_time)
        message.webhook_delivery.headers.update(case.delivery.headers)
        message.webhook_delivery.body = case.delivery.body
    message.timeout.FromMilliseconds(round(timeout_s * 1000))
    if state.last_tick_time is not None:
        message.last_tick_completion_time.FromDatetime(state.last_tick_time)
    if state.start_time is not None:
        message.last_sensor_start_time.FromDatetime(state.start_time)
    return message


def decide(
    case: Case, response: location_pb2.EvaluateSensorResponse, new_run_id: Callable[[], str]
) -> records.TickCommit:
    """Return the tick for an answer of a location.

    Args:
        case: What was asked.
        response: What was answered.
        new_run_id: Makes the ids of the runs.
    """
    if response.HasField("failure"):
        return failed(case, response.failure, response)
    contradiction = answers.contradiction(response, case.whose)
    if contradiction:
        return failed(case, _failure("InvalidSensorResult", contradiction), response)
    try:
        changes = answers.changes(response, case.whose)
        runs = _runs(case, response, changes, new_run_id)
        asset_events = _checked_events(case, response.asset_events)
    except errors.HostError as error:
        return failed(case, _failure(type(error).__name__, str(error)), response)
    tick = _tick(case, response)
    answers.tell_outcome(tick, response, EMPTY_RESULT)
    cursor, position = _progress(case, response)
    if cursor is not None:
        tick.cursor = cursor
    return records.TickCommit(
        key=case.evaluation.sensor.key,
        expected_version=case.evaluation.state.version,
        cursor=cursor,
        position=position,
        runs=runs,
        tick=tick,
        asset_events=asset_events,
        dynamic_partitions=changes,
        resets=case.evaluation.state.resets,
        delivery=0 if case.delivery is None else case.delivery.number,
    )


def failed(
    case: Case,
    failure: values_pb2.Failure,
    response: location_pb2.EvaluateSensorResponse | None = None,
) -> records.TickCommit:
    """Return the tick for an evaluation that failed: nothing moves, so that it is tried again."""
    tick = _tick(case, response or location_pb2.EvaluateSensorResponse())
    tick.status = automation_pb2.TICK_STATUS_FAILURE
    tick.failure.CopyFrom(failure)
    state = case.evaluation.state
    if state.cursor is not None:
        tick.cursor = state.cursor
    return records.TickCommit(
        key=case.evaluation.sensor.key,
        expected_version=state.version,
        cursor=None,
        position=None,
        runs=(),
        tick=tick,
        resets=state.resets,
        retry_after_s=case.retry_after_s,
    )


def past_deadline(case: Case, timeout_s: float, cause: str) -> values_pb2.Failure:
    """Return the failure of an evaluation that did not end in time."""
    return _failure(
        "TickDeadlineExceeded",
        f"{case.whose} did not end within its deadline of {timeout_s:g} s, so "
        "the process that "
        f"evaluated it was killed ({cause}). Make the sensor faster, or leave the work to a run.",
    )


def unstorable(case: Case, cause: str) -> values_pb2.Failure:
    """Return the failure of an evaluation whose result cannot be stored."""
    return _failure(
        "InvalidSensorResult",
        f"What sensor {case.definition.name!r} returned cannot be stored: {cause!r}. Return text "
        "that Postgres can "
        "store.",
    )


def state_after(
    state: records.SensorState, commit: records.TickCommit, tick: automation_pb2.Tick
) -> records.SensorState:
    """Return the state of a sensor after a commit, as storage keeps it."""
    run_keys = [run.run_key for run in commit.runs if run.run_key]
    has_failed = tick.status == automation_pb2.TICK_STATUS_FAILURE
    ended = tick.end_time.ToDatetime(tzinfo=dt.UTC)
    return dataclasses.replace(
        state,
        version=commit.expected_version + 1,
        cursor=state.cursor if commit.cursor is None else commit.cursor,
        position=state.position if commit.position is None else commit.position,
        last_tick_time=ended,
        failures=state.failures + 1 if has_failed else 0,
        retry_time=ended + dt.timedelta(seconds=commit.retry_after_s) if has_failed else None,
        last_run_key=run_keys[-1] if run_keys else state.last_run_key,
    )


def _progress(
    case: Case, response: location_pb2.EvaluateSensorResponse
) -> tuple[str | None, int | None]:
    """Return the new cursor and the new position."""
    kind = case.evaluation.sensor.kind
    if kind in {due.Kind.ASSET, due.Kind.RUN_STATUS}:
        # The cursor of such a sensor is the event it was evaluated for, whatever the function did.
        return str(case.event_id), case.event_id
    cursor = response.cursor if response.HasField("cursor") else None
    if case.delivery is not None:
        return cursor, case.delivery.number
    return cursor, case.evaluation.horizon if kind is due.Kind.MULTI_ASSET else None


def _runs(
    case: Case,
    response: location_pb2.EvaluateSensorResponse,
    changes: Sequence[records.DynamicPartitionsChange],
    new_run_id: Callable[[], str],
) -> list[records.NewRun]:
    origin = requests.SensorOrigin(case.definition, case.tick_id, response.build_id, changes)
    runs: list[records.NewRun] = []
    for number, message in enumerate(response.run_requests, start=1):
        requested = requests.of_run_request(message)
        try:
            run_id = new_run_id()
            runs.append(
                other_locations.for_sensor(case.place, requested, origin, run_id, case.others)
            )
        except errors.HostError as error:
            named = f" (run key {requested.run_key!r})" if requested.run_key else ""
            raise errors.InvalidRequest(
                f"Run request {number} of {len(response.run_requests)}{named} of sensor "
                f"{case.definition.name!r} is "
                f"refused, and the whole tick with it. {error}"
            ) from error
    return runs


def _checked_events(case: Case, events: Iterable[events_pb2.Event]) -> list[events_pb2.Event]:
    location_name = case.place.location_name
    checked: list[events_pb2.Event] = []
    for event in events:
        body = event.WhichOneof("body")
        if body not in _ASSET_EVENTS or event.run_id or event.seq:
            raise errors.InvalidRequest(
                f"{case.whose} reported an event of the kind {body!r}, or one "
                "of a run. A sensor "
                "may report materializations, observations and evaluations of checks of assets."
            )
        payload = getattr(event, body)
        path = tuple(payload.asset_key.path)
        if not path:
            raise errors.InvalidRequest(
                f"{case.whose} reported an event of an asset without a key. Give the asset key."
            )
        owner = case.place.owner_of(path)
        if body == "asset_check_evaluation":
            owner = case.place.check_owner_of((path, payload.check_name)) or owner
        if owner not in {"", location_name}:
            raise errors.PolicyForbids(
                f"{case.whose} reported an event of asset {'/'.join(path)!r}, "
                "which location "
                f"{owner!r} materializes. Report it there."
            )
        checked.append(event)
    return checked


def _tick(case: Case, response: location_pb2.EvaluateSensorResponse) -> automation_pb2.Tick:
    key = case.evaluation.sensor.key
    tick = automation_pb2.Tick(
        tick_id=case.tick_id,
        location_name=key.location_name,
        sensor_name=key.sensor_name,
        build_id=response.build_id,
        event_id=case.event_id,
        log_lines=response.log_lines[:LOG_LINES_MAX],
        delivery_id="" if case.delivery is None else case.delivery.delivery_id,
    )
    if case.event is not None and case.evaluation.sensor.kind is due.Kind.RUN_STATUS:
        tick.triggering_run_id = case.event.event.run_id
    tick.start_time.FromDatetime(case.start_time)
    if response.HasField("duration"):
        tick.evaluation_duration.CopyFrom(response.duration)
    return tick


def _failure(kind: str, text: str) -> values_pb2.Failure:
    return values_pb2.Failure(type=kind, message=text)

"""Dry runs: what one tick of a sensor or a schedule would decide, with nothing committed.

Called by the servicers of both. The evaluation is that of a tick, asked and judged by the same
code; what it decided is read off the commit, which is then thrown away. What user code does by
itself is done: nobody can undo that here.
"""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence

from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, moments
from atoll_host.api import rendering
from atoll_host.automation import evaluations
from atoll_host.automation.schedules import asking as schedule_asking
from atoll_host.automation.schedules import due as schedule_due
from atoll_host.automation.schedules import leading as schedule_leading
from atoll_host.automation.schedules import planning
from atoll_host.automation.schedules import settings as schedule_settings
from atoll_host.automation.sensors import asking as sensor_asking
from atoll_host.automation.sensors import deciding as sensor_deciding
from atoll_host.automation.sensors import defined
from atoll_host.automation.sensors import due as sensor_due
from atoll_host.locations import registry as registries
from atoll_host.policy import policy_settings
from atoll_storage import database, records, run_changes, webhook_records

AT_ONCE_MAX = 8
"""So many dry runs of a host are under way at once; others wait."""
LOOKED_THROUGH_MAX = 200
"""So many of the newest changes of runs are looked at for one that a sensor is about."""

_NUMBERS = {
    records.DynamicPartitionsChangeKind.ADD: location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD,
    records.DynamicPartitionsChangeKind.DELETE: location_pb2.DYNAMIC_PARTITIONS_CHANGE_DELETE,
}
_FAILURE = automation_pb2.TICK_STATUS_FAILURE


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What the settings of the host say of evaluations.

    Attributes:
        tick_timeout_s: How long user code may take.
        schedules: How schedules are evaluated.
        policy: What locations may do with what others make.
    """

    tick_timeout_s: float
    schedules: schedule_settings.ScheduleSettings
    policy: policy_settings.PolicySettings


class DryRuns:
    """Evaluates sensors and schedules, and commits nothing."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        clock: clocks.Clock,
        rules: Rules,
    ) -> None:
        """Make one.

        Args:
            store: Where states, events and runs are read.
            registry: Where sensors and schedules are defined and evaluated.
            clock: Tells the time.
            rules: What the settings say of evaluations.
        """
        self._store = store
        self._clock = clock
        self._schedule_settings = rules.schedules
        self._sensors = sensor_asking.Asking(
            store, registry, timeout_s=rules.tick_timeout_s, policy=rules.policy
        )
        self._schedules = schedule_asking.Asking(
            store, registry, clock, timeout_s=rules.tick_timeout_s
        )
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)

    async def sensor(self, request: automation_pb2.DryRunSensorRequest) -> automation_pb2.DryRun:
        """Return what a tick of a sensor would decide.

        Raises:
            errors.InvalidRequest: There is nothing like that to evaluate it for.
            errors.LocationError: Its location does not answer now.
        """
        key = records.SensorKey(request.location_name, request.sensor_name)
        place, definition = self._sensors.defined(key)
        sensor = defined.sensor_of(key.location_name, definition)
        if sensor is None:
            raise errors.InvalidRequest(
                f"Sensor {key.sensor_name!r} is of a kind that this host does not know. Update "
                "the host.",
                field="sensor_name",
            )
        state = await self._store.sensors.state(key) or _new_state(key)
        if request.HasField("cursor"):
            state = dataclasses.replace(state, cursor=request.cursor)
        horizon = await self._store.events.head()
        case = sensor_deciding.Case(
            evaluation=sensor_due.Evaluation(sensor, state, horizon, began=0.0, token=0),
            definition=definition,
            place=place,
            tick_id=evaluations.new_id(),
            start_time=self._clock.now(),
            event=await self._event(sensor, request.event_id),
            delivery=_delivery(sensor, request, self._clock.now()),
        )
        async with self._turns:
            commit = await self._sensors.ask(case)
        named = [run.run_key for run in commit.runs if run.run_key]
        known = await self._store.run_lookups.run_keys(key, named)
        runs = [run for run in commit.runs if run.run_key not in known]
        dry_run = _answer(commit.tick, runs, known, commit.dynamic_partitions)
        dry_run.asset_events.extend(commit.asset_events)
        dry_run.tick.end_time.FromDatetime(self._clock.now())
        return dry_run

    async def schedule(
        self,
        request: schedules_pb2.DryRunScheduleRequest,
        definition: snapshot_pb2.ScheduleDefinition,
    ) -> automation_pb2.DryRun:
        """Return what a tick of a schedule would decide.

        Raises:
            errors.InvalidRequest: The schedule is never due, or the time is none.
            errors.LocationError: Its location does not answer now.
        """
        key = records.ScheduleKey(request.location_name, request.schedule_name)
        schedule = schedule_leading.schedule_of(
            key.location_name, definition, self._schedule_settings
        )
        if schedule is None:
            raise errors.InvalidRequest(
                f"Schedule {key.schedule_name!r} is never due: its times cannot be read. Correct "
                "its definition.",
                field="schedule_name",
            )
        now = self._clock.now()
        given = moments.of(request, "scheduled_time")
        time = _next_time(schedule, now) if given is None else int(given.timestamp())
        state = await self._store.schedules.state(key) or _new_schedule_state(schedule, now)
        task = schedule_due.Task(schedule, state, planning.Due(time), token=0)
        case = self._schedules.case(task, time)
        async with self._turns:
            commit = await self._schedules.ask(case)
        asked = [run.request_id for run in commit.runs]
        made = await self._store.run_lookups.request_ids(asked)
        runs = [run for run in commit.runs if run.request_id not in made]
        known = {run.run_key for run in commit.runs if run.request_id in made}
        dry_run = _answer(commit.tick, runs, known, commit.dynamic_partitions)
        if dry_run.tick.status == _FAILURE:
            # The last line says whether the tick is tried again, which this one is not.
            del dry_run.tick.log_lines[-1:]
        dry_run.tick.end_time.FromDatetime(self._clock.now())
        return dry_run

    async def _event(
        self, sensor: sensor_due.Sensor, event_id: int
    ) -> events_pb2.StoredEvent | None:
        """Return the event to evaluate a sensor for; None for kinds that need none."""
        if sensor.kind not in {sensor_due.Kind.ASSET, sensor_due.Kind.RUN_STATUS}:
            return None
        if event_id < 0:
            raise errors.InvalidRequest(
                f"event_id is {event_id}. Give the position of an event, or 0 for the newest.",
                field="event_id",
            )
        if sensor.runs is not None:
            event = await self._run_change(sensor.runs, event_id)
        else:
            event = await self._materialization(sensor.monitored[0], event_id)
        if event is None:
            what = f"Event {event_id} is none" if event_id else "The log has no event"
            raise errors.InvalidRequest(
                f"{what} that sensor {sensor.key.sensor_name!r} is evaluated for. Give event_id, "
                "the position of one that is.",
                field="event_id",
            )
        return event

    async def _materialization(
        self, path: sensor_due.AssetPath, event_id: int
    ) -> events_pb2.StoredEvent | None:
        log = self._store.events
        latest = next(iter(await log.latest_materializations([path])), None)
        if not event_id or (latest is not None and latest.id == event_id):
            return latest
        event = await log.next_materialization(path, event_id - 1)
        return event if event is not None and event.id == event_id else None

    async def _run_change(
        self, query: records.RunChangeQuery, event_id: int
    ) -> events_pb2.StoredEvent | None:
        log = self._store.events
        if event_id:
            return await log.next_run_change(query, event_id - 1, through_id=event_id)
        kinds = records.EventQuery(kinds=(run_changes.KINDS[query.status],))
        newest, _ = await log.list_events(kinds, limit=LOOKED_THROUGH_MAX)
        for each in newest:
            event = await log.next_run_change(query, each.id - 1, through_id=each.id)
            if event is not None:
                return event
        return None


def _answer(
    tick: automation_pb2.Tick,
    runs: Sequence[records.NewRun],
    known_run_keys: Collection[str],
    changes: Sequence[records.DynamicPartitionsChange],
) -> automation_pb2.DryRun:
    dry_run = automation_pb2.DryRun(
        tick=tick,
        runs=[rendering.requested_run(run) for run in runs],
        dynamic_partitions_requests=[
            location_pb2.DynamicPartitionsRequest(
                partitions_def_name=change.partitions_def_name,
                change=_NUMBERS[change.kind],
                partition_keys=change.partition_keys,
            )
            for change in changes
        ],
    )
    dry_run.tick.skipped_run_keys.extend(sorted(known_run_keys))
    return dry_run


def _delivery(
    sensor: sensor_due.Sensor, request: automation_pb2.DryRunSensorRequest, now: dt.datetime
) -> webhook_records.Delivery | None:
    if sensor.kind is not sensor_due.Kind.WEBHOOK:
        return None
    given = request.webhook_delivery
    return webhook_records.Delivery(
        number=0,
        delivery_id=given.delivery_id or evaluations.new_id(),
        receive_time=moments.of(given, "receive_time", "webhook_delivery.") or now,
        headers={name.lower(): value for name, value in given.headers.items()},
        body=given.body,
    )


def _new_state(key: records.SensorKey) -> records.SensorState:
    """Return the state of a sensor that nobody told storage of yet."""
    return records.SensorState(
        key=key,
        running=None,
        cursor=None,
        position=0,
        version=0,
        start_time=None,
        last_tick_time=None,
        last_run_key="",
    )


def _new_schedule_state(schedule: planning.Schedule, now: dt.datetime) -> records.ScheduleState:
    """Return the state of a schedule that nobody told storage of yet."""
    return records.ScheduleState(
        key=schedule.key,
        running=None,
        timetable=schedule.timetable,
        position=now,
        version=0,
        start_time=None,
        last_tick_time=None,
        failing_time=None,
        failures=0,
        waiting_reason="",
    )


def _next_time(schedule: planning.Schedule, now: dt.datetime) -> int:
    """Return the next time at which a schedule is due."""
    time = schedule.written.timetable.next_after(int(now.timestamp()))
    if time is None:
        raise errors.InvalidRequest(
            f"Schedule {schedule.key.schedule_name!r} is not due any more. Give a time.",
            field="scheduled_time",
        )
    return time

"""SchedulesService: schedules, when they are due, and their ticks, for everyone."""

import dataclasses
import datetime as dt
import functools
import itertools
from collections.abc import Sequence

from atoll import errors as atoll_errors
from atoll.api.v1 import automation_pb2, schedules_pb2, schedules_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.api import dry_runs, pages
from atoll_host.locations import registry as registries
from atoll_host.locations import timetables
from atoll_host.servicers import contexts, tick_pages
from atoll_storage import records, schedule_store

NEXT_TIMES_DEFAULT = 5
NEXT_TIMES_MAX = 100


class SchedulesServicer(schedules_pb2_grpc.SchedulesServiceServicer):
    """Shows and steers schedules."""

    def __init__(
        self,
        store: schedule_store.ScheduleStore,
        registry: registries.Registry,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        dry: dry_runs.DryRuns,
    ) -> None:
        self._store = store
        self._registry = registry
        self._changes = changes
        self._clock = clock
        self._dry_runs = dry

    async def ListSchedules(
        self, request: schedules_pb2.ListSchedulesRequest, context: contexts.Context
    ) -> schedules_pb2.ListSchedulesResponse:
        """Return the schedules of all locations, by location and name."""
        page = pages.Page(request)
        views = self._registry.locations()
        if request.location_name:
            views = {request.location_name: self._registry.location(request.location_name)}
        defined = {
            (name, schedule_name): schedule
            for name, view in views.items()
            if view.definitions is not None
            for schedule_name, schedule in view.definitions.schedules.items()
        }
        shown, token = page.of_sorted(sorted(defined))
        keys = [records.ScheduleKey(*name) for name in shown]
        states = {state.key: state for state in await self._store.states()} if keys else {}
        ticks = await self._store.latest_ticks(keys) if keys else {}
        return schedules_pb2.ListSchedulesResponse(
            schedules=[
                self._rendered(
                    defined[key.location_name, key.schedule_name],
                    key,
                    states.get(key),
                    ticks.get(key),
                    1,
                )
                for key in keys
            ],
            next_page_token=token,
        )

    async def GetSchedule(
        self, request: schedules_pb2.GetScheduleRequest, context: contexts.Context
    ) -> schedules_pb2.GetScheduleResponse:
        """Return one schedule, and when it is due next."""
        definition, key = self._find(request.location_name, request.schedule_name)
        count = request.next_times_max or NEXT_TIMES_DEFAULT
        if not 0 < count <= NEXT_TIMES_MAX:
            raise errors.InvalidRequest(
                f"next_times_max is {count}. Ask for 1 to {NEXT_TIMES_MAX} times.",
                field="next_times_max",
            )
        state = await self._store.state(key)
        return schedules_pb2.GetScheduleResponse(
            schedule=await self._shown(definition, key, state, count)
        )

    async def StartSchedule(
        self, request: schedules_pb2.StartScheduleRequest, context: contexts.Context
    ) -> schedules_pb2.StartScheduleResponse:
        """Have the host evaluate a schedule from now on."""
        definition, key = self._find(request.location_name, request.schedule_name)
        state = await self._set_running(definition, key, running=True)
        return schedules_pb2.StartScheduleResponse(
            schedule=await self._shown(definition, key, state, NEXT_TIMES_DEFAULT)
        )

    async def StopSchedule(
        self, request: schedules_pb2.StopScheduleRequest, context: contexts.Context
    ) -> schedules_pb2.StopScheduleResponse:
        """Have the host leave a schedule alone."""
        definition, key = self._find(request.location_name, request.schedule_name)
        state = await self._set_running(definition, key, running=False)
        return schedules_pb2.StopScheduleResponse(
            schedule=await self._shown(definition, key, state, NEXT_TIMES_DEFAULT)
        )

    async def DryRunSchedule(
        self, request: schedules_pb2.DryRunScheduleRequest, context: contexts.Context
    ) -> schedules_pb2.DryRunScheduleResponse:
        """Tell what a tick of a schedule would decide."""
        definition, _ = self._find(request.location_name, request.schedule_name)
        dry_run = await self._dry_runs.schedule(request, definition)
        return schedules_pb2.DryRunScheduleResponse(dry_run=dry_run)

    async def GetScheduleTick(
        self, request: schedules_pb2.GetScheduleTickRequest, context: contexts.Context
    ) -> schedules_pb2.GetScheduleTickResponse:
        """Return one tick of a schedule."""
        _, key = self._find(request.location_name, request.schedule_name)
        tick = await tick_pages.one(
            request.tick_id,
            f"schedule {key.schedule_name!r}",
            functools.partial(self._store.find_ticks, key),
            errors.UnknownTick(
                request.tick_id, key.location_name, f"Schedule {key.schedule_name!r}"
            ),
        )
        return schedules_pb2.GetScheduleTickResponse(tick=tick)

    async def ListScheduleTicks(
        self, request: schedules_pb2.ListScheduleTicksRequest, context: contexts.Context
    ) -> schedules_pb2.ListScheduleTicksResponse:
        """Return the ticks of a schedule, newest first."""
        page = pages.Page(request)
        _, key = self._find(request.location_name, request.schedule_name)
        read = functools.partial(self._store.ticks, key)
        shown, token = await tick_pages.answer(request, page, read)
        return schedules_pb2.ListScheduleTicksResponse(ticks=shown, next_page_token=token)

    def _find(
        self, location_name: str, schedule_name: str
    ) -> tuple[snapshot_pb2.ScheduleDefinition, records.ScheduleKey]:
        definition = self._registry.location(location_name).schedule(schedule_name)
        if definition is None:
            raise errors.UnknownSchedule(location_name, schedule_name)
        return definition, records.ScheduleKey(location_name, schedule_name)

    async def _set_running(
        self,
        definition: snapshot_pb2.ScheduleDefinition,
        key: records.ScheduleKey,
        *,
        running: bool,
    ) -> records.ScheduleState:
        now = self._clock.now()
        await self._store.ensure({key: timetables.write(definition)}, now)
        state = await self._store.set_running(key, running=running, at=now)
        self._changes.schedules.set()
        return state

    async def _shown(
        self,
        definition: snapshot_pb2.ScheduleDefinition,
        key: records.ScheduleKey,
        state: records.ScheduleState | None,
        next_times_max: int,
    ) -> schedules_pb2.Schedule:
        ticks = await self._store.latest_ticks([key])
        return self._rendered(definition, key, state, ticks.get(key), next_times_max)

    def _rendered(
        self,
        definition: snapshot_pb2.ScheduleDefinition,
        key: records.ScheduleKey,
        state: records.ScheduleState | None,
        latest_tick: automation_pb2.Tick | None,
        next_times_max: int,
    ) -> schedules_pb2.Schedule:
        """Return a schedule; without a state, as it is by default."""
        running = definition.default_status == snapshot_pb2.SCHEDULE_STATUS_RUNNING
        if state is not None and state.running is not None:
            running = state.running
        message = schedules_pb2.Schedule(
            location_name=key.location_name,
            definition=definition,
            status=snapshot_pb2.SCHEDULE_STATUS_RUNNING
            if running
            else snapshot_pb2.SCHEDULE_STATUS_STOPPED,
            latest_tick=latest_tick,
        )
        if state is not None and state.start_time is not None:
            message.start_time.FromDatetime(state.start_time)
        if running:
            after = self._clock.now() if state is None else max(state.position, self._clock.now())
            upcoming = _upcoming(definition, after, next_times_max)
            message.waiting_reason = upcoming.problem or self._waiting(key, state)
            for moment in upcoming.times:
                message.next_times.add().FromSeconds(moment)
        return message

    def _waiting(self, key: records.ScheduleKey, state: records.ScheduleState | None) -> str:
        if key.location_name not in self._registry.reachable():
            return f"Location {key.location_name!r} is away. What comes due waits until it is back."
        return "" if state is None else state.waiting_reason


@dataclasses.dataclass(frozen=True, slots=True)
class _Upcoming:
    """The next times of a schedule, or why there are none."""

    times: Sequence[int] = ()
    problem: str = ""


def _upcoming(
    definition: snapshot_pb2.ScheduleDefinition, after: dt.datetime, count: int
) -> _Upcoming:
    try:
        timetable = timetables.read(timetables.write(definition)).timetable
    except atoll_errors.InvalidDefinitionError as error:
        return _Upcoming(problem=f"The host cannot tell when it is due. {error}")
    times = list(itertools.islice(timetable.following(int(after.timestamp() // 1)), count))
    return _Upcoming(times, "" if times else "It is never due again.")

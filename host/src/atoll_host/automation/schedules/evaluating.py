"""Carries out one step of a schedule: asks the location where it has to, and commits.

Called by `leading` for each task that `due` lets begin. Says what became of it and never raises but
for cancellation; a step that is cut off at any point has stored everything or nothing.
"""

import asyncio
import dataclasses
import datetime as dt
import enum
import logging
import uuid
from collections.abc import Mapping
from typing import Protocol

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll.location.v1 import location_pb2
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.automation.schedules import deciding, due, planning
from atoll_host.locations import graph
from atoll_host.locations import registry as registries
from atoll_host.runs import partitions, requests
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_REQUESTS_ON_LOOP_MAX = 20
_COMMIT_BACKOFF = services.Backoff(first_s=0.05, max_s=2.0)
_REASON_LENGTH_MAX = 2000

# A location that says so will be able to evaluate later: no failure of the schedule.
_NOT_NOW = frozenset(
    {
        reasons.BUSY,
        reasons.DRAINING,
        reasons.HOST_UNAVAILABLE,
        reasons.NO_BUILD,
        reasons.RELOAD_IN_PROGRESS,
        reasons.UNKNOWN_SCHEDULE,
        reasons.UNSUPPORTED,
        reasons.WRONG_SERVER,
    }
)


class ScheduleControl(Protocol):
    """What evaluations ask of a code server."""

    async def evaluate_schedule(
        self, request: location_pb2.EvaluateScheduleRequest
    ) -> location_pb2.EvaluateScheduleResponse:
        """Evaluate a schedule once."""
        ...


class Locations(Protocol):
    """What evaluations ask of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        """Return the code servers that can be given work."""
        ...

    def graph(self) -> graph.AssetGraph:
        """Return the asset graph of all locations."""
        ...

    def control(self, target: str | records.ServerRecord) -> ScheduleControl:
        """Return a client for a code server."""
        ...

    def subscribe(self) -> signals.Poke:
        """Return a poke that is set when anything changed."""
        ...


class Ending(enum.Enum):
    """What became of a step; the words are those of `due.Agenda`."""

    COMMITTED = "committed"
    FAILED = "failed"
    POSTPONED = "postponed"
    RELOADED = "reloaded"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step, and the state of its schedule where it is known anew."""

    ending: Ending
    state: records.ScheduleState | None = None


def _new_id() -> str:
    return str(uuid.uuid4())


class Evaluator:
    """Carries out steps. Holds nothing between them."""

    def __init__(
        self,
        store: database.Database,
        locations: Locations,
        clock: clocks.Clock,
        *,
        timeout_s: float,
    ) -> None:
        """Make an evaluator.

        Args:
            store: Where ticks are committed.
            locations: Where schedules are defined and evaluated.
            clock: Tells the time.
            timeout_s: How long user code may take.
        """
        self._store = store
        self._locations = locations
        self._clock = clock
        self._timeout_s = timeout_s

    async def carry_out(self, task: due.Task) -> Outcome:
        """Carry out one step."""
        key = task.schedule.key
        extra = {"location": key.location_name, "schedule": key.schedule_name}
        try:
            return await self._carry_out(task)
        except storage_errors.StorageUnavailable:
            return Outcome(Ending.POSTPONED)
        except errors.LocationError as error:
            _log.info(
                "tick postponed",
                extra={"action": "tick_postponed", "reason": error.reason, **extra},
            )
            return await self._postponed(task, _why(task, error))
        except Exception:  # noqa: BLE001 - a bug met by one schedule must not end the others
            _log.exception("tick broke off", extra={"action": "tick_broke", **extra})
            return Outcome(Ending.POSTPONED)

    async def _carry_out(self, task: due.Task) -> Outcome:
        match task.step:
            case planning.Adopt(position):
                return await self._adopt(task, position)
            case planning.LeaveOut():
                now = self._clock.now()
                return await self._commit(
                    task, None, deciding.left_out(task, task.step, _new_id(), now)
                )
            case planning.Due(time):
                case = self._case(task, time)
                return await self._commit(task, case, await self._ask(case))

    async def _adopt(self, task: due.Task, position: int) -> Outcome:
        state, timetable = task.state, task.schedule.timetable
        begins = max(state.position, dt.datetime.fromtimestamp(position, dt.UTC))
        key = task.schedule.key
        adopted = await self._store.schedules.adopt(key, state.version, timetable, begins)
        if adopted is None:
            return Outcome(Ending.RELOADED, await self._store.schedules.state(key))
        return Outcome(Ending.COMMITTED, adopted)

    async def _postponed(self, task: due.Task, reason: str) -> Outcome:
        """Have the schedule say why its tick waits."""
        if reason == task.state.waiting_reason:
            return Outcome(Ending.POSTPONED)
        try:
            await self._store.schedules.set_waiting(task.schedule.key, reason)
        except storage_errors.StorageError:
            return Outcome(Ending.POSTPONED)
        state = dataclasses.replace(task.state, waiting_reason=reason)
        return Outcome(Ending.POSTPONED, state)

    def _case(self, task: due.Task, time: int) -> deciding.Case:
        key = task.schedule.key
        view = self._locations.locations().get(key.location_name)
        definition = None if view is None else view.schedule(key.schedule_name)
        if view is None or view.definitions is None or definition is None:
            raise errors.LocationUnavailable(
                f"Location {key.location_name!r} no longer defines schedule {key.schedule_name!r}.",
                location_name=key.location_name,
                reason=reasons.UNKNOWN_SCHEDULE,
            )
        merged = self._locations.graph()
        place = requests.Place(
            key.location_name, view.definitions, merged.owner, merged.check_owner
        )
        return deciding.Case(
            task=task,
            time=time,
            definition=definition,
            place=place,
            tick_id=_new_id(),
            start_time=self._clock.now(),
        )

    async def _ask(self, case: deciding.Case) -> records.ScheduleCommit:
        """Have the schedule evaluated and return what to commit."""
        location_name = case.place.location_name
        server = self._locations.reachable().get(location_name)
        if server is None:
            raise errors.LocationUnavailable(
                f"Location {location_name!r} is away.",
                location_name=location_name,
                reason=reasons.UNREACHABLE,
            )
        request = deciding.request(case, self._timeout_s)
        try:
            response = await self._locations.control(server).evaluate_schedule(request)
        except errors.LocationUnavailable as error:
            if error.reason != reasons.DEADLINE_EXCEEDED:
                raise
            late = deciding.past_deadline(case, self._timeout_s, str(error))
            return deciding.failed(case, late)
        except errors.LocationRefused as error:
            if error.reason in _NOT_NOW:
                raise
            return deciding.failed(case, deciding.refused(error))
        return await self._decided(case, response)

    async def _decided(
        self, case: deciding.Case, response: location_pb2.EvaluateScheduleResponse
    ) -> records.ScheduleCommit:
        keys = sum(len(each.partition_keys) for each in response.dynamic_partitions_requests)
        texts = [each.partition_key for each in response.run_requests if each.partition_key]
        if texts:
            dynamic = await partitions.read_dynamic(
                self._store.partitions, case.place.definitions, texts
            )
            case = dataclasses.replace(case, place=dataclasses.replace(case.place, dynamic=dynamic))
        if not texts and len(response.run_requests) + keys <= _REQUESTS_ON_LOOP_MAX:
            return deciding.decide(case, response, _new_id)
        # Checking many of them takes long enough to delay the schedules of other locations.
        return await asyncio.to_thread(deciding.decide, case, response, _new_id)

    async def _commit(
        self, task: due.Task, case: deciding.Case | None, commit: records.ScheduleCommit
    ) -> Outcome:
        try:
            commit, tick = await self._committed(case, commit)
        except storage_errors.StaleScheduleTick:
            # Somebody stopped the schedule, another leader was faster, or an earlier try was
            # stored after all.
            return Outcome(Ending.RELOADED, await self._store.schedules.state(commit.key))
        except storage_errors.UnknownSchedule:
            return Outcome(Ending.RELOADED, None)
        state = deciding.state_after(task.state, commit, tick)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            return Outcome(Ending.FAILED, state)
        return Outcome(Ending.COMMITTED, state)

    async def _committed(
        self, case: deciding.Case | None, commit: records.ScheduleCommit
    ) -> tuple[records.ScheduleCommit, automation_pb2.Tick]:
        """Commit, again and again while storage is away: no decision is thrown away."""
        failures = 0
        given_up = False
        while True:
            try:
                return commit, await self._store.schedules.commit_tick(commit)
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._clock.sleep(_COMMIT_BACKOFF.delay_s(failures))
            except storage_errors.InvalidValue as error:
                if given_up or case is None:
                    raise
                given_up = True
                commit = deciding.failed(case, deciding.unstorable(case, str(error)))


def _why(task: due.Task, error: errors.LocationError) -> str:
    """Say why a tick has to wait."""
    if error.reason == reasons.UNSUPPORTED:
        return (
            f"The code server of location {task.schedule.key.location_name!r} is of an older "
            "release, which cannot evaluate schedules. Update atoll in its environment; what is "
            "due waits until then."
        )
    return str(error)[:_REASON_LENGTH_MAX]

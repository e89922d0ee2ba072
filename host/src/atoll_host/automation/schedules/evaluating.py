"""Carries out one step of a schedule: asks the location where it has to, and commits.

Called by `leading` for each task that `due` lets begin. Says what became of it and never raises but
for cancellation; a step that is cut off at any point has stored everything or nothing.
"""

import dataclasses
import datetime as dt
import functools
import logging

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.automation import evaluations
from atoll_host.automation.schedules import asking, deciding, due, planning
from atoll_storage import database, records
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

_REASON_LENGTH_MAX = 2000

_Ending = evaluations.Ending


Outcome = evaluations.Outcome[records.ScheduleState]
"""What became of a step, and the state of its schedule where it is known anew."""


class Evaluator:
    """Carries out steps. Holds nothing between them."""

    def __init__(
        self,
        store: database.Database,
        locations: asking.Locations,
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
        self._asking = asking.Asking(store, locations, clock, timeout_s=timeout_s)
        self._clock = clock

    async def carry_out(self, task: due.Task) -> Outcome:
        """Carry out one step."""
        key = task.schedule.key
        extra = {"location": key.location_name, "schedule": key.schedule_name}
        try:
            return await self._carry_out(task)
        except storage_errors.StorageUnavailable:
            return evaluations.Outcome(_Ending.POSTPONED)
        except errors.LocationError as error:
            _log.info(
                "tick postponed",
                extra={"action": "tick_postponed", "reason": error.reason, **extra},
            )
            return await self._postponed(task, _why(task, error))
        except Exception:  # noqa: BLE001 - a bug met by one schedule must not end the others
            _log.exception("tick broke off", extra={"action": "tick_broke", **extra})
            return evaluations.Outcome(_Ending.POSTPONED)

    async def _carry_out(self, task: due.Task) -> Outcome:
        match task.step:
            case planning.Adopt(position):
                return await self._adopt(task, position)
            case planning.LeaveOut():
                now = self._clock.now()
                return await self._commit(
                    task, None, deciding.left_out(task, task.step, evaluations.new_id(), now)
                )
            case planning.Due(time):
                case = self._asking.case(task, time)
                return await self._commit(task, case, await self._asking.ask(case))

    async def _adopt(self, task: due.Task, position: int) -> Outcome:
        state, timetable = task.state, task.schedule.timetable
        begins = max(state.position, dt.datetime.fromtimestamp(position, dt.UTC))
        key = task.schedule.key
        adopted = await self._store.schedules.adopt(key, state.version, timetable, begins)
        if adopted is None:
            return evaluations.Outcome(_Ending.RELOADED, await self._store.schedules.state(key))
        return evaluations.Outcome(_Ending.COMMITTED, adopted)

    async def _postponed(self, task: due.Task, reason: str) -> Outcome:
        """Have the schedule say why its tick waits."""
        if reason == task.state.waiting_reason:
            return evaluations.Outcome(_Ending.POSTPONED)
        try:
            await self._store.schedules.set_waiting(task.schedule.key, reason)
        except storage_errors.StorageError:
            return evaluations.Outcome(_Ending.POSTPONED)
        state = dataclasses.replace(task.state, waiting_reason=reason)
        return evaluations.Outcome(_Ending.POSTPONED, state)

    async def _commit(
        self, task: due.Task, case: deciding.Case | None, commit: records.ScheduleCommit
    ) -> Outcome:
        instead = None if case is None else functools.partial(_unstorable, case)
        try:
            commit, tick = await evaluations.commit(
                commit, self._store.schedules.commit_tick, instead, self._clock
            )
        except storage_errors.StaleScheduleTick:
            # Somebody stopped the schedule, another leader was faster, or an earlier try was
            # stored after all.
            return evaluations.Outcome(
                _Ending.RELOADED, await self._store.schedules.state(commit.key)
            )
        except storage_errors.UnknownSchedule:
            return evaluations.Outcome(_Ending.RELOADED, None)
        state = deciding.state_after(task.state, commit, tick)
        if tick.status == automation_pb2.TICK_STATUS_FAILURE:
            return evaluations.Outcome(_Ending.FAILED, state)
        return evaluations.Outcome(_Ending.COMMITTED, state)


def _why(task: due.Task, error: errors.LocationError) -> str:
    """Say why a tick has to wait."""
    if error.reason == reasons.UNSUPPORTED:
        return (
            f"The code server of location {task.schedule.key.location_name!r} is of an older "
            "release, which cannot evaluate schedules. Update atoll in its environment; what is "
            "due waits until then."
        )
    return str(error)[:_REASON_LENGTH_MAX]


def _unstorable(case: deciding.Case, cause: str) -> records.ScheduleCommit:
    """Return what to commit in place of what storage cannot take."""
    return deciding.failed(case, deciding.unstorable(case, cause))

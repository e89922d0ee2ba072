"""The schedules' term of the leader among hosts: the agenda of all schedules, and what acts on it.

Made by `dispatching` when leadership was won, and thrown away when it is lost: everything in it can
be read again from the stores with one query. Three followers feed the agenda:

    locations   Registry           -> definitions and availability  -> Agenda.set_location,
        set_available
    states      Changes.schedules  -> starts and stops              -> Agenda.set_state
    timer       the clock          -> what the agenda has due next

and `_advance` lets begin whatever is due. With nothing going on no query runs but the slow
backstops, however many schedules there are.
"""

import asyncio
import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping, Sequence

from atoll import errors as atoll_errors
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import services, signals
from atoll_host.automation import evaluations, terms
from atoll_host.automation.schedules import asking, due, evaluating, planning
from atoll_host.automation.schedules import settings as schedule_settings
from atoll_host.locations import registry as registries
from atoll_host.locations import timetables
from atoll_storage import database, records

_log = logging.getLogger(__name__)

STATES_BACKSTOP_S = 60.0
STATES_PAUSE_S = 1.0
LOCATIONS_BACKSTOP_S = 30.0
CLOCK_BACKSTOP_S = 10.0
"""How long the timer waits before it looks whether somebody has set the clock."""


def schedule_of(
    location_name: str,
    definition: snapshot_pb2.ScheduleDefinition,
    settings: schedule_settings.ScheduleSettings,
) -> planning.Schedule | None:
    """Return what the agenda has to know of a schedule; None where this host cannot tell its times.

    Args:
        location_name: The location.
        definition: The schedule.
        settings: What counts where the schedule does not say.
    """
    timetable = timetables.write(definition)
    try:
        timetables.read(timetable)
    except atoll_errors.InvalidDefinitionError as error:
        _log.warning(
            "a schedule is never due",
            extra={
                "action": "schedule_unusable",
                "location": location_name,
                "schedule": definition.name,
                "cause": str(error),
            },
        )
        return None
    catch_up_max, retries_max = settings.catch_up_max, settings.retries_max
    if definition.HasField("catch_up_max"):
        catch_up_max = definition.catch_up_max
    if definition.HasField("retries_max"):
        retries_max = definition.retries_max
    return planning.Schedule(
        key=records.ScheduleKey(location_name, definition.name),
        timetable=timetable,
        catch_up_max=catch_up_max,
        retries_max=retries_max,
    )


def limits_of(settings: schedule_settings.ScheduleSettings) -> due.Limits:
    """Return the bounds of the agenda."""
    return due.Limits(
        workers_per_location=settings.evaluations_per_location_max,
        late_after_s=settings.late_after_s,
        failure_backoff=services.Backoff(
            first_s=settings.retry_first_s, max_s=settings.retry_max_s
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term works with."""

    store: database.Database
    locations: asking.Locations
    changes: host_changes.Changes
    clock: clocks.Clock

    async def enroll(
        self, server: records.ServerRecord, held_runs: Sequence[location_pb2.HeldRun]
    ) -> None:
        """Have the store remember the schedules of a location from the moment it registers.

        For `Registry.on_registered`: what comes due after the registration is answered is then
        evaluated, whichever host leads.
        """
        del held_runs
        view = self.locations.locations().get(server.location_name)
        if view is not None and view.definitions is not None:
            await self.store.schedules.ensure(_timetables_of(view), self.clock.now())


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        tick_timeout_s: float,
        settings: schedule_settings.ScheduleSettings | None = None,
        limits: due.Limits | None = None,
    ) -> None:
        self._store = surroundings.store
        self._locations = surroundings.locations
        self._changes = surroundings.changes
        self._clock = surroundings.clock
        self._settings = settings or schedule_settings.ScheduleSettings()
        self._agenda = due.Agenda(limits or limits_of(self._settings))
        self._evaluator = evaluating.Evaluator(
            self._store, self._locations, self._clock, timeout_s=tick_timeout_s
        )
        self._timer = signals.Poke()
        self._steps: set[asyncio.Task[None]] = set()
        self._digests: dict[str, str] = {}
        # Subscribed before the first look, so that nothing falls between.
        self._states = self._changes.schedules.subscribe()
        self._views = self._locations.subscribe()

    async def run(self) -> None:
        """Read everything anew, then follow and evaluate."""
        try:
            await terms.persist(self._take_locations, self._clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_locations())
                group.create_task(self._follow_states())
                group.create_task(self._follow_clock())
        finally:
            await self._end_steps()

    # Followers.

    async def _follow_locations(self) -> None:
        while True:
            await self._views.wait(LOCATIONS_BACKSTOP_S)
            await terms.persist(self._take_locations, self._clock)

    async def _take_locations(self) -> None:
        """Bring the agenda up to what the locations define now, with one query for all."""
        changed = [
            view
            for name, view in self._locations.locations().items()
            if view.definitions is not None and view.definitions.digest != self._digests.get(name)
        ]
        if changed:
            await self._take_definitions(changed)
        now = self._now()
        reachable = self._locations.reachable()
        for name in self._digests:
            self._agenda.set_available(name, now, available=name in reachable)
        self._advance()

    async def _take_definitions(self, views: Sequence[registries.LocationView]) -> None:
        for view in views:
            await self._store.schedules.ensure(_timetables_of(view), self._clock.now())
        states = {state.key: state for state in await self._store.schedules.states()}
        # The calendars of many zones and crons take a while to be read for the first time.
        schedules = await asyncio.to_thread(
            lambda: {
                view.name: _schedules_of(view, self._settings, self._clock.now()) for view in views
            }
        )
        for view in views:
            await self._part_with(view, states)
            self._agenda.set_location(view.name, schedules[view.name], states, self._now())
            if view.definitions is not None:
                self._digests[view.name] = view.definitions.digest

    async def _part_with(
        self,
        view: registries.LocationView,
        states: Mapping[records.ScheduleKey, records.ScheduleState],
    ) -> None:
        """Remember of schedules that are gone that they were: one that comes back begins anew."""
        defined = _timetables_of(view)
        for key, state in states.items():
            if key.location_name == view.name and key not in defined and state.timetable:
                await self._store.schedules.adopt(key, state.version, "", self._clock.now())

    async def _follow_states(self) -> None:
        while True:
            await self._states.wait(STATES_BACKSTOP_S)
            await terms.persist(self._read_states, self._clock)
            # The pause bounds what somebody who starts and stops many of them makes it cost.
            await self._clock.sleep(STATES_PAUSE_S)

    async def _read_states(self) -> None:
        states = await self._store.schedules.states()
        now = self._now()
        for state in states:
            self._agenda.set_state(state, now)
        self._advance()

    async def _follow_clock(self) -> None:
        while True:
            wait_s = self._agenda.wait_s(self._now())
            wait_s = CLOCK_BACKSTOP_S if wait_s is None else min(wait_s, CLOCK_BACKSTOP_S)
            if await self._passed(wait_s):
                self._advance()

    async def _passed(self, wait_s: float) -> bool:
        """Wait for time to pass; return whether it did, and not the agenda changed before."""
        poked = asyncio.create_task(self._timer.wait(None))
        slept = asyncio.create_task(self._clock.sleep(wait_s))
        try:
            await asyncio.wait((poked, slept), return_when=asyncio.FIRST_COMPLETED)
            return slept.done()
        finally:
            poked.cancel()
            slept.cancel()
            await asyncio.gather(poked, slept, return_exceptions=True)

    # Steps.

    def _now(self) -> due.Now:
        return due.Now(self._clock.now().timestamp(), self._clock.monotonic())

    def _advance(self) -> None:
        """Let begin what is due."""
        for task in self._agenda.take(self._now()):
            step = asyncio.create_task(self._carry_out(task))
            self._steps.add(step)
            step.add_done_callback(self._steps.discard)
        self._timer.set()

    async def _carry_out(self, task: due.Task) -> None:
        outcome = await self._evaluator.carry_out(task)
        self._take_outcome(task, outcome)
        self._advance()

    def _take_outcome(self, task: due.Task, outcome: evaluating.Outcome) -> None:
        now = self._now()
        match outcome.ending:
            case evaluations.Ending.POSTPONED:
                self._agenda.postponed(task, outcome.state or task.state, now)
            case evaluations.Ending.RELOADED:
                self._agenda.reloaded(task, outcome.state, now)
            case evaluations.Ending.COMMITTED:
                self._agenda.committed(task, outcome.state or task.state, now)
            case evaluations.Ending.FAILED:
                self._agenda.failed(task, outcome.state or task.state, now)

    async def _end_steps(self) -> None:
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)


def _timetables_of(view: registries.LocationView) -> dict[records.ScheduleKey, str]:
    if view.definitions is None:
        return {}
    return {
        records.ScheduleKey(view.name, name): timetables.write(definition)
        for name, definition in view.definitions.schedules.items()
    }


def _schedules_of(
    view: registries.LocationView,
    settings: schedule_settings.ScheduleSettings,
    now: dt.datetime,
) -> list[planning.Schedule]:
    if view.definitions is None:
        return []
    known = (
        schedule_of(view.name, definition, settings)
        for definition in view.definitions.schedules.values()
    )
    found = [schedule for schedule in known if schedule is not None]
    for schedule in found:
        # The first question makes the calendar ready; later ones take microseconds.
        schedule.written.timetable.next_after(int(now.timestamp()))
    return found

"""Decides which schedules get their next step now, and how long to wait. Pure: no I/O, no clock.

Called by `leading`, which feeds it definitions, states and outcomes, always with the time. What a
schedule's next step is follows from `planning`; here stands which of all schedules has one:

    waiting --its time came--> ready (queue of the location) --take()--> in flight
       ^                                                                     |
       +----- committed / failed (back-off) / postponed (back-off) / reloaded +

Times of schedules are times of the wall clock, which may be set; pauses are measured by a clock
that only grows. Nothing is asked about a schedule that waits: however many there are, only the
earliest is looked at.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from atoll_host import services
from atoll_host.automation import lanes
from atoll_host.automation.schedules import planning
from atoll_storage import records


class Now(NamedTuple):
    """One moment.

    Attributes:
        wall: In seconds since 1970, as the wall clock has it.
        mono: In seconds that only grow.
    """

    wall: float
    mono: float


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of the agenda.

    Attributes:
        workers_per_location: How many steps of one location may be in flight.
        late_after_s: A tick that has not begun so long after its time counts as missed.
        failure_backoff: The pauses before a failed tick is tried again.
        retry_backoff: The pauses where the location or the store did not answer.
    """

    workers_per_location: int = 4
    late_after_s: float = 60.0
    failure_backoff: services.Backoff = dataclasses.field(
        default_factory=lambda: services.Backoff(first_s=5.0, max_s=300.0)
    )
    retry_backoff: services.Backoff = dataclasses.field(
        default_factory=lambda: services.Backoff(first_s=0.2, max_s=5.0)
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """One step that may begin now.

    Attributes:
        schedule: Whose.
        state: What is stored of it; the step commits against this version.
        step: What to do.
        token: Tells this task from every other one of the agenda.
    """

    schedule: planning.Schedule
    state: records.ScheduleState
    step: planning.Step
    token: int


@dataclasses.dataclass(slots=True)
class _Entry:
    """A schedule and where it stands."""

    schedule: planning.Schedule
    state: records.ScheduleState
    noticed: float
    not_before: float = float("-inf")
    postponements: int = 0
    token: int | None = None
    wakes_at: float | None = None
    rests_until: float | None = None


_ALARMS_SPARE = 64
_Lane = lanes.Lane[str]
_Alarm = tuple[float, int, records.ScheduleKey]


class Agenda:
    """All schedules of the mesh, each with when it is due."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._entries: dict[records.ScheduleKey, _Entry] = {}
        self._lanes: dict[str, _Lane] = {}
        self._wakes: list[_Alarm] = []
        self._rests: list[_Alarm] = []
        self._tokens = itertools.count(1)
        self._order = itertools.count()

    def set_location(
        self,
        location_name: str,
        schedules: Sequence[planning.Schedule],
        states: Mapping[records.ScheduleKey, records.ScheduleState],
        now: Now,
    ) -> None:
        """Take over the schedules that a location defines now, in place of those before.

        Args:
            location_name: The location.
            schedules: Its schedules.
            states: What is stored of them. A schedule without a state is left out.
            now: The time.
        """
        self._lanes.setdefault(location_name, _Lane())
        known = [each for each in schedules if each.key in states]
        wanted = {schedule.key for schedule in known}
        gone = [k for k in self._entries if k.location_name == location_name and k not in wanted]
        for key in gone:
            self._forget(key)
        for schedule in known:
            entry = self._entries.get(schedule.key)
            if entry is None:
                entry = _Entry(schedule, states[schedule.key], noticed=now.wall)
                self._entries[schedule.key] = entry
            else:
                if schedule.timetable != entry.schedule.timetable:
                    entry.noticed = now.wall
                entry.schedule = schedule
                self._take_state(entry, states[schedule.key])
            self._consider(entry, now)

    def set_available(self, location_name: str, now: Now, *, available: bool) -> None:
        """Say whether a location can be asked. What is due waits while it cannot.

        A location that is back is asked at once for what was postponed while it did not answer.
        """
        lane = self._lanes.setdefault(location_name, _Lane())
        came_back = available and not lane.available
        lane.available = available
        if came_back:
            for key, entry in self._entries.items():
                if key.location_name == location_name and entry.postponements:
                    entry.not_before = now.mono
                    self._consider(entry, now)

    def set_state(self, state: records.ScheduleState, now: Now) -> None:
        """Take over what is stored of a schedule, unless something newer is known."""
        entry = self._entries.get(state.key)
        if entry is None or state.version <= entry.state.version:
            return
        entry.state = state
        if state.failing_time is None:
            entry.not_before = now.mono
        self._consider(entry, now)

    def take(self, now: Now) -> list[Task]:
        """Return the steps that may begin; each is in flight until its outcome is told."""
        self._fire(self._wakes, now.wall, now)
        self._fire(self._rests, now.mono, now)
        taken: list[Task] = []
        for location_name, lane in self._lanes.items():
            while (name := lane.pop(self._limits.workers_per_location)) is not None:
                entry = self._entries[records.ScheduleKey(location_name, name)]
                # Time has passed in the queue: what is to be done may be something else by now.
                step = self._plan(entry, now)
                if isinstance(step, planning.Wait):
                    self._consider(entry, now)
                else:
                    taken.append(self._begin(entry, lane, step))
        return taken

    def wait_s(self, now: Now) -> float | None:
        """Return how long nothing will be due; None while only news can bring something."""
        waits = [
            at - clock
            for alarms, clock in ((self._wakes, now.wall), (self._rests, now.mono))
            if (at := self._earliest(alarms)) is not None
        ]
        return max(0.0, min(waits)) if waits else None

    def committed(self, task: Task, state: records.ScheduleState, now: Now) -> None:
        """Hear that a step was stored; `state` is the schedule's state after it."""
        entry = self._end(task)
        if entry is not None:
            entry.postponements = 0
            entry.not_before = now.mono
            self._take_state(entry, state)
            self._consider(entry, now)

    def failed(self, task: Task, state: records.ScheduleState, now: Now) -> None:
        """Hear that a failed tick was stored; if the state says so, it is tried again later."""
        entry = self._end(task)
        if entry is not None:
            entry.postponements = 0
            pause_s = self._limits.failure_backoff.delay_s(state.failures) if state.failures else 0
            entry.not_before = now.mono + pause_s
            self._take_state(entry, state)
            self._consider(entry, now)

    def postponed(self, task: Task, state: records.ScheduleState, now: Now) -> None:
        """Hear that nothing was stored, as the location or the store did not answer: try again."""
        entry = self._end(task)
        if entry is not None:
            entry.postponements += 1
            entry.not_before = now.mono + self._limits.retry_backoff.delay_s(entry.postponements)
            self._take_state(entry, state)
            self._consider(entry, now)

    def reloaded(self, task: Task, state: records.ScheduleState | None, now: Now) -> None:
        """Hear that the state had moved on: it is `state` now, None for a schedule that is gone."""
        entry = self._end(task)
        if entry is None:
            return
        if state is None:
            self._forget(task.schedule.key)
            return
        self._take_state(entry, state)
        self._consider(entry, now)

    def _take_state(self, entry: _Entry, state: records.ScheduleState) -> None:
        if state.version >= entry.state.version:
            entry.state = state

    def _forget(self, key: records.ScheduleKey) -> None:
        self._lanes[key.location_name].drop(key.schedule_name)
        del self._entries[key]

    def _plan(self, entry: _Entry, now: Now) -> planning.Step | planning.Wait:
        return planning.plan(
            entry.schedule,
            entry.state,
            now.wall,
            noticed=entry.noticed,
            late_after_s=self._limits.late_after_s,
        )

    def _consider(self, entry: _Entry, now: Now) -> None:
        """Put a schedule where it belongs: into its location's queue, or behind an alarm."""
        if entry.token is not None:
            return
        key = entry.schedule.key
        lane = self._lanes[key.location_name]
        wakes_at = rests_until = None
        if entry.not_before > now.mono:
            rests_until = entry.not_before
        else:
            step = self._plan(entry, now)
            if not isinstance(step, planning.Wait):
                entry.wakes_at = entry.rests_until = None
                lane.put(key.schedule_name)
                return
            wakes_at = None if step.until is None else float(step.until)
        lane.drop(key.schedule_name)
        if wakes_at is not None and wakes_at != entry.wakes_at:
            self._push(self._wakes, wakes_at, key)
        if rests_until is not None and rests_until != entry.rests_until:
            self._push(self._rests, rests_until, key)
        entry.wakes_at, entry.rests_until = wakes_at, rests_until

    def _push(self, alarms: list[_Alarm], at: float, key: records.ScheduleKey) -> None:
        if len(alarms) > 2 * len(self._entries) + _ALARMS_SPARE:
            # So many of them no longer count: schedules were defined anew again and again.
            alarms[:] = [each for each in alarms if self._counts(alarms, each[0], each[2])]
            heapq.heapify(alarms)
        heapq.heappush(alarms, (at, next(self._order), key))

    def _earliest(self, alarms: list[_Alarm]) -> float | None:
        while alarms:
            at, _, key = alarms[0]
            if self._counts(alarms, at, key):
                return at
            heapq.heappop(alarms)
        return None

    def _fire(self, alarms: list[_Alarm], clock: float, now: Now) -> None:
        while alarms and alarms[0][0] <= clock:
            at, _, key = heapq.heappop(alarms)
            if self._counts(alarms, at, key):
                entry = self._entries[key]
                entry.wakes_at = entry.rests_until = None
                self._consider(entry, now)

    def _counts(self, alarms: list[_Alarm], at: float, key: records.ScheduleKey) -> bool:
        """Return whether an alarm is the one that its schedule waits for."""
        entry = self._entries.get(key)
        if entry is None:
            return False
        return at == (entry.wakes_at if alarms is self._wakes else entry.rests_until)

    def _begin(self, entry: _Entry, lane: _Lane, step: planning.Step) -> Task:
        token = next(self._tokens)
        entry.token = token
        lane.in_flight.add(token)
        return Task(entry.schedule, entry.state, step, token)

    def _end(self, task: Task) -> _Entry | None:
        """Free the worker; return the schedule, None when it is no longer defined."""
        self._lanes[task.schedule.key.location_name].in_flight.discard(task.token)
        entry = self._entries.get(task.schedule.key)
        if entry is None or entry.token != task.token:
            return None
        entry.token = None
        return entry

"""Decides what comes next for one schedule at one moment. Pure, and without memory.

Called by `due`, whose agenda keeps all schedules. Everything follows from the definition, from what
is stored of the schedule, and from the time:

    the definition changed, and all that was due by the old one is decided  ->  Adopt
    more ticks were missed than are made up for                             ->  LeaveOut the oldest
    a time has come                                                         ->  Due
    otherwise                                                               ->  Wait for the next

Each but the last moves the stored position, which is behind every time that is decided: so each
time is decided once, in order, or counted among those that are left out.
"""

import dataclasses
import datetime as dt

from atoll_host.locations import timetables
from atoll_storage import records


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """What has to be known of a schedule's definition.

    Attributes:
        key: Names the schedule in the mesh.
        timetable: When it is due, as `timetables.write` has it.
        catch_up_max: How many missed ticks are made up for.
        retries_max: How often a failed tick is tried again.
    """

    key: records.ScheduleKey
    timetable: str
    catch_up_max: int = 5
    retries_max: int = 3

    @property
    def written(self) -> timetables.Written:
        """The timetable."""
        return timetables.read(self.timetable)


@dataclasses.dataclass(frozen=True, slots=True)
class Adopt:
    """The schedule is due by another timetable after a moment."""

    position: int


@dataclasses.dataclass(frozen=True, slots=True)
class LeaveOut:
    """Ticks that were missed and are not made up for.

    Attributes:
        first: The time of the oldest.
        last: The time of the newest.
        count: How many they are.
        catch_up_max: How many are made up for.
    """

    first: int
    last: int
    count: timetables.Count
    catch_up_max: int


@dataclasses.dataclass(frozen=True, slots=True)
class Due:
    """A tick to evaluate.

    Attributes:
        time: The time that it is for.
    """

    time: int


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a time; None where only news can change that."""

    until: int | None


Step = Adopt | LeaveOut | Due


def is_running(schedule: Schedule, state: records.ScheduleState) -> bool:
    """Return whether a schedule is to be evaluated at all."""
    return schedule.written.runs_by_default if state.running is None else state.running


def plan(
    schedule: Schedule,
    state: records.ScheduleState,
    now: float,
    *,
    noticed: float,
    late_after_s: float,
) -> Step | Wait:
    """Return what comes next for a schedule.

    Args:
        schedule: The schedule as it is defined now.
        state: What is stored of it.
        now: The time.
        noticed: When this definition was first seen.
        late_after_s: A tick that has not begun so long after its time counts as missed.
    """
    running = is_running(schedule, state)
    position = _seconds(state.position)
    if state.timetable != schedule.timetable:
        until = int(min(now, noticed) // 1)
        before = _before(state)
        step = None
        if running and before is not None:
            step = _pending(schedule, before, state, until, now - late_after_s)
        return step or Adopt(max(position, until))
    if not running:
        return Wait(None)
    times = schedule.written.timetable
    step = _pending(schedule, times, state, int(now // 1), now - late_after_s)
    return step or Wait(times.next_after(position))


def _before(state: records.ScheduleState) -> timetables.Timetable | None:
    """Return the times that counted before; None where the schedule was not evaluated then."""
    if not state.timetable:
        return None
    written = timetables.read(state.timetable)
    return written.timetable if written.runs_by_default or state.running else None


def _pending(
    schedule: Schedule,
    times: timetables.Timetable,
    state: records.ScheduleState,
    until: int,
    late_before: float,
) -> LeaveOut | Due | None:
    """Return what to do about the times after the position and up to a moment, if there are any."""
    position = _seconds(state.position)
    first = times.next_after(position)
    if first is None:
        return None
    if state.failing_time is not None and _seconds(state.failing_time) == first:
        # It began in time, and is tried again whatever the clock says by now.
        return Due(first)
    if first > until:
        return None
    late_until = min(until, int(late_before // 1))
    kept = times.newest(position, late_until, schedule.catch_up_max)
    left_until = kept[0] - 1 if kept else late_until
    if first > left_until:
        return Due(first)
    (last,) = times.newest(position, left_until, 1)
    count = times.count(position, left_until)
    return LeaveOut(first, last, count, schedule.catch_up_max)


def _seconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() // 1)

"""What comes next for one schedule follows from its definition, its state and the time."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll_host.automation.schedules import planning
from atoll_host.locations import timetables
from tests.host.automation.schedules import world

HOUR = 3600
NOON = world.START - 30


def plan(schedule, state, now, noticed=0.0, late_after_s=world.LATE_AFTER_S):
    return planning.plan(schedule, state, now, noticed=noticed, late_after_s=late_after_s)


def hourly(**policies):
    return world.schedule(world.definition("s", "0 * * * *"), **policies)


def test_a_schedule_waits_for_its_next_time_and_is_due_at_it_to_the_second():
    schedule = hourly()
    state = world.state(schedule, NOON)
    assert plan(schedule, state, NOON + HOUR - 0.001) == planning.Wait(NOON + HOUR)
    assert plan(schedule, state, NOON + HOUR) == planning.Due(NOON + HOUR)


def test_a_time_that_is_decided_does_not_come_again_when_the_clock_is_put_back():
    schedule = hourly()
    state = world.state(schedule, NOON)
    assert plan(schedule, state, NOON - 5 * HOUR) == planning.Wait(NOON + HOUR)


@pytest.mark.parametrize("catch_up_max", [0, 1, 5])
def test_the_newest_missed_ticks_are_made_up_for_and_the_rest_is_counted(catch_up_max):
    schedule = hourly(catch_up_max=catch_up_max)
    state = world.state(schedule, NOON)
    step = plan(schedule, state, NOON + 10.5 * HOUR)
    left = 10 - catch_up_max
    assert step == planning.LeaveOut(
        NOON + HOUR, NOON + left * HOUR, timetables.Count(left), catch_up_max
    )
    after = world.state(schedule, step.last)
    expected = (
        planning.Due(NOON + (left + 1) * HOUR) if catch_up_max else planning.Wait(NOON + 11 * HOUR)
    )
    assert plan(schedule, after, NOON + 10.5 * HOUR) == expected


def test_a_tick_that_begins_a_little_late_was_not_missed():
    schedule = hourly(catch_up_max=0)
    state = world.state(schedule, NOON)
    due = NOON + HOUR
    assert plan(schedule, state, due + world.LATE_AFTER_S - 1) == planning.Due(due)
    late = plan(schedule, state, due + world.LATE_AFTER_S)
    assert late == planning.LeaveOut(due, due, timetables.Count(1), 0)


def test_a_tick_that_is_tried_again_was_not_missed_however_late_it_is():
    schedule = hourly(catch_up_max=0)
    due = NOON + HOUR
    state = world.state(schedule, NOON, failing_time=world.moment(due), failures=2)
    assert plan(schedule, state, due + HOUR - 1) == planning.Due(due)


def test_what_was_due_by_the_old_times_is_decided_before_the_new_ones_count():
    old, new = hourly(), world.schedule(world.definition("s", "* * * * *"))
    state = world.state(old, NOON)
    noticed = NOON + HOUR + 20
    assert plan(new, state, noticed + 5, noticed) == planning.Due(NOON + HOUR)
    decided = world.state(old, NOON + HOUR)
    assert plan(new, decided, noticed + 5, noticed) == planning.Adopt(noticed)
    adopted = world.state(new, noticed)
    assert plan(new, adopted, noticed + 5, noticed) == planning.Wait(NOON + HOUR + 60)


def test_a_schedule_that_was_gone_or_stopped_begins_anew():
    schedule = hourly()
    gone = world.state(schedule, NOON, timetable="")
    assert plan(schedule, gone, NOON + 9 * HOUR, NOON + 8 * HOUR) == planning.Adopt(NOON + 8 * HOUR)
    stopped = world.schedule(world.definition("s", "0 * * * *", running=False))
    state = world.state(stopped, NOON)
    assert plan(stopped, state, NOON + 9 * HOUR) == planning.Wait(None)
    assert plan(schedule, state, NOON + 9 * HOUR, NOON + 8 * HOUR) == planning.Adopt(
        NOON + 8 * HOUR
    )


def test_a_stopped_schedule_has_nothing_to_do():
    schedule = hourly()
    state = world.state(schedule, NOON, running=False)
    assert plan(schedule, state, NOON + 9 * HOUR) == planning.Wait(None)


CRON_SETS = st.sets(st.sampled_from(sorted(world.CRONS)), min_size=1, max_size=3).map(
    lambda found: tuple(sorted(found))
)


@given(
    crons=CRON_SETS,
    position=st.integers(0, 3 * HOUR),
    passed=st.integers(0, 40 * HOUR),
    catch_up_max=st.integers(0, 7),
)
def test_steps_one_after_the_other_decide_every_time_once(crons, position, passed, catch_up_max):
    schedule = world.schedule(world.definition("s", *crons), catch_up_max=catch_up_max)
    begin = NOON + position
    now = begin + passed
    every = world.walked(crons, begin, now)
    late = [time for time in every if time <= now - world.LATE_AFTER_S]
    left = late[: max(0, len(late) - catch_up_max)]
    at, decided, counted = begin, [], 0
    while not isinstance(step := plan(schedule, world.state(schedule, at), now), planning.Wait):
        if isinstance(step, planning.LeaveOut):
            assert (step.first, step.last) == (left[0], left[-1])
            assert step.count == timetables.Count(len(left))
            at, counted = step.last, counted + step.count.number
        else:
            decided.append(step.time)
            at = step.time
    assert counted == len(left)
    assert decided == every[len(left) :]
    assert step.until == next(iter(world.walked(crons, now, now + 3 * 24 * HOUR)))


def test_several_crons_are_merged_and_a_time_of_two_is_one():
    two = world.definition("s", "0 * * * *", "0 6,7 * * *", "@hourly", zone="Europe/Zurich")
    timetable = timetables.read(timetables.write(two)).timetable
    day = int(dt.datetime(2026, 6, 1, tzinfo=dt.UTC).timestamp())
    times = timetable.newest(day - 1, day + 24 * HOUR - 1, 100)
    assert times == list(range(day, day + 24 * HOUR, HOUR))
    assert timetable.count(day - 1, day + 24 * HOUR - 1) == timetables.Count(24)


@pytest.mark.parametrize("year", [1975, 2016, 2025, 2026, 2040])
def test_times_of_any_year_are_found(year):
    daily = world.definition("s", "30 2 * * *", "0 0 1 * *", zone="Europe/Zurich")
    timetable = timetables.read(timetables.write(daily)).timetable
    start = dt.datetime(year, 12, 30, 12, tzinfo=dt.UTC)
    times = timetable.newest(int(start.timestamp()), int(start.timestamp()) + 72 * HOUR, 9)
    walls = [f"{world.moment(t) + dt.timedelta(hours=1):%m-%d %H:%M}" for t in times]
    assert walls == ["12-31 02:30", "01-01 00:00", "01-01 02:30", "01-02 02:30"]


def test_very_many_times_of_several_crons_are_counted_roughly_and_at_once():
    two = world.definition("s", "* * * * *", "0 * * * *")
    timetable = timetables.read(timetables.write(two)).timetable
    count = timetable.count(NOON, NOON + 10 * 365 * 24 * HOUR)
    assert not count.exact
    assert count.number == 10 * 365 * 24 * 61


def test_a_schedule_that_the_calendar_ends_for_is_never_due_again():
    timetable = timetables.read(timetables.write(world.definition("s", "0 0 29 2 *"))).timetable
    end = int(dt.datetime(9990, 1, 1, tzinfo=dt.UTC).timestamp())
    found = []
    at = end
    while (at := timetable.next_after(at)) is not None:
        found.append(at)
    assert len(found) <= 3

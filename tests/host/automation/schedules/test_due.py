"""The agenda: whatever happens, each time is decided once or counted among those left out."""

import dataclasses

import pytest
from hypothesis import settings, stateful
from hypothesis import strategies as st

from atoll_host import services
from atoll_host.automation.schedules import due, planning
from tests.host.automation.schedules import world

KEYS = ("a", "b")
NAMES = ("x", "y")
LIMITS = due.Limits(
    workers_per_location=1,
    late_after_s=world.LATE_AFTER_S,
    failure_backoff=services.Backoff(first_s=2.0, max_s=8.0),
    retry_backoff=services.Backoff(first_s=1.0, max_s=4.0),
)
CRON_SETS = st.sets(st.sampled_from(sorted(world.CRONS)), min_size=1, max_size=2).map(
    lambda found: tuple(sorted(found))
)


@dataclasses.dataclass
class Known:
    """What the model knows of a schedule: how it is defined, and by what its state counts."""

    crons: tuple[str, ...]
    stored_crons: tuple[str, ...]
    running: bool = True
    decided: list[int] = dataclasses.field(default_factory=list)


class Clockwork(stateful.RuleBasedStateMachine):
    """An agenda, a store that only takes commits against the newest version, and a clock."""

    def __init__(self):
        super().__init__()
        self.wall = float(world.START)
        self.mono = 0.0
        self.crons = {}
        self.available = dict.fromkeys(KEYS, True)
        self.known = {}
        self.states = {}
        self.tasks = []
        for location in KEYS:
            for name in NAMES:
                crons = ("*/15 * * * *",) if name == "x" else ("* * * * *",)
                schedule = self.schedule(location, name, crons)
                self.known[schedule.key] = Known(crons, crons)
                self.states[schedule.key] = world.state(schedule, self.wall)
        self.begin_anew()

    def schedule(self, location, name, crons):
        made = world.schedule(
            world.definition(name, *crons), location, catch_up_max=3, retries_max=2
        )
        self.crons[made.timetable] = crons
        return made

    @property
    def now(self):
        return world.now(self.wall, self.mono)

    def define(self, location):
        self.agenda.set_location(
            location,
            [
                self.schedule(location, key.schedule_name, known.crons)
                for key, known in self.known.items()
                if key.location_name == location
            ],
            self.states,
            self.now,
        )

    @stateful.rule()
    def begin_anew(self):
        """Another host becomes the leader: what was in flight is lost, or comes to nothing."""
        self.agenda = due.Agenda(LIMITS)
        self.tasks = []
        for location in KEYS:
            self.define(location)
            self.agenda.set_available(location, self.now, available=self.available[location])

    @stateful.rule(seconds=st.one_of(st.floats(0.1, 90), st.floats(60, 40_000)))
    def pass_time(self, seconds):
        self.wall += seconds
        self.mono += seconds

    @stateful.rule(seconds=st.floats(-7200, 7200))
    def set_clock(self, seconds):
        self.wall += seconds

    @stateful.rule(location=st.sampled_from(KEYS))
    def toggle_location(self, location):
        self.available[location] = not self.available[location]
        self.agenda.set_available(location, self.now, available=self.available[location])

    @stateful.rule(location=st.sampled_from(KEYS), name=st.sampled_from(NAMES), crons=CRON_SETS)
    def reload(self, location, name, crons):
        self.known[world.records.ScheduleKey(location, name)].crons = crons
        self.define(location)

    @stateful.rule(location=st.sampled_from(KEYS), name=st.sampled_from(NAMES))
    def start_or_stop(self, location, name):
        key = world.records.ScheduleKey(location, name)
        known, state = self.known[key], self.states[key]
        known.running = not known.running
        fields = {"running": known.running, "failing_time": None, "failures": 0}
        if known.running:
            fields["position"] = max(state.position, world.moment(self.wall))
        self.states[key] = world.advanced(state, **fields)
        self.agenda.set_state(self.states[key], self.now)

    @stateful.rule()
    def take(self):
        self.tasks += self.agenda.take(self.now)

    @stateful.precondition(lambda self: self.tasks)
    @stateful.rule(
        data=st.data(), what=st.sampled_from(["succeed", "succeed", "fail", "postpone", "lose"])
    )
    def finish(self, data, what):
        self.end(self.tasks.pop(data.draw(st.integers(0, len(self.tasks) - 1))), what)

    def end(self, task, what):
        key = task.schedule.key
        state = self.states[key]
        if what == "postpone":
            self.agenda.postponed(task, task.state, self.now)
        elif task.state.version != state.version:
            self.agenda.reloaded(task, state, self.now)
        elif what == "fail" and isinstance(task.step, planning.Due):
            self.fail(task, state)
        else:
            self.commit(task, state)
            if what == "lose":
                # It was stored, but the answer was lost: the same step is found stale.
                self.agenda.reloaded(task, self.states[key], self.now)
            else:
                self.agenda.committed(task, self.states[key], self.now)

    def fail(self, task, state):
        time = world.moment(task.step.time)
        failures = state.failures + 1 if state.failing_time == time else 1
        if failures > task.schedule.retries_max:
            self.commit(task, state)
        else:
            key = task.schedule.key
            self.states[key] = world.advanced(state, failing_time=time, failures=failures)
        self.agenda.failed(task, self.states[task.schedule.key], self.now)

    def commit(self, task, state):
        """Store a step, and hold it against what walking over the minutes says."""
        known = self.known[task.schedule.key]
        position = state.position.timestamp()
        passed = lambda until: world.walked(known.stored_crons, position, until)  # noqa: E731
        fields = {"failing_time": None, "failures": 0}
        match task.step:
            case planning.Due(time):
                assert passed(time) == [time]
                assert time not in known.decided
                known.decided.append(time)
                fields["position"] = world.moment(time)
            case planning.LeaveOut(first, last, count, _):
                left = passed(last)
                assert (left[0], left[-1], len(left)) == (first, last, count.number)
                known.decided += left
                fields["position"] = world.moment(last)
            case planning.Adopt(at):
                assert not known.running or not passed(at)
                fields["position"] = max(world.moment(at), state.position)
                fields["timetable"] = task.schedule.timetable
                known.stored_crons = self.crons[task.schedule.timetable]
        self.states[task.schedule.key] = world.advanced(state, **fields)

    @stateful.invariant()
    def no_location_has_more_in_flight_than_it_may(self):
        for location in KEYS:
            flying = [t for t in self.tasks if t.schedule.key.location_name == location]
            assert len(flying) <= LIMITS.workers_per_location

    @stateful.invariant()
    def a_time_that_is_decided_stays_decided(self):
        for known in self.known.values():
            assert known.decided == sorted(set(known.decided))

    def teardown(self):
        """Let everything come to rest: then nothing is left that was due, and the wait is right."""
        for location in KEYS:
            self.available[location] = True
            self.agenda.set_available(location, self.now, available=True)
        for _ in range(500):
            self.take()
            if not self.tasks:
                wait_s = self.agenda.wait_s(self.now)
                if wait_s is None or wait_s > LIMITS.failure_backoff.max_s:
                    break
                self.pass_time(wait_s + 0.01)
            while self.tasks:
                self.end(self.tasks.pop(), "succeed")
        times = []
        for key, known in self.known.items():
            state = self.states[key]
            if not known.running:
                continue
            assert state.timetable == self.schedule("a", key.schedule_name, known.crons).timetable
            position = state.position.timestamp()
            assert world.walked(known.crons, position, self.wall) == []
            begin = max(position, self.wall)
            times.append(next(iter(world.walked(known.crons, begin, begin + 4 * 3600))))
        wait_s = self.agenda.wait_s(self.now)
        assert wait_s is None if not times else abs(wait_s - (min(times) - self.wall)) < 0.01


@pytest.mark.slow
def test_each_time_is_decided_once_or_counted_whatever_happens():
    stateful.run_state_machine_as_test(
        Clockwork, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


def agenda_of(*schedules, available=True, position=world.START, limits=LIMITS):
    agenda = due.Agenda(limits)
    states = {each.key: world.state(each, position) for each in schedules}
    for location in {each.key.location_name for each in schedules}:
        own = [each for each in schedules if each.key.location_name == location]
        agenda.set_location(location, own, states, world.now(world.START))
        agenda.set_available(location, world.now(world.START), available=available)
    return agenda


def minutely(location="a", name="s", **policies):
    return world.schedule(world.definition(name, "* * * * *"), location, **policies)


def test_a_location_that_hangs_delays_no_other():
    agenda = agenda_of(minutely("a", "one"), minutely("a", "two"), minutely("b", "one"))
    later = world.now(world.START + 30, 30)
    first = agenda.take(later)
    assert sorted(task.schedule.key.location_name for task in first) == ["a", "b"]
    assert agenda.take(later) == []


def test_what_is_due_waits_while_its_location_is_away_and_is_planned_when_it_is_back():
    agenda = agenda_of(minutely(catch_up_max=2), available=False)
    later = world.now(world.START + 601, 601)
    assert agenda.take(later) == []
    agenda.set_available("a", later, available=True)
    (task,) = agenda.take(later)
    assert isinstance(task.step, planning.LeaveOut)
    assert task.step.count.number == 7


def test_a_clock_that_is_put_forward_makes_due_what_it_went_past():
    agenda = agenda_of(minutely())
    assert agenda.wait_s(world.now(world.START)) == 30
    assert agenda.take(world.now(world.START + 31, 0.5))


def test_a_failed_tick_is_tried_again_after_a_pause_that_no_clock_setting_changes():
    schedule = minutely()
    agenda = agenda_of(schedule)
    later = world.now(world.START + 30, 30)
    (task,) = agenda.take(later)
    state = world.advanced(task.state, failing_time=world.moment(task.step.time), failures=1)
    agenda.failed(task, state, later)
    assert agenda.take(world.now(world.START + 7200, 31.9)) == []
    assert agenda.wait_s(world.now(world.START - 7200, 30)) == 2.0
    (again,) = agenda.take(world.now(world.START - 7200, 32))
    assert again.step == task.step


def test_a_thousand_schedules_that_wait_are_one_alarm():
    agenda = agenda_of(*(minutely("a", f"s{number}") for number in range(1000)))
    assert agenda.wait_s(world.now(world.START)) == 30
    assert agenda.take(world.now(world.START + 29.9, 29.9)) == []
    for number in range(50):
        every = [world.schedule(world.definition(f"s{n}", f"{number} * * * *")) for n in range(9)]
        states = {each.key: world.state(each, world.START) for each in every}
        agenda.set_location("a", every, states, world.now(world.START))
    assert len(agenda._wakes) < 1200
    # They fade as they would have come due, or when new ones need the room.
    agenda.take(world.now(world.START + 60, 60))
    assert len(agenda._wakes) < 100

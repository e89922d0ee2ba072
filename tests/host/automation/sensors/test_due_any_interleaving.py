"""The agenda against an obvious reference: whatever the order, each thing is decided on once."""

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from atoll_host.automation.sensors import due
from atoll_storage import records
from tests.host.automation.sensors.test_due import (
    FAILURE,
    KIND,
    SUCCESS,
    A,
    B,
    C,
    after,
    key,
    run_sensor,
    state,
)


class Mesh(RuleBasedStateMachine):
    """Whatever happens in whichever order, nothing is lost, doubled or reordered."""

    WORKERS = 2
    SENSORS = (
        due.Sensor(key("one", "east"), KIND.ASSET, monitored=(A,)),
        due.Sensor(key("limited", "east"), KIND.ASSET, monitored=(B,), interval_s=5.0),
        due.Sensor(key("newest", "east"), KIND.ASSET, monitored=(A,), coalesce=True),
        due.Sensor(key("both", "west"), KIND.MULTI_ASSET, monitored=(A, B)),
        due.Sensor(key("other", "west"), KIND.ASSET, monitored=(C,)),
        due.Sensor(key("clock", "west"), KIND.POLLING, interval_s=3.0),
        run_sensor("all", SUCCESS),
        run_sensor("some", SUCCESS, (("east", "load"), ("west", ""))),
        run_sensor("failed", FAILURE, (("west", "load"),)),
        due.Sensor(key("hook", "west"), KIND.WEBHOOK),
        due.Sensor(key("other hook", "west"), KIND.WEBHOOK, interval_s=2.0),
    )
    HOOKS = tuple(sensor for sensor in SENSORS if sensor.kind is KIND.WEBHOOK)
    RUNS = tuple(
        due.RunTopic(status, location, job)
        for status in (SUCCESS, FAILURE)
        for location in ("east", "west")
        for job in ("load", "report")
    )
    EACH = frozenset({KIND.ASSET, KIND.RUN_STATUS, KIND.WEBHOOK})

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.log: list[tuple[int, due.Topic]] = []
        self.heard = 0
        self.deliveries: dict[records.SensorKey, list[int]] = {s.key: [] for s in self.HOOKS}
        self.begins: dict[records.SensorKey, int] = {s.key: 0 for s in self.SENSORS}
        self.states = {sensor.key: state(sensor.key) for sensor in self.SENSORS}
        self.available = {"east": True, "west": True}
        self.flying: list[due.Evaluation] = []
        self.decided: dict[records.SensorKey, list[int]] = {s.key: [] for s in self.SENSORS}
        self.ticked: dict[records.SensorKey, float] = {}
        self.agenda = due.Agenda(due.Limits(workers_per_location=self.WORKERS))
        for name in self.available:
            self.define(name)
            self.agenda.set_available(name, self.now, available=True)

    def define(self, name: str) -> None:
        group = [sensor for sensor in self.SENSORS if sensor.key.location_name == name]
        self.agenda.set_location(name, group, self.states, self.now)

    def of(self, sensor: due.Sensor) -> list[int]:
        """Return what a sensor is to decide on, as plainly as it can be said."""
        if sensor.kind is KIND.WEBHOOK:
            return self.deliveries[sensor.key]
        begins = self.begins[sensor.key]
        return [number for number, told in self.log if number > begins and self.sees(sensor, told)]

    @staticmethod
    def sees(sensor: due.Sensor, told: due.Topic) -> bool:
        if not isinstance(told, due.RunTopic):
            return told in sensor.monitored
        if sensor.runs is None or told.status is not sensor.runs.status:
            return False
        return sensor.runs.monitored is None or any(
            location == told.location_name and job in {"", told.job_name}
            for location, job in sensor.runs.monitored
        )

    @rule(told=st.lists(st.sampled_from(RUNS), min_size=1, max_size=3))
    def change_runs(self, told: list[due.RunTopic]) -> None:
        for topic in told:
            self.log.append((len(self.log) + 1, topic))

    @rule(status=st.sampled_from([SUCCESS, FAILURE]))
    def look_up_runs(self, status: records.RunStatus) -> None:
        """Hear how far the log tells of a status, but not of whose runs."""
        of_status = [
            number
            for number, told in self.log
            if isinstance(told, due.RunTopic) and told.status is status
        ]
        if of_status:
            self.agenda.arrived([(of_status[-1], due.RunTopic(status))], self.now)

    @rule(sensor=st.sampled_from(HOOKS), is_heard=st.booleans())
    def deliver(self, sensor: due.Sensor, is_heard: bool) -> None:
        numbers = self.deliveries[sensor.key]
        numbers.append(max(len(self.log), numbers[-1] if numbers else 0) + 1)
        if is_heard:
            self.look_up_deliveries()

    def look_up_deliveries(self) -> None:
        newest = [(numbers[-1], name) for name, numbers in self.deliveries.items() if numbers]
        self.agenda.arrived(newest, self.now)

    @rule(back=st.integers(3, 6))
    def look_for_nothing_and_go_back(self, back: int) -> None:
        """Have sensors look through what does not concern them, and reset them then."""
        nothing = due.RunTopic(SUCCESS, "east", "load")
        self.change_runs([due.RunTopic(FAILURE, "west", "load"), nothing, nothing])
        for status in (SUCCESS, FAILURE):
            self.agenda.arrived([(len(self.log), due.RunTopic(status))], self.now)
        self.heard = len(self.log)
        self.agenda.arrived(self.log, self.now)
        self.take()
        while self.flying:
            self.succeed(0)
            self.take()
        for sensor in self.SENSORS:
            if sensor.kind is KIND.RUN_STATUS:
                self.reset(sensor, back)

    @rule(sensor=st.sampled_from(SENSORS), back=st.integers(0, 5))
    def reset(self, sensor: due.Sensor, back: int) -> None:
        """Have a sensor go on somewhere else in the log; what it decided before does not count."""
        if sensor.kind in {KIND.POLLING, KIND.WEBHOOK}:
            return
        stored = self.states[sensor.key]
        position = max(0, len(self.log) - back)
        self.states[sensor.key] = dataclasses.replace(
            stored, position=position, version=stored.version + 1, resets=stored.resets + 1
        )
        self.begins[sensor.key] = position
        self.decided[sensor.key] = []
        self.ticked.pop(sensor.key, None)
        self.agenda.set_state(self.states[sensor.key], self.now)

    @rule(paths=st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4))
    def materialize(self, paths: list[due.AssetPath]) -> None:
        for path in paths:
            self.log.append((len(self.log) + 1, path))

    @rule(again=st.integers(0, 3))
    def hear(self, again: int) -> None:
        self.agenda.arrived(self.log[max(0, self.heard - again) :], self.now)
        self.heard = len(self.log)

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 7.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        for evaluation in self.agenda.take(self.now):
            sensor = evaluation.sensor
            assert self.available[sensor.key.location_name]
            assert all(each.sensor.key != sensor.key for each in self.flying)
            if sensor.key in self.ticked:
                assert self.now - self.ticked[sensor.key] >= sensor.interval_s - 1e-6
            self.flying.append(evaluation)

    def land(self, number: int) -> due.Evaluation:
        return self.flying.pop(number % len(self.flying))

    @precondition(lambda self: self.flying)
    @rule(number=st.integers(0, 9))
    def succeed(self, number: int) -> None:
        """Commit like the store: only against the newest version."""
        evaluation = self.land(number)
        sensor, stored = evaluation.sensor, self.states[evaluation.sensor.key]
        if stored.version != evaluation.state.version:
            self.agenda.reloaded(evaluation, stored, self.now)
            return
        position = None
        if sensor.kind is not KIND.POLLING:
            waiting = [each for each in self.of(sensor) if each > stored.position]
            if sensor.kind is KIND.RUN_STATUS:
                # It is looked for where the agenda says, and nowhere else.
                waiting = [n for n in waiting if evaluation.after < n <= evaluation.horizon]
            if not waiting:
                assert sensor.kind is KIND.RUN_STATUS, (
                    "only news without a job may be of no concern"
                )
                self.agenda.exhausted(evaluation, self.now)
                return
            if sensor.kind is KIND.MULTI_ASSET:
                position = evaluation.horizon
            else:
                position = waiting[-1] if sensor.coalesce else waiting[0]
            self.decided[sensor.key].append(position)
        self.states[sensor.key] = after(evaluation, position)
        self.ticked[sensor.key] = evaluation.began
        self.agenda.committed(evaluation, self.states[sensor.key], self.now)

    @precondition(lambda self: self.flying)
    @rule(number=st.integers(0, 9))
    def fail(self, number: int) -> None:
        evaluation = self.land(number)
        stored = self.states[evaluation.sensor.key]
        if stored.version != evaluation.state.version:
            self.agenda.reloaded(evaluation, stored, self.now)
            return
        self.states[evaluation.sensor.key] = after(evaluation)
        self.ticked[evaluation.sensor.key] = evaluation.began
        self.agenda.failed(evaluation, self.states[evaluation.sensor.key], self.now)

    @precondition(lambda self: self.flying)
    @rule(number=st.integers(0, 9))
    def postpone(self, number: int) -> None:
        self.agenda.postponed(self.land(number), self.now)

    @rule(sensor=st.sampled_from(SENSORS), running=st.booleans())
    def steer(self, sensor: due.Sensor, running: bool) -> None:
        stored = self.states[sensor.key]
        if stored.running is not running:
            changed = dataclasses.replace(stored, running=running, version=stored.version + 1)
            self.states[sensor.key] = changed
            self.ticked.pop(sensor.key, None)  # a start by hand counts from now
        self.agenda.set_state(self.states[sensor.key], self.now)

    @rule(name=st.sampled_from(["east", "west"]), available=st.booleans())
    def come_or_go(self, name: str, available: bool) -> None:
        self.available[name] = available
        self.agenda.set_available(name, self.now, available=available)

    @rule(name=st.sampled_from(["east", "west"]))
    def reload(self, name: str) -> None:
        self.define(name)

    @invariant()
    def workers_are_bounded(self) -> None:
        for name in self.available:
            busy = [each for each in self.flying if each.sensor.key.location_name == name]
            assert len(busy) <= self.WORKERS

    @invariant()
    def decisions_follow_the_log(self) -> None:
        for sensor in self.SENSORS:
            decided = self.decided[sensor.key]
            assert decided == sorted(set(decided))
            if sensor.kind in self.EACH and not sensor.coalesce:
                assert decided == self.of(sensor)[: len(decided)]

    def teardown(self) -> None:
        """Once all is well again, all is worked off, by the agenda's own wake-ups alone."""
        if not hasattr(self, "agenda"):
            return
        for sensor in self.SENSORS:
            self.steer(sensor, running=True)
        for name in self.available:
            self.come_or_go(name, available=True)
        self.hear(0)
        self.look_up_deliveries()
        for _ in range(2000):
            self.take()
            if self.flying:
                self.succeed(0)
            elif all(self.is_done(s) for s in self.SENSORS):
                break
            else:
                wake_at = self.agenda.next_wake_at()
                assert wake_at is not None, "something is left to do and nothing will wake for it"
                self.now = max(self.now, wake_at)
        for sensor in self.SENSORS:
            if sensor.kind in self.EACH and not sensor.coalesce:
                assert self.decided[sensor.key] == self.of(sensor)
            else:
                assert self.is_done(sensor)

    def is_done(self, sensor: due.Sensor) -> bool:
        decided, wanted = self.decided[sensor.key], self.of(sensor)
        if sensor.kind is KIND.MULTI_ASSET:
            # It moves to the newest event that it heard of.
            return not wanted or bool(decided and decided[-1] >= wanted[-1])
        return decided[-1:] == wanted[-1:]


Mesh.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
TestAnyInterleaving = pytest.mark.slow(Mesh.TestCase)

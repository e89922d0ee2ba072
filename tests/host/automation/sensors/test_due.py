"""The agenda: what is due when, in which order, under which bounds."""

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

KIND = due.Kind
A, B, C = ("a",), ("b",), ("c",)


def key(name: str, location: str = "east") -> records.SensorKey:
    return records.SensorKey(location, name)


def state(
    sensor_key: records.SensorKey,
    *,
    position: int = 0,
    version: int = 0,
    running: bool | None = True,
) -> records.SensorState:
    return records.SensorState(
        key=sensor_key,
        running=running,
        cursor=None,
        position=position,
        version=version,
        start_time=None,
        last_tick_time=None,
        last_run_key="",
    )


def after(evaluation: due.Evaluation, position: int | None = None) -> records.SensorState:
    before = evaluation.state
    return dataclasses.replace(
        before,
        version=before.version + 1,
        position=before.position if position is None else position,
    )


def agenda_of(*sensors: due.Sensor, workers: int = 4, now: float = 0.0) -> due.Agenda:
    agenda = due.Agenda(due.Limits(workers_per_location=workers))
    for name in {sensor.key.location_name for sensor in sensors}:
        group = [sensor for sensor in sensors if sensor.key.location_name == name]
        agenda.set_location(name, group, {each.key: state(each.key) for each in group}, now)
        agenda.set_available(name, now, available=True)
    return agenda


def asset_sensor(name: str = "s", location: str = "east", **more: object) -> due.Sensor:
    return due.Sensor(key(name, location), KIND.ASSET, monitored=(A,), **more)


def polling(name: str = "p", location: str = "east", interval_s: float = 30.0) -> due.Sensor:
    return due.Sensor(key(name, location), KIND.POLLING, interval_s=interval_s)


def names(evaluations: list[due.Evaluation]) -> list[str]:
    return [evaluation.sensor.key.sensor_name for evaluation in evaluations]


def test_an_asset_sensor_is_due_at_once_when_its_asset_is_materialized() -> None:
    agenda = agenda_of(asset_sensor())
    assert agenda.take(0.0) == []
    assert agenda.next_wake_at() is None
    agenda.arrived([(7, B), (8, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    assert evaluation.horizon == 8


def test_a_backlog_is_worked_off_without_waiting_for_news() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A), (2, A), (3, A)], 0.0)
    seen = []
    for event_id in (1, 2, 3):
        (evaluation,) = agenda.take(0.0)
        seen.append(evaluation.state.position)
        agenda.committed(evaluation, after(evaluation, event_id), 0.0)
    assert seen == [0, 1, 2]
    assert agenda.take(0.0) == []


def test_a_multi_asset_sensor_has_one_evaluation_for_everything_new() -> None:
    agenda = agenda_of(due.Sensor(key("m"), KIND.MULTI_ASSET, monitored=(A, B)))
    agenda.arrived([(1, A), (2, B), (3, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    assert evaluation.horizon == 3
    agenda.arrived([(4, B), (5, B)], 0.0)
    assert agenda.take(0.0) == []
    agenda.committed(evaluation, after(evaluation, 3), 0.0)
    (evaluation,) = agenda.take(0.0)
    assert evaluation.horizon == 5


def test_a_polling_sensor_is_due_every_interval() -> None:
    agenda = agenda_of(polling(interval_s=30.0))
    (evaluation,) = agenda.take(0.0)
    agenda.committed(evaluation, after(evaluation), 2.0)
    assert agenda.next_wake_at() == 30.0
    assert agenda.take(29.9) == []
    assert names(agenda.take(30.0)) == ["p"]


def test_a_polling_sensor_waits_out_what_is_left_of_its_interval() -> None:
    agenda = due.Agenda()
    sensor = polling(interval_s=30.0)
    agenda.set_location(
        "east", [sensor], {sensor.key: state(sensor.key)}, 100.0, ages_s={sensor.key: 10.0}
    )
    agenda.set_available("east", 100.0, available=True)
    assert agenda.take(100.0) == []
    assert agenda.next_wake_at() == 120.0


def test_a_minimum_interval_limits_the_rate_of_an_asset_sensor() -> None:
    agenda = agenda_of(asset_sensor(interval_s=10.0))
    agenda.arrived([(1, A), (2, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.committed(evaluation, after(evaluation, 1), 1.0)
    assert agenda.take(9.0) == []
    assert names(agenda.take(10.0)) == ["s"]


def test_failures_in_a_row_wait_longer_and_longer_up_to_a_minute() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    now, pauses = 0.0, []
    for _ in range(8):
        (evaluation,) = agenda.take(now)
        agenda.failed(evaluation, after(evaluation), now)
        wake_at = agenda.next_wake_at()
        assert wake_at is not None
        pauses.append(wake_at - now)
        now = wake_at
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    (evaluation,) = agenda.take(now)
    agenda.committed(evaluation, after(evaluation, 1), now)
    agenda.arrived([(2, A)], now)
    (evaluation,) = agenda.take(now)
    agenda.failed(evaluation, after(evaluation), now)
    assert agenda.next_wake_at() == now + 1


def test_news_do_not_cut_a_back_off_short() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.failed(evaluation, after(evaluation), 0.0)
    agenda.arrived([(2, A)], 0.5)
    assert agenda.take(0.9) == []
    assert names(agenda.take(1.0)) == ["s"]


def test_a_location_that_is_back_is_asked_at_once() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    now = 0.0
    for _ in range(6):
        (evaluation,) = agenda.take(now)
        agenda.postponed(evaluation, now)
        now = agenda.next_wake_at() or 0.0
    (evaluation,) = agenda.take(now)
    agenda.set_available("east", now, available=False)
    agenda.postponed(evaluation, now)
    assert agenda.take(now + 100) == []
    agenda.set_available("east", now + 0.1, available=True)
    assert names(agenda.take(now + 0.1)) == ["s"]


def test_a_location_that_is_back_does_not_cut_the_back_off_of_a_failure_short() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.failed(evaluation, after(evaluation), 0.0)
    agenda.set_available("east", 0.1, available=False)
    agenda.set_available("east", 0.2, available=True)
    assert agenda.take(0.3) == []


def test_a_busy_location_takes_no_workers_from_another() -> None:
    many = [asset_sensor(f"w{number}", "west") for number in range(10)]
    agenda = agenda_of(asset_sensor("e", "east"), *many, workers=4)
    agenda.arrived([(1, A)], 0.0)
    taken = names(agenda.take(0.0))
    assert "e" in taken
    assert len(taken) == 5


def test_sensors_of_a_location_take_turns() -> None:
    agenda = agenda_of(asset_sensor("x"), asset_sensor("y"), workers=1)
    agenda.arrived([(1, A), (2, A)], 0.0)
    order = []
    for _ in range(4):
        (evaluation,) = agenda.take(0.0)
        order.append(evaluation.sensor.key.sensor_name)
        agenda.committed(evaluation, after(evaluation, evaluation.state.position + 1), 0.0)
    assert order == ["x", "y", "x", "y"]


def test_a_stopped_sensor_is_not_evaluated_and_keeps_its_backlog() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.set_state(state(key("s"), running=False, version=1), 0.0)
    agenda.arrived([(1, A)], 0.0)
    assert agenda.take(0.0) == []
    agenda.set_state(state(key("s"), running=True, version=2), 1.0)
    assert names(agenda.take(1.0)) == ["s"]


def test_the_default_status_counts_until_somebody_decides() -> None:
    for runs_by_default in (True, False):
        sensor = asset_sensor(runs_by_default=runs_by_default)
        agenda = due.Agenda()
        agenda.set_location("east", [sensor], {sensor.key: state(sensor.key, running=None)}, 0.0)
        agenda.set_available("east", 0.0, available=True)
        agenda.arrived([(1, A)], 0.0)
        assert bool(agenda.take(0.0)) is runs_by_default


def test_an_older_state_does_not_replace_a_newer_one() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.committed(evaluation, after(evaluation, 1), 0.0)
    agenda.set_state(state(key("s"), position=0, version=0), 0.0)
    assert agenda.take(0.0) == []


def test_a_reload_keeps_what_is_due_and_drops_what_is_gone() -> None:
    agenda = agenda_of(asset_sensor("keeps"), asset_sensor("goes"), workers=1)
    agenda.arrived([(1, A)], 0.0)
    (running,) = agenda.take(0.0)
    assert running.sensor.key == key("keeps")
    kept = asset_sensor("keeps")
    agenda.set_location("east", [kept], {kept.key: state(kept.key)}, 0.0)
    agenda.committed(running, after(running, 1), 0.0)
    agenda.arrived([(2, A)], 0.0)
    assert names(agenda.take(0.0)) == ["keeps"]


def test_the_outcome_of_a_dropped_sensor_frees_its_worker() -> None:
    agenda = agenda_of(asset_sensor("goes"), workers=1)
    agenda.arrived([(1, A)], 0.0)
    (running,) = agenda.take(0.0)
    comes = asset_sensor("comes")
    agenda.set_location("east", [comes], {comes.key: state(comes.key)}, 0.0)
    agenda.arrived([(2, A)], 0.0)
    assert agenda.take(0.0) == []
    agenda.committed(running, after(running, 1), 0.0)
    assert names(agenda.take(0.0)) == ["comes"]


def test_an_outcome_from_before_two_reloads_does_not_end_the_evaluation_of_now() -> None:
    sensor = asset_sensor()
    agenda = agenda_of(sensor)
    agenda.arrived([(1, A)], 0.0)
    (old,) = agenda.take(0.0)
    agenda.set_location("east", [], {}, 0.0)
    agenda.set_location("east", [sensor], {sensor.key: state(sensor.key)}, 0.0)
    agenda.arrived([(2, A)], 0.0)
    (now,) = agenda.take(0.0)
    agenda.committed(old, after(old, 1), 0.0)
    agenda.arrived([(3, A)], 0.0)
    assert agenda.take(0.0) == []
    agenda.committed(now, after(now, 2), 0.0)
    assert names(agenda.take(0.0)) == ["s"]


def test_what_was_pruned_does_not_keep_a_sensor_busy() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(5, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.exhausted(evaluation, 0.0)
    assert agenda.take(0.0) == []
    agenda.arrived([(6, A)], 0.0)
    assert names(agenda.take(0.0)) == ["s"]


def test_many_events_behind_a_back_off_make_one_timer() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.failed(evaluation, after(evaluation), 0.0)
    agenda.arrived([(event_id, A) for event_id in range(2, 1000)], 0.0)
    assert len(agenda._timers) == 1


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
    )

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.log: list[tuple[int, due.AssetPath]] = []
        self.heard = 0
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
        return [event_id for event_id, path in self.log if path in sensor.monitored]

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
            if sensor.kind is KIND.ASSET and not sensor.coalesce:
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
        for _ in range(2000):
            self.take()
            if self.flying:
                self.succeed(0)
            elif all(self.of(s)[-1:] == self.decided[s.key][-1:] for s in self.SENSORS):
                break
            else:
                wake_at = self.agenda.next_wake_at()
                assert wake_at is not None, "something is left to do and nothing will wake for it"
                self.now = max(self.now, wake_at)
        for sensor in self.SENSORS:
            if sensor.kind is KIND.ASSET and not sensor.coalesce:
                assert self.decided[sensor.key] == self.of(sensor)
            else:
                assert self.decided[sensor.key][-1:] == self.of(sensor)[-1:]


Mesh.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
TestAnyInterleaving = pytest.mark.slow(Mesh.TestCase)

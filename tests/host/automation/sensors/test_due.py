"""The agenda: what is due when, in which order, under which bounds."""

import dataclasses

from atoll_host.automation.sensors import due
from atoll_storage import records

KIND = due.Kind
A, B, C = ("a",), ("b",), ("c",)
SUCCESS, FAILURE = records.RunStatus.SUCCESS, records.RunStatus.FAILURE


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


def run_sensor(name: str, status: records.RunStatus, monitored: object = None) -> due.Sensor:
    query = records.RunChangeQuery(status, monitored)
    return due.Sensor(key(name), KIND.RUN_STATUS, runs=query)


def test_a_run_wakes_those_that_watch_its_status_and_its_job_or_location_or_all() -> None:
    agenda = agenda_of(
        run_sensor("all", SUCCESS),
        run_sensor("location", SUCCESS, (("west", ""),)),
        run_sensor("job", SUCCESS, (("east", "load"), ("west", "load"))),
        run_sensor("same job elsewhere", SUCCESS, (("east", "load"),)),
        run_sensor("failures", FAILURE),
        workers=10,
    )
    agenda.arrived([(5, due.RunTopic(SUCCESS, "west", "load"))], 0.0)
    assert sorted(names(agenda.take(0.0))) == ["all", "job", "location"]


def test_news_of_a_run_without_its_job_wake_all_that_watch_the_status() -> None:
    agenda = agenda_of(
        run_sensor("job", SUCCESS, (("east", "load"),)), run_sensor("failures", FAILURE)
    )
    agenda.arrived([(5, due.RunTopic(SUCCESS, "west", ""))], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.exhausted(evaluation, 0.0)
    assert agenda.take(0.0) == []


def test_what_was_looked_through_is_not_looked_through_again() -> None:
    sensor = run_sensor("job", SUCCESS, (("east", "load"),))
    agenda = agenda_of(sensor)
    agenda.arrived([(500, due.RunTopic(SUCCESS))], 0.0)
    (evaluation,) = agenda.take(0.0)
    assert (evaluation.after, evaluation.horizon) == (0, 500)
    agenda.exhausted(evaluation, 0.0)
    agenda.arrived([(900, due.RunTopic(SUCCESS))], 0.0)
    (evaluation,) = agenda.take(0.0)
    assert (evaluation.after, evaluation.horizon) == (500, 900)
    agenda.exhausted(evaluation, 0.0)
    # Another definition may want what the one before did not.
    wider = run_sensor("job", SUCCESS)
    agenda.set_location("east", [wider], {wider.key: state(wider.key)}, 0.0)
    (evaluation,) = agenda.take(0.0)
    assert (evaluation.after, evaluation.horizon) == (0, 900)


def test_a_delivery_wakes_its_own_sensor_only() -> None:
    agenda = agenda_of(
        due.Sensor(key("mine"), KIND.WEBHOOK), due.Sensor(key("other"), KIND.WEBHOOK)
    )
    agenda.arrived([(5, key("mine"))], 0.0)
    assert names(agenda.take(0.0)) == ["mine"]


def test_a_reset_cursor_makes_due_what_was_decided_on_and_ends_a_back_off() -> None:
    agenda = agenda_of(asset_sensor())
    agenda.arrived([(1, A), (2, A)], 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.exhausted(evaluation, 0.0)
    assert agenda.take(0.0) == []
    again = dataclasses.replace(state(key("s"), version=1), resets=1)
    agenda.set_state(again, 0.0)
    (evaluation,) = agenda.take(0.0)
    agenda.failed(evaluation, dataclasses.replace(again, version=2, failures=1), 0.0)
    assert agenda.take(0.5) == []
    agenda.set_state(dataclasses.replace(again, version=3, resets=2), 0.5)
    assert names(agenda.take(0.5)) == ["s"]


def test_a_new_leader_waits_out_the_back_off_of_the_one_before() -> None:
    sensor = asset_sensor()
    failed = dataclasses.replace(state(sensor.key), failures=3)
    agenda = due.Agenda()
    agenda.set_location("east", [sensor], {sensor.key: failed}, 100.0, retries_s={sensor.key: 4.0})
    agenda.set_available("east", 100.0, available=True)
    agenda.arrived([(1, A)], 100.0)
    assert agenda.next_wake_at() == 104.0
    (evaluation,) = agenda.take(104.0)
    agenda.failed(evaluation, dataclasses.replace(failed, version=1, failures=4), 104.0)
    assert agenda.next_wake_at() == 104.0 + 8.0

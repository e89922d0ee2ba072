"""A round of evaluations of conditions is stored whole, once, against what it was decided on."""

import datetime as dt

import pytest

from atoll.api.v1 import automation_pb2
from atoll_storage import asset_keys, condition_records, condition_store, errors, records
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres

SENSOR = records.SensorKey("a", "conditions")
NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
A = asset_keys.encode_target("asset", ("a",), "")
B = asset_keys.encode_target("asset", ("b",), "")


def target(key: str, version: int, **fields: object) -> condition_records.EvaluatedTarget:
    return condition_records.EvaluatedTarget(key, version, SENSOR, **fields)


def tick(tick_id: str = "t") -> automation_pb2.Tick:
    return automation_pb2.Tick(tick_id=tick_id, status=automation_pb2.TICK_STATUS_SUCCESS)


def commit(
    *targets: condition_records.EvaluatedTarget,
    version: int = 0,
    made_tick: automation_pb2.Tick | None = None,
    position: int = 7,
    **fields: object,
) -> condition_records.ConditionCommit:
    rounds = [condition_records.SensorRound(SENSOR, version, made_tick)]
    return condition_records.ConditionCommit(position, NOW, rounds, targets, **fields)


def evaluation(key: str, number: int, requested: int = 0) -> condition_records.EvaluationRecord:
    return condition_records.EvaluationRecord(key, number, NOW, requested, b"why")


async def states(database: Database) -> dict[str, condition_records.ConditionState]:
    return {each.target_key: each for each in await database.conditions.states()}


async def test_targets_move_on_with_and_without_another_state(database: Database):
    await database.sensors.ensure([SENSOR])
    await database.conditions.commit(commit(target(A, 0, state=b"1"), target(B, 0, state=b"2")))
    await database.conditions.commit(
        commit(target(A, 1), target(B, 1, state=b"3", held=b"h"), position=9)
    )
    found = await states(database)
    assert (found[A].version, found[A].position, found[A].state) == (2, 9, b"1")
    assert (found[B].version, found[B].position, found[B].state) == (2, 9, b"3")
    assert (found[B].held, found[A].held) == (b"h", None)
    assert found[A].sensor_name == "conditions"


async def test_a_failure_leaves_what_the_evaluation_before_left(database: Database):
    await database.sensors.ensure([SENSOR])
    await database.conditions.commit(commit(target(A, 0, state=b"1")))
    failed = {"stays": True, "failures": 2, "failure": support.failure("no")}
    await database.conditions.commit(
        commit(target(A, 1, **failed), target(B, 0, **failed), position=9)
    )
    found = await states(database)
    assert (found[A].version, found[A].position, found[A].state) == (2, 7, b"1")
    assert found[A].failure == support.failure("no")
    assert (found[B].state, found[B].failures) == (b"", 2)


async def test_runs_and_the_tick_are_stored_with_the_states(database: Database):
    await database.sensors.ensure([SENSOR])
    runs = [
        support.new_run("a", sensor_name="conditions", tick_id="t"),
        support.new_run("a", sensor_name="conditions", tick_id="t"),
    ]
    created = await database.conditions.commit(
        commit(target(A, 0, state=b"1"), made_tick=tick(), runs=runs)
    )
    assert created == [run.run_id for run in runs]
    (stored,) = await database.sensors.ticks(SENSOR, limit=10)
    assert list(stored.run_ids) == created
    assert stored.HasField("end_time")
    state = await database.sensors.state(SENSOR)
    assert state is not None
    assert (state.version, state.last_tick_time is not None) == (1, True)
    kinds = [each.event.WhichOneof("body") for each in await support.stored(database)]
    assert kinds == ["run_enqueued", "run_enqueued"]


@pytest.mark.parametrize("stale", ["target", "sensor", "both"])
async def test_nothing_is_stored_of_a_stale_round(database: Database, stale: str):
    await database.sensors.ensure([SENSOR])
    await database.conditions.commit(commit(target(A, 0, state=b"1")))
    if stale != "target":
        await database.sensors.set_running(SENSOR, True)
    run = support.new_run("a", sensor_name="conditions", tick_id="t")
    with pytest.raises(errors.StaleEvaluation):
        await database.conditions.commit(
            commit(
                target(A, 1 if stale == "sensor" else 0, state=b"2"),
                target(B, 0, state=b"2"),
                made_tick=tick(),
                runs=[run],
                evaluations=[evaluation(A, 1)],
            )
        )
    assert await database.runs.get(run.run_id) is None
    assert (await states(database)).keys() == {A}
    assert (await states(database))[A].state == b"1"
    assert await database.conditions.evaluations(A, limit=10) == []
    assert await database.sensors.ticks(SENSOR, limit=10) == []


async def test_a_round_that_was_stored_is_stale_when_it_is_repeated(database: Database):
    await database.sensors.ensure([SENSOR])
    run = support.new_run("a", sensor_name="conditions", tick_id="t")
    once = commit(target(A, 0, state=b"1"), made_tick=tick(), runs=[run])
    await database.conditions.commit(once)
    with pytest.raises(errors.StaleEvaluation):
        await database.conditions.commit(once)
    assert await database.runs.count(records.RunQuery()) == 1


async def test_the_newest_evaluations_of_each_target_are_kept(database: Database):
    await database.sensors.ensure([SENSOR])
    kept = condition_store.KEPT_PER_TARGET
    await database.conditions.commit(
        commit(
            target(A, 0, state=b"1"),
            evaluations=[evaluation(A, n, requested=n % 2) for n in range(1, kept + 11)],
        )
    )
    await database.conditions.commit(
        commit(target(B, 0, state=b"1"), evaluations=[evaluation(B, 5)])
    )
    found = await database.conditions.evaluations(A, limit=1000)
    assert [each.evaluation_id for each in found] == list(range(kept + 10, 10, -1))
    page = await database.conditions.evaluations(A, limit=2, before_id=50, requested_only=True)
    assert [each.evaluation_id for each in page] == [49, 47]
    latest = await database.conditions.latest([A, B, "nothing"])
    assert {key: each.evaluation_id for key, each in latest.items()} == {A: kept + 10, B: 5}
    assert await database.conditions.evaluation(B, 5) == evaluation(B, 5)
    assert await database.conditions.evaluation(B, 6) is None


def test_targets_of_any_length_and_kind_have_names_of_their_own():
    long = ("x" * 5000,)
    names = {
        A,
        asset_keys.encode_target("check", ("a",), ""),
        asset_keys.encode_target("check", (), "a"),
        asset_keys.encode_target("asset", long, ""),
        asset_keys.encode_target("asset", (*long, "y"), ""),
    }
    assert len(names) == 5
    assert max(map(len, names)) < 1100

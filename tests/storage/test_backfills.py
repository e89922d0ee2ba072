"""Backfills: their progress against versions, their runs by the hundred, and canceling them."""

import asyncio
import uuid

import pytest

from atoll_storage import backfill_records, errors, records
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres
STATUS = backfill_records.BackfillStatus


async def _backfill(database: Database, **fields: object) -> backfill_records.BackfillRecord:
    values: dict = {
        "backfill_id": str(uuid.uuid4()),
        "title": "title",
        "tags": {"k": "v"},
        "target": b"target",
        "progress": b"begun",
    }
    return await database.backfills.create(backfill_records.NewBackfill(**{**values, **fields}))


def _commit(
    of: backfill_records.BackfillRecord, **fields: object
) -> backfill_records.BackfillCommit:
    values: dict = {
        "backfill_id": of.backfill_id,
        "expected_version": of.version,
        "status": STATUS.REQUESTED,
        "progress": b"gone on",
    }
    return backfill_records.BackfillCommit(**{**values, **fields})


async def _queue(
    database: Database, of: backfill_records.BackfillRecord, *location_names: str
) -> list[records.NewRun]:
    runs = [support.new_run(name) for name in location_names]
    await database.backfills.commit(_commit(of, runs=runs))
    return runs


async def _head(database: Database, of: backfill_records.BackfillRecord):
    heads = await database.backfills.heads(limit=100)
    return next(each for each in heads if each.backfill_id == of.backfill_id)


async def test_a_new_backfill_comes_back_as_given(database: Database):
    made = await _backfill(database)
    assert made == await database.backfills.get(made.backfill_id)
    assert (made.status, made.version, made.run_count) == (STATUS.REQUESTED, 0, 0)
    assert (made.title, made.tags, made.target) == ("title", {"k": "v"}, b"target")
    assert made.end_time is None
    assert await database.backfills.get("none") is None


async def test_the_same_request_returns_the_first_backfill(database: Database):
    made = await asyncio.gather(*(_backfill(database, request_id="r") for _ in range(5)))
    assert len({each.backfill_id for each in made}) == 1
    assert len(await database.backfills.page(limit=10)) == 1


@pytest.mark.parametrize("status", [each for each in STATUS if each.is_final])
async def test_the_end_of_a_backfill_is_an_event(
    database: Database, status: backfill_records.BackfillStatus
):
    made = await _backfill(database)
    failure = support.failure("no disk")
    await database.backfills.commit(_commit(made, failure=failure))
    assert await support.stored(database) == []
    await database.backfills.commit(_commit(made, expected_version=1, status=status))
    (told,) = await support.stored(database)
    ended = told.event.backfill_ended
    assert (ended.backfill_id, ended.status) == (made.backfill_id, status.value)
    assert (ended.title, ended.failure) == ("title", failure)
    with pytest.raises(errors.StaleBackfill):
        await database.backfills.commit(_commit(made, expected_version=1, status=status))
    assert len(await support.stored(database)) == 1


async def test_a_commit_queues_its_runs_with_their_events_in_order(database: Database):
    made = await _backfill(database)
    runs = [
        support.new_run(
            name,
            tags={"n": str(number)},
            asset_selection=[("x", "y"), ("z",)],
            partition_key=f"p{number}",
            run_config=b"{}",
            target=records.RunTarget(partition_range_start="a", partition_range_end="b"),
        )
        for number, name in enumerate(["a", "b"] * 20)
    ]
    assert await database.backfills.commit(_commit(made, runs=runs)) == 1
    stored, _ = await database.runs.page(records.RunQuery(), ascending=True, limit=100)
    assert [run.run_id for run in stored] == [run.run_id for run in runs]
    for run, new in zip(stored, runs, strict=True):
        assert (run.tags, run.location_name, run.target) == (
            new.tags,
            new.location_name,
            new.target,
        )
        assert run.asset_selection == (("x", "y"), ("z",))
        assert (run.run_config, run.partition_key) == (b"{}", new.partition_key)
        assert run.status is records.RunStatus.QUEUED
    told = await support.stored(database)
    assert [each.event.run_id for each in told] == [run.run_id for run in runs]
    assert {each.event.WhichOneof("body") for each in told} == {"run_enqueued"}
    now = await database.backfills.get(made.backfill_id)
    assert now is not None
    assert (now.version, now.progress, now.run_count) == (1, b"gone on", 40)
    head = await _head(database, made)
    assert (head.queued, head.open_count, head.ended_count) == ({"a": 20, "b": 20}, 40, 0)


async def test_what_was_decided_on_an_old_version_stores_nothing(database: Database):
    made = await _backfill(database)
    commits = [_commit(made, runs=[support.new_run()]) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(database.backfills.commit(each) for each in commits), return_exceptions=True
    )
    assert sum(isinstance(each, errors.StaleBackfill) for each in outcomes) == 3
    assert len(await database.runs.list(records.RunQuery(), limit=10)) == 1
    assert await database.events.head() == 1
    assert (await _head(database, made)).open_count == 1


async def test_a_commit_for_no_backfill_is_refused(database: Database):
    made = await _backfill(database)
    with pytest.raises(errors.UnknownBackfill, match="no backfill 'x'"):
        await database.backfills.commit(_commit(made, backfill_id="x"))


async def test_ended_runs_are_told_until_they_are_accounted_for(database: Database):
    await database.locations.register(support.registration())
    made = await _backfill(database)
    runs = await _queue(database, made, "a", "a")
    (first, *_) = await database.runs.claim({"a": "s1"}, support.LIMITS, batch_max=1)
    assert await database.backfills.active_runs(made.backfill_id, limit=10) == [first.run_id]
    batch = support.batch(
        [
            support.event(first.run_id, 1, "run_started"),
            support.materialization(first.run_id, 2, "x", "y", partition="p"),
            support.event(first.run_id, 3, "run_succeeded"),
        ]
    )
    await database.events.append([batch])
    assert (await _head(database, made)).ended_count == 1
    ((run_id, run),) = await database.backfills.ended(made.backfill_id, limit=10)
    assert run is not None
    assert (run_id, run.status) == (first.run_id, records.RunStatus.SUCCESS)
    assert await database.backfills.materialized([run_id]) == [
        backfill_records.Materialized(run_id, ("x", "y"), "p")
    ]
    await database.backfills.commit(_commit(made, expected_version=1, accounted=[run_id]))
    assert await database.backfills.ended(made.backfill_id, limit=10) == []
    head = await _head(database, made)
    assert (head.open_count, head.ended_count, head.queued) == (1, 0, {"a": 1})
    assert {runs[0].run_id, runs[1].run_id} > {run_id}


async def test_only_its_own_queued_runs_are_canceled(database: Database):
    made, other = await _backfill(database), await _backfill(database)
    mine = await _queue(database, made, *["a"] * 30)
    theirs = await _queue(database, other, "a")
    alone = await database.runs.create(support.new_run())
    assert await database.backfills.cancel_queued(made.backfill_id, limit=20) == 20
    assert await database.backfills.cancel_queued(made.backfill_id, limit=20) == 10
    assert await database.backfills.cancel_queued(made.backfill_id, limit=20) == 0
    canceled = await database.runs.list(
        records.RunQuery(statuses=(records.RunStatus.CANCELED,)), limit=100
    )
    assert {run.run_id for run in canceled} == {run.run_id for run in mine}
    assert all(run.end_time is not None for run in canceled)
    kinds = [e.event.WhichOneof("body") for e in await support.stored(database, mine[0].run_id)]
    assert kinds == ["run_enqueued", "run_canceled"]
    waiting = await database.runs.list(
        records.RunQuery(statuses=(records.RunStatus.QUEUED,)), limit=100
    )
    assert {run.run_id for run in waiting} == {theirs[0].run_id, alone.run_id}


async def test_an_ended_backfill_has_an_end_until_it_is_tried_again(database: Database):
    made = await _backfill(database)
    failure = support.failure("bad")
    await database.backfills.commit(_commit(made, status=STATUS.COMPLETED_FAILED, failure=failure))
    ended = await database.backfills.get(made.backfill_id)
    assert ended is not None
    assert ended.end_time is not None
    assert ended.failure == failure
    assert await database.backfills.heads(limit=10) == []
    await database.backfills.commit(_commit(ended, clear_failure=True))
    again = await database.backfills.get(made.backfill_id)
    assert again is not None
    assert (again.end_time, again.failure) == (None, None)


async def test_backfills_are_listed_newest_first_by_status_and_page(database: Database):
    made = [await _backfill(database) for _ in range(5)]
    await database.backfills.commit(_commit(made[2], status=STATUS.PAUSED))
    first = await database.backfills.page(limit=2)
    last = first[-1]
    rest = await database.backfills.page(limit=10, before=(last.create_time, last.backfill_id))
    assert [each.backfill_id for each in (*first, *rest)] == [
        each.backfill_id for each in reversed(made)
    ]
    paused = await database.backfills.page(statuses=[STATUS.PAUSED], limit=10)
    assert [each.backfill_id for each in paused] == [made[2].backfill_id]

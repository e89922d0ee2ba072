"""The queue of runs: creating, claiming under limits, giving back, failing and canceling."""

import asyncio

import pytest

from atoll_storage.database import Database
from atoll_storage.queue_records import ClaimLimits
from atoll_storage.records import RunQuery, RunStatus
from tests.storage import support

pytestmark = pytest.mark.postgres


async def kinds(database: Database, run_id: str) -> list[str]:
    return [s.event.WhichOneof("body") for s in await support.stored(database, run_id)]


async def enqueue(database: Database, *location_names: str) -> list[str]:
    return [(await database.runs.create(support.new_run(name))).run_id for name in location_names]


async def test_a_new_run_comes_back_as_given(database: Database):
    new = support.new_run(
        tags={"k": "v"},
        run_config=b'{"ops": {}}',
        asset_selection=[("a", "b"), ("c",)],
        partition_key="p",
        requested_build_id="b1",
        sensor_name="s",
        tick_id="t",
        run_key="key",
    )
    run = await database.runs.create(new)
    assert run == await database.runs.get(new.run_id)
    assert (run.status, run.attempt, run.server_id) == (RunStatus.QUEUED, 0, "")
    assert (run.tags, run.run_config) == ({"k": "v"}, b'{"ops": {}}')
    assert run.asset_selection == (("a", "b"), ("c",))
    assert (run.sensor_name, run.tick_id, run.run_key) == ("s", "t", "key")
    assert run.start_time is None
    assert await kinds(database, run.run_id) == ["run_enqueued"]
    assert await database.runs.get("none") is None


async def test_the_same_request_returns_the_first_run(database: Database):
    news = [support.new_run(request_id="r1") for _ in range(5)]
    runs = await asyncio.gather(*(database.runs.create(new) for new in news))
    assert len({run.run_id for run in runs}) == 1
    assert len(await database.runs.list(RunQuery(), limit=10)) == 1
    assert await database.events.head() == 1


async def test_claims_take_the_oldest_and_bind_them(database: Database):
    ids = await enqueue(database, "a", "a", "a")
    claimed = await database.runs.claim({"a": "s1"}, support.LIMITS, batch_max=2)
    assert [run.run_id for run in claimed] == ids[:2]
    assert {(run.status, run.server_id, run.attempt) for run in claimed} == {
        (RunStatus.STARTING, "s1", 1)
    }
    assert await kinds(database, ids[0]) == ["run_enqueued", "run_starting"]
    assert await database.runs.queued_counts() == {"a": 1}
    assert await database.runs.active_counts() == {"a": 2}
    assert [run.run_id for run in await database.runs.active()] == ids[:2]


async def test_claims_keep_to_the_limits(database: Database):
    await enqueue(database, "a", "a", "a", "b", "b", "b")
    limits = ClaimLimits(active_max=3, active_per_location_max=2)
    servers = {"a": "s1", "b": "s2"}
    first = await database.runs.claim(servers, limits, batch_max=10)
    assert len(first) == 3
    assert await database.runs.claim(servers, limits, batch_max=10) == []
    await database.runs.fail(first[0].run_id, support.failure("x"), expected=frozenset(RunStatus))
    assert len(await database.runs.claim(servers, limits, batch_max=10)) == 1
    wider = ClaimLimits(active_max=100, active_per_location_max=2)
    await database.runs.claim(servers, wider, batch_max=10)
    assert await database.runs.active_counts() == {"a": 2, "b": 2}


async def test_locations_take_turns_and_the_idle_one_comes_first(database: Database):
    await enqueue(database, "a", "a", "a", "a", "b", "b")
    servers = {"a": "s1", "b": "s2"}
    claimed = await database.runs.claim(servers, support.LIMITS, batch_max=4)
    assert [run.location_name for run in claimed] == ["a", "b", "a", "b"]
    await enqueue(database, "c")
    claimed = await database.runs.claim({**servers, "c": "s3"}, support.LIMITS, batch_max=1)
    assert [run.location_name for run in claimed] == ["c"]


async def test_runs_of_a_location_that_is_away_wait(database: Database):
    await enqueue(database, "away", "a")
    claimed = await database.runs.claim({"a": "s1"}, support.LIMITS, batch_max=10)
    assert [run.location_name for run in claimed] == ["a"]
    assert await database.runs.queued_counts() == {"away": 1}
    assert await database.runs.claim({}, support.LIMITS, batch_max=10) == []


async def test_two_hosts_claim_each_run_once(database: Database, database_url: str):
    ids = await enqueue(database, *["a"] * 30)
    other = await Database.connect(database_url)
    try:
        limits = ClaimLimits(active_max=20, active_per_location_max=20)
        parts = await asyncio.gather(
            *(host.runs.claim({"a": "s1"}, limits, batch_max=4) for host in (database, other) * 5)
        )
    finally:
        await other.close()
    claimed = [run.run_id for part in parts for run in part]
    assert sorted(claimed) == sorted(ids[:20])


async def test_a_requeued_run_goes_out_again_as_another_attempt(database: Database):
    run = await support.started_run(database)
    assert not await database.runs.requeue(run.run_id, attempt=2, reason="stale")
    assert await database.runs.requeue(run.run_id, attempt=1, reason="never began")
    assert (await database.runs.get(run.run_id)).status is RunStatus.QUEUED
    [outcome] = await database.events.append([support.batch([support.event(run.run_id, 1)])])
    assert run.run_id in outcome.fenced
    [again] = await database.runs.claim({"a": "s2"}, support.LIMITS, batch_max=1)
    assert (again.run_id, again.server_id, again.attempt) == (run.run_id, "s2", 2)
    [outcome] = await database.events.append([support.batch([support.event(run.run_id, 1)])])
    assert "'s2'" in outcome.fenced[run.run_id]


async def test_a_run_whose_worker_spoke_is_not_requeued(database: Database):
    run = await support.started_run(database)
    await database.events.append([support.batch([support.event(run.run_id, 1)])])
    assert not await database.runs.requeue(run.run_id, attempt=1, reason="too late")
    assert (await database.runs.get(run.run_id)).status is RunStatus.STARTING


async def test_the_host_fails_a_run_only_from_an_expected_state(database: Database):
    run = await support.started_run(database)
    runs, failure = database.runs, support.failure("its server is away")
    assert not await runs.fail(run.run_id, failure, expected=frozenset({RunStatus.STARTED}))
    assert await runs.fail(run.run_id, failure, expected=frozenset({RunStatus.STARTING}))
    found = await runs.get(run.run_id)
    assert (found.status, found.failure) == (RunStatus.FAILURE, failure)
    assert found.end_time is not None
    assert not await runs.fail(run.run_id, support.failure("x"), expected=frozenset(RunStatus))
    assert (await kinds(database, run.run_id))[-1] == "run_failed"


async def test_a_waiting_run_is_canceled_at_once(database: Database):
    [run_id] = await enqueue(database, "a")
    run = await database.runs.request_cancel(run_id, "no need")
    assert run.status is RunStatus.CANCELED
    assert run.end_time is not None
    assert await kinds(database, run_id) == ["run_enqueued", "run_canceling", "run_canceled"]
    assert (await support.stored(database, run_id))[1].event.run_canceling.reason == "no need"
    assert await database.runs.claim({"a": "s1"}, support.LIMITS, batch_max=1) == []
    assert await database.runs.request_cancel(run_id, "") == run
    assert await database.runs.request_cancel("none", "") is None


async def test_an_active_run_is_asked_to_stop_once(database: Database):
    run = await support.started_run(database)
    for _ in range(2):
        found = await database.runs.request_cancel(run.run_id, "")
        assert found.status is RunStatus.CANCELING
    assert (await kinds(database, run.run_id)).count("run_canceling") == 1
    assert await database.runs.finish_cancel(run.run_id)
    assert not await database.runs.finish_cancel(run.run_id)
    assert (await database.runs.get(run.run_id)).status is RunStatus.CANCELED


async def test_runs_are_listed_newest_first_in_pages(database: Database):
    ids = await enqueue(database, "a", "b", "a", "a")
    everything = await database.runs.list(RunQuery(), limit=10)
    assert [run.run_id for run in everything] == ids[::-1]
    page = await database.runs.list(RunQuery(location_name="a"), limit=2)
    last = page[-1]
    rest = await database.runs.list(
        RunQuery(location_name="a"), limit=2, before=(last.create_time, last.run_id)
    )
    assert [run.run_id for run in page + rest] == [ids[3], ids[2], ids[0]]
    await database.runs.request_cancel(ids[1], "")
    found = await database.runs.list(RunQuery(statuses=(RunStatus.CANCELED,)), limit=10)
    assert [run.run_id for run in found] == [ids[1]]
    assert await database.runs.list(RunQuery(job_name="other"), limit=10) == []

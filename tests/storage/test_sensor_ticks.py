"""Ticks are all or nothing, one for each event, and at most one run for each run key."""

import asyncio
import datetime as dt
import uuid

import pytest

from atoll.api.v1 import automation_pb2
from atoll_storage import errors, tick_queries
from atoll_storage.database import Database
from atoll_storage.records import RunQuery, SensorKey, TickCommit
from tests.storage import support

pytestmark = pytest.mark.postgres

KEY = SensorKey("a", "watcher")
SUCCESS, SKIPPED, FAILURE = (
    automation_pb2.TICK_STATUS_SUCCESS,
    automation_pb2.TICK_STATUS_SKIPPED,
    automation_pb2.TICK_STATUS_FAILURE,
)


def tick(status=SUCCESS, *, event_id=0, minute=0) -> automation_pb2.Tick:
    made = automation_pb2.Tick(tick_id=str(uuid.uuid4()), status=status, event_id=event_id)
    made.start_time.FromDatetime(support.SOME_TIME + dt.timedelta(minutes=minute))
    return made


def commit(version: int, *, key=KEY, **fields) -> TickCommit:
    values = {"cursor": None, "position": None, "runs": (), "tick": tick()}
    return TickCommit(key=key, expected_version=version, **{**values, **fields})


def run(run_key: str = "", **fields):
    return support.new_run(sensor_name=KEY.sensor_name, run_key=run_key, tick_id="t", **fields)


async def count_runs(database: Database) -> int:
    return len(await database.runs.list(RunQuery(), limit=1000))


@pytest.fixture(autouse=True)
async def sensor(database: Database) -> None:
    await database.sensors.ensure([KEY])


async def test_a_new_sensor_begins_at_the_head_of_the_log(database: Database):
    await database.events.append_host_events([support.event("", 0)] * 3)
    await database.sensors.ensure([KEY, SensorKey("a", "late")])
    states = {state.key.sensor_name: state for state in await database.sensors.states()}
    assert (states["watcher"].position, states["late"].position) == (0, 3)
    assert (states["late"].running, states["late"].cursor, states["late"].version) == (
        None,
        None,
        0,
    )


async def test_starting_and_stopping_are_idempotent(database: Database):
    started = await database.sensors.set_running(KEY, True)
    assert started.running is True
    assert started.start_time is not None
    assert await database.sensors.set_running(KEY, True) == started
    assert (await database.sensors.set_running(KEY, False)).running is False
    with pytest.raises(errors.UnknownSensor, match="'none'"):
        await database.sensors.set_running(SensorKey("a", "none"), True)


async def test_a_commit_stores_everything(database: Database):
    report = support.materialization("", 0, "reported")
    stored = await database.sensors.commit_tick(
        commit(0, cursor="c1", position=7, runs=[run("k1"), run()], asset_events=[report])
    )
    state = await database.sensors.state(KEY)
    assert (state.cursor, state.position, state.version) == ("c1", 7, 1)
    assert state.last_run_key == "k1"
    assert state.last_tick_time == stored.end_time.ToDatetime(tzinfo=dt.UTC)
    assert len(stored.run_ids) == await count_runs(database) == 2
    assert (stored.location_name, stored.sensor_name) == ("a", "watcher")
    assert await database.sensors.ticks(KEY, limit=10) == [stored]
    assert await database.sensors.latest_ticks([KEY, SensorKey("x", "y")]) == {KEY: stored}
    kinds = [s.event.WhichOneof("body") for s in await support.stored(database)]
    assert kinds == ["run_enqueued", "run_enqueued", "asset_materialization"]
    [latest] = await database.events.latest_materializations([("reported",)])
    assert latest.location_name == "a"


async def test_a_stale_tick_stores_nothing(database: Database):
    await database.sensors.commit_tick(commit(0))
    with pytest.raises(errors.StaleTick, match=r"version 0.*at 1 now"):
        await database.sensors.commit_tick(commit(0, cursor="lost", runs=[run("k")]))
    state = await database.sensors.state(KEY)
    assert (state.cursor, state.version) == (None, 1)
    assert await count_runs(database) == 0
    with pytest.raises(errors.UnknownSensor):
        await database.sensors.commit_tick(commit(0, key=SensorKey("a", "none")))


async def test_two_hosts_decide_once(database: Database, database_url: str):
    other = await Database.connect(database_url)
    try:
        outcomes = await asyncio.gather(
            *(
                host.sensors.commit_tick(commit(0, runs=[run("")]))
                for host in (database, other) * 3
            ),
            return_exceptions=True,
        )
    finally:
        await other.close()
    assert sum(isinstance(outcome, errors.StaleTick) for outcome in outcomes) == 5
    assert await count_runs(database) == 1


async def test_an_event_is_decided_on_once_but_a_failure_is_no_decision(database: Database):
    for version in (0, 1):
        await database.sensors.commit_tick(commit(version, tick=tick(FAILURE, event_id=5)))
    await database.sensors.commit_tick(commit(2, tick=tick(SKIPPED, event_id=5)))
    with pytest.raises(errors.StaleTick, match="event 5 was decided on already"):
        await database.sensors.commit_tick(commit(3, tick=tick(event_id=5), runs=[run("k")]))
    assert await count_runs(database) == 0
    assert (await database.sensors.state(KEY)).version == 3
    other = SensorKey("a", "other")
    await database.sensors.ensure([other])
    await database.sensors.commit_tick(commit(0, key=other, tick=tick(event_id=5)))


async def test_a_run_key_makes_one_run_for_ever(database: Database):
    long_key = "k" * 10_000
    first = await database.sensors.commit_tick(commit(0, runs=[run("k"), run("k"), run(long_key)]))
    assert len(first.run_ids) == 2
    assert list(first.skipped_run_keys) == ["k"]
    second = await database.sensors.commit_tick(commit(1, runs=[run("k"), run(long_key), run("n")]))
    assert len(second.run_ids) == 1
    assert list(second.skipped_run_keys) == ["k", long_key]
    other = SensorKey("b", "watcher")
    await database.sensors.ensure([other])
    third = await database.sensors.commit_tick(commit(0, key=other, runs=[run("k")]))
    assert len(third.run_ids) == 1


async def test_a_value_that_cannot_be_stored_fails_the_whole_tick(database: Database):
    with pytest.raises(errors.InvalidValue, match="NUL"):
        await database.sensors.commit_tick(commit(0, cursor="nul \0", runs=[run("k")]))
    with pytest.raises(errors.InvalidValue, match="NUL"):
        await database.sensors.commit_tick(commit(0, cursor="c", runs=[run("k", tags={"t": "\0"})]))
    assert (await database.sensors.state(KEY)).version == 0
    assert await count_runs(database) == 0


async def test_ticks_are_listed_newest_first_in_pages(database: Database):
    made = [
        await database.sensors.commit_tick(commit(n, tick=tick(status, minute=n)))
        for n, status in enumerate([SUCCESS, SKIPPED, FAILURE, SKIPPED])
    ]
    page = await database.sensors.ticks(KEY, limit=3)
    assert page == made[:0:-1]
    before = (page[-1].start_time.ToDatetime(tzinfo=dt.UTC), page[-1].tick_id)
    assert await database.sensors.ticks(KEY, limit=3, before=before) == made[:1]
    skipped = await database.sensors.ticks(KEY, limit=3, choice=tick_queries.Choice([SKIPPED]))
    assert skipped == [made[3], made[1]]
    assert (await database.sensors.latest_ticks([KEY]))[KEY] == made[3]
    assert await database.sensors.latest_ticks([]) == {}


@pytest.mark.slow
async def test_a_tick_may_ask_for_more_runs_than_one_statement_takes(database: Database):
    wanted = [run(f"k{number}") for number in range(4_500)]
    stored = await asyncio.wait_for(
        database.sensors.commit_tick(commit(0, runs=[*wanted, run("k7")])), 60
    )
    assert list(stored.run_ids) == [one.run_id for one in wanted]
    assert list(stored.skipped_run_keys) == ["k7"]
    queued = await database.runs.queued_counts()
    assert queued == {"a": len(wanted)}

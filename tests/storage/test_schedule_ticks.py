"""Ticks of schedules are all or nothing, one for each version, and a run of a time is made once."""

import asyncio
import dataclasses
import datetime as dt
import uuid

import pytest

from atoll.api.v1 import automation_pb2
from atoll_storage import errors, tick_queries
from atoll_storage.database import Database
from atoll_storage.records import (
    DynamicPartitionsChange,
    DynamicPartitionsChangeKind,
    RunQuery,
    ScheduleCommit,
    ScheduleKey,
    SensorKey,
)
from tests.storage import support

pytestmark = pytest.mark.postgres

KEY = ScheduleKey("a", "nightly")
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SUCCESS, SKIPPED, FAILURE = (
    automation_pb2.TICK_STATUS_SUCCESS,
    automation_pb2.TICK_STATUS_SKIPPED,
    automation_pb2.TICK_STATUS_FAILURE,
)


def tick(status=SUCCESS, *, hours=1) -> automation_pb2.Tick:
    made = automation_pb2.Tick(tick_id=str(uuid.uuid4()), status=status)
    made.start_time.FromDatetime(NOON + hours * HOUR)
    made.scheduled_time.FromDatetime(NOON + hours * HOUR)
    return made


def commit(version: int, *, key=KEY, hours=1, **fields) -> ScheduleCommit:
    values = {"position": NOON + hours * HOUR, "tick": tick(hours=hours)}
    return ScheduleCommit(key=key, expected_version=version, **{**values, **fields})


def run(request_id: str, run_key: str = "", **fields):
    return support.new_run(request_id=request_id, run_key=run_key, tick_id="t", **fields)


async def count_runs(database: Database) -> int:
    return len(await database.runs.list(RunQuery(), limit=1000))


@pytest.fixture(autouse=True)
async def schedule(database: Database) -> None:
    await database.schedules.ensure({KEY: "times"}, NOON)


async def test_a_new_schedule_begins_at_the_moment_it_was_first_seen(database: Database):
    other = ScheduleKey("a", "late")
    await database.schedules.ensure({KEY: "other times", other: "times"}, NOON + HOUR)
    states = {state.key: state for state in await database.schedules.states()}
    assert (states[KEY].position, states[KEY].timetable) == (NOON, "times")
    assert (states[other].position, states[other].running) == (NOON + HOUR, None)
    await database.schedules.ensure({}, NOON)


async def test_starting_begins_anew_and_repeating_it_changes_nothing(database: Database):
    await database.schedules.commit_tick(commit(0, position=NOON, failing_time=NOON, failures=2))
    started = await database.schedules.set_running(KEY, running=True, at=NOON + 5 * HOUR)
    assert (started.running, started.version) == (True, 2)
    assert started.start_time == started.position == NOON + 5 * HOUR
    assert (started.failing_time, started.failures) == (None, 0)
    again = await database.schedules.set_running(KEY, running=True, at=NOON + 9 * HOUR)
    assert again == started
    stopped = await database.schedules.set_running(KEY, running=False, at=NOON + 9 * HOUR)
    assert (stopped.running, stopped.position) == (False, NOON + 5 * HOUR)
    with pytest.raises(errors.UnknownSchedule, match="'none'"):
        await database.schedules.set_running(ScheduleKey("a", "none"), running=True, at=NOON)


async def test_starting_decides_no_time_again_unless_the_clock_had_been_wrong(database: Database):
    set_running = database.schedules.set_running
    a_little_earlier = await set_running(KEY, running=True, at=NOON - dt.timedelta(seconds=2))
    assert a_little_earlier.position == NOON
    await set_running(KEY, running=False, at=NOON)
    much_earlier = await set_running(KEY, running=True, at=NOON - 48 * HOUR)
    assert much_earlier.position == NOON - 48 * HOUR


async def test_a_commit_stores_everything(database: Database):
    change = DynamicPartitionsChange("customers", DynamicPartitionsChangeKind.ADD, ("c1",))
    await database.schedules.set_waiting(KEY, "the location is away")
    stored = await database.schedules.commit_tick(
        commit(0, runs=[run("r1", "k1"), run("r2", "k2")], dynamic_partitions=[change])
    )
    state = await database.schedules.state(KEY)
    assert (state.position, state.version, state.waiting_reason) == (NOON + HOUR, 1, "")
    assert state.last_tick_time == stored.end_time.ToDatetime(tzinfo=dt.UTC)
    assert len(stored.run_ids) == await count_runs(database) == 2
    assert (stored.location_name, stored.schedule_name, stored.sensor_name) == ("a", "nightly", "")
    assert await database.schedules.ticks(KEY, limit=10) == [stored]
    assert await database.schedules.latest_ticks([KEY, ScheduleKey("x", "y")]) == {KEY: stored}
    kinds = [s.event.WhichOneof("body") for s in await support.stored(database)]
    assert sorted(kinds) == ["dynamic_partitions_changed", "run_enqueued", "run_enqueued"]
    added = await database.partitions.existing("customers", ["c1"])
    assert len(added) == 1


async def test_ticks_of_sensors_and_schedules_of_one_name_are_apart(database: Database):
    sensor = SensorKey("a", "nightly")
    await database.sensors.ensure([sensor])
    stored = await database.schedules.commit_tick(commit(0))
    assert await database.sensors.ticks(sensor, limit=10) == []
    assert await database.sensors.ticks(SensorKey("a", ""), limit=1) in ([], [stored])
    assert await database.schedules.ticks(ScheduleKey("a", ""), limit=10) == []


async def test_a_stale_tick_stores_nothing(database: Database):
    await database.schedules.commit_tick(commit(0))
    with pytest.raises(errors.StaleScheduleTick, match=r"version 0.*at 1 now"):
        await database.schedules.commit_tick(commit(0, hours=2, runs=[run("r")]))
    state = await database.schedules.state(KEY)
    assert (state.position, state.version) == (NOON + HOUR, 1)
    assert await count_runs(database) == 0
    with pytest.raises(errors.UnknownSchedule):
        await database.schedules.commit_tick(commit(0, key=ScheduleKey("a", "none")))


async def test_two_hosts_decide_once(database: Database, database_url: str):
    other = await Database.connect(database_url)
    try:
        outcomes = await asyncio.gather(
            *(
                host.schedules.commit_tick(commit(0, runs=[run(str(uuid.uuid4()))]))
                for host in (database, other) * 3
            ),
            return_exceptions=True,
        )
    finally:
        await other.close()
    assert sum(isinstance(outcome, errors.StaleScheduleTick) for outcome in outcomes) == 5
    assert await count_runs(database) == 1


async def test_a_run_of_a_time_is_made_once_whatever_is_repeated(database: Database):
    first = await database.schedules.commit_tick(commit(0, runs=[run("nightly at noon", "k")]))
    again = await database.schedules.commit_tick(commit(1, runs=[run("nightly at noon", "k")]))
    assert len(first.run_ids) == 1
    assert not again.run_ids
    assert list(again.skipped_run_keys) == ["k"]
    assert await count_runs(database) == 1


async def test_a_failed_tick_leaves_the_position_and_counts(database: Database):
    failed = commit(0, position=NOON, failing_time=NOON + HOUR, failures=1, tick=tick(FAILURE))
    await database.schedules.commit_tick(failed)
    state = await database.schedules.state(KEY)
    assert (state.position, state.failing_time, state.failures) == (NOON, NOON + HOUR, 1)


async def test_other_times_are_adopted_against_the_version(database: Database):
    adopted = await database.schedules.adopt(KEY, 0, "other times", NOON + HOUR)
    assert adopted == await database.schedules.state(KEY)
    assert (adopted.timetable, adopted.position, adopted.version) == (
        "other times",
        NOON + HOUR,
        1,
    )
    assert await database.schedules.adopt(KEY, 0, "late", NOON) is None
    assert await database.schedules.state(KEY) == adopted


async def test_why_a_tick_waits_is_written_down_without_deciding_anything(database: Database):
    before = await database.schedules.state(KEY)
    await database.schedules.set_waiting(KEY, "an older release")
    after = await database.schedules.state(KEY)
    assert after == dataclasses.replace(before, waiting_reason="an older release")


async def test_a_value_that_cannot_be_stored_fails_the_whole_tick(database: Database):
    with pytest.raises(errors.InvalidValue, match="NUL"):
        await database.schedules.commit_tick(commit(0, runs=[run("r", tags={"t": "\0"})]))
    assert (await database.schedules.state(KEY)).version == 0
    assert await count_runs(database) == 0


async def test_ticks_are_listed_newest_first_in_pages(database: Database):
    made = [
        await database.schedules.commit_tick(commit(n, hours=n, tick=tick(status, hours=n)))
        for n, status in enumerate([SUCCESS, SKIPPED, FAILURE, SKIPPED])
    ]
    page = await database.schedules.ticks(KEY, limit=3)
    assert page == made[:0:-1]
    before = (page[-1].start_time.ToDatetime(tzinfo=dt.UTC), page[-1].tick_id)
    assert await database.schedules.ticks(KEY, limit=3, before=before) == made[:1]
    skipped = await database.schedules.ticks(KEY, limit=3, choice=tick_queries.Choice([SKIPPED]))
    assert skipped == [made[3], made[1]]
    assert await database.schedules.latest_ticks([]) == {}


async def test_starts_and_stops_are_announced(database: Database):
    async with database.notifications("atoll_schedules") as stream:
        await database.schedules.set_running(KEY, running=True, at=NOON)
        async with asyncio.timeout(5):
            notification = await anext(stream)
    assert (notification.channel, notification.payload) == ("atoll_schedules", "a/nightly")

"""Where sensors begin in the log, what a reset does, and what is counted of failures."""

import datetime as dt

import pytest

from atoll.api.v1 import automation_pb2
from atoll_storage import errors
from atoll_storage.database import Database
from atoll_storage.records import LATEST, SensorKey, SensorReset, StartPosition
from tests.storage import support
from tests.storage.test_sensor_ticks import FAILURE, KEY, SKIPPED, commit, tick

pytestmark = pytest.mark.postgres


async def log_of(database: Database, count: int) -> list[dt.datetime]:
    for _ in range(count):
        await database.events.append_host_events([support.event("", 0)])
    return [
        one.stored_time.ToDatetime(tzinfo=dt.UTC)
        for one in await database.events.read(0, limit=count)
    ]


async def test_a_sensor_begins_where_it_says_and_only_the_first_time(database: Database):
    times = await log_of(database, 5)
    starts = {
        SensorKey("a", "latest"): LATEST,
        SensorKey("a", "earliest"): StartPosition(earliest=True),
        SensorKey("a", "third"): StartPosition(time=times[2]),
    }
    await database.sensors.ensure([*starts, KEY], starts)
    await log_of(database, 2)
    await database.sensors.ensure([*starts, KEY], starts)
    positions = {
        state.key.sensor_name: (state.position, state.start_position)
        for state in await database.sensors.states()
    }
    assert positions == {"latest": (5, 5), "earliest": (0, 0), "third": (2, 2), "watcher": (5, 5)}


async def test_a_reset_moves_the_position_and_a_tick_under_way_is_not_kept(database: Database):
    times = await log_of(database, 5)
    await database.sensors.ensure([KEY])
    before = await database.sensors.commit_tick(commit(0, cursor="5", position=5))
    assert before.tick_id
    for reset, expected in (
        (SensorReset(start=StartPosition(earliest=True)), (None, 0, 0)),
        (SensorReset(start=StartPosition(time=times[3])), (None, 3, 3)),
        (SensorReset(start=LATEST), (None, 5, 5)),
        (SensorReset(cursor="2", position=2), ("2", 2, 2)),
        (SensorReset(cursor="mine"), ("mine", 2, 2)),
        (SensorReset(), (None, 2, 2)),
    ):
        version = (await database.sensors.state(KEY)).version
        state = await database.sensors.reset(KEY, reset)
        assert (state.cursor, state.position, state.start_position) == expected
        assert state == await database.sensors.state(KEY)
        with pytest.raises(errors.StaleTick):
            await database.sensors.commit_tick(commit(version, cursor="late"))
    with pytest.raises(errors.UnknownSensor, match="'none'"):
        await database.sensors.reset(SensorKey("a", "none"), SensorReset())


async def test_after_a_reset_an_event_is_decided_on_once_more(database: Database):
    await database.sensors.ensure([KEY])
    await database.sensors.commit_tick(commit(0, tick=tick(SKIPPED, event_id=5)))
    state = await database.sensors.reset(KEY, SensorReset(position=0))
    again = commit(state.version, tick=tick(event_id=5), resets=state.resets)
    await database.sensors.commit_tick(again)
    with pytest.raises(errors.StaleTick, match="decided on already"):
        await database.sensors.commit_tick(
            commit(state.version + 1, tick=tick(event_id=5), resets=state.resets)
        )


async def test_failures_in_a_row_are_counted_until_a_tick_succeeds(database: Database):
    await database.sensors.ensure([KEY])
    for count in (1, 2):
        failed = commit(count - 1, tick=tick(FAILURE), retry_after_s=60.0)
        stored = await database.sensors.commit_tick(failed)
        state = await database.sensors.state(KEY)
        assert state.failures == count
        wait = state.retry_time - stored.end_time.ToDatetime(tzinfo=dt.UTC)
        assert abs(wait.total_seconds() - 60.0) < 5
    await database.sensors.commit_tick(commit(2, tick=tick(SKIPPED)))
    state = await database.sensors.state(KEY)
    assert (state.failures, state.retry_time) == (0, None)
    await database.sensors.commit_tick(commit(3, tick=tick(FAILURE), retry_after_s=60.0))
    assert (await database.sensors.set_running(KEY, True)).failures == 0


async def test_a_tick_is_found_by_the_first_digits_of_its_id(database: Database):
    await database.sensors.ensure([KEY])
    stored = await database.sensors.commit_tick(commit(0))
    assert await database.sensors.find_ticks(KEY, stored.tick_id[:6]) == [stored]
    assert await database.sensors.find_ticks(KEY, stored.tick_id) == [stored]
    assert await database.sensors.find_ticks(KEY, "zz") == []
    second = automation_pb2.Tick()
    second.CopyFrom(tick())
    second.tick_id = stored.tick_id[:6] + "~"
    await database.sensors.commit_tick(commit(1, tick=second))
    assert len(await database.sensors.find_ticks(KEY, stored.tick_id[:6])) == 2


async def test_what_is_nothing_to_a_sensor_is_passed_over_without_a_tick(database: Database):
    await database.sensors.ensure([KEY])
    state = await database.sensors.state(KEY)
    await database.sensors.pass_over(state, 50)
    moved = await database.sensors.state(KEY)
    assert (moved.position, moved.version) == (50, state.version)
    await database.sensors.pass_over(moved, 40)
    assert (await database.sensors.state(KEY)).position == 50
    await database.sensors.commit_tick(commit(0, position=60))
    await database.sensors.pass_over(moved, 100)
    assert (await database.sensors.state(KEY)).position == 60

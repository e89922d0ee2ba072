"""Dynamic partitions keep the order of adding; a change with a request id is made once."""

import asyncio

import pytest

from atoll_storage import errors
from atoll_storage.database import Database
from atoll_storage.records import (
    DynamicPartitionsChange,
    DynamicPartitionsChangeKind,
    SensorKey,
    TickCommit,
)
from tests.storage import support
from tests.storage.test_sensor_ticks import tick

pytestmark = pytest.mark.postgres

ADD, DELETE = DynamicPartitionsChangeKind.ADD, DynamicPartitionsChangeKind.DELETE


def change(kind: DynamicPartitionsChangeKind, *keys: str, name: str = "days"):
    return DynamicPartitionsChange(name, kind, keys)


async def keys(database: Database, name: str = "days") -> list[str]:
    found, _ = await database.partitions.page(name, limit=1000)
    return [each.partition_key for each in found]


async def test_keys_keep_the_order_in_which_they_were_added(database: Database):
    assert await database.partitions.change(change(ADD, "z", "a", "z")) == 2
    assert await database.partitions.change(change(ADD, "m", "a")) == 1
    assert await database.partitions.change(change(ADD, "other", name="weeks")) == 1
    assert await keys(database) == ["z", "a", "m"]
    assert await database.partitions.change(change(DELETE, "a", "nothing")) == 1
    assert await keys(database) == ["z", "m"]


async def test_a_repeated_request_changes_nothing_and_is_answered_as_before(database: Database):
    assert await database.partitions.change(change(ADD, "a", "b"), request_id="1") == 2
    assert await database.partitions.change(change(DELETE, "a"), request_id="2") == 1
    assert await database.partitions.change(change(ADD, "a", "b"), request_id="1") == 2
    assert await database.partitions.change(change(DELETE, "a"), request_id="2") == 1
    assert await keys(database) == ["b"]


async def test_one_request_that_arrives_many_times_at_once_is_made_once(database: Database):
    asked = [database.partitions.change(change(ADD, "a"), request_id="1") for _ in range(5)]
    assert await asyncio.gather(*asked) == [1] * 5


async def test_a_position_never_appears_below_one_that_was_seen(database: Database):
    adds = [database.partitions.change(change(ADD, f"{n}")) for n in range(20)]
    seen: list[str] = []

    async def read() -> None:
        position = 0
        while len(seen) < 20:
            page, _ = await database.partitions.page("days", after=position, limit=3)
            seen.extend(each.partition_key for each in page)
            position = page[-1].position if page else position

    await asyncio.gather(read(), *adds)
    assert seen == await keys(database)


async def test_a_report_is_stored_once_for_a_request(database: Database):
    event = support.materialization("", 0, "a")
    first = await database.events.report(event, "lake", request_id="1")
    assert await database.events.report(event, "lake", request_id="1") == first
    assert await database.events.report(event, "lake") == first + 1
    assert [stored.id for stored in await support.stored(database)] == [first, first + 1]


KEY = SensorKey("a", "watcher")


def commit(version: int, *changes: DynamicPartitionsChange, **fields) -> TickCommit:
    values = {"cursor": None, "position": None, "runs": (), "tick": tick()}
    return TickCommit(
        key=KEY, expected_version=version, dynamic_partitions=changes, **{**values, **fields}
    )


async def test_a_tick_changes_partitions_with_its_runs_or_not_at_all(database: Database):
    await database.sensors.ensure([KEY])
    run = support.new_run(partition_key="new", sensor_name="watcher", tick_id="t")
    changes = [change(ADD, "old", "new"), change(DELETE, "old"), change(ADD, "x", name="weeks")]
    await database.sensors.commit_tick(commit(0, *changes, runs=[run]))
    assert await keys(database) == ["new"]
    assert await keys(database, "weeks") == ["x"]
    stored = await database.runs.get(run.run_id)
    assert stored is not None
    assert stored.partition_key == "new"
    with pytest.raises(errors.StaleTick):
        await database.sensors.commit_tick(commit(0, change(ADD, "late")))
    assert await keys(database) == ["new"]


async def test_a_tick_without_runs_changes_partitions_too(database: Database):
    await database.sensors.ensure([KEY])
    await database.sensors.commit_tick(commit(0, change(ADD, "a")))
    assert await keys(database) == ["a"]


async def test_what_changed_is_told_once(database: Database):
    await database.partitions.change(change(ADD, "a", "b"), request_id="1")
    await database.partitions.change(change(ADD, "a", "b"), request_id="1")
    await database.partitions.change(change(ADD, "a", "b"))
    await database.sensors.ensure([KEY])
    await database.sensors.commit_tick(commit(0, change(DELETE, "a", "nothing")))
    bodies = [each.event.dynamic_partitions_changed for each in await support.stored(database)]
    assert [(each.added_count, each.deleted_count) for each in bodies] == [(2, 0), (0, 1)]

"""What is known of assets and partitions is kept with the events, and read without the log."""

import pathlib

import psycopg
import pytest

from atoll.events.v1 import events_pb2
from atoll_storage import migrating
from atoll_storage import partitions as log_partitions
from atoll_storage.database import Database
from atoll_storage.records import AssetPartition, AssetPartitionQuery
from tests.storage import support
from tests.storage.test_pruning import set_head

pytestmark = pytest.mark.postgres

KEY = ("lake", "sales")
LONG = "p" * 3000


def made(partition: str = "", *, key=KEY) -> events_pb2.Event:
    return support.materialization("", 0, *key, partition=partition)


def planned(partition: str = "", run_id: str = "") -> events_pb2.Event:
    event = support.event(run_id, 0, "asset_materialization_planned")
    event.asset_materialization_planned.asset_key.path.extend(KEY)
    event.asset_materialization_planned.partition = partition
    return event


def observed(partition: str = "", *, key=KEY) -> events_pb2.Event:
    event = support.event("", 0, "asset_observation")
    event.asset_observation.asset_key.path.extend(key)
    event.asset_observation.partition = partition
    return event


async def store(database: Database, *events: events_pb2.Event, at_once: int = 1000) -> None:
    for start in range(0, len(events), at_once):
        await database.events.append_host_events(events[start : start + at_once], "a")


async def partitions(database: Database, limit: int = 100, **conditions) -> list[AssetPartition]:
    query = AssetPartitionQuery(KEY, **conditions)
    found, _ = await database.assets.partitions(query, limit=limit)
    return found


@pytest.mark.parametrize("at_once", [1, 100])
async def test_partitions_are_counted_whatever_came_together(database: Database, at_once: int):
    events = [made("a"), planned("b", "r"), made("b"), observed("a"), made("a"), made(), made("b")]
    await store(database, *events, made("z", key=("other",)), at_once=at_once)
    assert await partitions(database) == [
        AssetPartition("a", 5, 2, 4),
        AssetPartition("b", 7, 2, 0, 2, "r"),
    ]
    latest = await database.assets.latest_of_partitions(KEY, ["b", "a", "nothing"])
    assert sorted((each.id, each.event.asset_materialization.partition) for each in latest) == [
        (5, "a"),
        (7, "b"),
    ]


async def test_partitions_come_in_pages_and_by_position(database: Database):
    await store(database, *(made(name) for name in "dbca"), planned("e"))
    query = AssetPartitionQuery(KEY, materialized=True)
    first, more = await database.assets.partitions(query, limit=3)
    assert ([each.partition for each in first], more) == (["a", "b", "c"], True)
    rest = await partitions(database, materialized=True, after_partition="c")
    assert [each.partition for each in rest] == ["d"]
    assert [each.partition for each in await partitions(database, after_id=2)] == ["a", "c"]
    before = await partitions(database, before_id=3)
    assert [(each.partition, each.materialization_id) for each in before] == [("b", 2), ("d", 1)]
    named = await partitions(database, partitions=["e", "a", "nothing"])
    assert [each.partition for each in named] == ["a", "e"]


async def test_the_status_of_the_planned_run_is_told(database: Database):
    run = await support.started_run(database)
    event = planned("a")
    event.run_id, event.seq = run.run_id, 1
    await database.events.append([support.batch([event])])
    (found,) = await partitions(database)
    assert (found.planned_run_id, found.planned_run_status) == (run.run_id, "STARTING")


async def test_odd_partition_keys_stop_nothing(database: Database):
    odd = ["\0", "ä€😀", LONG, "a\nb"]
    await store(database, *(made(partition) for partition in odd))
    found = await partitions(database)
    assert {each.partition for each in found} == {"\ufffd", "ä€😀", LONG, "a\nb"}
    (named,) = await partitions(database, partitions=[LONG])
    assert named.partition == LONG
    (latest,) = await database.assets.latest_of_partitions(KEY, [LONG])
    assert latest.event.asset_materialization.partition == LONG


@pytest.mark.slow
async def test_what_was_pruned_is_still_known(own_database_url: str):
    database = await Database.connect(own_database_url)
    try:
        await store(database, made("a"), observed("a"))
        set_head(own_database_url, log_partitions.SIZE + 5)
        await store(database, support.event("", 0))
        assert await database.events.prune(log_partitions.SIZE) == 1
        assert await partitions(database) == [AssetPartition("a", 1, 1, 2)]
        (latest,) = await database.assets.latest_of_partitions(KEY, ["a"])
        assert latest.id == 1
        (entry,) = await database.assets.entries([KEY])
        assert entry.latest_materialization.id == 1
        assert entry.latest_observation is None
    finally:
        await database.close()


async def test_keys_are_listed_by_prefix_and_page(database: Database):
    long = ("lake", "k" * 2000)
    keys = [("lake", "b"), ("lake", "a"), ("lak",), ("lake",), ("lake", "a", "x"), long, ("x\0y",)]
    await store(database, *(made(key=key) for key in keys[:-1]), observed(key=keys[-1]))

    async def listed(**conditions):
        return await database.assets.keys(**conditions)

    everything, more = await listed()
    assert (set(everything), more) == ({*keys[:-1], ("x\ufffdy",)}, False)
    under, _ = await listed(prefix=("lake",))
    assert set(under) == {("lake",), ("lake", "a"), ("lake", "b"), ("lake", "a", "x"), long}
    paged, after, more = [], None, True
    while more:
        page, more = await listed(after=after, limit=2)
        paged += page
        after = page[-1]
    assert paged == everything
    assert await listed(prefix=("nothing",)) == ([], False)


async def test_an_asset_that_was_only_seen_or_planned_is_known(database: Database):
    await store(database, planned(run_id="r1"), observed(key=("seen",)), planned(run_id="r2"))
    first, second = await database.assets.entries([KEY, ("seen",), ("nothing",)])
    assert (first.path, first.planned_id, first.planned_run_id) == (KEY, 3, "r2")
    assert first.latest_materialization is None
    assert second.latest_observation.id == 2


async def test_the_migration_fills_in_what_was_stored_before(database: Database, database_url: str):
    run = await support.started_run(database)
    event = planned("a")
    event.run_id, event.seq = run.run_id, 1
    await database.events.append([support.batch([event])])
    events = [made("a"), made("b"), observed("b"), made("a"), made(), observed("c"), planned()]
    await store(database, *events, observed(key=("x\0y",)), planned("d", "r"))
    migrations = pathlib.Path(migrating.__file__).with_name("migrations") / "versions"
    text = next(migrations.glob("*_dynamic_partitions_and_run_fields.py")).read_text()
    fill = [each for each in text.split(";\n") if each.strip().startswith("INSERT INTO asset_")]
    assert len(fill) == 2
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = [connection.execute(each).fetchall() for each in _KNOWN]
        connection.execute("DELETE FROM asset_partitions; DELETE FROM asset_entries")
        for each in fill:
            connection.execute(each.partition('"""')[0].replace("\\\\", "\\"))
        after = [connection.execute(each).fetchall() for each in _KNOWN]
    assert len(before[0]) == 4
    assert after[0] == before[0]
    assert after[1] == [row for row in before[1] if "\ufffd" not in row[1][0]]


_KNOWN = (
    """SELECT asset_key, partition, materialization_id, materialization_count, observation_id,
    planned_id, planned_run_id, location_name, payload FROM asset_partitions ORDER BY 1, 2""",
    "SELECT asset_key, path, observation_id, planned_id, planned_run_id FROM asset_entries",
)


@pytest.mark.slow
async def test_a_hundred_thousand_partitions_are_one_quick_query(
    database: Database, database_url: str
):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_MANY)
        query = AssetPartitionQuery(KEY, materialized=True)
        found, more = await database.assets.partitions(query, limit=100_000)
        assert (len(found), more) == (100_000, False)
        page, more = await database.assets.partitions(query, limit=10)
        assert (page, more) == (found[:10], True)
        connection.execute("ANALYZE asset_partitions")
        plan = connection.execute(_PLAN).fetchall()
    # As many rows as are returned, in the order of the index: nothing is sorted.
    assert not [line for (line,) in plan if "Sort" in line or "Seq Scan" in line]


_MANY = """
INSERT INTO asset_partitions
SELECT '["lake","sales"]', lpad(n::text, 6, '0'), n, 1, 0, 0, '', 'a', now(), 'x'
FROM generate_series(1, 100000) AS n
"""
_PLAN = """
EXPLAIN SELECT partition FROM asset_partitions WHERE materialization_id > 0
AND asset_key = '["lake","sales"]' AND partition > '' ORDER BY partition LIMIT 1000
"""

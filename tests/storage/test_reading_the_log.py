"""Reading: filters, positions of followers, events of assets."""

import pytest

from atoll_storage.database import Database
from atoll_storage.records import EventQuery
from tests.storage import support

pytestmark = pytest.mark.postgres


@pytest.fixture
async def run_id(database: Database) -> str:
    """A run of location a with two assets materialized in turn, and one observed."""
    run = await support.started_run(database)
    events = [
        support.event(run.run_id, 1, "run_started"),
        support.materialization(run.run_id, 2, "x"),
        support.materialization(run.run_id, 3, "y", "z", partition="p1"),
        support.materialization(run.run_id, 4, "x", partition="p2"),
        support.event(run.run_id, 5, "asset_observation"),
        support.event(run.run_id, 6),
    ]
    events[4].asset_observation.asset_key.path.append("x")
    await database.events.append([support.batch(events)])
    return run.run_id


async def seqs(database: Database, **conditions: object) -> list[int]:
    found = await database.events.read(0, limit=100, query=EventQuery(**conditions))
    return [s.event.seq for s in found]


async def test_queries_choose_by_all_their_conditions(database: Database, run_id: str):
    await database.events.append_host_events([support.event("", 0, "location_changed")], "b")
    assert await seqs(database, run_id=run_id) == [0, 0, 1, 2, 3, 4, 5, 6]
    assert await seqs(database, location_name="b") == [0]
    assert await seqs(database, asset_key=("x",)) == [2, 4, 5]
    assert await seqs(database, asset_key=("x",), kinds=("asset_observation",)) == [5]
    assert await seqs(database, kinds=("run_started", "log_message")) == [1, 6]
    assert await seqs(database, kinds=("no_such_kind",)) == []
    assert await seqs(database, run_id="other") == []


async def test_reading_goes_on_after_an_id(database: Database, run_id: str):
    head = await database.events.head()
    assert await database.events.oldest() == 1
    first = await database.events.read(0, limit=3)
    rest = await database.events.read(first[-1].id, limit=100)
    assert [s.id for s in first + rest] == list(range(1, head + 1))
    assert await database.events.read(head, limit=10) == []


async def test_stored_events_say_where_and_when(database: Database, run_id: str):
    [stored] = await database.events.read(0, limit=1, query=EventQuery(kinds=("run_started",)))
    assert (stored.location_name, stored.event.run_id) == ("a", run_id)
    assert stored.stored_time.seconds > 1_700_000_000


async def test_followers_of_materializations_learn_how_far_they_looked(
    database: Database, run_id: str
):
    head = await database.events.head()
    found, position = await database.events.materializations_after(0, limit=2)
    assert [key for _, key in found] == [("x",), ("y", "z")]
    assert position == found[-1][0]
    found, position = await database.events.materializations_after(position, limit=2)
    assert [key for _, key in found] == [("x",)]
    assert position == head
    assert await database.events.materializations_after(position, limit=2) == ([], head)


async def test_the_events_of_an_asset_are_found_in_both_directions(database: Database, run_id: str):
    events, more = await database.events.list_asset_events(("x",), kind="materialization", limit=1)
    assert ([s.event.seq for s in events], more) == ([4], True)
    events, more = await database.events.list_asset_events(
        ("x",), kind="materialization", before_id=events[0].id
    )
    assert ([s.event.seq for s in events], more) == ([2], False)
    events, more = await database.events.list_asset_events(
        ("x",), kind="materialization", ascending=True, partitions=["p2", "p3"]
    )
    assert [s.event.seq for s in events] == [4]
    events, _ = await database.events.list_asset_events(("x",), kind="observation")
    assert [s.event.seq for s in events] == [5]


async def test_next_and_newest_materialization(database: Database, run_id: str):
    log = database.events
    oldest = await log.next_materialization(("x",), 0)
    newest = await log.newest_materialization_after(("x",), 0)
    assert (oldest.event.seq, newest.event.seq) == (2, 4)
    assert (await log.next_materialization(("x",), oldest.id)).id == newest.id
    assert await log.next_materialization(("x",), newest.id) is None
    assert await log.newest_materialization_after(("x",), newest.id) is None
    assert await log.newest_materialization_after(("none",), 0) is None
    latest = await log.latest_materializations([("x",), ("y", "z"), ("none",)])
    assert {tuple(s.event.asset_materialization.asset_key.path): s.event.seq for s in latest} == {
        ("x",): 4,
        ("y", "z"): 3,
    }

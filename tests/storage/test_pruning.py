"""Old partitions go as a whole, projections stay, new ones are there before need."""

import psycopg
import pytest

from atoll_storage import errors, partitions
from atoll_storage.database import Database
from tests.storage import support

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
async def database(own_database_url: str, monkeypatch: pytest.MonkeyPatch):
    """Storage whose log is about to end its second partition."""
    connected = await Database.connect(own_database_url)
    yield connected
    await connected.close()


def set_head(url: str, head: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE log_head SET head = %s", [head])


async def test_pruned_partitions_are_gone_and_projections_stay(
    database: Database, own_database_url: str
):
    run = await support.started_run(database)
    first = [
        support.event(run.run_id, 1, "run_started"),
        support.materialization(run.run_id, 2, "x"),
    ]
    check = support.event("", 0, "asset_check_evaluation")
    check.asset_check_evaluation.asset_key.path.append("x")
    check.asset_check_evaluation.check_name = "full"
    await database.events.append_host_events([check])
    await database.events.append([support.batch(first)])
    set_head(own_database_url, partitions.SIZE + 5)
    await database.events.append([support.batch([support.materialization(run.run_id, 3, "y")])])
    assert await database.events.prune(partitions.SIZE - 1) == 0
    assert await database.events.prune(partitions.SIZE) == 1
    assert await database.events.prune(10 * partitions.SIZE) == 0

    assert await database.events.oldest() == partitions.SIZE + 6
    assert await database.events.head() == partitions.SIZE + 6
    for after_id in (0, 1, partitions.SIZE - 2):
        with pytest.raises(errors.Compacted) as raised:
            await database.events.read(after_id, limit=10)
        assert raised.value.oldest_id == partitions.SIZE
        with pytest.raises(errors.Compacted):
            await database.events.materializations_after(after_id, limit=10)
    [kept] = await database.events.read(partitions.SIZE - 1, limit=10)
    assert kept.event.seq == 3
    latest = await database.events.latest_materializations([("x",), ("y",)])
    assert sorted(s.event.seq for s in latest) == [2, 3]
    assert len(await database.checks.latest_check_evaluations([(("x",), "full")])) == 1
    listed, more = await database.checks.list_check_evaluations((("x",), "full"))
    assert (listed, more) == ([], False)
    assert (await database.runs.get(run.run_id)).start_time is not None
    # The high-water mark stays too: a repeat of a pruned event is still a repeat.
    [outcome] = await database.events.append([support.batch(first)])
    assert outcome.acknowledged == {run.run_id: 3}
    assert outcome.last_event_id == 0


async def test_an_append_never_lacks_a_partition(database: Database, own_database_url: str):
    run = await support.started_run(database)
    for number in range(1, 6):
        # Two events before the end of a partition: the batch goes into two of them.
        set_head(own_database_url, number * partitions.SIZE - 2)
        first = (number - 1) * 4 + 1
        events = [support.event(run.run_id, first + i) for i in range(4)]
        [outcome] = await database.events.append([support.batch(events)])
        assert outcome.acknowledged == {run.run_id: first + 3}
    assert await support.stored_seqs(database, run.run_id) == list(range(1, 21))


async def test_partitions_have_the_indexes_of_the_log(database: Database, own_database_url: str):
    set_head(own_database_url, 3 * partitions.SIZE)
    await database.events.ensure_partitions()
    await database.events.ensure_partitions()
    with psycopg.connect(own_database_url) as connection:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
        tables = connection.execute(query, ["events"]).fetchall()
        assert len(tables) == 4 + partitions.AHEAD
        for index in ("events_pkey", "events_run", "events_asset", "events_materialization"):
            assert len(connection.execute(query, [index]).fetchall()) == len(tables)

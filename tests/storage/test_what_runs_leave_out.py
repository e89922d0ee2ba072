"""What a failed or canceled run was to materialize and did not is told once, however it ended."""

import psycopg
import pytest

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys, records
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres

A, B, C = ("a",), ("b",), ("c",)
FAILURE = values_pb2.Failure(type="Broken", message="it broke")


def planned(run_id: str, seq: int, key: tuple[str, ...], partition: str = "") -> events_pb2.Event:
    event = support.event(run_id, seq, "asset_materialization_planned")
    event.asset_materialization_planned.asset_key.path.extend(key)
    event.asset_materialization_planned.partition = partition
    return event


def made(run_id: str, seq: int, key: tuple[str, ...], partition: str = "") -> events_pb2.Event:
    return support.materialization(run_id, seq, *key, partition=partition)


async def told(database: Database, run_id: str) -> list[tuple[str, str]]:
    """Return the kind and the asset of each event of a run that has one, and its end."""
    found = await database.events.read(0, limit=100, query=records.EventQuery(run_id=run_id))
    kinds = {"asset_failed_to_materialize", "run_failed", "run_canceled"}
    texts: list[tuple[str, str]] = []
    for each in found:
        kind = each.event.WhichOneof("body") or ""
        if kind in kinds:
            path = each.event.asset_failed_to_materialize.asset_key.path
            texts.append((kind, "/".join(path)))
    return texts


def failed_ids(url: str) -> dict[str, tuple[int, str, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT asset_key, failed_id, failed_range_start, failed_range_end FROM asset_entries"
        ).fetchall()
    return {"/".join(asset_keys.decode(row[0]) or ()): row[1:] for row in rows}


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_a_failed_run_did_not_make_is_told_before_its_end(
    database: Database, database_url: str, at_once: bool
):
    run = await support.started_run(database)
    events = [
        support.event(run.run_id, 1, "run_started"),
        planned(run.run_id, 2, A),
        planned(run.run_id, 3, B),
        planned(run.run_id, 4, C),
        made(run.run_id, 5, A),
        support.event(run.run_id, 6, "run_failed"),
        made(run.run_id, 7, C),
    ]
    for some in [events] if at_once else [[event] for event in events]:
        await database.events.append([support.batch(some)])
    assert await told(database, run.run_id) == [
        ("asset_failed_to_materialize", "b"),
        ("asset_failed_to_materialize", "c"),
        ("run_failed", ""),
    ]
    stored = await database.events.read(0, limit=100)
    plans = [each.id for each in stored if each.event.HasField("asset_materialization_planned")]
    assert failed_ids(database_url) == {
        "a": (0, "", ""),
        "b": (plans[1], "", ""),
        "c": (plans[2], "", ""),
    }


async def test_a_repeated_end_tells_nothing_again(database: Database):
    run = await support.started_run(database)
    events = [
        planned(run.run_id, 1, A),
        support.event(run.run_id, 2, "run_failed"),
        support.event(run.run_id, 3, "run_failed"),
    ]
    await database.events.append([support.batch(events)])
    await database.events.append([support.batch(events)])
    assert [kind for kind, _ in await told(database, run.run_id)] == [
        "asset_failed_to_materialize",
        "run_failed",
        "run_failed",
    ]


async def test_a_verdict_of_the_host_tells_it_too(database: Database):
    run = await support.started_run(database)
    await database.events.append([support.batch([planned(run.run_id, 1, A)])])
    expected = frozenset({records.RunStatus.STARTING, records.RunStatus.STARTED})
    assert await database.runs.fail(run.run_id, FAILURE, expected=expected)
    assert await told(database, run.run_id) == [
        ("asset_failed_to_materialize", "a"),
        ("run_failed", ""),
    ]


async def test_a_run_that_planned_nothing_was_to_make_what_it_was_asked_for(
    database: Database, database_url: str
):
    run = await database.runs.create(support.new_run(asset_selection=[A, B], partition_key="p"))
    failed = await database.runs.fail(
        run.run_id, FAILURE, expected=frozenset({records.RunStatus.QUEUED})
    )
    assert failed
    stored = await database.events.read(0, limit=100)
    bodies = [each.event.asset_failed_to_materialize for each in stored]
    found = [(tuple(each.asset_key.path), each.partition) for each in bodies if each.reason]
    assert found == [(A, "p"), (B, "p")]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT partition, failed_id > 0 FROM asset_partitions")
        assert rows.fetchall() == [("p", True), ("p", True)]


async def test_a_canceled_run_tells_it_and_nothing_counts_as_failed(
    database: Database, database_url: str
):
    run = await database.runs.create(support.new_run(asset_selection=[A]))
    await database.runs.request_cancel(run.run_id, "no need")
    assert await told(database, run.run_id) == [
        ("asset_failed_to_materialize", "a"),
        ("run_canceled", ""),
    ]
    assert failed_ids(database_url) == {"a": (0, "", "")}


async def test_a_range_that_was_made_to_its_end_is_not_left_out(
    database: Database, database_url: str
):
    target = records.RunTarget(partition_range_start="1", partition_range_end="3")
    run = await support.started_run(database, target=target)
    events = [
        planned(run.run_id, 1, A),
        planned(run.run_id, 2, B),
        *(made(run.run_id, 2 + n, A, str(n)) for n in (1, 2, 3)),
        made(run.run_id, 6, B, "1"),
        support.event(run.run_id, 7, "run_failed"),
    ]
    await database.events.append([support.batch(events)])
    failed = failed_ids(database_url)
    assert failed["a"] == (0, "", "")
    assert failed["b"][0] > 0
    assert failed["b"][1:] == ("1", "3")


async def test_a_run_that_was_stopped_for_its_time_failed(database: Database, database_url: str):
    run = await support.started_run(database)
    events = [support.event(run.run_id, 1, "run_started"), planned(run.run_id, 2, A)]
    await database.events.append([support.batch(events)])
    assert await database.runs.time_out(run.run_id, FAILURE)
    await database.events.append([support.batch([support.event(run.run_id, 3, "run_canceled")])])
    told_of = [each.event.asset_failed_to_materialize for each in await support.stored(database)]
    (left,) = [each for each in told_of if each.reason]
    assert (left.canceled, left.reason) == (False, "the run failed")
    assert failed_ids(database_url)["a"][0] > 0

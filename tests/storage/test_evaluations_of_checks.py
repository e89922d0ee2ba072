"""The newest evaluation of each check is kept with the log, and all of them can be listed."""

import pytest

from atoll.events.v1 import events_pb2
from atoll_storage import event_rows
from atoll_storage.database import Database
from atoll_storage.records import RunStatus
from tests.storage import support

pytestmark = pytest.mark.postgres

KEY = (("x", "y"), "no_nulls")


def evaluation(
    name: str = "no_nulls", *, passed: bool = True, partition: str = "", path=("x", "y")
) -> events_pb2.Event:
    made = support.event("", 0, "asset_check_evaluation")
    told = made.asset_check_evaluation
    told.asset_key.path.extend(path)
    told.check_name, told.passed, told.partition = name, passed, partition
    return made


async def store(database: Database, *events: events_pb2.Event) -> None:
    await database.events.append_host_events(events, "a")


async def latest(database: Database, *keys, partition: str | None = None) -> list[tuple]:
    found = await database.checks.latest_check_evaluations(keys, partition=partition)
    bodies = [(each.id, each.event.asset_check_evaluation) for each in found]
    return [(number, body.check_name, body.passed) for number, body in bodies]


async def test_the_newest_evaluation_of_each_check_is_known(database: Database):
    await store(database, evaluation(), evaluation("fresh"), evaluation(passed=False))
    other = (("x", "y"), "fresh")
    assert await latest(database, KEY, other) == [(2, "fresh", True), (3, "no_nulls", False)]
    await store(database, evaluation())
    assert await latest(database, KEY) == [(4, "no_nulls", True)]
    assert await latest(database, (("x",), "no_nulls")) == []


async def test_each_partition_has_an_evaluation_of_its_own(database: Database):
    await store(database, evaluation(), evaluation(partition="p", passed=False))
    await store(database, evaluation(partition="q"))
    assert await latest(database, KEY) == [(3, "no_nulls", True)]
    assert await latest(database, KEY, partition="p") == [(2, "no_nulls", False)]
    assert await latest(database, KEY, partition="") == [(1, "no_nulls", True)]
    assert await latest(database, KEY, partition="r") == []


async def test_evaluations_are_listed_newest_first_in_pages(database: Database):
    await store(database, evaluation(), evaluation("fresh"), evaluation(), evaluation())
    page, more = await database.checks.list_check_evaluations(KEY, limit=2)
    assert ([each.id for each in page], more) == ([4, 3], True)
    page, more = await database.checks.list_check_evaluations(KEY, before_id=3, limit=2)
    assert ([each.id for each in page], more) == ([1], False)


async def test_evaluations_of_some_partitions_are_listed(database: Database):
    await store(database, *(evaluation(partition=each) for each in ("", "p", "q", "p")))

    async def ids(*partitions: str) -> list[int]:
        page, _ = await database.checks.list_check_evaluations(KEY, partitions=partitions)
        return [each.id for each in page]

    assert await ids("p") == [4, 2]
    assert await ids("", "q") == [3, 1]


@pytest.mark.parametrize("copies", [1, 20])
async def test_no_name_of_a_check_stops_the_log(database: Database, copies: int):
    odd = ("n" * 3000, "a\0b", "", "ä€😀")
    long_partition = "p" * 3000
    for _ in range(2):
        events = [evaluation(name, path=("k" * 2000,)) for name in odd]
        events.append(evaluation(partition=long_partition))
        await store(database, *events * copies)
    for name in odd:
        assert len(await latest(database, (("k" * 2000,), name))) == 1
    listed, _ = await database.checks.list_check_evaluations((("k" * 2000,), odd[0]), limit=100)
    assert len(listed) == 2 * copies
    assert len(await latest(database, KEY, partition=long_partition)) == 1


async def test_events_of_checks_are_events_of_the_asset(database: Database):
    planned = support.event("", 0, "asset_check_evaluation_planned")
    planned.asset_check_evaluation_planned.asset_key.path.extend(["x", "y"])
    failed = support.event("", 0, "asset_failed_to_materialize")
    failed.asset_failed_to_materialize.asset_key.path.extend(["x", "y"])
    await store(database, planned, evaluation(), failed, support.event("", 0))
    query = support.records.EventQuery(asset_key=("x", "y"))
    assert [each.id for each in await database.events.read(0, limit=9, query=query)] == [1, 2, 3]


async def test_an_evaluation_of_a_run_counts_only_once_stored(database: Database):
    run = await support.started_run(database)
    event = evaluation()
    event.run_id, event.seq = run.run_id, 1
    await database.events.append([support.batch([event], epoch=9)])
    assert await latest(database, KEY) == []
    await database.events.append([support.batch([event])])
    assert len(await latest(database, KEY)) == 1


async def test_a_step_that_is_tried_again_ends_no_run(database: Database):
    run = await support.started_run(database)
    kinds = ("run_started", "step_failed", "step_up_for_retry", "step_restarted")
    events = [support.event(run.run_id, seq, kind) for seq, kind in enumerate(kinds, 1)]
    await database.events.append([support.batch(events)])
    stored = await database.runs.get(run.run_id)
    assert stored is not None
    assert stored.status is RunStatus.STARTED


def test_every_event_about_an_asset_has_its_asset_in_a_column():
    about = {
        field.name
        for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields
        if "asset_key" in field.message_type.fields_by_name
    }
    for kind in about:
        event = support.event("", 0, kind)
        getattr(event, kind).asset_key.path.append("a")
        assert '["a"]' in event_rows.values(1, event, "l", b""), kind

"""Backfills over the API of a host: planned, begun once, shown by partition, and steered."""

from collections.abc import AsyncIterator

import pytest

from atoll._partitions import static_partitions
from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import errors
from atoll_host.servicers import backfills
from atoll_storage import database
from tests.host.automation.backfills import meshes

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
LETTERS = static_partitions.StaticPartitionsDefinition(["a", "b", "c", "d"])
State = backfills_pb2.BackfillPartitionState


@pytest.fixture
async def world(database: database.Database) -> AsyncIterator[meshes.World]:
    async with meshes.world_of(database) as made:
        await made.serve("one", meshes.asset("x", LETTERS), meshes.asset("whole"))
        await made.serve("two", meshes.asset("y", LETTERS, "x"))
        yield made


@pytest.fixture
def servicer(world: meshes.World) -> backfills.BackfillsServicer:
    return backfills.BackfillsServicer(world.backfilling, world.store.backfills)


def _keys(*names: str) -> list[values_pb2.AssetKey]:
    return [values_pb2.AssetKey(path=[name]) for name in names]


def _creating(*names: str, **fields: object) -> backfills_pb2.CreateBackfillRequest:
    given: dict = {"choice": backfills_pb2.BACKFILL_CHOICE_ALL, **fields}
    return backfills_pb2.CreateBackfillRequest(asset_keys=_keys(*names), **given)


async def test_a_dry_run_tells_the_plan_and_stores_nothing(servicer):
    answer = await servicer.CreateBackfill(_creating("y", "x", "whole", dry_run=True), None)
    plan = answer.backfill
    assert plan.backfill_id == ""
    told = {part.asset_key.path[0]: part for part in plan.parts}
    assert list(told).index("x") < list(told).index("y")
    assert {name: part.counts.total for name, part in told.items()} == {"x": 4, "y": 4, "whole": 1}
    assert (told["whole"].partitioned, told["y"].location_name) == (False, "two")
    assert (plan.counts.total, plan.counts.waiting) == (9, 9)
    listed = await servicer.ListBackfills(backfills_pb2.ListBackfillsRequest(), None)
    assert list(listed.backfills) == []


async def test_a_request_id_begins_one_backfill(servicer):
    request = _creating("x", request_id="r1", title="again")
    first = (await servicer.CreateBackfill(request, None)).backfill
    again = (await servicer.CreateBackfill(request, None)).backfill
    assert again.backfill_id == first.backfill_id
    with pytest.raises(errors.InvalidRequest, match="already began backfill"):
        await servicer.CreateBackfill(_creating("y", request_id="r1"), None)


async def test_progress_is_shown_by_asset_and_by_partition(servicer, world: meshes.World):
    made = (await servicer.CreateBackfill(_creating("x", "y"), None)).backfill
    term = world.term()
    await world.rounds(term)
    await world.work(count=3, fails=lambda run: run.partition_key == "b")
    await world.rounds(term)
    request = backfills_pb2.GetBackfillRequest(backfill_id=made.backfill_id)
    shown = (await servicer.GetBackfill(request, None)).backfill
    x, y = (part.counts for part in shown.parts)
    assert (x.materialized, x.failed, x.in_progress, x.waiting, x.blocked) == (2, 1, 1, 0, 0)
    assert (y.materialized, y.failed, y.in_progress, y.waiting, y.blocked) == (0, 0, 2, 1, 1)
    assert (shown.run_count, shown.counts.total) == (6, 8)
    assert shown.status == backfills_pb2.BACKFILL_STATUS_REQUESTED

    async def partitions(**fields):
        request = backfills_pb2.ListBackfillPartitionsRequest(
            backfill_id=made.backfill_id, asset_key=_keys("y")[0], **fields
        )
        answer = await servicer.ListBackfillPartitions(request, None)
        found = [(each.partition_key, State.Name(each.state)[25:]) for each in answer.partitions]
        return found, answer.next_page_token

    first, token = await partitions(page_size=3)
    rest, end = await partitions(page_size=3, page_token=token)
    assert [*first, *rest] == [
        ("a", "IN_PROGRESS"),
        ("b", "BLOCKED"),
        ("c", "IN_PROGRESS"),
        ("d", "WAITING"),
    ]
    assert end == ""
    blocked, _ = await partitions(state=backfills_pb2.BACKFILL_PARTITION_STATE_BLOCKED)
    assert blocked == [("b", "BLOCKED")]


async def test_what_could_never_be_launched_is_refused(servicer, world: meshes.World):
    other = meshes.snapshot([meshes.asset("y", LETTERS, "x")])
    other.jobs[0].implicit = False
    view = world.locations.locations()["two"]
    world.locations.serve(world.locations.control("two"), view.server, other)
    with pytest.raises(errors.InvalidRequest, match="'y' cannot be requested"):
        await servicer.CreateBackfill(_creating("x", "y"), None)
    assert await world.store.backfills.page(limit=1) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"title": "t" * 501}, "title is"),
        ({"tags": {"atoll/backfill": "mine"}}, "given by the host"),
        ({"tags": {"": "v"}}, "key of 0 characters"),
        ({"choice": 77}, "77 is no choice"),
    ],
)
async def test_bad_input_is_refused_with_what_to_do(servicer, fields, told):
    with pytest.raises(errors.InvalidRequest, match=told):
        await servicer.CreateBackfill(_creating("x", **fields), None)


async def test_steering_twice_changes_nothing_and_the_impossible_is_told(servicer):
    made = (await servicer.CreateBackfill(_creating("x"), None)).backfill
    request = {"backfill_id": made.backfill_id}
    for _ in range(2):
        paused = await servicer.PauseBackfill(backfills_pb2.PauseBackfillRequest(**request), None)
        assert paused.backfill.status == backfills_pb2.BACKFILL_STATUS_PAUSED
    for _ in range(2):
        gone_on = await servicer.ResumeBackfill(
            backfills_pb2.ResumeBackfillRequest(**request), None
        )
        assert gone_on.backfill.status == backfills_pb2.BACKFILL_STATUS_REQUESTED
    again = await servicer.RetryBackfill(backfills_pb2.RetryBackfillRequest(**request), None)
    assert again.backfill.update_time == gone_on.backfill.update_time
    for _ in range(2):
        ending = await servicer.CancelBackfill(backfills_pb2.CancelBackfillRequest(**request), None)
        assert ending.backfill.status == backfills_pb2.BACKFILL_STATUS_CANCELING
    with pytest.raises(errors.InvalidRequest, match="is CANCELING, so it cannot be paused"):
        await servicer.PauseBackfill(backfills_pb2.PauseBackfillRequest(**request), None)
    with pytest.raises(errors.InvalidRequest, match="is being canceled"):
        await servicer.RetryBackfill(backfills_pb2.RetryBackfillRequest(**request), None)
    with pytest.raises(errors.UnknownBackfill, match="no backfill 'x'"):
        await servicer.GetBackfill(backfills_pb2.GetBackfillRequest(backfill_id="x"), None)


async def test_backfills_are_listed_in_pages_by_status(servicer):
    made = [
        (await servicer.CreateBackfill(_creating("x"), None)).backfill.backfill_id for _ in range(3)
    ]
    await servicer.PauseBackfill(backfills_pb2.PauseBackfillRequest(backfill_id=made[1]), None)

    async def listed(**fields):
        answer = await servicer.ListBackfills(backfills_pb2.ListBackfillsRequest(**fields), None)
        return [each.backfill_id for each in answer.backfills], answer.next_page_token

    first, token = await listed(page_size=2)
    rest, end = await listed(page_size=2, page_token=token)
    assert ([*first, *rest], end) == (made[::-1], "")
    paused, _ = await listed(statuses=[backfills_pb2.BACKFILL_STATUS_PAUSED])
    assert paused == [made[1]]

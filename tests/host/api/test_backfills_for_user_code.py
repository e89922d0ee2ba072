"""What user code gets to know of backfills, over the host's service for locations."""

from collections.abc import AsyncIterator

import pytest

from atoll._partitions import static_partitions
from atoll.mesh.v1 import instance_pb2
from atoll_host.instance import backfills
from atoll_storage import database
from tests.host.automation.backfills import meshes

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
LETTERS = static_partitions.StaticPartitionsDefinition(["a", "b"])


@pytest.fixture
async def world(database: database.Database) -> AsyncIterator[meshes.World]:
    async with meshes.world_of(database) as made:
        await made.serve("one", meshes.asset("x", LETTERS))
        yield made


async def test_backfills_are_told_newest_first_by_state_and_page(world: meshes.World):
    made = [
        await world.create("x", choice=meshes.targets.Choice.ALL, tags={"n": str(number)})
        for number in range(3)
    ]
    await world.backfilling.pause(made[0])
    await world.finish(world.term())
    asked = backfills.BackfillQueries(world.store.backfills)

    async def told(**fields: object) -> tuple[list[str], bool]:
        answer = await asked.backfills(instance_pb2.ListBackfillsRequest(**fields))
        return [each.backfill_id for each in answer.backfills], answer.has_more

    assert await told() == (made[::-1], False)
    assert await told(page_size=1) == ([made[2]], True)
    assert await told(after_backfill_id=made[2]) == ([made[1], made[0]], False)
    assert await told(statuses=["PAUSED"]) == ([made[0]], False)
    assert await told(statuses=["NEVER"]) == ([], False)
    assert await told(after_backfill_id="nothing") == ([], False)
    (one,) = (
        await asked.backfills(instance_pb2.ListBackfillsRequest(backfill_id=made[1]))
    ).backfills
    assert (one.status, one.tags["n"]) == ("COMPLETED_SUCCESS", "1")
    assert [list(key.path) for key in one.asset_keys] == [["x"]]
    assert one.end_time.ToNanoseconds() > one.create_time.ToNanoseconds()

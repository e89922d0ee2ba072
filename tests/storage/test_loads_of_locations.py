"""What code servers loaded is remembered once each, newest first, and not for ever."""

import pytest

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import load_store
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres


def build(name: str) -> location_pb2.Build:
    return location_pb2.Build(build_id=name, definitions_digest=f"digest of {name}")


async def loads(database: Database, location_name: str = "a", **fields) -> list[tuple[str, str]]:
    found, _ = await database.loads.page(location_name, **{"limit": 100, **fields})
    return [
        (load.build.build_id if load.build else "", load.failure.message if load.failure else "")
        for load in found
    ]


async def test_each_load_is_remembered_once(database: Database):
    register, update = database.locations.register, database.locations.update
    await register(support.registration())
    assert await loads(database) == []
    epoch = (await register(support.registration(build=build("b1")))).epoch
    epoch = (await register(support.registration(build=build("b1")))).epoch
    assert await loads(database) == [("b1", "")]
    broken = values_pb2.Failure(message="no module")
    for failure in (broken, broken, None):
        await update("a", "s1", epoch, build=build("b1"), load_failure=failure, draining=False)
    await update("a", "s1", epoch, build=build("b2"), load_failure=None, draining=False)
    await update("a", "s1", epoch - 1, build=build("b9"), load_failure=None, draining=False)
    await register(support.registration("b", build=build("b1")))
    assert await loads(database) == [("b2", ""), ("b1", ""), ("b1", "no module"), ("b1", "")]


async def test_loads_page_and_are_found_by_build(database: Database):
    for name in ("b1", "b2", "b3"):
        await database.locations.register(support.registration(build=build(name)))
    first, more = await database.loads.page("a", limit=2)
    assert more
    assert await loads(database, before_id=first[-1].load_id) == [("b1", "")]
    second = await database.loads.of_build("a", "b2")
    assert second is not None
    before = await database.loads.before(second)
    assert before is not None
    assert before.build == build("b1")
    assert await database.loads.before(before) is None
    assert await database.loads.of_build("a", "b9") is None


async def test_only_the_newest_are_kept(database: Database, monkeypatch):
    monkeypatch.setattr(load_store, "KEPT_MAX", 3)
    for number in range(6):
        await database.locations.register(support.registration(build=build(f"b{number}")))
    await database.locations.register(support.registration("b", build=build("other")))
    assert await loads(database) == [("b5", ""), ("b4", ""), ("b3", "")]
    assert await loads(database, "b") == [("other", "")]

"""Code servers: epochs, who is current, leases; snapshots; owners of assets."""

import asyncio
import datetime as dt

import pytest

from atoll.location.v1 import location_pb2
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres


async def current(database: Database, location_name: str = "a") -> str | None:
    found = [s for s in await database.locations.servers() if s.location_name == location_name]
    chosen = [s.server_id for s in found if s.current]
    assert len(chosen) <= 1
    return chosen[0] if chosen else None


async def test_each_registration_raises_the_epoch_of_its_server(database: Database):
    register = database.locations.register
    first = await register(support.registration(features=("x", "y")))
    again = await register(support.registration(address="127.0.0.1:2"))
    other = await register(support.registration(server_id="s2"))
    assert (first.epoch, again.epoch, other.epoch) == (1, 2, 1)
    assert (first.features, again.address) == (("x", "y"), "127.0.0.1:2")
    assert first.lease_expire_time - first.register_time == dt.timedelta(seconds=30)
    assert await database.locations.server("a", "s2") == other
    assert await database.locations.server("a", "none") is None


async def test_concurrent_registrations_get_different_epochs(database: Database):
    servers = await asyncio.gather(
        *(database.locations.register(support.registration()) for _ in range(8))
    )
    assert sorted(server.epoch for server in servers) == list(range(1, 9))


async def test_the_newest_server_that_does_not_drain_is_current(database: Database):
    register, update = database.locations.register, database.locations.update
    assert (await register(support.registration(server_id="s1"))).current
    assert (await register(support.registration(server_id="s2"))).current
    assert not (await register(support.registration(server_id="s3", draining=True))).current
    await register(support.registration("b", "s9"))
    assert await current(database) == "s2"
    await update("a", "s2", 1, build=None, load_failure=None, draining=True)
    assert await current(database) == "s1"
    await update("a", "s1", 1, build=None, load_failure=None, draining=True)
    assert await current(database) is None
    assert await current(database, "b") == "s9"


async def test_a_server_that_reconnects_does_not_take_the_location_back(database: Database):
    register = database.locations.register
    await register(support.registration(server_id="s1"))
    await register(support.registration(server_id="s2"))
    assert not (await register(support.registration(server_id="s1"))).current
    assert await current(database) == "s2"
    restarted = support.registration(server_id="s1", incarnation_id="started anew")
    assert (await register(restarted)).current


async def test_a_live_server_comes_before_one_whose_lease_ended(database: Database):
    register = database.locations.register
    await register(support.registration(server_id="s1"))
    await register(support.registration(server_id="s2"))
    await database.locations.release("a", "s2", 99)
    assert await current(database) == "s2"
    await database.locations.release("a", "s2", 1)
    assert await current(database) == "s1"


async def test_updates_of_an_older_session_change_nothing(database: Database):
    register, update = database.locations.register, database.locations.update
    await register(support.registration())
    await register(support.registration())
    build = location_pb2.Build(build_id="b1")
    failure = support.failure("no module")
    assert not await update("a", "s1", 1, build=build, load_failure=None, draining=False)
    assert (await database.locations.server("a", "s1")).build is None
    assert await update("a", "s1", 2, build=build, load_failure=failure, draining=False)
    server = await database.locations.server("a", "s1")
    assert (server.build, server.load_failure) == (build, failure)


async def test_leases_are_renewed_together_and_by_epoch(database: Database):
    for name in ("a", "b"):
        await database.locations.register(support.registration(name, lease_ttl_s=1))
    before = {s.location_name: s.lease_expire_time for s in await database.locations.servers()}
    await database.locations.renew([("a", "s1", 1), ("b", "s1", 7)], lease_ttl_s=60)
    after = {s.location_name: s.lease_expire_time for s in await database.locations.servers()}
    assert after["a"] - before["a"] > dt.timedelta(seconds=50)
    assert after["b"] == before["b"]
    await database.locations.renew([], lease_ttl_s=60)


async def test_snapshots_are_kept_by_digest(database: Database):
    locations = database.locations
    for _ in range(2):
        await locations.save_snapshot("d1", b"\0snapshot")
    assert await locations.load_snapshot("d1") == b"\0snapshot"
    assert await locations.load_snapshot("d2") is None


async def test_the_first_claim_of_an_asset_wins_until_it_is_given_up(database: Database):
    claim = database.locations.claim_assets
    assert await claim("a", [("x",), ("y", "z")]) == {}
    assert await claim("b", [("x",), ("w",)]) == {("x",): "a"}
    assert await claim("a", [("y", "z")]) == {}
    assert await database.locations.owners() == {("y", "z"): "a", ("w",): "b"}
    assert await claim("b", [("x",), ("w",)]) == {}
    assert await claim("a", []) == {}
    assert await database.locations.owners() == {("x",): "b", ("w",): "b"}


async def test_concurrent_claims_leave_one_owner_each(database: Database):
    keys = [(f"k{n}",) for n in range(50)]
    names = ["a", "b", "c", "d"]
    conflicts = await asyncio.gather(
        *(database.locations.claim_assets(name, keys) for name in names)
    )
    winner = next(n for n, found in zip(names, conflicts, strict=True) if not found)
    assert await database.locations.owners() == dict.fromkeys(keys, winner)
    assert sum(len(found) for found in conflicts) == 3 * len(keys)

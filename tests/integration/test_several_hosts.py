"""Hosts on one Postgres see each other's locations and share the work."""

import asyncio

import pytest

from atoll.api.v1 import assets_pb2, locations_pb2, runs_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import records
from tests.integration import code_location

pytestmark = pytest.mark.postgres


async def test_each_host_sees_the_locations_of_the_other(mesh, until_view):
    first, second = await mesh.host(), await mesh.host()
    await mesh.location(first, "a", code_location.snapshot([code_location.asset("raw")]))
    await mesh.location(second, "b", code_location.snapshot([code_location.asset("rep", "raw")]))
    for host in (first, second):
        await until_view(host, lambda registry: set(registry.reachable()) == {"a", "b"})
        await until_view(
            host,
            lambda registry: (
                registry.graph().owner(("raw",)) == "a" and ("rep",) in registry.graph()
            ),
        )
        client = mesh.client(host)
        listed = await client.locations.ListLocations(locations_pb2.ListLocationsRequest())
        assert [each.name for each in listed.locations] == ["a", "b"]
        request = assets_pb2.GetAssetRequest(asset_key=code_location.key("raw"))
        raw = (await client.assets.GetAsset(request)).asset
        assert raw.owner_location_name == "a"
        assert [list(each.path) for each in raw.downstream_keys] == [["rep"]]


async def test_a_run_launched_at_one_host_runs_in_a_location_of_the_other(mesh, until_view):
    first, second = await mesh.host(), await mesh.host()
    defined = code_location.snapshot([code_location.asset("x")], [code_location.job("job", "x")])
    location = await mesh.location(first, "a", defined)
    await until_view(second, lambda registry: "a" in registry.reachable())
    client = mesh.client(second)
    watch = await client.watch().begun()
    location.runs_at_once = True
    request = runs_pb2.LaunchRunRequest(job_name="job")
    run = (await client.runs.LaunchRun(request)).run
    await watch.until("run_succeeded", run.run_id)


async def test_a_lease_survives_as_long_as_its_host_renews_it(mesh, until_view):
    first, second = await mesh.host(lease_ttl_s=1.0), await mesh.host(lease_ttl_s=1.0)
    location = await mesh.location(first, "a", joins=False)
    await location.join(pings_every_s=0.1)
    await until_view(second, lambda registry: "a" in registry.reachable())
    for _ in range(25):
        await location.heard("pong")
    await second.parts.registry.refresh()
    assert "a" in second.parts.registry.reachable()
    await location.leave()
    await until_view(second, lambda registry: "a" not in registry.reachable())
    view = second.parts.registry.location("a")
    assert view.state == events_pb2.LOCATION_STATE_UNREACHABLE
    assert view.definitions is not None


async def test_a_server_that_moves_to_another_host_takes_its_session_along(mesh, until_view):
    first, second = await mesh.host(), await mesh.host()
    location = await mesh.location(first, "a")
    former = location.said
    location.connect(second.address)
    registered = await location.join()
    assert registered.epoch == 2
    await until_view(first, lambda registry: registry.location("a").server.epoch == 2)
    assert "a" in first.parts.registry.reachable()
    while not isinstance(said := await former.get(), Exception):
        assert said is not None
    assert "registered anew" in said.details()


async def test_a_server_that_takes_the_name_at_another_host_supersedes(mesh):
    first, second = await mesh.host(), await mesh.host()
    older = await mesh.location(first, "a", server_id="older")
    await mesh.location(second, "a", server_id="newer")
    assert (await older.heard("superseded")).superseded.server_id == "newer"


async def test_ownership_holds_across_hosts(mesh):
    first, second = await mesh.host(), await mesh.host()
    await mesh.location(first, "a", code_location.snapshot([code_location.asset("shared")]))
    other = await mesh.location(
        second, "b", code_location.snapshot([code_location.asset("shared")]), joins=False
    )
    (conflict,) = (await other.join()).conflicts
    assert conflict.owner_location_name == "a"


async def test_a_host_that_starts_later_knows_all_locations(mesh):
    first = await mesh.host()
    location = await mesh.location(first, "a")
    await location.leave()
    await first.stop()
    second = await mesh.host()
    view = second.parts.registry.location("a")
    assert view.state == events_pb2.LOCATION_STATE_UNREACHABLE
    assert ("a_asset",) in second.parts.registry.graph()


async def test_a_sensor_that_a_reload_brings_begins_before_anybody_sees_the_reload(
    mesh, until_view
):
    leader = await mesh.host()
    other = await mesh.host()
    async with asyncio.timeout(10):
        while not leader.parts.dispatcher.leads:
            await leader.parts.registry.subscribe().wait(0.05)
    location = await mesh.location(other, "a")
    sensor = snapshot_pb2.SensorDefinition(name="new", kind=snapshot_pb2.SENSOR_KIND_POLLING)
    location.load(
        code_location.snapshot([code_location.asset("a_asset")], sensors=[sensor]), "reloaded"
    )
    await location.tell()
    await until_view(other, lambda registry: registry.location("a").build.build_id == "reloaded")
    # What is materialized from now on is for it, whenever the leader hears of it.
    assert await other.parts.store.sensors.state(records.SensorKey("a", "new")) is not None

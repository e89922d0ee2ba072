"""Code servers join, change, are replaced and go away."""

import asyncio

import pytest

from atoll.api.v1 import assets_pb2, locations_pb2
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres

SERVING = events_pb2.LOCATION_STATE_SERVING
UNREACHABLE = events_pb2.LOCATION_STATE_UNREACHABLE
FAILED = events_pb2.LOCATION_STATE_FAILED


def state_of(name: str, state):
    return lambda registry: name in registry.locations() and registry.location(name).state == state


async def test_a_location_joins_and_its_assets_are_in_the_graph(mesh, host, client):
    defined = code_location.snapshot(
        [code_location.asset("raw"), code_location.asset("clean", "raw")],
        [code_location.job("daily", "raw", "clean")],
    )
    location = code_location.CodeLocation("sales", defined)
    mesh.code_locations.append(location)
    await location.start(host.address)
    registered = await location.join()
    assert registered.epoch == 1
    assert registered.protocol_version == 1
    assert registered.lease_ttl.seconds == 10
    shown = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="sales"))
    assert shown.location.state == SERVING
    assert shown.location.build.build_id == "b1"
    # The job that Atoll makes for any selection of assets is no job of theirs.
    assert (shown.location.counts.assets, shown.location.counts.jobs) == (2, 1)
    assert list(shown.location.job_names) == ["daily"]
    clean = await client.assets.GetAsset(
        assets_pb2.GetAssetRequest(asset_key=code_location.key("clean"))
    )
    assert clean.asset.owner_location_name == "sales"
    assert list(clean.asset.definition.dependencies[0].asset_key.path) == ["raw"]


async def test_edges_cross_locations(mesh, host, client):
    await mesh.location(host, "a", code_location.snapshot([code_location.asset("raw")]))
    await mesh.location(host, "b", code_location.snapshot([code_location.asset("report", "raw")]))
    raw = await client.assets.GetAsset(
        assets_pb2.GetAssetRequest(asset_key=code_location.key("raw"))
    )
    assert [list(each.path) for each in raw.asset.downstream_keys] == [["report"]]
    assert list(raw.asset.location_names) == ["a", "b"]


async def test_each_registration_of_a_server_has_a_higher_epoch(mesh, host):
    location = await mesh.location(host, "a")
    location.drop_session()
    assert (await location.join()).epoch == 2


@pytest.mark.parametrize(
    ("changes", "reason", "text"),
    [
        ({"location_name": "no/slash"}, "INVALID_REQUEST", "no/slash"),
        ({"location_name": ""}, "INVALID_REQUEST", "''"),
        ({"server_id": ""}, "INVALID_REQUEST", "server_id"),
        ({"address": "10.0.0.1:4000"}, "ADDRESS_NOT_LOOPBACK", "10.0.0.1:4000"),
        ({"address": "nonsense"}, "INVALID_ADDRESS", "nonsense"),
        ({"address": "10.0.0.1:4000", "tls": True}, "INVALID_REQUEST", "locations_ca"),
        ({"address": "0.0.0.0:4000", "tls": True}, "INVALID_REQUEST", "--advertise"),
        (
            {"protocol_version": 9, "oldest_protocol_version": 8},
            "PROTOCOL_INCOMPATIBLE",
            "8 to 9",
        ),
    ],
)
async def test_a_bad_registration_is_refused_and_changes_nothing(
    mesh, host, client, changes, reason, text
):
    location = await mesh.location(host, "a", joins=False)
    error = await client.refused(location.join(**changes))
    assert error.reason == reason
    assert text in error.message
    listed = await client.locations.ListLocations(locations_pb2.ListLocationsRequest())
    assert not listed.locations


async def test_a_session_begins_with_a_registration(mesh, host):
    location = await mesh.location(host, "a", joins=False)
    session = location.mesh.Session()
    await session.done_writing()
    assert "registration" in await asyncio.wait_for(session.details(), 5)


async def test_the_newer_server_takes_the_name_and_the_older_is_told(mesh, host, until_view):
    older = await mesh.location(host, "a", server_id="older")
    newer = await mesh.location(host, "a", server_id="newer")
    said = await older.heard("superseded")
    assert said.superseded.server_id == "newer"
    await until_view(host, lambda registry: registry.reachable()["a"].server_id == "newer")
    assert newer.epoch == 1


async def test_a_superseded_server_that_reconnects_does_not_take_the_name_back(
    mesh, host, until_view
):
    old_assets = code_location.snapshot([code_location.asset("x"), code_location.asset("gone")])
    older = await mesh.location(host, "a", old_assets, server_id="older")
    await mesh.location(host, "a", server_id="newer")
    await older.heard("superseded")
    older.drop_session()
    await older.join()
    await older.heard("superseded")
    assert host.parts.registry.reachable()["a"].server_id == "newer"
    assert ("gone",) not in host.parts.registry.graph()


async def test_the_same_server_registering_anew_ends_its_former_session(mesh, host, client):
    location = await mesh.location(host, "a")
    former = location.said
    await location.join()
    while (said := await asyncio.wait_for(former.get(), 5)) is not None:
        if isinstance(said, Exception):
            break
    assert "registered anew" in said.details()
    assert host.parts.registry.reachable()["a"].epoch == 2


async def test_a_lease_is_lost_when_pings_stop_and_the_definitions_stay(mesh, until_view):
    host = await mesh.host(lease_ttl_s=0.3)
    client = mesh.client(host)
    watch = await client.watch().begun()
    location = await mesh.location(host, "a", joins=False)
    await location.join(pings_every_s=0)
    assert host.parts.registry.location("a").state == SERVING
    await until_view(host, state_of("a", UNREACHABLE))
    assert ("a_asset",) in host.parts.registry.graph()
    assert "a" not in host.parts.registry.reachable()
    changes = [(await watch.until("location_changed")).event.location_changed for _ in range(2)]
    assert [each.state for each in changes] == [SERVING, UNREACHABLE]


async def test_pings_keep_the_lease(mesh, until_view):
    host = await mesh.host(lease_ttl_s=0.3)
    location = await mesh.location(host, "a", joins=False)
    await location.join(pings_every_s=0.05)
    for _ in range(12):
        await location.heard("pong")
    record = await host.parts.store.locations.server("a", location.server_id)
    assert record is not None
    assert record.lease_expire_time > host.parts.sessions._clock.now()
    assert host.parts.registry.location("a").state == SERVING


async def test_a_location_that_leaves_is_unreachable_at_once(mesh, host, client, until_view):
    location = await mesh.location(host, "a")
    await location.leave()
    await until_view(host, state_of("a", UNREACHABLE))


async def test_a_location_without_any_build_is_failed_and_tells_why(mesh, host, client):
    location = await mesh.location(host, "a", joins=False)
    location.build_id = ""
    location.load_failure = values_pb2.Failure(type="ImportError", message="no module named x")
    await location.join()
    shown = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="a"))
    assert shown.location.state == FAILED
    assert shown.location.load_failure.message == "no module named x"
    assert "a" not in host.parts.registry.reachable()


async def test_a_location_whose_first_build_still_loads_is_loading(mesh, host, client):
    location = await mesh.location(host, "a", joins=False)
    location.build_id = ""
    await location.join()
    shown = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="a"))
    assert shown.location.state == events_pb2.LOCATION_STATE_LOADING
    assert "a" not in host.parts.registry.reachable()


async def test_a_second_location_that_claims_an_asset_is_told_who_owns_it(mesh, host, client):
    await mesh.location(host, "a", code_location.snapshot([code_location.asset("shared")]))
    defined = code_location.snapshot([code_location.asset("shared"), code_location.asset("own")])
    second = await mesh.location(host, "b", defined, joins=False)
    registered = await second.join()
    (conflict,) = registered.conflicts
    assert list(conflict.asset_key.path) == ["shared"]
    assert conflict.owner_location_name == "a"
    shown = await client.locations.GetLocation(locations_pb2.GetLocationRequest(name="b"))
    assert shown.location.state == SERVING
    assert shown.location.conflicts[0].owner_location_name == "a"
    assert host.parts.registry.graph().owner(("own",)) == "b"
    assert host.parts.registry.graph().owner(("shared",)) == "a"


async def test_a_reload_that_drops_an_asset_frees_it_for_others(mesh, host, client):
    first = await mesh.location(host, "a", code_location.snapshot([code_location.asset("shared")]))
    second = await mesh.location(host, "b", code_location.snapshot([code_location.asset("shared")]))
    first.reloads_to = code_location.snapshot([code_location.asset("other")])
    request = locations_pb2.ReloadLocationRequest(name="a", build_id="two")
    response = await client.locations.ReloadLocation(request)
    assert response.current_build.build_id == "two"
    assert host.parts.registry.location("a").build.build_id == "two"
    second.drop_session()
    assert not (await second.join()).conflicts
    assert host.parts.registry.graph().owner(("shared",)) == "b"


async def test_a_failed_reload_keeps_the_last_good_definitions(mesh, host, client, until_view):
    await mesh.location(host, "a")
    response = await client.locations.ReloadLocation(locations_pb2.ReloadLocationRequest(name="a"))
    assert response.load_failure.message == "no module named x"
    view = await until_view(
        host,
        lambda registry: registry.location("a").load_failure and registry.location("a"),
    )
    assert view.state == SERVING
    assert view.build.build_id == "b1"
    assert "a" in host.parts.registry.reachable()


async def test_definitions_that_cannot_be_had_are_said_and_asked_for_again(
    mesh, host, client, until_view
):
    location = await mesh.location(host, "a", joins=False)
    location.refuse_definitions = True
    await location.join()
    view = await until_view(
        host, lambda registry: registry.location("a").load_failure and registry.location("a")
    )
    assert "no build b1" in view.load_failure.message
    location.refuse_definitions = False
    await until_view(host, lambda registry: registry.location("a").definitions)
    await until_view(host, lambda registry: registry.graph().owner(("a_asset",)) == "a")


async def test_a_snapshot_that_is_not_what_was_promised_is_refused(mesh, host, until_view):
    location = await mesh.location(host, "a", joins=False)
    build, encoded = location.builds["b1"]
    location.builds["b1"] = (build, encoded[:-1] + b"\x00")
    await location.join()
    view = await until_view(
        host, lambda registry: registry.location("a").load_failure and registry.location("a")
    )
    assert "digest" in view.load_failure.message
    assert view.definitions is None


async def test_a_snapshot_is_fetched_once_and_then_taken_from_storage(mesh, host):
    location = await mesh.location(host, "a")
    location.refuse_definitions = True
    await host.stop()
    second = await mesh.host()
    location.connect(second.address)
    await location.join()
    assert second.parts.registry.location("a").definitions is not None


@pytest.mark.slow
async def test_the_graph_of_ten_thousand_assets_is_here_when_the_reload_is_answered(
    mesh, host, client
):
    location = await mesh.location(host, "a")
    names = [f"group_{number % 100}/asset_{number}" for number in range(10_000)]
    location.reloads_to = code_location.snapshot(
        code_location.asset(name, *names[max(0, number - 2) : number], description="x" * 200)
        for number, name in enumerate(names)
    )
    await client.locations.ReloadLocation(locations_pb2.ReloadLocationRequest(name="a"))
    assert len(host.parts.registry.graph()) == 10_000
    node = host.parts.registry.graph().node(tuple(names[5000].split("/")))
    assert len(node.upstream) == 2
    assert len(node.downstream) == 2

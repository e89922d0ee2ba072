"""Policies of definitions become states: in the API, in the commands, and for user code."""

import asyncio
import datetime as dt
import json

import click.testing
import pytest

import atoll as dg
from atoll._cli import assets as assets_command
from atoll._cli import freshness as freshness_command
from atoll._definitions import freshness_states
from atoll._wire import snapshot as snapshots
from atoll.api.v1 import freshness_pb2, freshness_pb2_grpc
from atoll.events.v1 import events_pb2
from tests.integration import code_location, worlds

pytestmark = pytest.mark.postgres

HOURS_24 = dg.FreshnessPolicy.time_window(dt.timedelta(hours=24), dt.timedelta(hours=12))
BY_NINE = dg.FreshnessPolicy.cron("0 9 * * *", dt.timedelta(hours=1), "Europe/Berlin")


@dg.asset(freshness_policy=HOURS_24)
def sales() -> int:
    return 1


@dg.asset
def plain() -> int:
    return 1


def defined() -> object:
    lake = dg.AssetSpec("lake", freshness_policy=BY_NINE)
    return snapshots.to_message(dg.Definitions(assets=[sales, plain, lake]))


@pytest.fixture
def stub(client):
    return freshness_pb2_grpc.FreshnessServiceStub(client.channel)


async def until(stub, name: str, state: str) -> freshness_pb2.AssetFreshness:
    async with asyncio.timeout(10):
        while True:
            request = freshness_pb2.GetFreshnessRequest(asset_key=code_location.key(name))
            asset = (await stub.GetFreshness(request)).asset
            if events_pb2.FreshnessState.Name(asset.state) == f"FRESHNESS_STATE_{state}":
                return asset
            await asyncio.sleep(0.02)


async def run(host, command, *arguments: str) -> str:
    runner = click.testing.CliRunner()
    environment = {"ATOLL_HOST": host.address, "TZ": "UTC"}
    result = await asyncio.to_thread(runner.invoke, command, list(arguments), env=environment)
    assert result.exit_code == 0, result.output
    return result.output


async def materialize(host, *names: str, age: dt.timedelta = dt.timedelta(0)) -> None:
    events = []
    made = host.parts.registry._clock.now() - age
    for name in names:
        event = events_pb2.Event()
        event.asset_materialization.asset_key.CopyFrom(code_location.key(name))
        event.timestamp.FromDatetime(made)
        events.append(event)
    await host.parts.store.events.append_host_events(events, "a")


async def test_states_follow_policies_and_materializations(mesh, host, client, stub) -> None:
    await mesh.location(host, "a", defined())
    await until(stub, "sales", "UNKNOWN")
    await materialize(host, "sales", "plain", age=dt.timedelta(hours=13))
    warned = await until(stub, "sales", "WARN")
    assert warned.policy.time_window.warn_window.ToTimedelta() == dt.timedelta(hours=12)
    assert warned.location_name == "a"
    gap = warned.next_change_time.ToDatetime() - warned.latest_materialization_time.ToDatetime()
    assert gap == dt.timedelta(hours=24)
    lake = await until(stub, "lake", "UNKNOWN")
    assert lake.policy.cron.timezone == "Europe/Berlin"
    assert not lake.HasField("next_change_time")
    plain = await until(stub, "plain", "NOT_APPLICABLE")
    assert not plain.HasField("policy")


async def test_lists_page_and_choose_by_state(mesh, host, stub) -> None:
    await mesh.location(host, "a", defined())
    await materialize(host, "sales")
    await until(stub, "sales", "PASS")
    await until(stub, "lake", "UNKNOWN")

    async def names(**fields) -> list[str]:
        found = await stub.ListFreshness(freshness_pb2.ListFreshnessRequest(**fields))
        return ["/".join(each.asset_key.path) for each in found.assets]

    assert await names() == ["lake", "sales"]
    assert await names(states=[events_pb2.FRESHNESS_STATE_PASS]) == ["sales"]
    first = await stub.ListFreshness(freshness_pb2.ListFreshnessRequest(page_size=1))
    assert await names(page_size=1, page_token=first.next_page_token) == ["sales"]


async def test_unknown_assets_locations_and_states_are_refused(client, host, stub) -> None:
    request = freshness_pb2.GetFreshnessRequest(asset_key=code_location.key("none"))
    assert (await client.refused(stub.GetFreshness(request))).reason == "UNKNOWN_ASSET"
    request = freshness_pb2.ListFreshnessRequest(location_name="none")
    assert (await client.refused(stub.ListFreshness(request))).reason == "UNKNOWN_LOCATION"
    request = freshness_pb2.ListFreshnessRequest(states=[99])
    assert (await client.refused(stub.ListFreshness(request))).reason == "INVALID_REQUEST"


async def test_the_commands_show_it(mesh, host, stub) -> None:
    await mesh.location(host, "a", defined())
    await materialize(host, "sales")
    await until(stub, "sales", "PASS")
    await until(stub, "lake", "UNKNOWN")
    listed = await run(host, freshness_command.freshness, "list")
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    assert lines[1].startswith("lake UNKNOWN")
    assert lines[1].endswith("by 0 9 * * * Europe/Berlin, at most 1 h before a")
    assert "warns after 12 h, fails after 1 d" in lines[2]
    only = await run(host, freshness_command.freshness, "list", "--state", "pass", "--json")
    (asset,) = json.loads(only)["assets"]
    assert (asset["asset_key"], asset["state"]) == ("sales", "PASS")
    shown = await run(host, freshness_command.freshness, "show", "sales")
    assert "changes at" in shown
    none = await run(host, freshness_command.freshness, "list", "--state", "fail")
    assert none == "No asset like that has a policy.\n"
    assert "PASS (warns after" in await run(host, assets_command.assets, "show", "sales")


async def test_user_code_reads_states_and_their_changes(mesh, host, client, stub) -> None:
    location = await mesh.location(host, worlds.LOCATION, defined())
    await materialize(host, "sales")
    await until(stub, "sales", "PASS")
    world = worlds.OnHost(client, location, host.address)

    def ask() -> None:
        key, other = dg.AssetKey("sales"), dg.AssetKey("plain")
        found = world.instance.get_freshness_state_records([key, other])
        assert list(found) == [key]
        assert found[key].freshness_state is freshness_states.FreshnessState.PASS
        kind = dg.EventType.FRESHNESS_STATE_CHANGE
        records = world.instance.get_event_records(dg.EventRecordsFilter(kind, asset_key=key))
        told = records[0].event_log_entry.get_event().asset_freshness_state_change_data
        assert (told.key, told.new_state.value) == (key, "PASS")
        assert found[key].updated_at.timestamp() == pytest.approx(told.state_change_timestamp)

    try:
        await asyncio.to_thread(ask)
    finally:
        await world.close()

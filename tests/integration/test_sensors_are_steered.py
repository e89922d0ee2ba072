"""What people and programs may ask of sensors through the API."""

import asyncio

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2 as api
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import instance_pb2
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

KEY = {"location_name": "shop", "sensor_name": "watch"}
TIMEOUT_S = 10.0


@pytest.fixture
async def shop(mesh, host):
    days = partitions_pb2.PartitionsDefinition(
        static=partitions_pb2.StaticPartitions(partition_keys=["mon", "tue"])
    )
    watching = snapshot_pb2.SensorDefinition(
        name="watch",
        kind=snapshot_pb2.SENSOR_KIND_ASSET,
        job_names=["load"],
        monitored_assets=[code_location.key("orders")],
        default_status=snapshot_pb2.SENSOR_STATUS_RUNNING,
    )
    defined = code_location.snapshot(
        [code_location.asset("orders", partitions=days)],
        [code_location.job("load", "orders")],
        [watching],
    )
    return await mesh.location(host, "shop", defined)


async def materialize(shop) -> int:
    event = events_pb2.Event(
        asset_materialization=events_pb2.AssetMaterialization(asset_key=code_location.key("orders"))
    )
    request = instance_pb2.ReportAssetEventRequest(
        location_name=shop.name, server_id=shop.server_id, epoch=shop.epoch, event=event
    )
    return (await shop.instance.ReportAssetEvent(request)).event_id


async def until_ticks(host, client, count: int) -> list[api.Tick]:
    """Return the ticks, oldest first, once there are so many."""
    poke = host.parts.changes.events.subscribe()
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found = (await client.sensors.ListTicks(api.ListTicksRequest(**KEY))).ticks
            if len(found) >= count:
                return list(reversed(found))
            await poke.wait(0.1)


async def test_a_cursor_is_reset_and_the_sensor_decides_again(host, client, shop):
    first = await materialize(shop)
    second = await materialize(shop)
    await until_ticks(host, client, 2)
    request = api.ResetSensorCursorRequest(**KEY, start_position={"earliest": True})
    answer = await client.sensors.ResetSensorCursor(request)
    assert not answer.sensor.HasField("cursor")
    ticks = await until_ticks(host, client, 4)
    assert [tick.event_id for tick in ticks] == [first, second, first, second]
    assert list(ticks[-1].skipped_run_keys) == [str(second)]
    request = api.ResetSensorCursorRequest(**KEY, cursor=str(first))
    assert (await client.sensors.ResetSensorCursor(request)).sensor.cursor == str(first)
    assert [tick.event_id for tick in await until_ticks(host, client, 5)][-1] == second


@pytest.mark.parametrize(
    "target", [{"cursor": "later"}, {"cursor": "999999"}, {"start_position": {}}]
)
async def test_a_reset_that_makes_no_sense_changes_nothing(host, client, shop, target):
    await materialize(shop)
    (tick,) = await until_ticks(host, client, 1)
    request = api.ResetSensorCursorRequest(**KEY, **target)
    error = await client.refused(client.sensors.ResetSensorCursor(request))
    assert error.reason == reasons.INVALID_REQUEST
    sensor = (await client.sensors.GetSensor(api.GetSensorRequest(**KEY))).sensor
    assert sensor.cursor == tick.cursor


async def test_failures_in_a_row_and_the_next_evaluation_are_shown(host, client, shop):
    shop.answers.append(location_pb2.EvaluateSensorResponse(failure={"message": "no disk"}))
    await materialize(shop)
    (tick,) = await until_ticks(host, client, 1)
    sensor = (await client.sensors.GetSensor(api.GetSensorRequest(**KEY))).sensor
    assert (sensor.failure_count, sensor.latest_tick) == (1, tick)
    wait_s = sensor.next_evaluation_time.ToNanoseconds() - tick.end_time.ToNanoseconds()
    assert wait_s / 1e9 == pytest.approx(1.0, abs=0.5)
    await until_ticks(host, client, 2)
    sensor = (await client.sensors.GetSensor(api.GetSensorRequest(**KEY))).sensor
    assert sensor.failure_count == 0
    assert not sensor.HasField("next_evaluation_time")


async def test_one_tick_is_found_by_the_first_digits_of_its_id(host, client, shop):
    await materialize(shop)
    (tick,) = await until_ticks(host, client, 1)
    request = api.GetTickRequest(**KEY, tick_id=tick.tick_id[:12])
    assert (await client.sensors.GetTick(request)).tick == tick
    for wrong, reason in (("zzz", reasons.UNKNOWN_TICK), ("", reasons.INVALID_REQUEST)):
        call = client.sensors.GetTick(api.GetTickRequest(**KEY, tick_id=wrong))
        assert (await client.refused(call)).reason == reason


async def test_what_other_locations_define_of_assets_is_told(mesh, host, client, shop):
    other = await mesh.location(host, "reports")
    request = instance_pb2.GetAssetDefinitionsRequest(
        asset_keys=[code_location.key("orders"), code_location.key("nowhere")]
    )
    answer = await other.instance.GetAssetDefinitions(request)
    (definition,) = answer.definitions
    assert definition.key == code_location.key("orders")
    assert list(definition.partitions.static.partition_keys) == ["mon", "tue"]

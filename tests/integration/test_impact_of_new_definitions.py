"""What new definitions would break, asked of a real host with what it stored."""

import pytest

from atoll.api.v1 import impact_pb2, impact_pb2_grpc
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host.servicers import impact as servicer
from tests.integration import code_location

pytestmark = pytest.mark.postgres


def parted(*keys: str) -> snapshot_pb2.LocationSnapshot:
    partitions = partitions_pb2.PartitionsDefinition(
        static=partitions_pb2.StaticPartitions(partition_keys=keys)
    )
    return code_location.snapshot([code_location.asset("orders", partitions=partitions)])


async def check(client, name: str, defined: snapshot_pb2.LocationSnapshot, chunk: int = 7):
    encoded = defined.SerializeToString()

    async def pieces():
        for start in range(0, max(1, len(encoded)), chunk):
            yield impact_pb2.CheckImpactRequest(
                location_name=name, chunk=encoded[start : start + chunk]
            )

    return await impact_pb2_grpc.ImpactServiceStub(client.channel).CheckImpact(pieces(), timeout=20)


async def test_what_is_stored_is_looked_at_and_nothing_changes(mesh, host, client):
    await mesh.location(host, "sales", parted("east", "west"))
    watching = snapshot_pb2.SensorDefinition(
        name="on_orders",
        kind=snapshot_pb2.SENSOR_KIND_ASSET,
        monitored_assets=[code_location.key("orders")],
    )
    await mesh.location(host, "reports", code_location.snapshot(sensors=[watching]))
    for key in ("east", "west"):
        made = events_pb2.AssetMaterialization(asset_key=code_location.key("orders"), partition=key)
        await host.parts.store.events.report(events_pb2.Event(asset_materialization=made), "sales")
    before = host.parts.registry.location("sales")
    answer = await check(client, "sales", parted("east"))
    assert (answer.compared, answer.build_id, answer.has_more) == (True, "b1", False)
    assert [(each.rule, each.affected_location) for each in answer.impacts] == [
        ("keys-fall-out", "sales"),
        ("partitions-changed", "reports"),
    ]
    assert "west" in answer.impacts[0].message
    assert "east" not in answer.impacts[0].message
    assert not (await check(client, "sales", parted("east", "west"))).impacts
    assert host.parts.registry.location("sales") == before


async def test_the_cursor_of_a_sensor_that_is_gone_is_missed(mesh, host, client):
    sensor = snapshot_pb2.SensorDefinition(name="old", kind=snapshot_pb2.SENSOR_KIND_POLLING)
    await mesh.location(host, "sales", code_location.snapshot(sensors=[sensor]))
    sensor.name = "new"
    answer = await check(client, "sales", code_location.snapshot(sensors=[sensor]))
    assert [(each.rule, each.renamed_to_guess) for each in answer.impacts] == [
        ("sensor-removed", "new")
    ]


async def test_a_location_that_the_host_does_not_know_is_compared_with_nothing(mesh, host, client):
    await mesh.location(host, "sales", parted("east"))
    answer = await check(client, "fresh", parted("east"))
    assert not answer.compared
    assert [each.rule for each in answer.impacts] == ["asset-taken"]


async def test_a_wrong_question_is_refused_and_says_why(client):
    stub = impact_pb2_grpc.ImpactServiceStub(client.channel)
    ask = impact_pb2.CheckImpactRequest
    too_long = b"x" * (servicer.CHUNK_BYTES_MAX + 1)
    for pieces in (
        [],
        [ask(chunk=b"")],
        [ask(location_name="a"), ask(location_name="b")],
        [ask(location_name="a", chunk=b"\xff\xff\xff")],
        [ask(location_name="a", chunk=too_long)],
    ):
        error = await client.refused(stub.CheckImpact(iter(pieces), timeout=20))
        assert error.reason == "INVALID_REQUEST", pieces

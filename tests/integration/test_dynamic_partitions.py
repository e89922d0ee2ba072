"""Dynamic partitions for people and programs, and reports of locations, over the host's API."""

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import partitions_pb2, partitions_pb2_grpc
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres


@pytest.fixture
def partitions(client):
    return partitions_pb2_grpc.PartitionsServiceStub(client.channel)


def adding(*keys: str, name: str = "days", **fields):
    return partitions_pb2.AddDynamicPartitionsRequest(
        partitions_def_name=name, partition_keys=keys, **fields
    )


def deleting(*keys: str, **fields):
    return partitions_pb2.DeleteDynamicPartitionsRequest(
        partitions_def_name="days", partition_keys=keys, **fields
    )


async def listed(partitions, **fields):
    request = partitions_pb2.ListDynamicPartitionsRequest(partitions_def_name="days", **fields)
    answer = await partitions.ListDynamicPartitions(request)
    return [each.partition_key for each in answer.partitions], answer.next_page_token


async def test_keys_are_added_listed_and_deleted(partitions):
    added = await partitions.AddDynamicPartitions(adding("b", "a", "c"))
    assert added.added_count == 3
    first, token = await listed(partitions, page_size=2)
    rest, end = await listed(partitions, page_size=2, page_token=token)
    assert (first, rest, end) == (["b", "a"], ["c"], "")
    deleted = await partitions.DeleteDynamicPartitions(deleting("a", "x"))
    assert deleted.deleted_count == 1
    assert await listed(partitions) == (["b", "c"], "")


async def test_a_request_id_makes_a_change_once(partitions):
    request = adding("a", request_id="r1")
    assert (await partitions.AddDynamicPartitions(request)).added_count == 1
    await partitions.DeleteDynamicPartitions(deleting("a"))
    assert (await partitions.AddDynamicPartitions(request)).added_count == 1
    assert await listed(partitions) == ([], "")


@pytest.mark.parametrize(
    "wrong",
    [
        adding("a", name=""),
        adding("a", name="n" * 300),
        adding("a", ""),
        adding("k" * 2000),
        adding("a", request_id="r" * 300),
    ],
)
async def test_what_cannot_be_stored_is_refused(client, partitions, wrong):
    error = await client.refused(partitions.AddDynamicPartitions(wrong))
    assert error.reason == reasons.INVALID_REQUEST
    assert await listed(partitions) == ([], "")


@pytest.fixture
async def locations(mesh, host):
    defined = code_location.snapshot(
        [code_location.asset("ours"), code_location.asset("outside", executable=False)]
    )
    other = code_location.snapshot([code_location.asset("theirs")])
    return await mesh.location(host, "lake", defined), await mesh.location(host, "sea", other)


def report(location, name: str, **fields) -> instance_pb2.ReportAssetEventRequest:
    event = events_pb2.Event()
    event.asset_materialization.asset_key.path.append(name)
    values = {
        "location_name": location.name,
        "server_id": location.server_id,
        "epoch": location.epoch,
        "event": event,
    }
    return instance_pb2.ReportAssetEventRequest(**{**values, **fields})


async def materializations(location, name: str):
    request = mesh_pb2.ListAssetEventsRequest(
        asset_key=code_location.key(name), kind=mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION
    )
    return (await location.instance.ListAssetEvents(request)).events


async def test_a_location_reports_on_its_own_assets_and_on_those_of_nobody(locations):
    lake, _ = locations
    for name in ("ours", "outside", "never heard of"):
        answer = await lake.instance.ReportAssetEvent(report(lake, name))
        (stored,) = await materializations(lake, name)
        assert (stored.id, stored.location_name) == (answer.event_id, "lake")


async def test_a_report_on_an_asset_of_another_location_is_refused(client, locations):
    lake, _ = locations
    error = await client.refused(lake.instance.ReportAssetEvent(report(lake, "theirs")))
    assert error.reason == reasons.POLICY_FORBIDS
    assert "'sea'" in error.message
    assert not await materializations(lake, "theirs")


async def test_a_repeated_report_is_stored_once(locations):
    lake, _ = locations
    first = await lake.instance.ReportAssetEvent(report(lake, "ours", request_id="r"))
    again = await lake.instance.ReportAssetEvent(report(lake, "ours", request_id="r"))
    assert first == again
    assert len(await materializations(lake, "ours")) == 1


async def test_a_report_of_a_session_that_was_replaced_is_refused(client, locations):
    lake, _ = locations
    for wrong in ({"epoch": lake.epoch + 1}, {"server_id": "nobody"}, {"location_name": "sea"}):
        error = await client.refused(lake.instance.ReportAssetEvent(report(lake, "ours", **wrong)))
        assert error.reason == reasons.STALE_EPOCH


async def test_only_events_of_assets_are_reported(client, locations):
    lake, _ = locations
    of_run = events_pb2.Event(run_id="r")
    of_run.asset_materialization.asset_key.path.append("ours")
    keyless, other = events_pb2.Event(), events_pb2.Event()
    keyless.asset_observation.SetInParent()
    other.run_succeeded.SetInParent()
    for wrong in (of_run, keyless, other, events_pb2.Event()):
        error = await client.refused(
            lake.instance.ReportAssetEvent(report(lake, "ours", event=wrong))
        )
        assert error.reason == reasons.INVALID_REQUEST

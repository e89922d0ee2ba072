"""Whoever has the token of a location can be that location, and nothing else.

The thief speaks real gRPC to a real host, and to a real code server of another location.
"""

import asyncio
import dataclasses

import grpc.aio
import pytest

from atoll._rpc import authorization, errors, reasons, serving
from atoll.api.v1 import (
    access_pb2,
    access_pb2_grpc,
    assets_pb2,
    assets_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    locations_pb2,
    locations_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)
from atoll.events.v1 import events_pb2 as stored_pb2
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import (
    credentials_pb2,
    instance_pb2,
    mesh_pb2,
    mesh_pb2_grpc,
    slots_pb2,
)
from tests.code_server.server import locations
from tests.host.access.conftest import OTHER, OWN, World
from tests.integration import code_location
from tests.integration import conftest as integration

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TIMEOUT_S = 10.0
RUN_HEADER = "atoll-run-credential"


@dataclasses.dataclass
class Thief:
    """Has the token of OWN, and knows of OTHER all that is no secret."""

    channel: grpc.aio.Channel
    own: code_location.CodeLocation
    victim: code_location.CodeLocation
    run_id: str

    def __post_init__(self) -> None:
        self.mesh = mesh_pb2_grpc.MeshServiceStub(self.channel)
        self.instance = mesh_pb2_grpc.InstanceServiceStub(self.channel)

    async def refused(self, call) -> str:
        """Return the reason why a call is refused."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await asyncio.wait_for(call, TIMEOUT_S)
        return errors.from_call(raised.value).reason

    async def answer(self, call, request):
        """Return the first answer of a stream of requests."""
        stream = call()
        await stream.write(request)
        answered = await stream.read()
        if answered is not grpc.aio.EOF:
            return answered
        raise grpc.aio.AioRpcError(
            await stream.code(),
            await stream.initial_metadata(),
            await stream.trailing_metadata(),
            await stream.details(),
        )

    def batch(self, **changes) -> mesh_pb2.AppendEventsRequest:
        """Return events of the other location's run, as if they were of this one."""
        values = {
            "location_name": OWN,
            "server_id": self.own.server_id,
            "epoch": self.own.epoch,
            "events": code_location.succeeding(self.run_id, f"{OTHER}_asset"),
        }
        return mesh_pb2.AppendEventsRequest(**{**values, **changes})

    def report(self, **changes) -> instance_pb2.ReportAssetEventRequest:
        """Return a report on the other location's asset."""
        key = code_location.key(f"{OTHER}_asset")
        event = stored_pb2.Event(
            asset_materialization=stored_pb2.AssetMaterialization(asset_key=key)
        )
        event.timestamp.GetCurrentTime()
        values = {
            "location_name": OWN,
            "server_id": self.own.server_id,
            "epoch": self.own.epoch,
            "event": event,
            "request_id": "r1",
        }
        return instance_pb2.ReportAssetEventRequest(**{**values, **changes})


@pytest.fixture
async def world(database_url: str, tmp_path):
    made = World(integration.Mesh(database_url), tmp_path)
    await made.start()
    await made.add_locations()
    yield made
    await made.close()


@pytest.fixture
async def thief(world: World) -> Thief:
    own, victim = world.mesh.code_locations
    run_id = world.things[OTHER].run_id
    assert (await victim.next_plan()).run_id == run_id
    stolen = await world.location_token(OWN)
    return Thief(world.channel(stolen), own, victim, run_id)


async def events_of(world: World, run_id: str) -> list[str]:
    query = events_pb2.EventFilter(run_id=run_id)
    found = [each async for each in world.admin.events.list(query)]
    return [each.event.WhichOneof("body") or "" for each in found]


async def test_it_registers_no_other_name(thief: Thief):
    registration = mesh_pb2.SessionRequest(registration=thief.victim.registration())
    refused = thief.answer(thief.mesh.Session, registration)
    assert await thief.refused(refused) == reasons.NOT_ALLOWED


async def test_it_adds_nothing_to_runs_of_others(world: World, thief: Thief):
    before = await events_of(world, thief.run_id)
    append = thief.mesh.AppendEvents
    as_victim = {
        "location_name": OTHER,
        "server_id": thief.victim.server_id,
        "epoch": thief.victim.epoch,
    }
    assert await thief.refused(thief.answer(append, thief.batch(**as_victim))) == "NOT_ALLOWED"
    # Its own name with the other's server, which is not registered under that.
    of_victim = {**as_victim, "location_name": OWN}
    assert await thief.refused(thief.answer(append, thief.batch(**of_victim))) == "STALE_EPOCH"
    # Its own session, and a run that is not bound to it.
    [told] = (await thief.answer(append, thief.batch())).acknowledgements
    assert told.fenced_reason
    output = mesh_pb2.AppendOutputRequest(
        location_name=OWN,
        server_id=thief.own.server_id,
        epoch=thief.own.epoch,
        run_id=thief.run_id,
        stream=mesh_pb2.OUTPUT_STREAM_STDOUT,
        data=b"x",
    )
    assert await thief.refused(thief.mesh.AppendOutput(output)) == reasons.UNKNOWN_RUN
    output.location_name = OTHER
    assert await thief.refused(thief.mesh.AppendOutput(output)) == reasons.NOT_ALLOWED
    assert await events_of(world, thief.run_id) == before


async def test_it_reports_nothing_on_assets_of_others(world: World, thief: Thief):
    report = thief.instance.ReportAssetEvent
    assert await thief.refused(report(thief.report())) == reasons.POLICY_FORBIDS
    as_victim = thief.report(
        location_name=OTHER, server_id=thief.victim.server_id, epoch=thief.victim.epoch
    )
    assert await thief.refused(report(as_victim)) == reasons.NOT_ALLOWED


async def test_it_reads_nothing_of_others_that_policy_does_not_allow(thief: Thief):
    ask, key = thief.instance, code_location.key(f"{OTHER}_asset")
    materializations = mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION
    of_asset = mesh_pb2.ListAssetEventsRequest(asset_key=key, kind=materializations)
    for call in (
        ask.ListAssetEvents(of_asset),
        ask.GetLatestMaterializations(mesh_pb2.GetLatestMaterializationsRequest(asset_keys=[key])),
        ask.GetAssetRecords(instance_pb2.GetAssetRecordsRequest(asset_keys=[key])),
        ask.ListAssetPartitions(instance_pb2.ListAssetPartitionsRequest(asset_key=key)),
        ask.GetRun(mesh_pb2.GetRunRequest(run_id=thief.run_id)),
        ask.ListEvents(instance_pb2.ListEventsRequest(run_id=thief.run_id)),
    ):
        assert await thief.refused(call) == reasons.POLICY_FORBIDS
    listed = await ask.ListRuns(mesh_pb2.ListRunsRequest())
    assert {run.location_name for run in listed.runs} == {OWN}
    counted = await ask.GetRunCount(instance_pb2.GetRunCountRequest())
    assert counted.count == len(listed.runs)
    found = await ask.ListEvents(instance_pb2.ListEventsRequest())
    assert {each.location_name for each in found.events} <= {OWN}


async def test_it_gets_neither_slots_nor_credentials_of_runs_of_others(thief: Thief):
    wanted = [slots_pb2.WantedSlot(step_key="s", pool="p")]
    slots = slots_pb2.AcquireSlotsRequest(run_id=thief.run_id, attempt=1, wanted=wanted)
    assert await thief.refused(thief.instance.AcquireSlots(slots)) == reasons.UNKNOWN_RUN
    asked = credentials_pb2.RenewRunCredentialsRequest(
        location_name=OWN,
        server_id=thief.own.server_id,
        epoch=thief.own.epoch,
        run_ids=[thief.run_id],
    )
    assert not (await thief.mesh.RenewRunCredentials(asked)).credentials
    asked.location_name = OTHER
    assert await thief.refused(thief.mesh.RenewRunCredentials(asked)) == reasons.NOT_ALLOWED


async def test_the_credential_of_another_locations_run_is_worth_nothing_to_it(thief: Thief):
    stolen = thief.victim.run_credentials[thief.run_id].credential
    assert stolen
    asked = mesh_pb2.GetRunRequest(run_id=thief.run_id)
    header = ((RUN_HEADER, stolen),)
    refused = thief.instance.GetRun(asked, metadata=header)
    assert await thief.refused(refused) == reasons.RUN_CREDENTIAL_INVALID
    # To whom it was given, it is of use.
    assert (await thief.victim.instance.GetRun(asked, metadata=header)).run.run_id == thief.run_id
    # However often the host had to call.
    assert set(thief.victim.shown) == {f"Bearer {thief.victim.control_token}"}


async def test_it_does_nothing_that_people_do(world: World, thief: Thief):
    runs = runs_pb2_grpc.RunsServiceStub(thief.channel)
    access = access_pb2_grpc.AccessServiceStub(thief.channel)
    log = events_pb2_grpc.EventsServiceStub(thief.channel)
    for name in (OWN, OTHER):
        launch = runs_pb2.LaunchRunRequest(location_name=name, job_name="__ASSET_JOB")
        assert await thief.refused(runs.LaunchRun(launch)) == reasons.NOT_ALLOWED
    grown = access_pb2.CreateTokenRequest(
        name="mine", kind=access_pb2.TOKEN_KIND_LOCATION, location_name=OWN
    )
    watch = log.WatchEvents(events_pb2.WatchEventsRequest())
    for call in (
        runs.ListRuns(runs_pb2.ListRunsRequest()),
        runs.GetRun(runs_pb2.GetRunRequest(run_id=thief.run_id)),
        runs.CancelRun(runs_pb2.CancelRunRequest(run_id=world.things[OWN].run_id)),
        log.ListEvents(events_pb2.ListEventsRequest()),
        watch.read(),
        access.CreateToken(grown),
        access.ListTokens(access_pb2.ListTokensRequest()),
        audit_pb2_grpc.AuditServiceStub(thief.channel).ListAuditEntries(
            audit_pb2.ListAuditEntriesRequest()
        ),
        assets_pb2_grpc.AssetsServiceStub(thief.channel).ListAssets(assets_pb2.ListAssetsRequest()),
        locations_pb2_grpc.LocationsServiceStub(thief.channel).ListLocations(
            locations_pb2.ListLocationsRequest()
        ),
    ):
        assert await thief.refused(call) in {reasons.NOT_ALLOWED, reasons.UNKNOWN_RUN}


async def test_it_opens_no_code_server(world: World, tmp_path):
    stolen = await world.location_token(OWN)
    async with (
        locations.serving_location(tmp_path / "code", locations.EMPTY) as served,
        serving.channel(served.server.address) as channel,
    ):
        stub = location_pb2_grpc.CodeLocationServiceStub(authorization.authorized(channel, stolen))
        calls = [
            stub.Describe(location_pb2.DescribeRequest()),
            stub.StartRun(location_pb2.StartRunRequest(plan=locations.new_plan("any"))),
            stub.Drain(location_pb2.DrainRequest()),
            stub.StreamDefinitions(location_pb2.StreamDefinitionsRequest()).read(),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await asyncio.wait_for(call, TIMEOUT_S)
            assert errors.from_call(raised.value).reason == reasons.HOST_UNPROVEN
        assert not (await served.describe()).draining

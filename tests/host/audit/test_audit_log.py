"""Every change has its entry, whether it was made, refused or failed."""

import grpc.aio
import pytest

from atoll.api.v1 import access_pb2, access_pb2_grpc, audit_pb2, runs_pb2, runs_pb2_grpc
from atoll.client import errors
from atoll_host.access import tokens
from atoll_storage import access_records
from tests.host.access.conftest import OTHER, OWN, World
from tests.host.access.conftest import world as world
from tests.integration import code_location

WITHIN_S = 10.0


async def _entries(client, **query) -> list[audit_pb2.AuditEntry]:
    return [entry async for entry in client.audit.entries(**query)]


async def test_changes_that_are_made_refused_and_failed_are_all_there(world: World):
    await world.add_locations()
    bearer = await world.token("launcher", OWN)
    runs = runs_pb2_grpc.RunsServiceStub(world.channel(bearer))
    launch = runs_pb2.LaunchRunRequest(asset_selection=[code_location.key(world.things[OWN].asset)])
    await runs.LaunchRun(launch, timeout=WITHIN_S)
    for request in (
        runs_pb2.LaunchRunRequest(location_name=OTHER, job_name="j"),
        runs_pb2.LaunchRunRequest(location_name=OWN, job_name="no such job"),
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await runs.LaunchRun(request, timeout=WITHIN_S)
    with pytest.raises(grpc.aio.AioRpcError):
        await runs.CancelRun(runs_pb2.CancelRunRequest(run_id=world.things[OTHER].run_id))
    token_id = tokens.parse(bearer).token_id
    found = await _entries(world.admin, caller=token_id)
    told = [
        (
            each.rpc.rpartition(".")[2],
            audit_pb2.AuditOutcome.Name(each.outcome).removeprefix("AUDIT_OUTCOME_"),
            each.reason,
            list(each.location_names),
        )
        for each in found
    ]
    assert told == [
        ("CancelRun", "REFUSED", "UNKNOWN_RUN", []),
        ("LaunchRun", "FAILED", "UNKNOWN_JOB", [OWN]),
        ("LaunchRun", "REFUSED", "NOT_ALLOWED", [OTHER]),
        # Nobody named the location: it was found on the way.
        ("LaunchRun", "DONE", "", [OWN]),
    ]
    assert {each.caller for each in found} == {f"launcher ('{OWN}',)"}
    assert found[-1].arguments == {"asset_selection": world.things[OWN].asset}
    assert all(each.HasField("end_time") for each in found)


async def test_who_looks_leaves_no_entry(world: World):
    await world.add_locations()
    before = await _entries(world.admin)
    assert [each async for each in world.admin.runs.list()]
    assert await _entries(world.admin) == before


async def test_an_admin_sees_what_was_about_their_locations(world: World):
    await world.add_locations()
    admin = await world.client(await world.token("admin", OWN))
    found = await _entries(admin)
    assert found
    assert all(OWN in each.location_names for each in found)
    assert await _entries(admin, location_name=OWN) == found
    with pytest.raises(errors.PermissionDeniedError):
        await _entries(admin, location_name=OTHER)
    with pytest.raises(errors.PermissionDeniedError):
        await _entries(await world.client(await world.token("operator")))
    assert [each.rpc for each in await _entries(admin, rpc="LaunchRun", limit=1)] == [
        "atoll.api.v1.RunsService.LaunchRun"
    ]


async def test_nobodys_refusals_are_written_and_bounded(world: World):
    stub = access_pb2_grpc.AccessServiceStub(world.channel(""))
    for _ in range(40):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.RevokeToken(access_pb2.RevokeTokenRequest(token_id="x"))
    refused = await _entries(world.admin, rpc="RevokeToken")
    assert 0 < len(refused) < 40
    assert {(each.caller, each.reason) for each in refused} == {("", "CREDENTIALS_MISSING")}


async def test_pages_go_through_all_of_it_once(world: World):
    store = world.host.parts.store.audit
    for number in range(25):
        entry = access_records.NewEntry("who", "token", "", f"a.b.Call{number}", [], {}, 1)
        await store.add(entry, ended=False)
    query = access_records.EntryQuery(caller="who")
    seen, before = [], None
    while page := await store.page(query, before_id=before, limit=10):
        seen += [each.rpc for each in page]
        before = page[-1].entry_id
    assert seen == [f"a.b.Call{number}" for number in reversed(range(25))]
    assert await store.page(access_records.EntryQuery(rpc="C_ll1"), before_id=None, limit=9) == []

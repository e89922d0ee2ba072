"""Credentials over real gRPC: which are taken, which are not, and for how long."""

import asyncio
import datetime as dt
import re

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atoll._rpc import errors as rpc_errors
from atoll._rpc import info
from atoll.api.v1 import (
    access_pb2,
    access_pb2_grpc,
    events_pb2,
    events_pb2_grpc,
    runs_pb2,
    runs_pb2_grpc,
)
from atoll.client import access as client_access
from atoll.client import connection, errors
from atoll.mesh.v1 import mesh_pb2
from atoll.rpc.v1 import server_info_pb2
from atoll_host import errors as host_errors
from atoll_host.access import credentials, first_token, tokens
from tests.host.access.conftest import OTHER, OWN, World
from tests.integration import code_location

WITHIN_S = 10.0
TOLD_WITHIN_S = 3.0
"""Less than what is remembered without being told (`verifying.FRESH_S`)."""


async def refusal(channel: grpc.aio.Channel, *headers: tuple[str, str]) -> rpc_errors.RpcError:
    """Return why a call is refused."""
    stub = access_pb2_grpc.AccessServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.WhoAmI(access_pb2.WhoAmIRequest(), metadata=headers, timeout=WITHIN_S)
    return rpc_errors.from_call(raised.value)


async def test_health_and_the_handshake_need_no_credentials(world: World):
    channel = world.channel("")
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    await info.check_server(channel, kind=server_info_pb2.SERVER_KIND_HOST)
    await info.check_server(world.channel("nonsense"), kind=server_info_pb2.SERVER_KIND_HOST)
    assert (await refusal(channel)).reason == "CREDENTIALS_MISSING"


def _wrong(bearer: str) -> dict[str, list[str]]:
    """Return what is sent instead of a good token, by what is wrong with it."""
    good = f"Bearer {bearer}"
    other = tokens.make()
    return {
        "truncated": [good[:-1]],
        "without its scheme": [bearer],
        "another scheme": [f"Basic {bearer}"],
        "empty": [""],
        "a scheme alone": ["Bearer "],
        "unknown": [f"Bearer {other.bearer}"],
        "another secret with a right id": [f"Bearer {bearer[:18]}_{other.secret}"],
        "one more character": [f"{good}A"],
        "upper case": [good.upper()],
        "oversized": [good + "A" * 4000],
        "quoted": [f'Bearer "{bearer}"'],
        "two of them": [good, good],
        "a wrong one first": ["Bearer nonsense", good],
        "joined": [f"{good}, {good}"],
    }


async def test_whatever_is_wrong_with_a_token_is_answered_alike(world: World):
    bearer = await world.token("viewer")
    wrong = _wrong(bearer)
    channel = world.channel("")
    answers = set()
    for what, values in wrong.items():
        error = await refusal(channel, *(("authorization", value) for value in values))
        assert isinstance(error, rpc_errors.UnauthenticatedError), what
        assert bearer not in error.message
        answers.add((error.reason, error.message, tuple(error.metadata)))
    assert len(answers) == 1
    # It was good all along.
    me = await (await world.client(bearer)).access.who_am_i()
    assert me.kind == "token"


async def test_a_revoked_token_ends_at_once_on_every_host(world: World):
    second = await world.add_host()
    bearer = await world.token("viewer")
    clients = [await world.client(bearer, host) for host in (world.host, second)]
    for client in clients:
        await client.access.who_am_i()
    token_id = tokens.parse(bearer).token_id
    await world.admin.access.revoke_token(token_id)
    with pytest.raises(errors.UnauthenticatedError):
        await clients[0].access.who_am_i()
    async with asyncio.timeout(TOLD_WITHIN_S):
        while True:
            try:
                await clients[1].access.who_am_i()
            except errors.UnauthenticatedError:
                break
    again = await world.admin.access.revoke_token(token_id)
    assert again.HasField("revoke_time")


async def test_a_token_ends_when_its_time_is_up(world: World):
    made = await world.admin.access.create_token(
        "short", [client_access.grant("viewer")], lifetime=dt.timedelta(seconds=1)
    )
    client = await world.client(made.bearer)
    assert (await client.access.who_am_i()).name == "short"
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await client.access.who_am_i()
            except errors.UnauthenticatedError:
                break


async def test_a_watch_ends_when_its_token_does(world: World):
    await world.add_locations()
    bearer = await world.token("viewer")
    stub = events_pb2_grpc.EventsServiceStub(world.channel(bearer))
    watch = stub.WatchEvents(events_pb2.WatchEventsRequest())
    await asyncio.wait_for(watch.read(), WITHIN_S)
    await world.admin.access.revoke_token(tokens.parse(bearer).token_id)
    (location, _) = world.mesh.code_locations
    run_id = world.things[OWN].run_id
    await location.append(code_location.succeeding(run_id, world.things[OWN].asset))

    async def to_the_end():
        while await watch.read() is not grpc.aio.EOF:
            pass
        raise AssertionError("the watch ended in good order")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await asyncio.wait_for(to_the_end(), WITHIN_S)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_first_token_is_in_a_file_of_its_owner_and_in_no_log(world: World, caplog):
    file = world.folder / first_token.FILE_NAME
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.admin_token == file.read_text().strip()
    logged = str([record.__dict__ for record in caplog.get_records("setup")])
    assert str(file) in logged
    assert tokens.parse(world.admin_token).secret not in logged
    before = file.read_bytes()
    await world.add_host()
    assert file.read_bytes() == before


async def test_nobody_gives_more_than_they_hold(world: World):
    admin = await world.client(await world.token("admin", OWN))
    made = await admin.access.create_token("helper", [client_access.grant("operator", [OWN])])
    assert made.token.creator == f"admin ('{OWN}',)"
    await admin.access.create_token("server", location_name=OWN)
    for grants, location in [
        ([client_access.grant("viewer", [OTHER])], ""),
        ([client_access.grant("viewer", [OWN, OTHER])], ""),
        ([client_access.grant("viewer")], ""),
        ([], OTHER),
    ]:
        with pytest.raises(errors.PermissionDeniedError):
            await admin.access.create_token("more", grants, location_name=location)
    everything = tokens.parse(world.admin_token).token_id
    with pytest.raises(errors.NotFoundError):
        await admin.access.revoke_token(everything)
    listed = [token.name async for token in admin.access.tokens()]
    assert sorted(listed) == [f"admin ('{OWN}',)", "helper", "server"]


MEANINGLESS = [
    ({"name": ""}, "name is ''"),
    ({"name": "x" * 201}, "201 characters"),
    ({"grants": []}, "at least"),
    ({"grants": [access_pb2.Grant(role=5)]}, "5 is no role"),
    ({"grants": [access_pb2.Grant()]}, "0 is no role"),
    ({"kind": 9}, "9 is no kind"),
    ({"kind": access_pb2.TOKEN_KIND_LOCATION}, "location_name is ''"),
    ({"lifetime": {"seconds": 0}}, "from 1 s"),
    ({"lifetime": {"seconds": 400 * 86_400}}, "365 days"),
    ({"lifetime": {"seconds": 10**12}}, "which is no duration"),
]


async def test_a_token_that_makes_no_sense_is_refused(world: World):
    stub = access_pb2_grpc.AccessServiceStub(world.channel(world.admin_token))
    for changes, text in MEANINGLESS:
        values = {"name": "n", "grants": [access_pb2.Grant(role=1)], **changes}
        with pytest.raises(grpc.aio.AioRpcError, match=re.escape(text)) as raised:
            await stub.CreateToken(access_pb2.CreateTokenRequest(**values))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_launch_that_names_no_location_needs_the_role_where_it_ends_up(world: World):
    await world.add_locations()
    runs = runs_pb2_grpc.RunsServiceStub(world.channel(await world.token("launcher", OWN)))

    def launch(location: str) -> runs_pb2.LaunchRunRequest:
        selection = [code_location.key(world.things[location].asset)]
        return runs_pb2.LaunchRunRequest(asset_selection=selection, tags={"mine": location})

    assert (await runs.LaunchRun(launch(OWN), timeout=WITHIN_S)).run.location_name == OWN
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await runs.LaunchRun(launch(OTHER), timeout=WITHIN_S)
    assert rpc_errors.from_call(raised.value).reason == "NOT_ALLOWED"
    # Backfills launch runs meanwhile.
    made = [run.tags["mine"] async for run in world.admin.runs.list() if "mine" in run.tags]
    assert made == [OWN]


async def test_a_code_server_speaks_for_its_own_location_only(world: World):
    await world.add_locations()
    (location, _) = world.mesh.code_locations
    events = code_location.logs(world.things[OWN].run_id, 1)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await location.append(events, location_name=OTHER)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await location.join(location_name=OTHER)
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
    piece = mesh_pb2.AppendOutputRequest(
        location_name=OWN, run_id=world.things[OTHER].run_id, stream=1, data=b"x"
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await location.mesh.AppendOutput(piece)
    assert rpc_errors.from_call(raised.value).reason == "UNKNOWN_RUN"


async def test_the_token_of_a_location_is_worth_nothing_on_the_connection_of_another(world: World):
    checks = world.host.parts.gate._engine
    sent = (f"Bearer {await world.location_token(OWN)}",)
    with pytest.raises(host_errors.CredentialsInvalid):
        await checks.authenticate(credentials.Credentials(sent, (f"atoll:location:{OTHER}",)))
    for uris in ((), (f"atoll:location:{OWN}",), ("atoll:user:ci",)):
        caller = await checks.authenticate(credentials.Credentials(sent, uris))
        assert caller.location_name == OWN
    alone = await checks.authenticate(credentials.Credentials((), (f"atoll:location:{OTHER}",)))
    assert alone.location_name == OTHER
    for unclear in (("atoll:location:a", "atoll:location:b"), ("atoll:location:no name",)):
        with pytest.raises(host_errors.CredentialsMissing):
            await checks.authenticate(credentials.Credentials((), unclear))


async def test_a_client_sends_no_token_to_another_machine_without_tls():
    with pytest.raises(errors.FailedPreconditionError, match="over TLS only") as raised:
        async with connection.connect("192.0.2.1:4700", token="atoll_secret"):
            pass
    assert raised.value.reason == "TOKEN_UNPROTECTED"
    assert "atoll_secret" not in raised.value.message

"""What a call to a code server raises tells whether anybody knows its outcome."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator

import pytest

from atoll._rpc import info, serving, tls
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.rpc.v1 import server_info_pb2
from atoll_host import errors
from atoll_host.locations import control, dialing
from tests import certificates


class _Silent(location_pb2_grpc.CodeLocationServiceServicer):
    """Takes calls and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def EvaluateSensor(self, request, context):  # noqa: N802
        self.asked.set()
        await asyncio.Event().wait()


class _Quick(location_pb2_grpc.CodeLocationServiceServicer):
    """Answers with the connection that a call came on."""

    async def Describe(self, request, context):  # noqa: N802
        return location_pb2.DescribeResponse(server_id=context.peer())


@contextlib.asynccontextmanager
async def served(
    servicer: location_pb2_grpc.CodeLocationServiceServicer,
    security: serving.Security | None = None,
) -> AsyncIterator[str]:
    facts = info.ServerFacts(
        kind=server_info_pb2.SERVER_KIND_CODE_SERVER, version="0", instance_id="silent"
    )
    service = serving.Service(
        "atoll.location.v1.CodeLocationService",
        location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
        servicer,
    )
    server = serving.GrpcServer("127.0.0.1:0", facts=facts, services=[service], security=security)
    await server.start()
    try:
        yield server.address
    finally:
        await server.stop(0)


@pytest.fixture
async def silent() -> AsyncIterator[tuple[_Silent, str]]:
    servicer = _Silent()
    async with served(servicer) as address:
        yield servicer, address


def secured(address: str) -> dialing.Target:
    return dialing.Target(dialing.marked(address, secured=True))


def evaluation() -> location_pb2.EvaluateSensorRequest:
    request = location_pb2.EvaluateSensorRequest(sensor_name="slow", tick_id="t")
    request.timeout.FromSeconds(60)
    return request


async def test_a_call_whose_connection_is_given_up_has_an_unknown_outcome(
    silent: tuple[_Silent, str],
) -> None:
    servicer, address = silent
    channels = control.Channels()
    client = channels.client("east", dialing.Target(address))
    call = asyncio.create_task(client.evaluate_sensor(evaluation()))
    await asyncio.wait_for(servicer.asked.wait(), 5)
    # The code server lost its lease, or another one took its name.
    channels.keep((), grace_s=0.01)
    with pytest.raises(errors.LocationUnavailable, match="east"):
        await asyncio.wait_for(call, 5)
    await channels.close()


async def test_a_caller_that_is_canceled_stays_canceled(silent: tuple[_Silent, str]) -> None:
    servicer, address = silent
    channels = control.Channels()
    call = asyncio.create_task(
        channels.client("east", dialing.Target(address)).evaluate_sensor(evaluation())
    )
    await asyncio.wait_for(servicer.asked.wait(), 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    await channels.close()


async def test_a_code_server_is_dialed_anew_once_the_certificates_have_changed(
    tmp_path: pathlib.Path,
) -> None:
    ca = certificates.Authority(tmp_path)
    own = ca.pair("host", "atoll:host")
    security = certificates.security(ca.pair("east", "atoll:location:east"), ca)
    channels = control.Channels(tls.ClientTls(tls.ClientFiles(ca.path, own)))
    async with served(_Quick(), security) as address:
        client = channels.client("east", secured(address))
        before = [(await client.describe()).server_id for _ in range(2)]
        certificates.write(own, ca.issue("atoll:host"))
        after = [(await client.describe()).server_id for _ in range(2)]
        await channels.close()
    assert len(set(before)) == len(set(after)) == 1
    assert before != after


async def test_a_code_server_with_another_authority_is_unavailable_with_the_reason(
    tmp_path: pathlib.Path,
) -> None:
    ca, other = certificates.Authority(tmp_path), certificates.Authority(tmp_path, "other")
    security = certificates.security(other.pair("east", "atoll:location:east"))
    channels = control.Channels(tls.ClientTls(tls.ClientFiles(ca.path)))
    async with served(_Quick(), security) as address:
        client = channels.client("east", secured(address))
        with pytest.raises(errors.LocationUnavailable, match="authority that is not trusted"):
            await client.describe()
        await channels.close()


async def test_a_code_server_that_cannot_be_verified_is_not_dialed_at_all() -> None:
    channels = control.Channels()
    client = channels.client("east", secured("127.0.0.1:1"))
    with pytest.raises(errors.LocationRefused, match="locations_ca"):
        await client.describe()

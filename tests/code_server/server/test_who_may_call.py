"""A code server takes calls of hosts only: of whoever shows the token that it told a host."""

import dataclasses

import grpc.aio
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atoll._rpc import authorization, errors, info, reasons, serving
from atoll._server import control_token
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.rpc.v1 import server_info_pb2
from tests.code_server.server import fake_host, locations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

METHODS = location_pb2.DESCRIPTOR.services_by_name["CodeLocationService"].methods
KIND = server_info_pb2.SERVER_KIND_CODE_SERVER
OLDER: tuple[str, ...] = ("mesh",)


async def refusal(channel: grpc.aio.Channel, method) -> errors.RpcError | None:
    """Return why a call is refused; None where it is not."""
    stub = location_pb2_grpc.CodeLocationServiceStub(channel)
    request = message_factory.GetMessageClass(method.input_type)()
    call = getattr(stub, method.name)(request, timeout=10)
    try:
        if method.server_streaming:
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return errors.from_call(error)
    return None


async def test_every_call_takes_the_token(tmp_path):
    async with locations.serving_location(tmp_path, locations.EMPTY) as location:
        address, right = location.server.address, location.server.control.token
        async with serving.channel(address) as channel:
            for token in ("", "nonsense", right[:-1], f"{right}x"):
                caller = authorization.authorized(channel, token)
                for method in METHODS:
                    error = await refusal(caller, method)
                    assert isinstance(error, errors.UnauthenticatedError), method.name
                    assert error.reason == reasons.HOST_UNPROVEN
                    assert right not in error.message
            host = authorization.authorized(channel, right)
            for method in METHODS:
                error = await refusal(host, method)
                assert error is None or error.reason != reasons.HOST_UNPROVEN, method.name


async def test_the_handshake_and_health_are_for_anybody(tmp_path):
    async with (
        locations.serving_location(tmp_path, locations.EMPTY) as location,
        serving.channel(location.server.address) as channel,
    ):
        await info.check_server(channel, kind=KIND)
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_host_that_sends_no_token_may_call_as_long_as_it_has_the_session(tmp_path):
    method = next(each for each in METHODS if each.name == "Describe")
    async with (
        fake_host.running(features=OLDER) as host,
        locations.serving_location(tmp_path, locations.EMPTY, host=host.address) as location,
    ):
        registration = await host.registered()
        assert registration.control_token == location.server.control.token
        async with serving.channel(location.server.address) as channel:
            assert await refusal(channel, method) is None
            location.server.control.host_says(("control_tokens",))
            assert (await refusal(channel, method)).reason == reasons.HOST_UNPROVEN


async def test_each_start_makes_another_token_and_shows_it_nowhere(tmp_path):
    async with locations.serving_location(tmp_path, locations.EMPTY) as location:
        token = location.server.control.token
        assert token not in repr(location.server.control)
        assert token not in str(await location.describe())
        assert token != control_token.ControlToken().token
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if token.encode() in path.read_bytes()]


def test_a_location_shows_no_token_in_its_settings(tmp_path):
    given = locations.settings_for(tmp_path, locations.NOBODY).token
    assert "s3cret" not in repr(dataclasses.replace(given, token="s3cret"))

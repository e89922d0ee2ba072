"""The handshake, health and reflection of a server, and where it may listen."""

import socket

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from atoll._rpc import addresses, errors, info, options, reasons, serving
from atoll.rpc.v1 import server_info_pb2

HOST = server_info_pb2.SERVER_KIND_HOST
CODE_SERVER = server_info_pb2.SERVER_KIND_CODE_SERVER


def make(listen: str = "127.0.0.1:0") -> serving.GrpcServer:
    facts = info.ServerFacts(kind=HOST, version="1.2.3", instance_id="me", features=("x",))
    return serving.GrpcServer(listen, facts=facts, services=())


@pytest.fixture
async def server():
    server = make()
    await server.start()
    yield server
    await server.stop(0)


async def test_the_handshake_tells_the_facts(server):
    async with serving.channel(server.address) as channel:
        response = await info.check_server(channel, kind=HOST)
    assert (response.version, response.instance_id, list(response.features)) == (
        "1.2.3",
        "me",
        ["x"],
    )


async def test_another_kind_of_server_is_refused(server):
    async with serving.channel(server.address) as channel:
        with pytest.raises(
            errors.FailedPreconditionError, match="is a host, not a code server"
        ) as caught:
            await info.check_server(channel, kind=CODE_SERVER, peer=server.address)
    assert caught.value.reason == reasons.WRONG_SERVER


async def test_nobody_there_is_said_clearly():
    async with serving.channel("127.0.0.1:1") as channel:
        with pytest.raises(
            errors.UnavailableError,
            match=r"No server answers at 127\.0\.0\.1:1: Connection refused\. Check",
        ):
            await info.check_server(channel, kind=HOST, peer="127.0.0.1:1", timeout_s=2)


@pytest.mark.parametrize(
    ("newest", "oldest", "agreed"), [(1, 1, 1), (5, 1, 1), (1, 0, 1), (9, 2, None), (0, 0, None)]
)
def test_the_newest_common_version_is_agreed(newest, oldest, agreed):
    if agreed is not None:
        assert info.agreed_version(newest, oldest, peer="host") == agreed
        return
    with pytest.raises(errors.FailedPreconditionError, match="Upgrade the older") as caught:
        info.agreed_version(newest, oldest, peer="host")
    assert caught.value.reason == reasons.PROTOCOL_INCOMPATIBLE


async def test_health_and_reflection_are_served(server):
    async with serving.channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        check = health_pb2.HealthCheckRequest()
        assert (
            await health.Check(check, timeout=5)
        ).status == health_pb2.HealthCheckResponse.SERVING
        await server.set_serving(serving=False)
        answer = await health.Check(check, timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
        )
        names = {s.name async for r in call for s in r.list_services_response.service}
    assert "atoll.rpc.v1.ServerInfoService" in names
    assert "grpc.health.v1.Health" in names


async def test_a_port_in_use_is_refused_clearly(server):
    second = make(server.address)
    with pytest.raises(errors.FailedPreconditionError, match="cannot be listened on") as caught:
        await second.start()
    assert caught.value.reason == reasons.PORT_IN_USE
    assert server.address in caught.value.message


async def test_a_port_that_no_grpc_server_holds_is_refused_as_well():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with pytest.raises(errors.FailedPreconditionError, match="cannot be listened on"):
            await make(f"127.0.0.1:{taken.getsockname()[1]}").start()


@pytest.mark.parametrize("text", ["0.0.0.0:1", "[::]:1", "10.1.2.3:4700", "example.org:4700"])
def test_only_loopback_is_listened_on(text):
    with pytest.raises(errors.InvalidArgumentError, match="TLS") as caught:
        make(text)
    assert caught.value.reason == reasons.ADDRESS_NOT_LOOPBACK


@pytest.mark.parametrize(
    "text", ["", "4700", "localhost", "localhost:", ":4700", "a:b", "a:70000", "a:-1"]
)
def test_what_is_no_address_is_refused_with_its_value(text):
    with pytest.raises(errors.InvalidArgumentError, match="is no address") as caught:
        addresses.parse(text)
    assert caught.value.metadata == {"address": text}


@pytest.mark.parametrize("text", ["127.0.0.1:4700", "localhost:1", "[::1]:4700", "127.9.9.9:0"])
def test_an_address_is_written_as_it_was_read(text):
    assert str(addresses.parse_loopback(text)) == text


async def test_stop_can_be_repeated_and_frees_the_port(server):
    address = server.address
    await server.stop(0)
    await server.stop(0)
    again = make(address)
    await again.start()
    await again.stop(0)


async def test_messages_above_the_usual_limit_pass():
    assert options.MESSAGE_BYTES_MAX == 16 * 1024 * 1024
    for table in (options.SERVER, options.CHANNEL):
        assert dict(table)["grpc.max_receive_message_length"] == options.MESSAGE_BYTES_MAX
    assert dict(options.SERVER)["grpc.so_reuseport"] == 0


def test_clients_ping_no_more_often_than_servers_allow():
    allowed = dict(options.SERVER)["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert dict(options.CHANNEL)["grpc.keepalive_time_ms"] > allowed

"""What a call to a code server raises tells whether anybody knows its outcome."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from atoll._rpc import info, serving
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.rpc.v1 import server_info_pb2
from atoll_host import errors
from atoll_host.locations import control


class _Silent(location_pb2_grpc.CodeLocationServiceServicer):
    """Takes calls and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def EvaluateSensor(self, request, context):  # noqa: N802
        self.asked.set()
        await asyncio.Event().wait()


@pytest.fixture
async def silent() -> AsyncIterator[tuple[_Silent, str]]:
    servicer = _Silent()
    facts = info.ServerFacts(
        kind=server_info_pb2.SERVER_KIND_CODE_SERVER, version="0", instance_id="silent"
    )
    service = serving.Service(
        "atoll.location.v1.CodeLocationService",
        location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
        servicer,
    )
    server = serving.GrpcServer("127.0.0.1:0", facts=facts, services=[service])
    await server.start()
    yield servicer, server.address
    await server.stop(0)


def evaluation() -> location_pb2.EvaluateSensorRequest:
    request = location_pb2.EvaluateSensorRequest(sensor_name="slow", tick_id="t")
    request.timeout.FromSeconds(60)
    return request


async def test_a_call_whose_connection_is_given_up_has_an_unknown_outcome(
    silent: tuple[_Silent, str],
) -> None:
    servicer, address = silent
    channels = control.Channels()
    client = channels.client("east", address)
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
    call = asyncio.create_task(channels.client("east", address).evaluate_sensor(evaluation()))
    await asyncio.wait_for(servicer.asked.wait(), 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    await channels.close()

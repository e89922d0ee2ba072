"""The limits of a host: sizes of messages and pages, deadlines, how much runs at once."""

from typing import cast

import grpc.aio

from atoll.api.v1 import server_pb2, server_pb2_grpc
from atoll.client import calls


class Limits:
    """Tells limits."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "server_pb2_grpc.ServerServiceAsyncStub", server_pb2_grpc.ServerServiceStub(channel)
        )
        self._caller = caller

    async def get(self) -> server_pb2.GetLimitsResponse:
        """Return the limits and features of the host."""
        return await self._caller.unary(self._stub.GetLimits, server_pb2.GetLimitsRequest())

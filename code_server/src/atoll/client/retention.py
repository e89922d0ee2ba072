"""For how long a host keeps what it stored."""

from typing import Final, cast

import grpc.aio

from atoll.api.v1 import retention_pb2, retention_pb2_grpc
from atoll.client import calls

SWEEP_TIMEOUT_S: Final = 900.0


class Retention:
    """Shows what is kept, and sweeps."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "retention_pb2_grpc.RetentionServiceAsyncStub",
            retention_pb2_grpc.RetentionServiceStub(channel),
        )
        self._caller = caller

    async def get(self) -> retention_pb2.GetRetentionResponse:
        """Return for how long each kind of thing is kept, and the newest sweeps."""
        return await self._caller.unary(
            self._stub.GetRetention, retention_pb2.GetRetentionRequest()
        )

    async def run(self, *, dry_run: bool) -> retention_pb2.RetentionSweep:
        """Remove what may go now, or count it.

        Args:
            dry_run: Count and remove nothing.
        """
        request = retention_pb2.RunRetentionRequest(dry_run=dry_run)
        answer = await self._caller.unary(
            self._stub.RunRetention, request, deadline_s=SWEEP_TIMEOUT_S
        )
        return answer.sweep

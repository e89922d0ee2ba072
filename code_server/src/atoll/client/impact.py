"""What new definitions of a location would break."""

from collections.abc import AsyncIterator
from typing import cast

import grpc.aio

from atoll._rpc import errors, options
from atoll.api.v1 import impact_pb2, impact_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import snapshot_pb2

TIMEOUT_S = 180.0


class Impact:
    """Compares definitions that are not served yet with what runs."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "impact_pb2_grpc.ImpactServiceAsyncStub", impact_pb2_grpc.ImpactServiceStub(channel)
        )
        self._caller = caller

    async def check(
        self, location_name: str, snapshot: snapshot_pb2.LocationSnapshot
    ) -> impact_pb2.CheckImpactResponse:
        """Return what definitions would break if they were served. Nothing changes.

        Args:
            location_name: The location.
            snapshot: What it would define.

        Raises:
            errors.NotFoundError: The host knows no location of that name.
        """
        encoded = snapshot.SerializeToString(deterministic=True)

        async def pieces() -> AsyncIterator[impact_pb2.CheckImpactRequest]:
            for start in range(0, max(len(encoded), 1), options.CHUNK_BYTES):
                chunk = encoded[start : start + options.CHUNK_BYTES]
                yield impact_pb2.CheckImpactRequest(location_name=location_name, chunk=chunk)

        try:
            return await self._stub.CheckImpact(pieces(), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise errors.from_call(error, peer=self._caller.address) from error

"""Which builds of locations were loaded when, and what changed between them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import builds_pb2, builds_pb2_grpc
from atoll.client import calls


class Builds:
    """Shows loads of locations."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "builds_pb2_grpc.BuildsServiceAsyncStub", builds_pb2_grpc.BuildsServiceStub(channel)
        )
        self._caller = caller

    def loads(
        self, location_name: str, *, limit: int | None = None
    ) -> AsyncIterator[builds_pb2.Load]:
        """Yield the loads of a location that are remembered, newest first.

        Args:
            location_name: The location.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[builds_pb2.Load], str]:
            request = builds_pb2.ListLoadsRequest(
                location_name=location_name, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListLoads, request)
            return answer.loads, answer.next_page_token

        return calls.paged(fetch, limit)

    async def changes(
        self, location_name: str, *, from_build_id: str = "", to_build_id: str = ""
    ) -> builds_pb2.GetBuildChangesResponse:
        """Return what one build of a location defines otherwise than another.

        Args:
            location_name: The location.
            from_build_id: The build to compare with; empty means the one before.
            to_build_id: The build; empty means the one that serves.
        """
        request = builds_pb2.GetBuildChangesRequest(
            location_name=location_name, from_build_id=from_build_id, to_build_id=to_build_id
        )
        return await self._caller.unary(self._stub.GetBuildChanges, request)

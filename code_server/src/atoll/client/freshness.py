"""How fresh assets are, as a host knows it."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import freshness_pb2, freshness_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Freshness:
    """Lists and shows the freshness of assets."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "freshness_pb2_grpc.FreshnessServiceAsyncStub",
            freshness_pb2_grpc.FreshnessServiceStub(channel),
        )
        self._caller = caller

    def list(
        self,
        *,
        location_name: str = "",
        states: Sequence[events_pb2.FreshnessState.ValueType] = (),
        limit: int | None = None,
    ) -> AsyncIterator[freshness_pb2.AssetFreshness]:
        """Yield the freshness of the assets that have a policy, by key.

        Args:
            location_name: Only those whose policy this location gives; empty means all.
            states: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[freshness_pb2.AssetFreshness], str]:
            request = freshness_pb2.ListFreshnessRequest(
                page_size=size, page_token=token, location_name=location_name, states=states
            )
            answer = await self._caller.unary(self._stub.ListFreshness, request)
            return answer.assets, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, key: values_pb2.AssetKey) -> freshness_pb2.AssetFreshness:
        """Return the freshness of one asset."""
        request = freshness_pb2.GetFreshnessRequest(asset_key=key)
        return (await self._caller.unary(self._stub.GetFreshness, request)).asset

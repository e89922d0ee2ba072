"""The asset graph and its materializations, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import assets_pb2, assets_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Assets:
    """Lists and shows assets."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "assets_pb2_grpc.AssetsServiceAsyncStub", assets_pb2_grpc.AssetsServiceStub(channel)
        )
        self._caller = caller

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> AsyncIterator[assets_pb2.Asset]:
        """Yield the assets of the graph, by key.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[assets_pb2.Asset], str]:
            request = assets_pb2.ListAssetsRequest(
                page_size=size, page_token=token, location_name=location_name
            )
            answer = await self._caller.unary(self._stub.ListAssets, request)
            return answer.assets, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, key: values_pb2.AssetKey) -> assets_pb2.Asset:
        """Return one asset."""
        request = assets_pb2.GetAssetRequest(asset_key=key)
        return (await self._caller.unary(self._stub.GetAsset, request)).asset

    def materializations(
        self, key: values_pb2.AssetKey, *, limit: int | None = None
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield the materializations of an asset, newest first."""

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = assets_pb2.ListMaterializationsRequest(
                asset_key=key, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListMaterializations, request)
            return answer.materializations, answer.next_page_token

        return calls.paged(fetch, limit)

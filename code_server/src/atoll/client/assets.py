"""The assets of all locations and what became of them, as a host knows them."""

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import assets_pb2, assets_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which materializations or observations; what is given all has to hold.

    Attributes:
        partitions: Only those of these partitions; none means all.
        after_time: Only those that happened after this time; None means all.
        before_time: Only those that happened before this time; None means all.
    """

    partitions: Sequence[str] = ()
    after_time: dt.datetime | None = None
    before_time: dt.datetime | None = None

    def fill(
        self,
        request: "assets_pb2.ListMaterializationsRequest | assets_pb2.ListObservationsRequest",
    ) -> None:
        """Put it into a request."""
        request.partitions.extend(self.partitions)
        if self.after_time is not None:
            request.after_time.FromDatetime(self.after_time.astimezone(dt.timezone.utc))
        if self.before_time is not None:
            request.before_time.FromDatetime(self.before_time.astimezone(dt.timezone.utc))


EVERYTHING = Wanted()


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
        self,
        key: values_pb2.AssetKey,
        wanted: Wanted = EVERYTHING,
        *,
        limit: int | None = None,
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield the materializations of an asset, newest first.

        Args:
            key: The asset.
            wanted: Which of them.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = assets_pb2.ListMaterializationsRequest(
                asset_key=key, page_size=size, page_token=token
            )
            wanted.fill(request)
            answer = await self._caller.unary(self._stub.ListMaterializations, request)
            return answer.materializations, answer.next_page_token

        return calls.paged(fetch, limit)

    def observations(
        self,
        key: values_pb2.AssetKey,
        wanted: Wanted = EVERYTHING,
        *,
        limit: int | None = None,
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield the observations of an asset, newest first.

        Args:
            key: The asset.
            wanted: Which of them.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = assets_pb2.ListObservationsRequest(
                asset_key=key, page_size=size, page_token=token
            )
            wanted.fill(request)
            answer = await self._caller.unary(self._stub.ListObservations, request)
            return answer.observations, answer.next_page_token

        return calls.paged(fetch, limit)

    async def partition_states(
        self, key: values_pb2.AssetKey
    ) -> assets_pb2.GetAssetPartitionsResponse:
        """Return how many partitions of an asset are in which state, and which those are."""
        request = assets_pb2.GetAssetPartitionsRequest(asset_key=key)
        return await self._caller.unary(self._stub.GetAssetPartitions, request)

    def partitions(
        self,
        key: values_pb2.AssetKey,
        *,
        states: Sequence["assets_pb2.PartitionState.ValueType"] = (),
        descending: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[assets_pb2.AssetPartition]:
        """Yield the partitions of an asset with their states, in the order of their definition.

        Args:
            key: The asset.
            states: Only partitions in one of these states; none means all.
            descending: Whether the last partition comes first.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[assets_pb2.AssetPartition], str]:
            request = assets_pb2.ListAssetPartitionsRequest(
                asset_key=key,
                page_size=size,
                page_token=token,
                states=states,
                descending=descending,
            )
            answer = await self._caller.unary(self._stub.ListAssetPartitions, request)
            return answer.partitions, answer.next_page_token

        return calls.paged(fetch, limit)

    async def staleness(
        self, key: values_pb2.AssetKey, *, partition: str = ""
    ) -> assets_pb2.AssetStaleness:
        """Return whether an asset is stale, and why.

        Args:
            key: The asset.
            partition: The partition to look at; empty means the newest materialization.
        """
        request = assets_pb2.GetStalenessRequest(asset_key=key, partition=partition)
        return (await self._caller.unary(self._stub.GetStaleness, request)).asset

    def all_staleness(
        self,
        selection: str = "",
        *,
        location_name: str = "",
        statuses: Sequence["assets_pb2.StaleStatus.ValueType"] = (),
        limit: int | None = None,
    ) -> AsyncIterator[assets_pb2.AssetStaleness]:
        """Yield whether assets are stale, and why, by key. What is given all has to hold.

        Args:
            selection: A selection of assets, as text; empty means all that locations can make.
            location_name: Only those of this location; empty means all.
            statuses: Only those of one of these statuses; none means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[assets_pb2.AssetStaleness], str]:
            request = assets_pb2.ListStalenessRequest(
                page_size=size,
                page_token=token,
                selection=selection,
                location_name=location_name,
                statuses=statuses,
            )
            answer = await self._caller.unary(self._stub.ListStaleness, request)
            return answer.assets, answer.next_page_token

        return calls.paged(fetch, limit)

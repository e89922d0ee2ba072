"""Slices of the asset graph of all locations, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import grpc.aio

from atoll.api.v1 import graph_pb2, graph_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2

PAGE_SIZE: Final = 10_000
"""Nodes are small: a page of them is large."""


class Graph:
    """Shows slices of the graph."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "graph_pb2_grpc.GraphServiceAsyncStub", graph_pb2_grpc.GraphServiceStub(channel)
        )
        self._caller = caller

    def nodes(
        self,
        selection: str = "",
        *,
        location_name: str = "",
        group_names: Sequence[str] = (),
        limit: int | None = None,
    ) -> AsyncIterator[graph_pb2.GraphNode]:
        """Yield the assets of a slice with their edges, by key. What is given all has to hold.

        Args:
            selection: A selection of assets, as text; empty means all.
            location_name: Only those of this location; empty means all.
            group_names: Only those of these groups; none means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[graph_pb2.GraphNode], str]:
            request = graph_pb2.ListGraphNodesRequest(
                page_size=PAGE_SIZE if limit is None else size,
                page_token=token,
                selection=selection,
                location_name=location_name,
                group_names=group_names,
            )
            answer = await self._caller.unary(self._stub.ListGraphNodes, request)
            return answer.nodes, answer.next_page_token

        return calls.paged(fetch, limit)

    async def lineage(
        self,
        keys: Sequence[values_pb2.AssetKey],
        direction: "graph_pb2.LineageDirection.ValueType" = graph_pb2.LINEAGE_DIRECTION_BOTH,
        *,
        depth: int = 0,
    ) -> graph_pb2.GetLineageResponse:
        """Return what lies up and down from assets, in all locations, the nearest first.

        Args:
            keys: The assets.
            direction: Which way.
            depth: How many steps at the most; 0 means all.
        """
        request = graph_pb2.GetLineageRequest(asset_keys=keys, direction=direction, depth=depth)
        return await self._caller.unary(self._stub.GetLineage, request)

    def groups(
        self, *, location_name: str = "", limit: int | None = None
    ) -> AsyncIterator[graph_pb2.AssetGroup]:
        """Yield the groups of assets of each location, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[graph_pb2.AssetGroup], str]:
            request = graph_pb2.ListAssetGroupsRequest(
                page_size=size, page_token=token, location_name=location_name
            )
            answer = await self._caller.unary(self._stub.ListAssetGroups, request)
            return answer.groups, answer.next_page_token

        return calls.paged(fetch, limit)

"""GraphService: slices of the asset graph of all locations, for everyone."""

import asyncio
from collections.abc import Callable, Sequence

from atoll.api.v1 import graph_pb2, graph_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages, slices
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts

STARTS_MAX = 1_000

_DOWN_ONLY = graph_pb2.LINEAGE_DIRECTION_DOWNSTREAM
_UP_ONLY = graph_pb2.LINEAGE_DIRECTION_UPSTREAM


class GraphServicer(graph_pb2_grpc.GraphServiceServicer):
    """Shows slices of the asset graph."""

    def __init__(self, registry: registries.Registry, known: slices.Slices) -> None:
        self._registry = registry
        self._slices = known

    async def ListGraphNodes(
        self, request: graph_pb2.ListGraphNodesRequest, context: contexts.Context
    ) -> graph_pb2.ListGraphNodesResponse:
        """Return the assets of a slice with their edges, by key."""
        page = pages.Page(
            request, size_default=slices.PAGE_SIZE_DEFAULT, size_max=slices.PAGE_SIZE_MAX
        )
        if request.location_name:
            self._registry.location(request.location_name)
        prepared, paths = await self._slices.slice_of(
            slices.Wanted(request.selection, request.location_name, tuple(request.group_names))
        )
        shown, token = page.of_sorted(paths)
        return graph_pb2.ListGraphNodesResponse(
            nodes=[prepared.messages[path] for path in shown],
            next_page_token=token,
            total_count=len(paths),
        )

    async def GetLineage(
        self, request: graph_pb2.GetLineageRequest, context: contexts.Context
    ) -> graph_pb2.GetLineageResponse:
        """Return what lies up and down from assets."""
        depth = slices.checked_depth(request.depth)
        prepared = await self._slices.prepared()
        starts = _starts(request, prepared)
        ways = _ways(request.direction, prepared)
        nodes, more = await asyncio.to_thread(prepared.lineage_nodes, starts, ways, depth)
        return graph_pb2.GetLineageResponse(nodes=nodes, is_truncated=more)

    async def ListAssetGroups(
        self, request: graph_pb2.ListAssetGroupsRequest, context: contexts.Context
    ) -> graph_pb2.ListAssetGroupsResponse:
        """Return the groups of assets of each location, by location and name."""
        page = pages.Page(request)
        if request.location_name:
            self._registry.location(request.location_name)
        counts = slices.groups(
            {
                name: view.definitions
                for name, view in self._registry.locations().items()
                if view.definitions is not None and request.location_name in {"", name}
            }
        )
        shown, token = page.of_sorted(list(counts))
        return graph_pb2.ListAssetGroupsResponse(
            groups=[
                graph_pb2.AssetGroup(name=name, location_name=location, asset_count=count)
                for location, name in shown
                for count in [counts[location, name]]
            ],
            next_page_token=token,
        )


def _starts(
    request: graph_pb2.GetLineageRequest, prepared: slices.Prepared
) -> Sequence[slices.Path]:
    starts = [tuple(key.path) for key in request.asset_keys]
    if not 1 <= len(starts) <= STARTS_MAX:
        raise errors.InvalidRequest(
            f"asset_keys has {len(starts)} entries. Name 1 to {STARTS_MAX} assets.",
            field="asset_keys",
        )
    for path in starts:
        if path not in prepared.nodes:
            name = "/".join(path)
            raise errors.UnknownAsset(
                f"No location defines or depends on an asset {name!r}. List the assets.",
                asset_key=name,
            )
    return starts


def _ways(
    direction: int, prepared: slices.Prepared
) -> list[Callable[[slices.Path], Sequence[slices.Path]]]:
    if direction not in graph_pb2.LineageDirection.values():
        raise errors.InvalidRequest(
            f"{direction} is no direction. Name one of atoll.api.v1.LineageDirection.",
            field="direction",
        )
    ways: list[Callable[[slices.Path], Sequence[slices.Path]]] = []
    if direction != _DOWN_ONLY:
        ways.append(prepared.upstream)
    if direction != _UP_ONLY:
        ways.append(prepared.downstream)
    return ways

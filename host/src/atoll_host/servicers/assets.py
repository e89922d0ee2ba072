"""AssetsService: the asset graph of all locations, for everyone."""

from atoll.api.v1 import assets_pb2, assets_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages, rendering
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import event_log


class AssetsServicer(assets_pb2_grpc.AssetsServiceServicer):
    """Shows assets."""

    def __init__(self, registry: registries.Registry, log: event_log.EventLog) -> None:
        self._registry = registry
        self._event_log = log

    async def ListAssets(
        self, request: assets_pb2.ListAssetsRequest, context: contexts.Context
    ) -> assets_pb2.ListAssetsResponse:
        """Return the assets of the graph, by key."""
        page = pages.Page(request)
        graph = self._registry.graph()
        keys = graph.keys
        if request.location_name:
            self._registry.location(request.location_name)
            keys = graph.keys_of(request.location_name)
        shown, token = page.of_sorted(keys)
        events = await self._event_log.latest_materializations(shown) if shown else []
        latest = {
            tuple(event.event.asset_materialization.asset_key.path): event for event in events
        }
        nodes = [node for key in shown if (node := graph.node(key)) is not None]
        return assets_pb2.ListAssetsResponse(
            assets=[rendering.asset(node, latest.get(node.key)) for node in nodes],
            next_page_token=token,
        )

    async def GetAsset(
        self, request: assets_pb2.GetAssetRequest, context: contexts.Context
    ) -> assets_pb2.GetAssetResponse:
        """Return one asset."""
        key = tuple(request.asset_key.path)
        node = self._registry.graph().node(key)
        if node is None:
            raise _unknown(key)
        events = await self._event_log.latest_materializations([key])
        return assets_pb2.GetAssetResponse(
            asset=rendering.asset(node, events[0] if events else None)
        )

    async def ListMaterializations(
        self, request: assets_pb2.ListMaterializationsRequest, context: contexts.Context
    ) -> assets_pb2.ListMaterializationsResponse:
        """Return the materializations of one asset, newest first."""
        page = pages.Page(request)
        key = tuple(request.asset_key.path)
        if not key:
            raise _unknown(key)
        events, more = await self._event_log.list_asset_events(
            key,
            kind="materialization",
            before_id=int(page.after[0]) if page.after else 0,
            limit=page.size,
        )
        if not events and page.after is None and key not in self._registry.graph():
            raise _unknown(key)
        return assets_pb2.ListMaterializationsResponse(
            materializations=events,
            next_page_token=page.token(events[-1].id) if more else "",
        )


def _unknown(key: tuple[str, ...]) -> errors.UnknownAsset:
    name = "/".join(key)
    return errors.UnknownAsset(
        f"No location defines or depends on an asset {name!r}. List the assets.", asset_key=name
    )

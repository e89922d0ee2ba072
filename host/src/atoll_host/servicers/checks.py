"""ChecksService: the checks of assets of all locations and what they found, for everyone."""

import bisect

from atoll.api.v1 import checks_pb2, checks_pb2_grpc
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import errors
from atoll_host.api import pages, rendering
from atoll_host.locations import graph as graphs
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import check_store


class ChecksServicer(checks_pb2_grpc.ChecksServiceServicer):
    """Shows checks."""

    def __init__(self, registry: registries.Registry, store: check_store.CheckStore) -> None:
        self._registry = registry
        self._store = store

    async def ListAssetChecks(
        self, request: checks_pb2.ListAssetChecksRequest, context: contexts.Context
    ) -> checks_pb2.ListAssetChecksResponse:
        """Return the checks of all locations, by asset key and name."""
        page = pages.Page(request)
        graph = self._registry.graph()
        path = tuple(request.asset_key.path)
        keys = graph.checks_of(path) if path else graph.check_keys
        if request.location_name:
            self._registry.location(request.location_name)
            keys = [key for key in keys if request.location_name in graph.check_definers(key)]
        start = bisect.bisect_right(keys, _position(page)) if page.after else 0
        shown = keys[start : start + page.size]
        events = await self._store.latest_check_evaluations(shown) if shown else []
        latest = {_key_of(each.event.asset_check_evaluation): each for each in events}
        nodes = [node for key in shown if (node := graph.check(key)) is not None]
        more = start + page.size < len(keys)
        return checks_pb2.ListAssetChecksResponse(
            checks=[rendering.check(node, latest.get(node.key)) for node in nodes],
            next_page_token=page.token(shown[-1][1], *shown[-1][0]) if more else "",
        )

    async def GetAssetCheck(
        self, request: checks_pb2.GetAssetCheckRequest, context: contexts.Context
    ) -> checks_pb2.GetAssetCheckResponse:
        """Return one check."""
        key = _requested(request.key)
        node = self._registry.graph().check(key)
        if node is None:
            raise _unknown(key)
        events = await self._store.latest_check_evaluations([key])
        return checks_pb2.GetAssetCheckResponse(
            check=rendering.check(node, events[0] if events else None)
        )

    async def ListAssetCheckEvaluations(
        self, request: checks_pb2.ListAssetCheckEvaluationsRequest, context: contexts.Context
    ) -> checks_pb2.ListAssetCheckEvaluationsResponse:
        """Return the evaluations of one check, newest first."""
        page = pages.Page(request)
        key = _requested(request.key)
        events, more = await self._store.list_check_evaluations(
            key,
            before_id=page.after_id,
            limit=page.size,
            partitions=tuple(request.partitions),
        )
        # A check that is no longer defined keeps its evaluations.
        if not events and page.after is None and self._registry.graph().check(key) is None:
            raise _unknown(key)
        return checks_pb2.ListAssetCheckEvaluationsResponse(
            evaluations=events,
            next_page_token=page.token(events[-1].id) if more else "",
        )


def _position(page: pages.Page) -> graphs.CheckKey:
    name, *path = map(str, page.after or ("",))
    return tuple(path), name


def _requested(key: values_pb2.AssetCheckKey) -> graphs.CheckKey:
    if not key.asset_key.path or not key.name:
        raise errors.InvalidRequest(
            "The key of a check names the asset and the check. Give both.", field="key"
        )
    return tuple(key.asset_key.path), key.name


def _key_of(body: events_pb2.AssetCheckEvaluation) -> graphs.CheckKey:
    return tuple(body.asset_key.path), body.check_name


def _unknown(key: graphs.CheckKey) -> errors.UnknownCheck:
    path, name = key
    asset_key = "/".join(path)
    return errors.UnknownCheck(
        f"No location defines a check {name!r} of asset {asset_key!r}. List the checks.",
        asset_key=asset_key,
        check_name=name,
    )

"""FreshnessService: how fresh assets are, for everyone."""

from collections.abc import Mapping, Sequence

from atoll.api.v1 import freshness_pb2, freshness_pb2_grpc
from atoll.definitions.v1 import policies_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.api import pages
from atoll_host.automation.freshness import deciding, leading, policies
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import database, freshness_records

_Given = Mapping[policies.Path, tuple[str, policies_pb2.FreshnessPolicy]]


class FreshnessServicer(freshness_pb2_grpc.FreshnessServiceServicer):
    """Shows how fresh assets are."""

    def __init__(
        self, store: database.Database, registry: registries.Registry, clock: clocks.Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock

    async def ListFreshness(
        self, request: freshness_pb2.ListFreshnessRequest, context: contexts.Context
    ) -> freshness_pb2.ListFreshnessResponse:
        """Return the freshness of the assets that have a policy, by key."""
        page = pages.Page(request)
        if request.location_name:
            self._registry.location(request.location_name)
        for state in request.states:
            if state not in events_pb2.FreshnessState.values() or not state:
                raise errors.InvalidRequest(
                    f"{state} is no state of freshness. Name one of "
                    "atoll.events.v1.FreshnessState.",
                    field="states",
                )
        found = policies.all_given(self._registry.graph())
        keys = sorted(
            path
            for path, (location_name, _) in found.items()
            if request.location_name in ("", location_name)
        )
        if request.states:
            states = {
                record.path: record.state for record in await self._store.freshness.states(keys)
            }
            wanted = set(request.states)
            keys = [key for key in keys if states.get(key, deciding.UNKNOWN) in wanted]
        shown, token = page.of_sorted(keys)
        return freshness_pb2.ListFreshnessResponse(
            assets=await self._rendered(shown, found),
            next_page_token=token,
        )

    async def GetFreshness(
        self, request: freshness_pb2.GetFreshnessRequest, context: contexts.Context
    ) -> freshness_pb2.GetFreshnessResponse:
        """Return the freshness of one asset."""
        path = tuple(request.asset_key.path)
        graph = self._registry.graph()
        if path not in graph:
            name = "/".join(path)
            raise errors.UnknownAsset(
                f"No location defines or depends on an asset {name!r}. List the assets.",
                asset_key=name,
            )
        given = policies.given(graph, path)
        (asset,) = await self._rendered([path], {} if given is None else {path: given})
        return freshness_pb2.GetFreshnessResponse(asset=asset)

    async def _rendered(
        self, paths: Sequence[policies.Path], given: _Given
    ) -> list[freshness_pb2.AssetFreshness]:
        if not paths:
            return []
        stored = {record.path: record for record in await self._store.freshness.states(paths)}
        latest = {
            tuple(each.event.asset_materialization.asset_key.path): each
            for each in await self._store.events.latest_materializations(paths)
        }
        return [
            self._asset(path, given.get(path), stored.get(path), latest.get(path)) for path in paths
        ]

    def _asset(
        self,
        path: policies.Path,
        given: tuple[str, policies_pb2.FreshnessPolicy] | None,
        stored: freshness_records.FreshnessRecord | None,
        latest: events_pb2.StoredEvent | None,
    ) -> freshness_pb2.AssetFreshness:
        asset = freshness_pb2.AssetFreshness(
            asset_key=values_pb2.AssetKey(path=path),
            state=deciding.NOT_APPLICABLE if given is None else deciding.UNKNOWN,
        )
        if stored is not None:
            asset.state = stored.state
            asset.event_id = stored.event_id
            asset.change_time.FromDatetime(stored.change_time)
        newest = None
        if latest is not None:
            newest = leading.time_of(latest)
            asset.latest_materialization_time.FromDatetime(newest)
        if given is not None:
            asset.location_name = given[0]
            asset.policy.CopyFrom(given[1])
            policy = deciding.policy_of(given[1])
            changes_at = deciding.decide(policy, newest, self._clock.now()).changes_at
            if changes_at is not None:
                asset.next_change_time.FromDatetime(changes_at)
        return asset

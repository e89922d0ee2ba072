"""AssetsService: the assets of all locations and what became of them, for everyone."""

import asyncio
from collections.abc import Sequence

from atoll.api.v1 import assets_pb2, assets_pb2_grpc
from atoll.events.v1 import events_pb2
from atoll_host import clock as clocks
from atoll_host import errors, moments
from atoll_host.api import (
    pages,
    partition_pages,
    partition_reading,
    partition_states,
    rendering,
    slices,
    stale_reading,
    staleness,
)
from atoll_host.instance import queries
from atoll_host.locations import definitions
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import database, records

PARTITIONS_MAX = 1_000_000
"""Of so many partitions of an asset is read what the log says of them."""

_NOT_DECIDED = events_pb2.FRESHNESS_STATE_UNKNOWN
_EventsRequest = assets_pb2.ListMaterializationsRequest | assets_pb2.ListObservationsRequest


class AssetsServicer(assets_pb2_grpc.AssetsServiceServicer):
    """Shows assets."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        known: slices.Slices,
        clock: clocks.Clock,
    ) -> None:
        self._store = store
        self._registry = registry
        self._slices = known
        self._clock = clock

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
        return assets_pb2.ListAssetsResponse(
            assets=await self._rendered(shown), next_page_token=token
        )

    async def GetAsset(
        self, request: assets_pb2.GetAssetRequest, context: contexts.Context
    ) -> assets_pb2.GetAssetResponse:
        """Return one asset."""
        key = tuple(request.asset_key.path)
        if key not in self._registry.graph():
            raise _unknown(key)
        (asset,) = await self._rendered([key])
        return assets_pb2.GetAssetResponse(asset=asset)

    async def ListMaterializations(
        self, request: assets_pb2.ListMaterializationsRequest, context: contexts.Context
    ) -> assets_pb2.ListMaterializationsResponse:
        """Return the materializations of one asset, newest first."""
        events, token = await self._events(request, "asset_materialization")
        return assets_pb2.ListMaterializationsResponse(
            materializations=events, next_page_token=token
        )

    async def ListObservations(
        self, request: assets_pb2.ListObservationsRequest, context: contexts.Context
    ) -> assets_pb2.ListObservationsResponse:
        """Return the observations of one asset, newest first."""
        events, token = await self._events(request, "asset_observation")
        return assets_pb2.ListObservationsResponse(observations=events, next_page_token=token)

    async def GetAssetPartitions(
        self, request: assets_pb2.GetAssetPartitionsRequest, context: contexts.Context
    ) -> assets_pb2.GetAssetPartitionsResponse:
        """Return how many partitions of an asset are in which state, and which."""
        subject = self._subject(tuple(request.asset_key.path))
        states, _ = await self._states(subject, tuple(request.asset_key.path))
        told = await asyncio.to_thread(partition_states.message_of, states)
        return assets_pb2.GetAssetPartitionsResponse(
            total_count=sum(each.count for each in told), states=told
        )

    async def ListAssetPartitions(
        self, request: assets_pb2.ListAssetPartitionsRequest, context: contexts.Context
    ) -> assets_pb2.ListAssetPartitionsResponse:
        """Return the partitions of an asset with their states, in order."""
        page = pages.Page(request)
        wanted = _wanted_states(request.states)
        path = tuple(request.asset_key.path)
        subject = self._subject(path)
        states, known = await self._states(subject, path)
        around = await partition_reading.context_of(
            self._store.condition_facts, subject.partitions, self._clock
        )

        def shown_of() -> tuple[list[tuple[int, str]], bool]:
            defined = partition_pages.Defined(subject.partitions, around)
            keys: partition_pages.Keys = defined
            if wanted:
                chosen = subject.partitions.empty_subset()
                for state in wanted:
                    chosen = chosen | states[state]
                keys = partition_pages.Listed(list(chosen.get_partition_keys()))
            span = partition_pages.Span(0, keys.count(), request.descending)
            after = (int(page.after[0]), str(page.after[1])) if page.after else None
            return partition_pages.page(keys, span, after, page.size)

        shown, more = await asyncio.to_thread(shown_of)
        rows = {row.partition: row for row in known.rows}
        return assets_pb2.ListAssetPartitionsResponse(
            partitions=[_partition(key, states, rows.get(key)) for _, key in shown],
            next_page_token=page.token(*shown[-1]) if more else "",
        )

    async def ListStaleness(
        self, request: assets_pb2.ListStalenessRequest, context: contexts.Context
    ) -> assets_pb2.ListStalenessResponse:
        """Return whether assets are stale, and why, by key."""
        page = pages.Page(request)
        statuses = _wanted_statuses(request.statuses)
        if request.location_name:
            self._registry.location(request.location_name)
        prepared, paths = await self._slices.slice_of(
            slices.Wanted(request.selection or "*", request.location_name)
        )
        if statuses:
            everything = await stale_reading.read(self._store, prepared, paths)
            paths = await asyncio.to_thread(stale_reading.of_status, everything, paths, statuses)
        shown, token = page.of_sorted(paths)
        told = await stale_reading.read(self._store, prepared, shown)
        return assets_pb2.ListStalenessResponse(
            assets=await asyncio.to_thread(_all_stale, told, shown), next_page_token=token
        )

    async def GetStaleness(
        self, request: assets_pb2.GetStalenessRequest, context: contexts.Context
    ) -> assets_pb2.GetStalenessResponse:
        """Return whether one asset is stale, and why."""
        path = tuple(request.asset_key.path)
        prepared = await self._slices.prepared()
        if path not in prepared.nodes:
            raise _unknown(path)
        told = await stale_reading.read(self._store, prepared, [path], request.partition)
        return assets_pb2.GetStalenessResponse(asset=told.message_of(path))

    async def _rendered(self, keys: Sequence[slices.Path]) -> list[assets_pb2.Asset]:
        if not keys:
            return []
        graph = self._registry.graph()
        events = await self._store.events.latest_materializations(keys)
        latest = {
            tuple(event.event.asset_materialization.asset_key.path): event for event in events
        }
        fresh = {each.path: each.state for each in await self._store.freshness.states(keys)}
        nodes = [node for key in keys if (node := graph.node(key)) is not None]
        return [
            rendering.asset(node, latest.get(node.key), fresh.get(node.key, _NOT_DECIDED))
            for node in nodes
        ]

    async def _events(
        self, request: _EventsRequest, kind: str
    ) -> tuple[Sequence[events_pb2.StoredEvent], str]:
        page = pages.Page(request)
        key = tuple(request.asset_key.path)
        if not key:
            raise _unknown(key)
        queries.check_count("partitions", request.partitions, queries.KEYS_MAX)
        query = records.EventQuery(
            asset_key=key,
            kinds=(kind,),
            partitions=tuple(request.partitions),
            after_time=moments.of(request, "after_time"),
            before_time=moments.of(request, "before_time"),
        )
        events, more = await self._store.events.list_events(
            query, before_id=page.after_id, limit=page.size
        )
        # What is no longer defined keeps its events.
        if not events and page.after is None and key not in self._registry.graph():
            raise _unknown(key)
        shown = events[: queries.count_within(events, queries.PAGE_BYTES_MAX)]
        more = more or len(shown) < len(events)
        return shown, page.token(shown[-1].id) if more else ""

    def _subject(self, path: slices.Path) -> partition_reading.Subject:
        return partition_reading.of_asset(self._registry.graph(), self._defined(), path)

    def _defined(self) -> dict[str, definitions.Definitions]:
        return {
            name: view.definitions
            for name, view in self._registry.locations().items()
            if view.definitions is not None
        }

    async def _states(
        self, subject: partition_reading.Subject, path: slices.Path
    ) -> tuple[partition_states.ByState, partition_states.Known]:
        partitions_def = subject.partitions
        facts = self._store.condition_facts
        around = await partition_reading.context_of(facts, partitions_def, self._clock)
        rows, _ = await self._store.assets.partitions(
            records.AssetPartitionQuery(path=path), limit=PARTITIONS_MAX
        )
        (fact,) = await facts.assets([path])
        entries = await self._store.assets.entries([path])
        _, runs = await facts.open_runs()
        known = partition_states.Known(
            rows,
            planned_id=entries[0].planned_id if entries else 0,
            planned_run_id=entries[0].planned_run_id if entries else "",
            failed_id=fact.failed_id,
            failed_range=(fact.failed_range_start, fact.failed_range_end),
            runs=[
                run
                for run in runs
                if partition_states.concerns(
                    run, path, self._of_job(run.location_name, run.job_name)
                )
            ],
        )
        states = await asyncio.to_thread(partition_states.by_state, partitions_def, around, known)
        return states, known

    def _of_job(self, location_name: str, job_name: str) -> Sequence[slices.Path]:
        view = self._registry.locations().get(location_name)
        job = None if view is None else view.job(job_name)
        return [] if job is None else [tuple(key.path) for key in job.asset_keys]


def _all_stale(
    told: staleness.Staleness, paths: Sequence[slices.Path]
) -> list[assets_pb2.AssetStaleness]:
    return [told.message_of(path) for path in paths]


def _partition(
    key: str, states: partition_states.ByState, row: records.AssetPartition | None
) -> assets_pb2.AssetPartition:
    state = next((each for each in partition_states.ORDER if key in states[each]), None)
    told = assets_pb2.AssetPartition(
        partition_key=key, state=partition_states.MISSING if state is None else state
    )
    if row is not None:
        told.materialization_event_id = row.materialization_id
        told.materialization_count = row.materialization_count
        told.observation_event_id = row.observation_id
        told.run_id = row.planned_run_id
    return told


def _wanted_states(
    given: Sequence["partition_states.State.ValueType"],
) -> list["partition_states.State.ValueType"]:
    for state in given:
        if state not in partition_states.ORDER:
            raise errors.InvalidRequest(
                f"{state} is no state of a partition. Name some of atoll.api.v1.PartitionState.",
                field="states",
            )
    return [state for state in partition_states.ORDER if state in given]


def _wanted_statuses(given: Sequence[int]) -> frozenset[int]:
    for status in given:
        if not status or status not in assets_pb2.StaleStatus.values():
            raise errors.InvalidRequest(
                f"{status} is no stale status. Name some of atoll.api.v1.StaleStatus.",
                field="statuses",
            )
    return frozenset(given)


def _unknown(key: slices.Path) -> errors.UnknownAsset:
    name = "/".join(key)
    return errors.UnknownAsset(
        f"No location defines or depends on an asset {name!r}. List the assets.", asset_key=name
    )

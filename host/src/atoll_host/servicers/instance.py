"""InstanceService: what user code asks and tells the instance, relayed by code servers."""

import dataclasses
from collections.abc import Iterable, Sequence

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2, mesh_pb2_grpc, slots_pb2
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.instance import (
    asset_definitions,
    backfills,
    dynamic_partitions,
    freshness,
    queries,
    reporting,
    runs,
)
from atoll_host.policy import reading
from atoll_host.runs import pools
from atoll_host.servicers import contexts
from atoll_storage import queue_records


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What answers user code, by subject."""

    queries: queries.InstanceQueries
    runs: runs.RunQueries
    partitions: dynamic_partitions.DynamicPartitions
    reporting: reporting.Reporting
    backfills: backfills.BackfillQueries
    freshness: freshness.FreshnessQueries
    definitions: asset_definitions.AssetDefinitions
    pools: pools.Pools
    reading: reading.Reading


class InstanceServicer(mesh_pb2_grpc.InstanceServiceServicer):
    """Serves user code."""

    def __init__(self, parts: Parts) -> None:
        self._queries = parts.queries
        self._runs = parts.runs
        self._partitions = parts.partitions
        self._reporting = parts.reporting
        self._backfills = parts.backfills
        self._freshness = parts.freshness
        self._definitions = parts.definitions
        self._pools = parts.pools
        self._reading = parts.reading

    async def GetLatestMaterializations(
        self, request: mesh_pb2.GetLatestMaterializationsRequest, context: contexts.Context
    ) -> mesh_pb2.GetLatestMaterializationsResponse:
        """Return the newest materialization of each asset that has one."""
        self._require(request.asset_keys)
        return await self._queries.latest_materializations(request)

    async def ListAssetEvents(
        self, request: mesh_pb2.ListAssetEventsRequest, context: contexts.Context
    ) -> mesh_pb2.ListAssetEventsResponse:
        """Return materializations or observations of one asset."""
        self._require([request.asset_key])
        return await self._queries.asset_events(request)

    async def GetRun(
        self, request: mesh_pb2.GetRunRequest, context: contexts.Context
    ) -> mesh_pb2.GetRunResponse:
        """Return one run."""
        return await self._runs.run(request.run_id, _reader())

    async def ListEvents(
        self, request: instance_pb2.ListEventsRequest, context: contexts.Context
    ) -> instance_pb2.ListEventsResponse:
        """Return events of the log."""
        if request.HasField("asset_key"):
            self._require([request.asset_key])
        if request.run_id:
            await self._runs.run(request.run_id, _reader())
        return await self._queries.events(request, self._readable_events)

    async def ListRuns(
        self, request: mesh_pb2.ListRunsRequest, context: contexts.Context
    ) -> mesh_pb2.ListRunsResponse:
        """Return runs."""
        return await self._runs.runs(request, _reader())

    async def GetRunCount(
        self, request: instance_pb2.GetRunCountRequest, context: contexts.Context
    ) -> instance_pb2.GetRunCountResponse:
        """Return how many runs there are."""
        return await self._runs.count(request, _reader())

    async def ListAssetKeys(
        self, request: instance_pb2.ListAssetKeysRequest, context: contexts.Context
    ) -> instance_pb2.ListAssetKeysResponse:
        """Return the keys of assets."""
        return await self._queries.asset_keys(request, self._readable_assets)

    async def GetAssetRecords(
        self, request: instance_pb2.GetAssetRecordsRequest, context: contexts.Context
    ) -> instance_pb2.GetAssetRecordsResponse:
        """Return what is known of assets."""
        self._require(request.asset_keys)
        return await self._queries.asset_records(request)

    async def ListAssetPartitions(
        self, request: instance_pb2.ListAssetPartitionsRequest, context: contexts.Context
    ) -> instance_pb2.ListAssetPartitionsResponse:
        """Return partitions of one asset."""
        self._require([request.asset_key])
        return await self._queries.asset_partitions(request)

    async def GetLatestCheckEvaluations(
        self,
        request: instance_pb2.GetLatestCheckEvaluationsRequest,
        context: contexts.Context,
    ) -> instance_pb2.GetLatestCheckEvaluationsResponse:
        """Return the newest evaluation of each check that has one."""
        self._require(key.asset_key for key in request.check_keys)
        return await self._queries.latest_check_evaluations(request)

    async def GetFreshnessStates(
        self, request: instance_pb2.GetFreshnessStatesRequest, context: contexts.Context
    ) -> instance_pb2.GetFreshnessStatesResponse:
        """Return the freshness state of each asset for which one was decided."""
        self._require(request.asset_keys)
        return await self._freshness.states(request)

    async def GetAssetDefinitions(
        self, request: instance_pb2.GetAssetDefinitionsRequest, context: contexts.Context
    ) -> instance_pb2.GetAssetDefinitionsResponse:
        """Return what locations define of assets."""
        self._require(request.asset_keys)
        return self._definitions.of_assets(request)

    async def ListDynamicPartitions(
        self, request: instance_pb2.ListDynamicPartitionsRequest, context: contexts.Context
    ) -> instance_pb2.ListDynamicPartitionsResponse:
        """Return keys of a dynamic partitions definition."""
        return await self._partitions.page(request)

    async def AddDynamicPartitions(
        self, request: instance_pb2.AddDynamicPartitionsRequest, context: contexts.Context
    ) -> instance_pb2.AddDynamicPartitionsResponse:
        """Add keys to a dynamic partitions definition."""
        count = await self._partitions.change(
            dynamic_partitions.Kind.ADD,
            request.partitions_def_name,
            request.partition_keys,
            request.request_id,
        )
        return instance_pb2.AddDynamicPartitionsResponse(added_count=count)

    async def DeleteDynamicPartitions(
        self, request: instance_pb2.DeleteDynamicPartitionsRequest, context: contexts.Context
    ) -> instance_pb2.DeleteDynamicPartitionsResponse:
        """Take keys out of a dynamic partitions definition."""
        count = await self._partitions.change(
            dynamic_partitions.Kind.DELETE,
            request.partitions_def_name,
            request.partition_keys,
            request.request_id,
        )
        return instance_pb2.DeleteDynamicPartitionsResponse(deleted_count=count)

    async def ListBackfills(
        self, request: instance_pb2.ListBackfillsRequest, context: contexts.Context
    ) -> instance_pb2.ListBackfillsResponse:
        """Return backfills."""
        return await self._backfills.backfills(request)

    async def ReportAssetEvent(
        self, request: instance_pb2.ReportAssetEventRequest, context: contexts.Context
    ) -> instance_pb2.ReportAssetEventResponse:
        """Store a materialization or an observation that no run made."""
        return await self._reporting.report(request)

    async def AcquireSlots(
        self, request: slots_pb2.AcquireSlotsRequest, context: contexts.Context
    ) -> slots_pb2.AcquireSlotsResponse:
        """Ask for slots of pools for steps of a run."""
        wanted = {each.step_key: each.pool for each in request.wanted}
        withdrawn = tuple(request.withdrawn_step_keys)
        if not (wanted or withdrawn) or "" in wanted.values():
            raise errors.InvalidRequest(
                f"Run {request.run_id!r} asks for slots of {sorted(set(wanted.values()))}. Name at "
                "least one step, and a pool for each.",
                field="wanted",
            )
        answer = await self._pools.acquire(
            queue_records.SlotRequest(request.run_id, request.attempt, wanted, withdrawn),
            # Whatever was sent: a duration may be longer than a timedelta can be.
            request.wait.seconds + request.wait.nanos / 1e9,
        )
        return slots_pb2.AcquireSlotsResponse(
            granted_step_keys=sorted(answer.granted),
            waiting=[
                slots_pb2.WaitingSlot(step_key=step_key, pool=wanted[step_key], limit=limit)
                for step_key, limit in sorted(answer.waiting.items())
            ],
        )

    def _require(self, asset_keys: Iterable[values_pb2.AssetKey]) -> None:
        """Refuse to tell the calling location of assets that it may not read."""
        self._reading.require_assets(_reader(), [tuple(key.path) for key in asset_keys])

    def _readable_events(
        self, events: Sequence[events_pb2.StoredEvent]
    ) -> list[events_pb2.StoredEvent]:
        return self._reading.events(_reader(), events)

    def _readable_assets(self, paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return self._reading.assets(_reader(), paths)


def _reader() -> str:
    """Return the location that calls; empty for everybody else, who may read anything."""
    return callers.current().location_name

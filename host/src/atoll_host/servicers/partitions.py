"""PartitionsService: dynamic partitions, and the keys of definitions, for everyone."""

import asyncio

from atoll.api.v1 import partitions_pb2, partitions_pb2_grpc
from atoll_host import clock as clocks
from atoll_host import errors, moments
from atoll_host.api import pages, partition_pages, partition_reading
from atoll_host.instance import dynamic_partitions
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import condition_facts

_WhoseRequest = partitions_pb2.ListPartitionKeysRequest | partitions_pb2.GetPartitionKeyRequest


class PartitionsServicer(partitions_pb2_grpc.PartitionsServiceServicer):
    """Shows partitions, and changes those that are data."""

    def __init__(
        self,
        partitions: dynamic_partitions.DynamicPartitions,
        registry: registries.Registry,
        facts: condition_facts.ConditionFacts,
        clock: clocks.Clock,
    ) -> None:
        self._partitions = partitions
        self._registry = registry
        self._facts = facts
        self._clock = clock

    async def ListDynamicPartitions(
        self, request: partitions_pb2.ListDynamicPartitionsRequest, context: contexts.Context
    ) -> partitions_pb2.ListDynamicPartitionsResponse:
        """Return the keys of a definition in the order in which they were added."""
        page = pages.Page(request)
        found, has_more = await self._partitions.list(
            request.partitions_def_name,
            after=page.after_id,
            limit=page.size,
        )
        return partitions_pb2.ListDynamicPartitionsResponse(
            partitions=[
                partitions_pb2.DynamicPartition(
                    partition_key=each.partition_key,
                    create_time=moments.timestamp(each.create_time),
                )
                for each in found
            ],
            next_page_token=page.token(found[-1].position) if has_more else "",
        )

    async def AddDynamicPartitions(
        self, request: partitions_pb2.AddDynamicPartitionsRequest, context: contexts.Context
    ) -> partitions_pb2.AddDynamicPartitionsResponse:
        """Add keys to a definition."""
        count = await self._partitions.change(
            dynamic_partitions.Kind.ADD,
            request.partitions_def_name,
            request.partition_keys,
            request.request_id,
        )
        return partitions_pb2.AddDynamicPartitionsResponse(added_count=count)

    async def DeleteDynamicPartitions(
        self, request: partitions_pb2.DeleteDynamicPartitionsRequest, context: contexts.Context
    ) -> partitions_pb2.DeleteDynamicPartitionsResponse:
        """Take keys out of a definition."""
        count = await self._partitions.change(
            dynamic_partitions.Kind.DELETE,
            request.partitions_def_name,
            request.partition_keys,
            request.request_id,
        )
        return partitions_pb2.DeleteDynamicPartitionsResponse(deleted_count=count)

    async def ListPartitionKeys(
        self, request: partitions_pb2.ListPartitionKeysRequest, context: contexts.Context
    ) -> partitions_pb2.ListPartitionKeysResponse:
        """Return the partition keys of an asset or a job, in order."""
        page = pages.Page(request, size_max=partition_pages.SIZE_MAX)
        subject = self._subject(request)
        partitions_def = subject.partitions
        around = await partition_reading.context_of(self._facts, partitions_def, self._clock)
        keys = partition_pages.Defined(partitions_def, around)

        def shown_of() -> tuple[list[tuple[int, str]], bool, int]:
            span = partition_pages.span_of(
                keys, request.range_start, request.range_end, descending=request.descending
            )
            after = (int(page.after[0]), str(page.after[1])) if page.after else None
            return *partition_pages.page(keys, span, after, page.size), keys.count()

        shown, more, count = await asyncio.to_thread(shown_of)
        return partitions_pb2.ListPartitionKeysResponse(
            partitions=[partition_pages.info(partitions_def, key) for _, key in shown],
            next_page_token=page.token(*shown[-1]) if more else "",
            total_count=count,
            location_name=subject.location_name,
        )

    async def GetPartitionKey(
        self, request: partitions_pb2.GetPartitionKeyRequest, context: contexts.Context
    ) -> partitions_pb2.GetPartitionKeyResponse:
        """Return what one partition key of an asset or a job means."""
        subject = self._subject(request)
        partitions_def = subject.partitions
        around = await partition_reading.context_of(self._facts, partitions_def, self._clock)
        if partitions_def.number_in(request.partition_key, around) is None:
            unknown = partitions_def.unknown_in([request.partition_key], around)
            raise errors.InvalidRequest(f"{subject.told}: {unknown}", field="partition_key")
        return partitions_pb2.GetPartitionKeyResponse(
            partition=partition_pages.info(partitions_def, request.partition_key),
            location_name=subject.location_name,
        )

    def _subject(self, request: _WhoseRequest) -> partition_reading.Subject:
        known = {
            name: view.definitions
            for name, view in self._registry.locations().items()
            if view.definitions is not None
        }
        path = tuple(request.asset_key.path)
        if bool(path) == bool(request.job_name):
            raise errors.InvalidRequest(
                "Partition keys are those of an asset or of a job. Give asset_key or job_name, one "
                "of the two.",
                field="asset_key",
            )
        if path:
            return partition_reading.of_asset(self._registry.graph(), known, path)
        return partition_reading.of_job(known, request.job_name, request.location_name)

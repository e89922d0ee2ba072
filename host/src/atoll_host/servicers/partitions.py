"""PartitionsService: dynamic partitions, for everyone."""

from atoll.api.v1 import partitions_pb2, partitions_pb2_grpc
from atoll_host.api import pages, rendering
from atoll_host.instance import dynamic_partitions
from atoll_host.servicers import contexts


class PartitionsServicer(partitions_pb2_grpc.PartitionsServiceServicer):
    """Shows and changes dynamic partitions."""

    def __init__(self, partitions: dynamic_partitions.DynamicPartitions) -> None:
        self._partitions = partitions

    async def ListDynamicPartitions(
        self, request: partitions_pb2.ListDynamicPartitionsRequest, context: contexts.Context
    ) -> partitions_pb2.ListDynamicPartitionsResponse:
        """Return the keys of a definition in the order in which they were added."""
        page = pages.Page(request)
        found, has_more = await self._partitions.list(
            request.partitions_def_name,
            after=int(page.after[0]) if page.after else 0,
            limit=page.size,
        )
        return partitions_pb2.ListDynamicPartitionsResponse(
            partitions=[
                partitions_pb2.DynamicPartition(
                    partition_key=each.partition_key,
                    create_time=rendering.timestamp(each.create_time),
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

"""Dynamic partitions, as a host keeps them."""

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import partitions_pb2, partitions_pb2_grpc
from atoll.client import calls


class Partitions:
    """Lists, adds and deletes keys of dynamic partitions definitions."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "partitions_pb2_grpc.PartitionsServiceAsyncStub",
            partitions_pb2_grpc.PartitionsServiceStub(channel),
        )
        self._caller = caller

    def list(
        self, partitions_def_name: str, *, limit: int | None = None
    ) -> AsyncIterator[partitions_pb2.DynamicPartition]:
        """Yield the keys of a definition in the order in which they were added.

        Args:
            partitions_def_name: The definition.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[partitions_pb2.DynamicPartition], str]:
            request = partitions_pb2.ListDynamicPartitionsRequest(
                partitions_def_name=partitions_def_name, page_size=size, page_token=token
            )
            answer = await self._caller.unary(self._stub.ListDynamicPartitions, request)
            return answer.partitions, answer.next_page_token

        return calls.paged(fetch, limit)

    async def add(self, partitions_def_name: str, partition_keys: Sequence[str]) -> int:
        """Add keys; return how many were not there before. What was sent twice is done once."""
        request = partitions_pb2.AddDynamicPartitionsRequest(
            request_id=str(uuid.uuid4()),
            partitions_def_name=partitions_def_name,
            partition_keys=partition_keys,
        )
        answer = await self._caller.unary(self._stub.AddDynamicPartitions, request)
        return answer.added_count

    async def delete(self, partitions_def_name: str, partition_keys: Sequence[str]) -> int:
        """Take keys out; return how many were there. What was sent twice is done once."""
        request = partitions_pb2.DeleteDynamicPartitionsRequest(
            request_id=str(uuid.uuid4()),
            partitions_def_name=partitions_def_name,
            partition_keys=partition_keys,
        )
        answer = await self._caller.unary(self._stub.DeleteDynamicPartitions, request)
        return answer.deleted_count

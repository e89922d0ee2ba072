"""Partitions, as a host knows them: keys that are data, and those of definitions."""

import dataclasses
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import partitions_pb2, partitions_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2


@dataclasses.dataclass(frozen=True)
class Subject:
    """What has partitions: an asset or a job, one of the two.

    Attributes:
        asset_key: The asset.
        job_name: The job.
        location_name: The location of the job; may be empty where only one has such a job.
    """

    asset_key: values_pb2.AssetKey | None = None
    job_name: str = ""
    location_name: str = ""


@dataclasses.dataclass(frozen=True)
class Span:
    """Which of the partitions.

    Attributes:
        start: The first; empty means the first of all.
        end: The last; empty means the last of all.
        descending: Whether the last comes first.
    """

    start: str = ""
    end: str = ""
    descending: bool = False


EVERYTHING = Span()


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

    def keys(
        self, subject: Subject, *, span: Span = EVERYTHING, limit: int | None = None
    ) -> AsyncIterator[partitions_pb2.PartitionKeyInfo]:
        """Yield the partition keys of an asset or a job, in the order of their definition.

        Args:
            subject: Whose.
            span: Which of them.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[partitions_pb2.PartitionKeyInfo], str]:
            request = partitions_pb2.ListPartitionKeysRequest(
                asset_key=subject.asset_key,
                job_name=subject.job_name,
                location_name=subject.location_name,
                page_size=size,
                page_token=token,
                range_start=span.start,
                range_end=span.end,
                descending=span.descending,
            )
            answer = await self._caller.unary(self._stub.ListPartitionKeys, request)
            return answer.partitions, answer.next_page_token

        return calls.paged(fetch, limit)

    async def key(self, subject: Subject, partition_key: str) -> partitions_pb2.PartitionKeyInfo:
        """Return what a partition key of an asset or a job means.

        Args:
            subject: Whose.
            partition_key: The key.
        """
        request = partitions_pb2.GetPartitionKeyRequest(
            asset_key=subject.asset_key,
            job_name=subject.job_name,
            location_name=subject.location_name,
            partition_key=partition_key,
        )
        return (await self._caller.unary(self._stub.GetPartitionKey, request)).partition

"""Partitions, as a host knows them: keys that are data, and those of definitions.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import partitions_pb2
from atoll.client import partitions as original
from atoll.client.sync import portal as portals


class Partitions:
    """Lists, adds and deletes keys of dynamic partitions definitions."""

    def __init__(self, portal: portals.Portal, inner: original.Partitions) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, partitions_def_name: str, *, limit: int | None = None
    ) -> Iterator[partitions_pb2.DynamicPartition]:
        """Yield the keys of a definition in the order in which they were added.

        Args:
            partitions_def_name: The definition.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.list(partitions_def_name, limit=limit))

    def add(self, partitions_def_name: str, partition_keys: Sequence[str]) -> int:
        """Add keys; return how many were not there before. What was sent twice is done once."""
        return self._portal.run(self._inner.add(partitions_def_name, partition_keys))

    def delete(self, partitions_def_name: str, partition_keys: Sequence[str]) -> int:
        """Take keys out; return how many were there. What was sent twice is done once."""
        return self._portal.run(self._inner.delete(partitions_def_name, partition_keys))

    def keys(
        self,
        subject: original.Subject,
        *,
        span: original.Span = original.EVERYTHING,
        limit: int | None = None,
    ) -> Iterator[partitions_pb2.PartitionKeyInfo]:
        """Yield the partition keys of an asset or a job, in the order of their definition.

        Args:
            subject: Whose.
            span: Which of them.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.keys(subject, span=span, limit=limit))

    def key(self, subject: original.Subject, partition_key: str) -> partitions_pb2.PartitionKeyInfo:
        """Return what a partition key of an asset or a job means.

        Args:
            subject: Whose.
            partition_key: The key.
        """
        return self._portal.run(self._inner.key(subject, partition_key))

"""Dynamic partitions, as a host keeps them.

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

"""Sets of partitions that have an order of their own: time windows and static partitions.

Called by the definitions of both, and by mappings, which work on the ranges directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from typing_extensions import Self

from atoll import errors
from atoll._partitions import contexts, index_ranges, keyspaces, partition_keys, subsets


class OrderedPartitionsSubset(subsets.PartitionsSubset):
    """A set of partitions as ranges of their numbers."""

    kind = "ordered"

    def __init__(
        self, partitions_def: keyspaces.OrderedKeyspace, ranges: index_ranges.IndexRanges
    ) -> None:
        """Make a set.

        Args:
            partitions_def: The definition that the partitions are from.
            ranges: The numbers of the partitions.
        """
        self._partitions_def = partitions_def
        self._ranges = ranges

    @property
    def partitions_def(self) -> keyspaces.OrderedKeyspace:
        """The definition that the partitions are from."""
        return self._partitions_def

    @property
    def ranges(self) -> index_ranges.IndexRanges:
        """The numbers of the partitions."""
        return self._ranges

    @property
    def is_empty(self) -> bool:
        """Whether no partition is in the set."""
        return not self._ranges

    def __len__(self) -> int:
        return self._ranges.count

    def __contains__(self, key: object) -> bool:
        if not self._ranges or not isinstance(key, str):
            return False
        index = self._partitions_def.index_of(key)
        return index is not None and index in self._ranges

    def get_partition_keys(self) -> Iterator[str]:
        """Yield the keys in order. Each is made when it is asked for."""
        return map(self._partitions_def.key_at, self._ranges)

    def get_partition_key_ranges(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> list[partition_keys.PartitionKeyRange]:
        """Return the fewest ranges of keys that hold the partitions, and no others.

        Args:
            dynamic_partitions_store: Not needed for partitions with an order of their own.
        """
        del dynamic_partitions_store
        key_at = self._partitions_def.key_at
        return [
            partition_keys.PartitionKeyRange(key_at(start), key_at(end - 1))
            for start, end in self._ranges.ranges
        ]

    def with_partition_keys(self, keys: Iterable[str]) -> Self:
        """Return the set with more partitions.

        Args:
            keys: The keys to add.

        Raises:
            UnknownPartitionError: The definition has no partition with such a key.
        """
        index_of = self._partitions_def.index_of
        found = [(key, index_of(key)) for key in keys]
        unknown = [key for key, index in found if index is None]
        if unknown:
            raise self._partitions_def.unknown(unknown)
        return self._with(
            self._ranges | index_ranges.IndexRanges.of_indexes(i for _, i in found if i is not None)
        )

    def with_partition_key_range(
        self,
        partition_key_range: partition_keys.PartitionKeyRange,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Self:
        """Return the set with all partitions from one key to another.

        Args:
            partition_key_range: The range to add. One that ends before it starts adds none.
            dynamic_partitions_store: Not needed for partitions with an order of their own.

        Raises:
            UnknownPartitionError: The definition has no partition with one of the keys.
        """
        del dynamic_partitions_store
        start = self._partitions_def.required_index(partition_key_range.start)
        end = self._partitions_def.required_index(partition_key_range.end)
        return self._with(self._ranges | index_ranges.IndexRanges([(start, end + 1)]))

    def __or__(self, other: subsets.PartitionsSubset) -> Self:
        return self._with(self._ranges | self._same(other))

    def __and__(self, other: subsets.PartitionsSubset) -> Self:
        return self._with(self._ranges & self._same(other))

    def __sub__(self, other: subsets.PartitionsSubset) -> Self:
        return self._with(self._ranges - self._same(other))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, OrderedPartitionsSubset)
            and self._ranges == other._ranges
            and self._partitions_def == other._partitions_def
        )

    def __hash__(self) -> int:
        return hash(self._ranges)

    def to_plain(self) -> dict[str, Any]:
        """Return the set as texts, numbers and lists; the definition reads it back."""
        keyspace = self._partitions_def
        return {keyspace.positions_name: [keyspace.positions(*r) for r in self._ranges.ranges]}

    def _with(self, ranges: index_ranges.IndexRanges) -> Self:
        return type(self)(self._partitions_def, ranges)

    def _same(self, other: subsets.PartitionsSubset) -> index_ranges.IndexRanges:
        self._check_same(other)
        if not isinstance(other, OrderedPartitionsSubset):
            text = f"{other!r} is no set of numbered partitions; make it by its definition."
            raise errors.InvalidInvocationError(text)
        return other.ranges


def from_plain(
    partitions_def: keyspaces.OrderedKeyspace, plain: dict[str, Any]
) -> OrderedPartitionsSubset:
    """Read what `to_plain` wrote.

    Args:
        partitions_def: The definition that the partitions are from.
        plain: What was written.
    """
    found = [partitions_def.range_at(each) for each in plain[partitions_def.positions_name]]
    return OrderedPartitionsSubset(partitions_def, index_ranges.IndexRanges(found))

"""Partitions whose keys are written down.

Called by users and by mappings.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._partitions import (
    contexts,
    definitions,
    index_ranges,
    keyspaces,
    ordered_subsets,
    partition_keys,
)


class StaticPartitionsDefinition(definitions.PartitionsDefinition, keyspaces.OrderedKeyspace):
    """Partitions whose keys are written down."""

    partitions_subset_class = ordered_subsets.OrderedPartitionsSubset

    def __init__(self, partition_keys: Sequence[str]) -> None:
        """Define partitions.

        Args:
            partition_keys: The keys, in order.

        Raises:
            InvalidDefinitionError: A key is no text, is given twice, or cannot be a key.
        """
        self._keys = _checked(partition_keys)

    @property
    def partition_keys(self) -> Sequence[str]:
        """The keys, in order."""
        return self._keys

    def count_in(self, context: contexts.PartitionLoadingContext) -> int:
        """Return how many partitions there are."""
        del context
        return len(self._keys)

    def key_in(self, number: int, context: contexts.PartitionLoadingContext) -> str:
        """Return the key of the partition with a number."""
        del context
        return self._keys[number]

    def number_in(self, key: str, context: contexts.PartitionLoadingContext) -> int | None:
        """Return the number of the partition with a key, None where there is none."""
        del context
        return self.index_of(key)

    def key_at(self, index: int) -> str:
        """Return the key of the partition with a number."""
        return self._keys[index]

    def index_of(self, key: str) -> int | None:
        """Return the number of the partition with a key, None where there is none."""
        return self._places.get(key)

    @property
    def positions_name(self) -> str:
        """What the written positions are: first keys, last keys and how many are between."""
        return "static"

    def positions(self, start: int, end: int) -> list[Any]:
        """Return what stands for the numbers from one to before another when they are written."""
        return [self._keys[start], self._keys[end - 1], end - start]

    def range_at(self, positions: list[Any]) -> tuple[int, int]:
        """Return the numbers, from one to before another, that written positions stand for.

        Args:
            positions: The first key, the last one, and how many there were.

        Raises:
            UnknownPartitionError: One of the keys is no longer there.
            InvalidInvocationError: Others have come between them, or have gone.
        """
        first, last, count = positions
        start, end = self.required_index(first), self.required_index(last) + 1
        if end - start != count:
            raise errors.InvalidInvocationError(
                f"The set holds {count} partitions from {first!r} to {last!r}, but {self} has"
                f" {end - start} there: its keys were changed. Make the set again."
            )
        return start, end

    def empty_subset(self) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set of no partition."""
        return ordered_subsets.OrderedPartitionsSubset(self, index_ranges.IndexRanges())

    def subset_with_all_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set of all partitions.

        Args:
            current_time: Not needed.
            dynamic_partitions_store: Not needed.
        """
        del current_time, dynamic_partitions_store
        everything = index_ranges.IndexRanges([(0, len(self._keys))])
        return ordered_subsets.OrderedPartitionsSubset(self, everything)

    def subset_of_plain(self, plain: dict[str, Any]) -> ordered_subsets.OrderedPartitionsSubset:
        """Return the set that its `to_plain` wrote."""
        return ordered_subsets.from_plain(self, plain)

    def identity(self) -> list[Any]:
        """Return what tells the definition from others."""
        return ["static", len(self._keys), self._keys]

    def __str__(self) -> str:
        return f"the static partitions {_listed(self._keys)}"

    def __repr__(self) -> str:
        return f"StaticPartitionsDefinition(partition_keys={list(self._keys)!r})"

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {key: place for place, key in enumerate(self._keys)}


# The parameter of the constructor has the name of the module.
_checked = partition_keys.checked
_listed = partition_keys.listed

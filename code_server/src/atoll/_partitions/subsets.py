"""Sets of partitions of one definition: what all kinds of them can do.

Called by mappings, backfills and everything that asks which partitions are there. The kinds are in
modules of their own; definitions make them. No kind lists the partitions to join or cut sets.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from typing_extensions import Self

from atoll import errors
from atoll._partitions import contexts, keyspaces, partition_keys


class PartitionsSubset(abc.ABC):
    """A frozen set of partitions of one definition."""

    kind: ClassVar[str]
    """What the set calls itself where it is written."""

    @property
    @abc.abstractmethod
    def partitions_def(self) -> keyspaces.Keyspace:
        """The definition that the partitions are from."""

    @property
    @abc.abstractmethod
    def is_empty(self) -> bool:
        """Whether no partition is in the set."""

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def __contains__(self, key: object) -> bool: ...

    @abc.abstractmethod
    def get_partition_keys(self) -> Iterator[str]:
        """Yield the keys in the definition's order. Each is made when it is asked for."""

    @abc.abstractmethod
    def get_partition_key_ranges(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> list[partition_keys.PartitionKeyRange]:
        """Return the fewest ranges of keys that hold the partitions, and no others.

        Args:
            dynamic_partitions_store: What knows the order of dynamic partitions.
        """

    @abc.abstractmethod
    def with_partition_keys(self, keys: Iterable[str]) -> Self:
        """Return the set with more partitions.

        Args:
            keys: The keys to add.

        Raises:
            UnknownPartitionError: The definition has no partition with such a key.
        """

    @abc.abstractmethod
    def with_partition_key_range(
        self,
        partition_key_range: partition_keys.PartitionKeyRange,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Self:
        """Return the set with all partitions from one key to another.

        Args:
            partition_key_range: The range to add.
            dynamic_partitions_store: What knows the order of dynamic partitions.

        Raises:
            UnknownPartitionError: The definition has no partition with one of the keys.
        """

    def with_partition_key_ranges(
        self,
        partition_key_ranges: Iterable[partition_keys.PartitionKeyRange],
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Self:
        """Return the set with all partitions of some ranges.

        Args:
            partition_key_ranges: The ranges to add.
            dynamic_partitions_store: What knows the order of dynamic partitions.
        """
        subset = self
        for key_range in partition_key_ranges:
            subset = subset.with_partition_key_range(key_range, dynamic_partitions_store)
        return subset

    @abc.abstractmethod
    def __or__(self, other: PartitionsSubset) -> Self: ...

    @abc.abstractmethod
    def __and__(self, other: PartitionsSubset) -> Self: ...

    @abc.abstractmethod
    def __sub__(self, other: PartitionsSubset) -> Self: ...

    @abc.abstractmethod
    def __eq__(self, other: object) -> bool: ...

    @abc.abstractmethod
    def __hash__(self) -> int: ...

    @abc.abstractmethod
    def to_plain(self) -> dict[str, Any]:
        """Return the set as texts, numbers and lists; the definition reads it back."""

    def serialize(self) -> str:
        """Return the set as a short text; the definition's `deserialize_subset` reads it."""
        return json.dumps(self.to_plain(), separators=(",", ":"))

    def __iter__(self) -> Iterator[str]:
        return self.get_partition_keys()

    def __bool__(self) -> bool:
        return not self.is_empty

    def empty_subset(self) -> Self:
        """Return the set of no partition of the same definition."""
        return self - self

    def __repr__(self) -> str:
        told = partition_keys.listed(
            found.start if found.start == found.end else f"{found.start}...{found.end}"
            for found in self.get_partition_key_ranges()
        )
        return f"{type(self).__name__}({told})"

    def _check_same(self, other: PartitionsSubset) -> None:
        mine, theirs = self.partitions_def, other.partitions_def
        if mine is not theirs and mine != theirs:
            raise errors.InvalidInvocationError(
                f"Sets of partitions of different definitions cannot be put together: {mine!r} and"
                f" {theirs!r}. Map one of them to the other definition first."
            )

"""Sets of partitions that have no order of their own: dynamic ones, and ones that do not exist.

Called by the definition of dynamic partitions and by mappings. Keys may be in a set that are in no
store (any more): only the store knows which exist, and it changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from typing_extensions import Self

from atoll import errors
from atoll._partitions import contexts, keyspaces, partition_keys, subsets


class KeysPartitionsSubset(subsets.PartitionsSubset):
    """A set of partitions as their keys."""

    kind = "keys"

    def __init__(self, partitions_def: keyspaces.Keyspace, keys: Iterable[str]) -> None:
        """Make a set.

        Args:
            partitions_def: The definition that the partitions are from.
            keys: The keys of the partitions.
        """
        self._partitions_def = partitions_def
        # In the order they were given: that is the order in which they were added.
        self._keys = dict.fromkeys(keys)

    @property
    def partitions_def(self) -> keyspaces.Keyspace:
        """The definition that the partitions are from."""
        return self._partitions_def

    @property
    def keys(self) -> dict[str, None]:
        """The keys, in the order in which they came into the set."""
        return self._keys

    @property
    def is_empty(self) -> bool:
        """Whether no partition is in the set."""
        return not self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def get_partition_keys(self) -> Iterator[str]:
        """Yield the keys in the order in which they came into the set."""
        return iter(self._keys)

    def get_partition_key_ranges(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> list[partition_keys.PartitionKeyRange]:
        """Return the fewest ranges of keys that hold the partitions, and no others.

        Args:
            dynamic_partitions_store: What knows the order of the keys. Without one, each key is a
                range of its own.
        """
        if dynamic_partitions_store is None or not self._is_stored:
            return [partition_keys.PartitionKeyRange(key, key) for key in self._keys]
        known = self._known(dynamic_partitions_store)
        place = {key: index for index, key in enumerate(known)}
        found = sorted(self._keys, key=lambda key: place.get(key, len(known)))
        ranges: list[list[str]] = []
        for key in found:
            after = place.get(ranges[-1][1], -2) + 1 if ranges else -1
            if place.get(key) == after:
                ranges[-1][1] = key
            else:
                ranges.append([key, key])
        return [partition_keys.PartitionKeyRange(*ends) for ends in ranges]

    def with_partition_keys(self, keys: Iterable[str]) -> Self:
        """Return the set with more partitions.

        Args:
            keys: The keys to add.
        """
        return self._with((*self._keys, *keys))

    def with_partition_key_range(
        self,
        partition_key_range: partition_keys.PartitionKeyRange,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Self:
        """Return the set with all partitions from one key to another.

        Args:
            partition_key_range: The range to add.
            dynamic_partitions_store: What knows the order of the keys.

        Raises:
            UnknownPartitionError: The store does not know one of the keys.
        """
        known = self._known(dynamic_partitions_store)
        ends = (partition_key_range.start, partition_key_range.end)
        unknown = [key for key in ends if key not in known]
        if unknown:
            raise self._partitions_def.unknown(unknown)
        return self.with_partition_keys(known[known.index(ends[0]) : known.index(ends[1]) + 1])

    def __or__(self, other: subsets.PartitionsSubset) -> Self:
        return self._with((*self._keys, *self._same(other)))

    def __and__(self, other: subsets.PartitionsSubset) -> Self:
        theirs = self._same(other)
        return self._with(key for key in self._keys if key in theirs)

    def __sub__(self, other: subsets.PartitionsSubset) -> Self:
        theirs = self._same(other)
        return self._with(key for key in self._keys if key not in theirs)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, KeysPartitionsSubset)
            and self._keys == other._keys
            and self._partitions_def == other._partitions_def
        )

    def __hash__(self) -> int:
        return hash(frozenset(self._keys))

    def to_plain(self) -> dict[str, Any]:
        """Return the set as texts, numbers and lists; the definition reads it back."""
        return {"keys": list(self._keys)}

    @property
    def _is_stored(self) -> bool:
        return isinstance(self._partitions_def, keyspaces.StoredKeyspace)

    def _known(self, store: contexts.DynamicPartitionsStore | None) -> list[str]:
        if not isinstance(self._partitions_def, keyspaces.StoredKeyspace):
            return []
        return list(self._partitions_def.known_keys(store))

    def _with(self, keys: Iterable[str]) -> Self:
        return type(self)(self._partitions_def, keys)

    def _same(self, other: subsets.PartitionsSubset) -> dict[str, None]:
        self._check_same(other)
        if not isinstance(other, KeysPartitionsSubset):
            text = f"{other!r} is no set of dynamic partitions; make it by its definition."
            raise errors.InvalidInvocationError(text)
        return other.keys

"""Sets of partitions with two dimensions, as rectangles.

Called by the definition of such partitions and by mappings. A set is held as parts: the primary
keys of different parts are disjoint, and no two parts have the same secondary keys. So the same set
is always the same parts, and one that is all of one dimension by some of the other is one part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from typing_extensions import Self

from atoll import errors
from atoll._partitions import (
    contexts,
    index_ranges,
    keyspaces,
    ordered_subsets,
    partition_keys,
    subsets,
)

Part = tuple[subsets.PartitionsSubset, subsets.PartitionsSubset]


class MultiPartitionsSubset(subsets.PartitionsSubset):
    """A set of partitions with two dimensions."""

    kind = "multi"

    def __init__(
        self, partitions_def: keyspaces.DimensionedKeyspace, parts: Iterable[Part]
    ) -> None:
        """Make a set.

        Args:
            partitions_def: The definition that the partitions are from.
            parts: Rectangles: some keys of the primary dimension and some of the secondary one.
                They may overlap.
        """
        self._partitions_def = partitions_def
        self._parts = _normal(parts)

    @property
    def partitions_def(self) -> keyspaces.DimensionedKeyspace:
        """The definition that the partitions are from."""
        return self._partitions_def

    @property
    def parts(self) -> tuple[Part, ...]:
        """The rectangles: keys of the primary dimension, and those of the secondary one."""
        return self._parts

    @property
    def is_empty(self) -> bool:
        """Whether no partition is in the set."""
        return not self._parts

    def __len__(self) -> int:
        return sum(len(primary) * len(secondary) for primary, secondary in self._parts)

    def __contains__(self, key: object) -> bool:
        pair = self._partitions_def.parted(key) if isinstance(key, str) else None
        if pair is None:
            return False
        return any(
            pair[0] in primary and pair[1] in secondary for primary, secondary in self._parts
        )

    def get_partition_keys(self) -> Iterator[str]:
        """Yield the keys, those of one primary key together. Each is made when it is asked for."""
        joined = self._partitions_def.joined
        for primary, secondary in _in_order(self._parts):
            for first in primary:
                yield from (joined(first, second) for second in secondary)

    def get_partition_key_ranges(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> list[partition_keys.PartitionKeyRange]:
        """Return ranges of keys that hold the partitions, and no others.

        Args:
            dynamic_partitions_store: What knows the order of dynamic partitions.

        Returns:
            Ranges; each is all partitions whose key of either dimension lies between its ends'.
        """
        joined = self._partitions_def.joined
        return [
            partition_keys.PartitionKeyRange(
                joined(first.start, second.start), joined(first.end, second.end)
            )
            for primary, secondary in _in_order(self._parts)
            for first in primary.get_partition_key_ranges(dynamic_partitions_store)
            for second in secondary.get_partition_key_ranges(dynamic_partitions_store)
        ]

    def with_partition_keys(self, keys: Iterable[str]) -> Self:
        """Return the set with more partitions.

        Args:
            keys: The keys to add.

        Raises:
            UnknownPartitionError: The definition has no partition with such a key.
        """
        seconds: dict[str, dict[str, None]] = {}
        for key in keys:
            first, second = self._parted(key)
            seconds.setdefault(first, {})[second] = None
        firsts: dict[tuple[str, ...], list[str]] = {}
        for first, found in seconds.items():
            firsts.setdefault(tuple(sorted(found)), []).append(first)
        return self._with(
            (*self._parts, *(self._part(first, second) for second, first in firsts.items()))
        )

    def with_partition_key_range(
        self,
        partition_key_range: partition_keys.PartitionKeyRange,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Self:
        """Return the set with all partitions between two keys in both dimensions.

        Args:
            partition_key_range: The range to add.
            dynamic_partitions_store: What knows the order of dynamic partitions.

        Raises:
            UnknownPartitionError: The definition has no partition with one of the keys.
        """
        starts = self._parted(partition_key_range.start)
        ends = self._parted(partition_key_range.end)
        primary, secondary = self._empty_part()
        part = (
            primary.with_partition_key_range(
                partition_keys.PartitionKeyRange(starts[0], ends[0]), dynamic_partitions_store
            ),
            secondary.with_partition_key_range(
                partition_keys.PartitionKeyRange(starts[1], ends[1]), dynamic_partitions_store
            ),
        )
        return self._with((*self._parts, part))

    def __or__(self, other: subsets.PartitionsSubset) -> Self:
        return self._with((*self._parts, *self._same(other)))

    def __and__(self, other: subsets.PartitionsSubset) -> Self:
        theirs = self._same(other)
        return self._with(
            (mine[0] & each[0], mine[1] & each[1]) for mine in self._parts for each in theirs
        )

    def __sub__(self, other: subsets.PartitionsSubset) -> Self:
        parts: tuple[Part, ...] = self._parts
        for primary, secondary in self._same(other):
            parts = tuple(
                part
                for mine in parts
                for part in (
                    (mine[0] - primary, mine[1]),
                    (mine[0] & primary, mine[1] - secondary),
                )
            )
        return self._with(parts)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MultiPartitionsSubset)
            and frozenset(self._parts) == frozenset(other._parts)
            and self._partitions_def == other._partitions_def
        )

    def __hash__(self) -> int:
        return hash(frozenset(self._parts))

    def to_plain(self) -> dict[str, Any]:
        """Return the set as texts, numbers and lists; the definition reads it back."""
        parts = [[first.to_plain(), second.to_plain()] for first, second in self._parts]
        return {"parts": parts}

    def _with(self, parts: Iterable[Part]) -> Self:
        return type(self)(self._partitions_def, parts)

    def _parted(self, key: str) -> tuple[str, str]:
        pair = self._partitions_def.parted(key)
        if pair is None:
            raise self._partitions_def.unknown([key])
        return pair

    def _empty_part(self) -> Part:
        return (
            self._partitions_def.primary.empty_subset(),
            self._partitions_def.secondary.empty_subset(),
        )

    def _part(self, first: Iterable[str], second: Iterable[str]) -> Part:
        primary, secondary = self._empty_part()
        return primary.with_partition_keys(first), secondary.with_partition_keys(second)

    def _same(self, other: subsets.PartitionsSubset) -> tuple[Part, ...]:
        self._check_same(other)
        if not isinstance(other, MultiPartitionsSubset):
            text = f"{other!r} is no set of partitions with dimensions; make it by its definition."
            raise errors.InvalidInvocationError(text)
        return other.parts


def _normal(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the same set as parts with disjoint primary keys and different secondary ones."""
    disjoint: list[Part] = []
    for part in parts:
        rest, secondary = part
        if not secondary:
            continue
        split: list[Part] = []
        for primary, known in disjoint:
            both = primary & rest if rest else rest
            if not both:
                split.append((primary, known))
                continue
            split += [(primary - both, known), (both, known | secondary)]
            rest = rest - both
        disjoint = [found for found in (*split, (rest, secondary)) if found[0]]
    by_secondary: dict[subsets.PartitionsSubset, subsets.PartitionsSubset] = {}
    for primary, secondary in disjoint:
        found = by_secondary.get(secondary)
        by_secondary[secondary] = primary if found is None else found | primary
    return tuple((primary, secondary) for secondary, primary in by_secondary.items())


def _in_order(parts: tuple[Part, ...]) -> list[Part]:
    """Return the parts cut so that primary keys come in their order, where they have one."""
    cut = [
        (
            ordered_subsets.OrderedPartitionsSubset(
                primary.partitions_def, index_ranges.IndexRanges([found])
            ),
            secondary,
        )
        for primary, secondary in parts
        if isinstance(primary, ordered_subsets.OrderedPartitionsSubset)
        for found in primary.ranges.ranges
    ]
    if not cut:
        return list(parts)
    cut.sort(key=lambda part: part[0].ranges.ranges)
    return [*cut]

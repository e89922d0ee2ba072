"""Partitions with two dimensions.

Called by users and by mappings. The partitions of a dimension are those of a definition of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._partitions import (
    contexts,
    definitions,
    keyspaces,
    multi_subsets,
    partition_keys,
    static_partitions,
    subsets,
    time_window_partitions,
    window_sequences,
)

_DIMENSIONS = 2
_RESERVED = (partition_keys.SEPARATOR, "[", "]")


class PartitionDimensionDefinition(records.Record):
    """A dimension.

    Attributes:
        name: The name of the dimension.
        partitions_def: Its partitions.
    """

    name: str
    partitions_def: definitions.PartitionsDefinition


class MultiPartitionsDefinition(definitions.PartitionsDefinition, keyspaces.DimensionedKeyspace):
    """Partitions with two dimensions: each partition of one with each of the other.

    The key of a partition is the keys of the dimensions with `|` between them, in the order of the
    dimensions' names. Partitions are ordered by the dimension of time first, if there is one, else
    by the dimension whose name comes first.
    """

    partitions_subset_class = multi_subsets.MultiPartitionsSubset

    def __init__(self, partitions_defs: Mapping[str, definitions.PartitionsDefinition]) -> None:
        """Define partitions.

        Args:
            partitions_defs: The partitions of each dimension, by the dimension's name.

        Raises:
            InvalidDefinitionError: There are not two dimensions, or a dimension cannot be one.
        """
        if len(partitions_defs) != _DIMENSIONS:
            raise errors.InvalidDefinitionError(
                f"Partitions have two dimensions; {len(partitions_defs)} were given"
                f" ({partition_keys.listed(partitions_defs)}). Put two of them into one, or leave"
                " some out."
            )
        self._dimensions = tuple(
            PartitionDimensionDefinition(name, _checked_dimension(name, partitions_def))
            for name, partitions_def in sorted(partitions_defs.items())
        )
        is_time = [_is_time(each.partitions_def) for each in self._dimensions]
        self._primary = int(is_time == [False, True])

    @property
    def partitions_defs(self) -> Sequence[PartitionDimensionDefinition]:
        """The dimensions, in the order of their names."""
        return self._dimensions

    @property
    def partition_dimension_names(self) -> list[str]:
        """The names of the dimensions, in order."""
        return [each.name for each in self._dimensions]

    @property
    def primary_dimension(self) -> PartitionDimensionDefinition:
        """The dimension that orders the partitions first: that of time, if there is one."""
        return self._dimensions[self._primary]

    @property
    def secondary_dimension(self) -> PartitionDimensionDefinition:
        """The other dimension."""
        return self._dimensions[1 - self._primary]

    @property
    def primary(self) -> definitions.PartitionsDefinition:
        """The partitions of the primary dimension."""
        return self.primary_dimension.partitions_def

    @property
    def secondary(self) -> definitions.PartitionsDefinition:
        """The partitions of the secondary dimension."""
        return self.secondary_dimension.partitions_def

    def get_partitions_def_for_dimension(
        self, dimension_name: str
    ) -> definitions.PartitionsDefinition:
        """Return the partitions of a dimension.

        Args:
            dimension_name: The name of the dimension.

        Raises:
            InvalidInvocationError: There is no such dimension.
        """
        for each in self._dimensions:
            if each.name == dimension_name:
                return each.partitions_def
        raise errors.InvalidInvocationError(
            f"There is no dimension {dimension_name!r}; the partitions have the dimensions"
            f" {partition_keys.listed(self.partition_dimension_names)}."
        )

    @property
    def has_time_window_dimension(self) -> bool:
        """Whether exactly one dimension is of time."""
        return sum(_is_time(each.partitions_def) for each in self._dimensions) == 1

    @property
    def time_window_dimension(self) -> PartitionDimensionDefinition:
        """The dimension of time.

        Raises:
            InvalidInvocationError: There is none, or both are of time.
        """
        found = [each for each in self._dimensions if _is_time(each.partitions_def)]
        if len(found) != 1:
            which = "Both dimensions are" if found else "No dimension is"
            text = f"{which} of time: {self!r} has no dimension that is the one of time."
            raise errors.InvalidInvocationError(text)
        return found[0]

    @property
    def time_window_partitions_def(self) -> time_window_partitions.TimeWindowPartitionsDefinition:
        """The partitions of the dimension of time.

        Raises:
            InvalidInvocationError: There is none, or both are of time.
        """
        found = self.time_window_dimension.partitions_def
        if not isinstance(found, time_window_partitions.TimeWindowPartitionsDefinition):
            raise errors.InvalidInvocationError(f"{found!r} has no windows of time.")
        return found

    def time_window_for_partition_key(self, partition_key: str) -> window_sequences.TimeWindow:
        """Return the window of time of a partition.

        Args:
            partition_key: The key of the partition.

        Raises:
            InvalidInvocationError: No dimension is of time, or both are.
            UnknownPartitionError: There can be no partition with the key.
        """
        key = self.get_partition_key_from_str(partition_key)
        time_key = key.keys_by_dimension[self.time_window_dimension.name]
        return self.time_window_partitions_def.time_window_for_partition_key(time_key)

    def get_partition_key_from_str(
        self, partition_key_str: str
    ) -> partition_keys.MultiPartitionKey:
        """Return a key that knows its parts.

        Args:
            partition_key_str: The key as text.

        Raises:
            UnknownPartitionError: The text has not two parts.
        """
        parts = partition_key_str.split(partition_keys.SEPARATOR)
        if len(parts) != _DIMENSIONS:
            raise self.unknown([partition_key_str])
        return partition_keys.MultiPartitionKey(
            dict(zip(self.partition_dimension_names, parts, strict=True))
        )

    def is_valid_key_format(self, partition_key: str) -> bool:
        """Return whether a text has a part for each dimension.

        Args:
            partition_key: The text.
        """
        return len(partition_key.split(partition_keys.SEPARATOR)) == _DIMENSIONS

    def get_multipartition_keys_with_dimension_value(
        self,
        dimension_name: str,
        dimension_partition_key: str,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Sequence[partition_keys.MultiPartitionKey]:
        """Return the keys of all partitions with a key in a dimension.

        Args:
            dimension_name: The name of the dimension.
            dimension_partition_key: The key in it.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.

        Raises:
            InvalidInvocationError: There is no such dimension.
        """
        return self.get_multipartition_keys_with_dimension_values(
            dimension_name, [dimension_partition_key], current_time, dynamic_partitions_store
        )

    def get_multipartition_keys_with_dimension_values(
        self,
        dimension_name: str,
        dimension_partition_keys: Sequence[str],
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Sequence[partition_keys.MultiPartitionKey]:
        """Return the keys of all partitions with one of some keys in a dimension.

        Args:
            dimension_name: The name of the dimension.
            dimension_partition_keys: The keys in it.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.

        Raises:
            InvalidInvocationError: There is no such dimension.
        """
        self.get_partitions_def_for_dimension(dimension_name)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        keys = [
            dimension_partition_keys
            if each.name == dimension_name
            else list(
                each.partitions_def.keys_between(0, each.partitions_def.count_in(context), context)
            )
            for each in (self.primary_dimension, self.secondary_dimension)
        ]
        return [self.joined(first, second) for first in keys[0] for second in keys[1]]

    def get_tags_for_partition_key(self, partition_key: str) -> dict[str, str]:
        """Return the tags of a run of a partition: one for the key, and one for each dimension.

        Args:
            partition_key: The key of the partition.
        """
        key = self.get_partition_key_from_str(partition_key)
        tags = {
            f"{definitions.PARTITION_TAG}/{name}": part
            for name, part in key.keys_by_dimension.items()
        }
        return {**super().get_tags_for_partition_key(partition_key), **tags}

    def joined(self, primary: str, secondary: str) -> partition_keys.MultiPartitionKey:
        """Return the key that two keys of dimensions make."""
        return partition_keys.MultiPartitionKey(
            {self.primary_dimension.name: primary, self.secondary_dimension.name: secondary}
        )

    def parted(self, key: str) -> tuple[str, str] | None:
        """Return the key of the primary and of the secondary dimension; None if it has no two."""
        parts = key.split(partition_keys.SEPARATOR)
        if len(parts) != _DIMENSIONS:
            return None
        return parts[self._primary], parts[1 - self._primary]

    def count_in(self, context: contexts.PartitionLoadingContext) -> int:
        """Return how many partitions there are."""
        return self.primary.count_in(context) * self.secondary.count_in(context)

    def key_in(self, number: int, context: contexts.PartitionLoadingContext) -> str:
        """Return the key of the partition with a number."""
        first, second = divmod(number, self.secondary.count_in(context))
        return self.joined(
            self.primary.key_in(first, context), self.secondary.key_in(second, context)
        )

    def keys_between(
        self, start: int, end: int, context: contexts.PartitionLoadingContext
    ) -> Iterator[str]:
        """Yield the keys with numbers from one to before another."""
        if end <= start:
            return
        secondary = list(self.secondary.keys_between(0, self.secondary.count_in(context), context))
        width = len(secondary)
        first, last = start // width, (end - 1) // width
        for number, key in enumerate(self.primary.keys_between(first, last + 1, context), first):
            low, high = max(start - number * width, 0), min(end - number * width, width)
            yield from (self.joined(key, secondary[place]) for place in range(low, high))

    def number_in(self, key: str, context: contexts.PartitionLoadingContext) -> int | None:
        """Return the number of the partition with a key, None where there is none."""
        pair = self.parted(key)
        if pair is None:
            return None
        first = self.primary.number_in(pair[0], context)
        second = self.secondary.number_in(pair[1], context)
        if first is None or second is None:
            return None
        return first * self.secondary.count_in(context) + second

    def empty_subset(self) -> multi_subsets.MultiPartitionsSubset:
        """Return the set of no partition."""
        return multi_subsets.MultiPartitionsSubset(self, ())

    def subset_with_all_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> multi_subsets.MultiPartitionsSubset:
        """Return the set of all partitions that there are.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        everything = [
            each.subset_with_all_partitions(current_time, dynamic_partitions_store)
            for each in (self.primary, self.secondary)
        ]
        return multi_subsets.MultiPartitionsSubset(self, [(everything[0], everything[1])])

    def subset_of_dimensions(
        self, by_dimension: Mapping[str, subsets.PartitionsSubset]
    ) -> multi_subsets.MultiPartitionsSubset:
        """Return the set of all partitions that are made of sets of both dimensions.

        Args:
            by_dimension: The set of each dimension's partitions, by the dimension's name.
        """
        part = (
            by_dimension[self.primary_dimension.name],
            by_dimension[self.secondary_dimension.name],
        )
        return multi_subsets.MultiPartitionsSubset(self, [part])

    def dimensions_of(
        self, subset: multi_subsets.MultiPartitionsSubset
    ) -> Iterator[dict[str, subsets.PartitionsSubset]]:
        """Yield sets of each dimension's partitions that make up a set together.

        Args:
            subset: A set of partitions of this definition.
        """
        names = (self.primary_dimension.name, self.secondary_dimension.name)
        return (dict(zip(names, part, strict=True)) for part in subset.parts)

    def subset_of_plain(self, plain: dict[str, Any]) -> multi_subsets.MultiPartitionsSubset:
        """Return the set that its `to_plain` wrote."""
        parts = [
            (self.primary.subset_of_plain(first), self.secondary.subset_of_plain(second))
            for first, second in plain["parts"]
        ]
        return multi_subsets.MultiPartitionsSubset(self, parts)

    def identity(self) -> list[Any]:
        """Return what tells the definition from others."""
        dimensions = [[each.name, each.partitions_def.identity()] for each in self._dimensions]
        return ["multi", self.partition_dimension_names, dimensions]

    def validate_partition_definition(self) -> None:
        """Say so if the definition cannot be used.

        Raises:
            InvalidDefinitionError: It cannot be used.
        """
        for each in self._dimensions:
            each.partitions_def.validate_partition_definition()

    def filter_valid_partition_keys(
        self,
        partition_keys: Iterable[str],
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> set[str]:
        """Return those of some keys that there are.

        Args:
            partition_keys: The keys.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        found = super().filter_valid_partition_keys(
            partition_keys, current_time, dynamic_partitions_store
        )
        return {self.get_partition_key_from_str(key) for key in found}

    def __str__(self) -> str:
        told = " and ".join(f"{each.name} ({each.partitions_def})" for each in self._dimensions)
        return f"the partitions by {told}"

    def __repr__(self) -> str:
        told = {each.name: each.partitions_def for each in self._dimensions}
        return f"MultiPartitionsDefinition({told!r})"


def _is_time(partitions_def: definitions.PartitionsDefinition) -> bool:
    return isinstance(partitions_def, time_window_partitions.TimeWindowPartitionsDefinition)


def _checked_dimension(
    name: str, partitions_def: definitions.PartitionsDefinition
) -> definitions.PartitionsDefinition:
    """Return the partitions of a dimension, or say why they cannot be any."""
    if isinstance(partitions_def, MultiPartitionsDefinition):
        text = f"The dimension {name!r} has dimensions of its own; give it partitions of one."
        raise errors.InvalidDefinitionError(text)
    if isinstance(partitions_def, static_partitions.StaticPartitionsDefinition):
        for key in partitions_def.partition_keys:
            if any(character in key for character in _RESERVED):
                raise errors.InvalidDefinitionError(
                    f"The key {key!r} of the dimension {name!r} contains one of {_RESERVED}, which"
                    " stand between the keys of dimensions. Replace it."
                )
    return partitions_def

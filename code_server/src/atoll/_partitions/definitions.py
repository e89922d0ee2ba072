"""What every definition of partitions can do.

Called by the kinds of definitions, which say how many partitions there are and which number a key
has, and by everything that takes any of them. Keys are made when they are asked for.
"""

from __future__ import annotations

import abc
import datetime as dt
import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from atoll import _records as records
from atoll import errors
from atoll._partitions import contexts, keyspaces, partition_keys, subsets

PARTITION_TAG = "atoll/partition"
# Looking for keys that resemble another one takes time that grows with their number.
_RESEMBLING_MAX = 2_000


class PaginatedPartitionKeys(records.Record):
    """A page of partition keys.

    Attributes:
        results: The keys.
        cursor: Where the next page begins, for the next call.
        has_more: Whether there is a next page.
    """

    results: Sequence[str]
    cursor: str
    has_more: bool


class PartitionsDefinition(keyspaces.Keyspace):
    """The partitions of an asset or a job.

    Methods take `current_time` and `dynamic_partitions_store` where the answer depends on them.
    What is not given comes from `partition_loading_context`, the time then from the clock.
    """

    partitions_subset_class: ClassVar[type[subsets.PartitionsSubset]]
    """The class of sets of such partitions."""

    @abc.abstractmethod
    def count_in(self, context: contexts.PartitionLoadingContext) -> int:
        """Return how many partitions there are."""

    @abc.abstractmethod
    def key_in(self, number: int, context: contexts.PartitionLoadingContext) -> str:
        """Return the key of the partition with a number, from 0 to before the count."""

    @abc.abstractmethod
    def number_in(self, key: str, context: contexts.PartitionLoadingContext) -> int | None:
        """Return the number of the partition with a key, None where there is none."""

    @abc.abstractmethod
    def empty_subset(self) -> subsets.PartitionsSubset:
        """Return the set of no partition."""

    @abc.abstractmethod
    def subset_with_all_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return the set of all partitions that there are."""

    @abc.abstractmethod
    def subset_of_plain(self, plain: dict[str, Any]) -> subsets.PartitionsSubset:
        """Return the set that its `to_plain` wrote."""

    @abc.abstractmethod
    def identity(self) -> list[Any]:
        """Return what tells the definition from others, as texts, numbers and lists."""

    def get_partition_keys(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Sequence[str]:
        """Return all partition keys in order. Page, or make a subset, where there may be many.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return list(self.keys_between(0, self.count_in(context), context))

    def keys_between(
        self, start: int, end: int, context: contexts.PartitionLoadingContext
    ) -> Iterator[str]:
        """Yield the keys with numbers from one to before another."""
        return (self.key_in(number, context) for number in range(start, end))

    def get_num_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> int:
        """Return how many partitions there are.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        return self.count_in(contexts.resolve(current_time, dynamic_partitions_store))

    def get_first_partition_key(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> str | None:
        """Return the first partition key, None where there is no partition.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return self.key_in(0, context) if self.count_in(context) else None

    def get_last_partition_key(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> str | None:
        """Return the last partition key, None where there is no partition.

        Args:
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        count = self.count_in(context)
        return self.key_in(count - 1, context) if count else None

    def has_partition_key(
        self,
        partition_key: str,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> bool:
        """Return whether there is a partition with a key.

        Args:
            partition_key: The key.
            current_time: The time to take for the current one.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return self.number_in(partition_key, context) is not None

    def validate_partition_key(
        self, partition_key: str, context: contexts.PartitionLoadingContext | None = None
    ) -> None:
        """Say so if there is no partition with a key.

        Args:
            partition_key: The key.
            context: The time and the dynamic partitions to go by.

        Raises:
            UnknownPartitionError: There is none.
        """
        context = context or contexts.resolve()
        if self.number_in(partition_key, context) is None:
            raise self.unknown_in([partition_key], context)

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
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return {key for key in partition_keys if self.number_in(key, context) is not None}

    def get_partition_keys_in_range(
        self,
        partition_key_range: partition_keys.PartitionKeyRange,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
        current_time: dt.datetime | None = None,
    ) -> Sequence[str]:
        """Return the keys from one to another, both included.

        Args:
            partition_key_range: The range. One that ends before it starts has no keys.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
            current_time: The time to take for the current one.

        Raises:
            UnknownPartitionError: There is no partition with one of the keys.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        self.validate_partition_key(partition_key_range.start, context)
        self.validate_partition_key(partition_key_range.end, context)
        subset = self.empty_subset().with_partition_key_range(
            partition_key_range, dynamic_partitions_store
        )
        return list(subset.get_partition_keys())

    def get_paginated_partition_keys(
        self,
        context: contexts.PartitionLoadingContext | None,
        limit: int,
        ascending: bool,  # noqa: FBT001  # the field's signature
        cursor: str | None = None,
    ) -> PaginatedPartitionKeys:
        """Return a page of partition keys.

        Args:
            context: The time and the dynamic partitions to go by.
            limit: How many keys to return at most.
            ascending: Whether to begin with the first key, not with the last.
            cursor: What the page before gave.
        """
        context = context or contexts.resolve()
        count = self.count_in(context)
        start = self._page_start(context, cursor, count, 1 if ascending else -1)
        if ascending:
            end = min(start + limit, count)
            keys = list(self.keys_between(start, end, context))
            more = end < count
        else:
            end = max(start - limit, -1)
            keys = list(self.keys_between(end + 1, start + 1, context))[::-1]
            more = end >= 0
        if keys:
            cursor = f"{end - 1 if ascending else end + 1}:{keys[-1]}"
        return PaginatedPartitionKeys(keys, cursor or "", more)

    def subset_with_partition_keys(self, partition_keys: Iterable[str]) -> subsets.PartitionsSubset:
        """Return the set of some partitions.

        Args:
            partition_keys: Their keys.

        Raises:
            UnknownPartitionError: The definition can have no partition with such a key.
        """
        return self.empty_subset().with_partition_keys(partition_keys)

    def deserialize_subset(self, serialized: str) -> subsets.PartitionsSubset:
        """Return the set that `serialize` of a set wrote.

        Args:
            serialized: What it wrote.

        Raises:
            InvalidInvocationError: It is not of such a set.
        """
        try:
            return self.subset_of_plain(json.loads(serialized))
        except (ValueError, TypeError, KeyError, LookupError) as error:
            raise errors.InvalidInvocationError(
                f"{serialized[:80]!r} is no set of partitions of {self!r}: it was written for"
                " another kind of definition. Make the set again."
            ) from error

    def can_deserialize_subset(
        self,
        serialized: str,
        serialized_partitions_def_unique_id: str | None = None,
        serialized_partitions_def_class_name: str | None = None,
    ) -> bool:
        """Return whether `deserialize_subset` can read something.

        Args:
            serialized: What `serialize` of a set wrote.
            serialized_partitions_def_unique_id: The identifier that the definition had then.
            serialized_partitions_def_class_name: The name of the class of the definition.
        """
        if serialized_partitions_def_unique_id not in (
            None,
            self.get_serializable_unique_identifier(),
        ):
            return False
        if serialized_partitions_def_class_name not in (None, type(self).__name__):
            return False
        try:
            self.deserialize_subset(serialized)
        except errors.Error:
            return False
        return True

    def get_serializable_unique_identifier(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> str:
        """Return a text that is the same for the same definition, in every process.

        Args:
            dynamic_partitions_store: Not needed: dynamic partitions are told apart by their name.
        """
        del dynamic_partitions_store
        text = json.dumps(self.identity(), separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:40]

    def get_tags_for_partition_key(self, partition_key: str) -> dict[str, str]:
        """Return the tags of a run of a partition.

        Args:
            partition_key: The key of the partition.
        """
        return {PARTITION_TAG: str(partition_key)}

    def validate_partition_definition(self) -> None:
        """Say so if the definition cannot be used; most say it when they are made.

        Raises:
            InvalidDefinitionError: It cannot be used.
        """

    def unknown(self, keys: list[str]) -> errors.UnknownPartitionError:
        """Return the error that says that there are no partitions with some keys.

        Args:
            keys: The keys.
        """
        return self.unknown_in(keys, contexts.resolve())

    def unknown_in(
        self, keys: list[str], context: contexts.PartitionLoadingContext
    ) -> errors.UnknownPartitionError:
        """Return the error that says that there are no partitions with some keys.

        Args:
            keys: The keys.
            context: The time and the dynamic partitions that were gone by.
        """
        what = "partition" if len(keys) == 1 else "partitions"
        return errors.UnknownPartitionError(
            f"There is no {what} {partition_keys.listed(keys)} of {self}."
            f" {self._there_are(keys[0], context)}",
            keys,
        )

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, PartitionsDefinition) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(str(self.identity()[:2]))

    def _there_are(self, key: str, context: contexts.PartitionLoadingContext) -> str:
        """Return which partitions there are instead, as a sentence or two."""
        count = self.count_in(context)
        if not count:
            return "It has no partitions yet."
        first, last = self.key_in(0, context), self.key_in(count - 1, context)
        text = f"It has {count}, from {first!r} to {last!r}."
        if count <= _RESEMBLING_MAX:
            known = self.keys_between(0, count, context)
            close = difflib.get_close_matches(key, known, n=3)
            if close:
                text += f" Did you mean {' or '.join(map(repr, close))}?"
        return text

    def _page_start(
        self, context: contexts.PartitionLoadingContext, cursor: str | None, count: int, step: int
    ) -> int:
        if not cursor:
            return 0 if step > 0 else count - 1
        place, _, key = cursor.partition(":")
        found = self.number_in(key, context)
        if found is None:
            # The partition is gone since; those behind it have moved to its place.
            found = (int(place) if place.isdigit() else 0) - (step > 0)
        return found + step

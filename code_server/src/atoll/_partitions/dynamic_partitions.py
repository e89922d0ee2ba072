"""Partitions that are added while the system runs, or that a function names.

Called by users and by mappings. Keys are kept by a store, such as an instance; it comes in as an
argument or by `partition_loading_context`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from atoll import errors
from atoll._partitions import (
    contexts,
    definitions,
    dynamic_requests,
    key_subsets,
    keyspaces,
    partition_keys,
)

PartitionFunction = Callable[
    [dt.datetime | None], "Sequence[str] | Sequence[partition_keys.Partition]"
]


class DynamicPartitionsDefinition(definitions.PartitionsDefinition, keyspaces.StoredKeyspace):
    """Partitions that are added and deleted while the system runs, or that a function names."""

    partitions_subset_class = key_subsets.KeysPartitionsSubset

    def __init__(
        self, partition_fn: PartitionFunction | None = None, name: str | None = None
    ) -> None:
        """Define partitions.

        Args:
            partition_fn: Returns the partitions, given the current time. It cannot be called where
                the code of its location is not.
            name: The name by which an instance keeps the keys. Give one of the two.

        Raises:
            InvalidDefinitionError: Neither or both were given.
        """
        if (partition_fn is None) == (name is None):
            raise errors.InvalidDefinitionError(
                "Dynamic partitions are kept under a name, or come from a function: give"
                f" DynamicPartitionsDefinition one of name= and partition_fn=, not"
                f" {'both' if name is not None else 'neither'}."
            )
        if not name and partition_fn is None:
            text = "The name of dynamic partitions is empty; give them one."
            raise errors.InvalidDefinitionError(text)
        self.name = name
        self.partition_fn = partition_fn

    def known_keys(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> Sequence[str]:
        """Return the keys that there are, in the order of their addition.

        Args:
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        return self._keys_in(contexts.resolve(None, dynamic_partitions_store))

    def get_partition_keys(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> Sequence[str]:
        """Return all partition keys in the order of their addition.

        Args:
            current_time: What a function is given as the time.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.

        Raises:
            InvalidInvocationError: The keys are kept by an instance, and none was given.
        """
        return list(self._keys_in(contexts.resolve(current_time, dynamic_partitions_store)))

    def count_in(self, context: contexts.PartitionLoadingContext) -> int:
        """Return how many partitions there are."""
        return len(self._keys_in(context))

    def key_in(self, number: int, context: contexts.PartitionLoadingContext) -> str:
        """Return the key of the partition with a number."""
        return self._keys_in(context)[number]

    def keys_between(self, start: int, end: int, context: contexts.PartitionLoadingContext) -> Any:
        """Yield the keys with numbers from one to before another."""
        return iter(self._keys_in(context)[start:end])

    def number_in(self, key: str, context: contexts.PartitionLoadingContext) -> int | None:
        """Return the number of the partition with a key, None where there is none."""
        keys = self._keys_in(context)
        return keys.index(key) if key in keys else None

    def has_partition_key(
        self,
        partition_key: str,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> bool:
        """Return whether there is a partition with a key.

        Args:
            partition_key: The key.
            current_time: What a function is given as the time.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        if self.name is not None:
            return context.store.has_dynamic_partition(self.name, partition_key)
        return partition_key in self._keys_in(context)

    def build_add_request(
        self, partition_keys: Sequence[str]
    ) -> dynamic_requests.AddDynamicPartitionsRequest:
        """Return the wish to add partitions, for a sensor's result.

        Args:
            partition_keys: The keys to add.

        Raises:
            InvalidInvocationError: The partitions come from a function.
        """
        return dynamic_requests.AddDynamicPartitionsRequest(
            self.required_name, list(_checked(partition_keys))
        )

    def build_delete_request(
        self, partition_keys: Sequence[str]
    ) -> dynamic_requests.DeleteDynamicPartitionsRequest:
        """Return the wish to delete partitions, for a sensor's result.

        Args:
            partition_keys: The keys to delete.

        Raises:
            InvalidInvocationError: The partitions come from a function.
        """
        return dynamic_requests.DeleteDynamicPartitionsRequest(
            self.required_name, list(partition_keys)
        )

    @property
    def required_name(self) -> str:
        """The name by which an instance keeps the keys.

        Raises:
            InvalidInvocationError: The partitions come from a function.
        """
        if self.name is None:
            raise errors.InvalidInvocationError(
                "The partitions come from a function, so none can be added or deleted. Define them"
                " with DynamicPartitionsDefinition(name=...)."
            )
        return self.name

    def empty_subset(self) -> key_subsets.KeysPartitionsSubset:
        """Return the set of no partition."""
        return key_subsets.KeysPartitionsSubset(self, ())

    def subset_with_all_partitions(
        self,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> key_subsets.KeysPartitionsSubset:
        """Return the set of all partitions that there are.

        Args:
            current_time: What a function is given as the time.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.
        """
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return key_subsets.KeysPartitionsSubset(self, self._keys_in(context))

    def subset_of_plain(self, plain: dict[str, Any]) -> key_subsets.KeysPartitionsSubset:
        """Return the set that its `to_plain` wrote."""
        return key_subsets.KeysPartitionsSubset(self, plain["keys"])

    def identity(self) -> list[Any]:
        """Return what tells the definition from others."""
        return ["dynamic", self.name, None if self.partition_fn is None else id(self.partition_fn)]

    def unknown_in(
        self, keys: list[str], context: contexts.PartitionLoadingContext
    ) -> errors.UnknownPartitionError:
        """Return the error that says that there are no partitions with some keys."""
        error = super().unknown_in(keys, context)
        hint = f" Add it first: instance.add_dynamic_partitions({self.name!r}, [{keys[0]!r}])."
        text = str(error) + (hint if self.name is not None else "")
        return errors.UnknownPartitionError(text, keys)

    def __str__(self) -> str:
        if self.name is not None:
            return f"the dynamic partitions {self.name!r}"
        return "the dynamic partitions of a function"

    def __repr__(self) -> str:
        if self.name is not None:
            return f"DynamicPartitionsDefinition(name={self.name!r})"
        return f"DynamicPartitionsDefinition(partition_fn={self.partition_fn!r})"

    def _keys_in(self, context: contexts.PartitionLoadingContext) -> Sequence[str]:
        if self.partition_fn is not None:
            made = self.partition_fn(context.now)
            return [found if isinstance(found, str) else found.name for found in made]
        return context.store.get_dynamic_partitions(self.required_name)


# Parameters have the name of the module.
_checked = partition_keys.checked

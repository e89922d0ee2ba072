"""Requests to change dynamic partitions: partition keys that are data.

Called by users from sensors, who put them into a `SensorResult`, and by what checks whether the run
requests beside them are for partitions that there will be. The keys are kept by the instance. A
definition is named the same in all locations and means the same keys there.
"""

from collections.abc import Sequence
from typing import TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._partitions import contexts


class _Request(records.Record):
    """A definition and keys of it."""

    partitions_def_name: str
    partition_keys: Sequence[str]

    def __init__(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        assign = object.__setattr__
        assign(self, "partitions_def_name", checked_name(partitions_def_name))
        assign(self, "partition_keys", checked_keys(partitions_def_name, partition_keys))


class AddDynamicPartitionsRequest(_Request):
    """Asks for keys to be added to a dynamic partitions definition.

    Attributes:
        partitions_def_name: The name of the definition.
        partition_keys: The keys; those that are there already stay where they are.
    """


class DeleteDynamicPartitionsRequest(_Request):
    """Asks for keys to be taken out of a dynamic partitions definition.

    Attributes:
        partitions_def_name: The name of the definition.
        partition_keys: The keys; those that are not there are left alone.
    """


DynamicPartitionsRequest: TypeAlias = AddDynamicPartitionsRequest | DeleteDynamicPartitionsRequest


class StoreAfter:
    """A store as it will be once some requests were met, without changing it.

    Args:
        store: The store as it is; None knows of no keys.
        requests: The requests, in order.
    """

    def __init__(
        self,
        store: contexts.DynamicPartitionsStore | None,
        requests: Sequence[DynamicPartitionsRequest],
    ) -> None:
        self._store = store
        self._requests = tuple(requests)

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Return the keys of a definition, in the order of their addition."""
        known: Sequence[str] = ()
        if self._store is not None:
            known = self._store.get_dynamic_partitions(partitions_def_name)
        found = dict.fromkeys(known)
        for request in self._requests:
            if request.partitions_def_name != partitions_def_name:
                continue
            for key in request.partition_keys:
                if isinstance(request, AddDynamicPartitionsRequest):
                    found.setdefault(key)
                else:
                    found.pop(key, None)
        return list(found)

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Return whether a definition has a key."""
        for request in reversed(self._requests):
            of_this = request.partitions_def_name == partitions_def_name
            if of_this and partition_key in request.partition_keys:
                return isinstance(request, AddDynamicPartitionsRequest)
        return self._store is not None and self._store.has_dynamic_partition(
            partitions_def_name, partition_key
        )


def checked_name(partitions_def_name: str) -> str:
    """Return the name of a definition, or say why it is none.

    Raises:
        InvalidInvocationError: It is no text, or empty.
    """
    if not _is_text(partitions_def_name):
        raise errors.InvalidInvocationError(
            f"A dynamic partitions definition has a name, got {partitions_def_name!r}. Give the "
            "name of the DynamicPartitionsDefinition."
        )
    return partitions_def_name


def checked_keys(partitions_def_name: str, partition_keys: Sequence[str]) -> tuple[str, ...]:
    """Return partition keys, or say which one is none.

    Raises:
        InvalidInvocationError: One of them is no text, is empty or holds what no key may hold.
    """
    if isinstance(partition_keys, str):
        raise errors.InvalidInvocationError(
            f"The partition keys of {partitions_def_name!r} are a list of strings, got the string "
            f"{partition_keys!r}. Give [{partition_keys!r}]."
        )
    for key in partition_keys:
        if not _is_text(key):
            raise errors.InvalidInvocationError(
                f"The partition keys of {partitions_def_name!r} are non-empty strings, got {key!r} "
                f"of type {type(key).__name__}."
            )
        if "\0" in key:
            raise errors.InvalidInvocationError(
                f"The partition key {key!r} of {partitions_def_name!r} holds a NUL character, "
                "which cannot be stored. Leave it out."
            )
    return tuple(partition_keys)


def _is_text(value: object) -> bool:
    # Not all users check types; a wrong value must not surface later, elsewhere.
    return isinstance(value, str) and bool(value)

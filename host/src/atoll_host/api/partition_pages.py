"""Pages of partition keys in the order of their definition. Pure.

Called by the servicers of partitions and assets. Keys may be computed (a definition of time windows
has any number of them) or listed; between two pages some may come or go, so a page goes on behind a
key, and behind its place where the key is gone.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

from atoll._partitions import contexts, multi_partitions, window_lookups
from atoll.api.v1 import partitions_pb2
from atoll.definitions.v1 import partitions_pb2 as definition_messages
from atoll_host import errors
from atoll_host.locations import partitioned

SIZE_MAX = 10_000


class Keys(Protocol):
    """Partition keys in order."""

    def count(self) -> int:
        """Return how many there are."""
        ...

    def at(self, number: int) -> str:
        """Return the key with a number, from 0."""
        ...

    def number_of(self, key: str) -> int | None:
        """Return the number of a key, None where it is not among them."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Defined:
    """All partitions of a definition.

    Attributes:
        partitions_def: The definition.
        context: The time and the dynamic partitions to go by.
    """

    partitions_def: partitioned.PartitionsDefinition
    context: contexts.PartitionLoadingContext

    def count(self) -> int:
        """Return how many there are."""
        return self.partitions_def.count_in(self.context)

    def at(self, number: int) -> str:
        """Return the key with a number."""
        return self.partitions_def.key_in(number, self.context)

    def number_of(self, key: str) -> int | None:
        """Return the number of a key."""
        return self.partitions_def.number_in(key, self.context)


class Listed:
    """Some partitions.

    Args:
        keys: Their keys, in order.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._numbers = {key: number for number, key in enumerate(keys)}

    def count(self) -> int:
        """Return how many there are."""
        return len(self._keys)

    def at(self, number: int) -> str:
        """Return the key with a number."""
        return self._keys[number]

    def number_of(self, key: str) -> int | None:
        """Return the number of a key."""
        return self._numbers.get(key)


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """The numbers that a list shows.

    Attributes:
        start: The first of them.
        end: The first behind them.
        descending: Whether the last comes first.
    """

    start: int
    end: int
    descending: bool = False


def page(
    keys: Keys, span: Span, after: tuple[int, str] | None, size: int
) -> tuple[list[tuple[int, str]], bool]:
    """Return the keys of a page with their numbers, and whether there are more.

    Args:
        keys: The keys.
        span: Those of them that the list shows.
        after: What the page before ended with: the number, and the key.
        size: How many at the most.
    """
    step = -1 if span.descending else 1
    first = span.end - 1 if span.descending else span.start
    if after is not None:
        first = _following(keys, after, step)
    first = min(first, span.end - 1) if span.descending else max(first, span.start)
    limit = span.start - 1 if span.descending else span.end
    numbers = range(first, limit, step)
    shown = [(number, keys.at(number)) for number in numbers[:size]]
    return shown, len(numbers) > size


def span_of(keys: Keys, start: str, end: str, *, descending: bool) -> Span:
    """Return the numbers from one key to another, both included.

    Args:
        keys: The keys.
        start: The first; empty means the first of all.
        end: The last; empty means the last of all.
        descending: Whether the last comes first.

    Raises:
        errors.InvalidRequest: There is no such key.
    """
    first = _number(keys, start, "range_start") if start else 0
    last = _number(keys, end, "range_end") if end else keys.count() - 1
    return Span(first, max(last + 1, first), descending)


def info(
    partitions_def: partitioned.PartitionsDefinition, key: str
) -> partitions_pb2.PartitionKeyInfo:
    """Return what a partition key means.

    Args:
        partitions_def: The definition.
        key: One of its keys.
    """
    told = partitions_pb2.PartitionKeyInfo(partition_key=key)
    if isinstance(partitions_def, window_lookups.WindowLookups):
        told.time_window.CopyFrom(_window(partitions_def, key))
    elif isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        keys = partitions_def.get_partition_key_from_str(key).keys_by_dimension
        told.dimension_keys.update({name: str(each) for name, each in keys.items()})
        for dimension in partitions_def.partitions_defs:
            inner = dimension.partitions_def
            if isinstance(inner, window_lookups.WindowLookups) and not told.HasField("time_window"):
                told.time_window.CopyFrom(_window(inner, keys[dimension.name]))
    return told


def _window(
    partitions_def: window_lookups.WindowLookups, key: str
) -> definition_messages.TimeWindow:
    window = partitions_def.time_window_for_partition_key(key)
    message = definition_messages.TimeWindow()
    message.start.FromDatetime(window.start)
    message.end.FromDatetime(window.end)
    return message


def _following(keys: Keys, after: tuple[int, str], step: int) -> int:
    number, key = after
    found = keys.number_of(key)
    if found is not None:
        return found + step
    # The key is gone since: those behind it have moved to its place.
    return number if step > 0 else number - 1


def _number(keys: Keys, key: str, field: str) -> int:
    number = keys.number_of(key)
    if number is None:
        count = keys.count()
        there = f"from {keys.at(0)!r} to {keys.at(count - 1)!r}" if count else "none yet"
        raise errors.InvalidRequest(
            f"{field} is {key!r}, and there is no such partition; there are {there}.", field=field
        )
    return number

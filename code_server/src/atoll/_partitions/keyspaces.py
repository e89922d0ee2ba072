"""What a set of partitions has to know of the definition that the partitions are from.

Called by subsets, which lie below definitions: a definition makes subsets, so a subset cannot know
the classes of definitions.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._partitions import contexts


class Keyspace(abc.ABC):
    """The partitions that there are, as far as sets of them need to know."""

    @abc.abstractmethod
    def get_serializable_unique_identifier(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> str:
        """Return a text that is the same for the same partitions, in every process."""

    @abc.abstractmethod
    def unknown(self, keys: list[str]) -> errors.UnknownPartitionError:
        """Return the error that says that there are no partitions with some keys."""

    @abc.abstractmethod
    def empty_subset(self) -> Any:
        """Return the set of no partition."""


class StoredKeyspace(Keyspace):
    """Partitions that a store or a function knows, in the order of their addition."""

    @abc.abstractmethod
    def known_keys(
        self, dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None
    ) -> Sequence[str]:
        """Return the keys that there are."""


class DimensionedKeyspace(Keyspace):
    """Partitions with two dimensions, of which one is the first in the order of partitions."""

    @abc.abstractmethod
    def joined(self, primary: str, secondary: str) -> str:
        """Return the key that two keys of dimensions make."""

    @abc.abstractmethod
    def parted(self, key: str) -> tuple[str, str] | None:
        """Return the key of the primary and of the secondary dimension; None if it has no two."""

    @property
    @abc.abstractmethod
    def primary(self) -> Keyspace:
        """The partitions of the dimension that orders first."""

    @property
    @abc.abstractmethod
    def secondary(self) -> Keyspace:
        """The partitions of the other dimension."""


class OrderedKeyspace(Keyspace):
    """Partitions in a fixed order: each has a number."""

    @abc.abstractmethod
    def key_at(self, index: int) -> str:
        """Return the key of the partition with a number."""

    @abc.abstractmethod
    def index_of(self, key: str) -> int | None:
        """Return the number of the partition with a key, None where there is none."""

    @abc.abstractmethod
    def positions(self, start: int, end: int) -> list[Any]:
        """Return what stands for the numbers from one to before another when they are written."""

    @abc.abstractmethod
    def range_at(self, positions: list[Any]) -> tuple[int, int]:
        """Return the numbers, from one to before another, that written positions stand for."""

    @property
    @abc.abstractmethod
    def positions_name(self) -> str:
        """What the written positions are."""

    def required_index(self, key: str) -> int:
        """Return the number of the partition with a key.

        Args:
            key: The key.

        Raises:
            UnknownPartitionError: There is none.
        """
        index = self.index_of(key)
        if index is None:
            raise self.unknown([key])
        return index


def utc(timestamp: float) -> dt.datetime:
    """Return a moment as a date in UTC.

    Args:
        timestamp: The seconds since 1970.
    """
    return dt.datetime.fromtimestamp(timestamp, dt.timezone.utc)

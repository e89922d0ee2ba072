"""The names of partitions: keys, ranges of keys, and keys of two dimensions.

Called by every other module here, and by users. Which keys a definition has is not known here.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from atoll import _records as records
from atoll import errors

if TYPE_CHECKING:
    from typing_extensions import Self

# Between the keys of the two dimensions.
SEPARATOR = "|"
# Three dots stand between the ends of a range wherever people write one.
_RANGE_MARK = "..."
_SHOWN_MAX = 5


class Partition(records.Record):
    """A partition that a function made, for code that gives more than its key.

    Attributes:
        value: What the partition stands for.
        name: Its key; the text of the value where not given.
    """

    value: Any
    name: str

    def __init__(self, value: Any, name: str | None = None) -> None:
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "name", str(value) if name is None else name)


class PartitionKeyRange(NamedTuple):
    """All partitions from one to another, both included.

    Attributes:
        start: The first key.
        end: The last key.
    """

    start: str
    end: str


class MultiPartitionKey(str):
    """The key of a partition with two dimensions: a text that knows its parts.

    Attributes:
        keys_by_dimension: The key of each dimension.
    """

    __slots__ = ("keys_by_dimension",)
    keys_by_dimension: Mapping[str, str]

    def __new__(cls, keys_by_dimension: Mapping[str, str]) -> Self:
        """Make a key.

        Args:
            keys_by_dimension: The key of each dimension, by the dimension's name.
        """
        parts = dict(sorted(keys_by_dimension.items()))
        key = super().__new__(cls, SEPARATOR.join(parts.values()))
        key.keys_by_dimension = parts
        return key

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.keys_by_dimension,)


def checked(keys: Iterable[str]) -> tuple[str, ...]:
    """Return partition keys, or say why some of them cannot be any.

    Args:
        keys: The keys of a definition, in order.

    Raises:
        InvalidDefinitionError: A key is no text, is given twice, or has characters that keys cannot
            have.
    """
    if isinstance(keys, str):
        text = f"Partition keys are a list of texts; {keys!r} is one text. Write [{keys!r}]."
        raise errors.InvalidDefinitionError(text)
    given = tuple(keys)
    for key in given:
        check(key)
    if len(set(given)) < len(given):
        twice = {key for key, count in collections.Counter(given).items() if count > 1}
        text = f"Partition keys are given more than once: {listed(sorted(twice))}. Remove them."
        raise errors.InvalidDefinitionError(text)
    return given


def check(key: object) -> None:
    """Say why something cannot be a partition key, if so.

    Args:
        key: What was given as a key.

    Raises:
        InvalidDefinitionError: It is no text, is empty, or has characters that keys cannot have.
    """
    if not isinstance(key, str):
        text = f"A partition key is a text; {key!r} is a {type(key).__name__}. Write {str(key)!r}."
        raise errors.InvalidDefinitionError(text)
    if not key:
        raise errors.InvalidDefinitionError("A partition key is empty; give it a name.")
    if _RANGE_MARK in key or (not key.isprintable() and any(char < " " for char in key)):
        raise errors.InvalidDefinitionError(
            f"The partition key {key!r} has characters that keys cannot have: three dots in a row,"
            " which stand for a range, or control characters. Replace them."
        )


def listed(keys: Iterable[str]) -> str:
    """Return some keys as people read them, and how many more there are.

    Args:
        keys: The keys.
    """
    found = list(keys)
    more = len(found) - _SHOWN_MAX
    return ", ".join(map(repr, found[:_SHOWN_MAX])) + (f" and {more} more" if more > 0 else "")

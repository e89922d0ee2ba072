"""Sets of whole numbers as sorted ranges: what makes a million partitions cheap.

Called by subsets and mappings. Every operation costs as much as there are ranges, whatever lies in
them. Numbers may be negative: a window before the first partition has such a number.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class IndexRanges:
    """A frozen set of whole numbers, held as disjoint half-open ranges that do not touch."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._ranges = _merged(ranges)

    @classmethod
    def of_indexes(cls, indexes: Iterable[int]) -> IndexRanges:
        """Return the set of some numbers, given in any order."""
        return cls((index, index + 1) for index in indexes)

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The half-open ranges in order."""
        return self._ranges

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(end - start for start, end in self._ranges)

    def __iter__(self) -> Iterator[int]:
        return itertools.chain.from_iterable(range(*found) for found in self._ranges)

    def __contains__(self, index: object) -> bool:
        if not isinstance(index, int):
            return False
        place = bisect.bisect_right(self._ranges, index, key=_start_of) - 1
        return place >= 0 and index < self._ranges[place][1]

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IndexRanges) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __repr__(self) -> str:
        return f"IndexRanges({list(self._ranges)})"

    def __or__(self, other: IndexRanges) -> IndexRanges:
        return IndexRanges((*self._ranges, *other._ranges))

    def __and__(self, other: IndexRanges) -> IndexRanges:
        return IndexRanges(_intersection(self._ranges, other._ranges))

    def __sub__(self, other: IndexRanges) -> IndexRanges:
        return IndexRanges(_difference(self._ranges, other._ranges))

    def shifted(self, start: int, end: int) -> IndexRanges:
        """Return the set with every range's start and end moved.

        Args:
            start: By how much the starts move.
            end: By how much the ends move; ranges that would end before they start vanish.
        """
        return IndexRanges((low + start, high + end) for low, high in self._ranges)


def _start_of(found: Range) -> int:
    return found[0]


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _intersection(left: tuple[Range, ...], right: tuple[Range, ...]) -> Iterator[Range]:
    place_left = place_right = 0
    while place_left < len(left) and place_right < len(right):
        start = max(left[place_left][0], right[place_right][0])
        end = min(left[place_left][1], right[place_right][1])
        if start < end:
            yield start, end
        if left[place_left][1] < right[place_right][1]:
            place_left += 1
        else:
            place_right += 1


def _difference(left: tuple[Range, ...], right: tuple[Range, ...]) -> Iterator[Range]:
    place = 0
    for low, end in left:
        start = low
        while place < len(right) and right[place][1] <= start:
            place += 1
        ahead = place
        while ahead < len(right) and right[ahead][0] < end:
            if start < right[ahead][0]:
                yield start, right[ahead][0]
            start = max(start, right[ahead][1])
            ahead += 1
        if start < end:
            yield start, end

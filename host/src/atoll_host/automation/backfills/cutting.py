"""Cuts sets of partitions into what single runs take. Pure.

Called by `deciding`. A run takes one partition or one range of them, so a piece is always a range
that holds nothing else: for partitions with two dimensions, all partitions between two keys in both
dimensions. Pieces are made one after the other: whoever takes a few of a large set pays for a few.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from atoll._partitions import (
    definitions,
    index_ranges,
    key_subsets,
    keyspaces,
    multi_subsets,
    ordered_subsets,
    subsets,
)
from atoll_host.automation.backfills import plans

Subset = subsets.PartitionsSubset


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """The partitions of one run.

    Attributes:
        subset: The partitions.
        start: The key of the first one.
        end: The key of the last one, the same for a single partition.
        count: How many there are.
    """

    subset: Subset
    start: str
    end: str
    count: int


def cut(subset: Subset, per_run_max: int | None, keys: plans.KnownKeys) -> Iterator[Piece]:
    """Yield pieces that hold a set of partitions, in the definition's order.

    Args:
        subset: The partitions.
        per_run_max: How many partitions a piece may hold; None for any number.
        keys: The order of dynamic partitions.
    """
    if isinstance(subset, ordered_subsets.OrderedPartitionsSubset):
        return _of_ordered(subset, per_run_max)
    if isinstance(subset, multi_subsets.MultiPartitionsSubset):
        return _of_two_dimensions(subset, per_run_max, keys)
    return _of_keys(subset, per_run_max, keys)


def joined(partitions_def: definitions.PartitionsDefinition, pieces: Sequence[Piece]) -> Subset:
    """Return the union of pieces, however many there are.

    Args:
        partitions_def: The definition that all of them are from.
        pieces: The pieces.
    """
    return _joined(partitions_def.empty_subset(), [piece.subset for piece in pieces])


def _joined(none: Subset, found: Sequence[Subset]) -> Subset:
    if isinstance(none, ordered_subsets.OrderedPartitionsSubset):
        ranges = itertools.chain.from_iterable(
            each.ranges.ranges
            for each in found
            if isinstance(each, ordered_subsets.OrderedPartitionsSubset)
        )
        together = index_ranges.IndexRanges(ranges)
        return ordered_subsets.OrderedPartitionsSubset(none.partitions_def, together)
    if isinstance(none, multi_subsets.MultiPartitionsSubset):
        # Joined by what they have in common first: the set itself compares each part with all.
        by_secondary: dict[Subset, list[Subset]] = {}
        for each in found:
            if isinstance(each, multi_subsets.MultiPartitionsSubset):
                for primary, secondary in each.parts:
                    by_secondary.setdefault(secondary, []).append(primary)
        parts = [
            (_joined(primaries[0].empty_subset(), primaries), secondary)
            for secondary, primaries in by_secondary.items()
        ]
        return multi_subsets.MultiPartitionsSubset(none.partitions_def, parts)
    return none.with_partition_keys(itertools.chain.from_iterable(found))


def _of_ordered(
    subset: ordered_subsets.OrderedPartitionsSubset, per_run_max: int | None
) -> Iterator[Piece]:
    keyspace = subset.partitions_def
    for low, high in subset.ranges.ranges:
        step = high - low if per_run_max is None else per_run_max
        for start in range(low, high, step):
            end = min(start + step, high)
            part = index_ranges.IndexRanges([(start, end)])
            first = keyspace.key_at(start)
            yield Piece(
                ordered_subsets.OrderedPartitionsSubset(keyspace, part),
                first,
                first if end == start + 1 else keyspace.key_at(end - 1),
                end - start,
            )


def _of_keys(subset: Subset, per_run_max: int | None, keys: plans.KnownKeys) -> Iterator[Piece]:
    known: dict[str, int] = {}
    partitions_def = subset.partitions_def
    if isinstance(partitions_def, keyspaces.StoredKeyspace):
        names = partitions_def.known_keys(keys)
        known = {key: place for place, key in enumerate(names)}
    # Those that are gone have no place any more: each by itself, at the end.
    ordered = sorted(subset, key=lambda key: known.get(key, len(known)))
    for run in _consecutive(ordered, known, per_run_max):
        part = key_subsets.KeysPartitionsSubset(partitions_def, run)
        yield Piece(part, run[0], run[-1], len(run))


def _consecutive(
    ordered: Iterable[str], known: dict[str, int], per_run_max: int | None
) -> Iterator[list[str]]:
    run: list[str] = []
    for key in ordered:
        follows = bool(run) and known.get(key, -1) == known.get(run[-1], -3) + 1
        if run and not (follows and (per_run_max is None or len(run) < per_run_max)):
            yield run
            run = []
        run.append(key)
    if run:
        yield run


def _of_two_dimensions(
    subset: multi_subsets.MultiPartitionsSubset, per_run_max: int | None, keys: plans.KnownKeys
) -> Iterator[Piece]:
    keyspace = subset.partitions_def
    for primary, secondary in subset.parts:
        for seconds in cut(secondary, per_run_max, keys):
            rows = None if per_run_max is None else max(1, per_run_max // seconds.count)
            for firsts in cut(primary, rows, keys):
                yield Piece(
                    multi_subsets.MultiPartitionsSubset(
                        keyspace, [(firsts.subset, seconds.subset)]
                    ),
                    str(keyspace.joined(firsts.start, seconds.start)),
                    str(keyspace.joined(firsts.end, seconds.end)),
                    firsts.count * seconds.count,
                )

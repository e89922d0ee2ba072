"""Decides which runs a backfill requests next. Pure.

Called by `leading` whenever runs of the backfill ended, it began, or there is room in the queue.
The rules:

* A partition is requested once, and not before all that it needs of the same backfill is
  materialized by it. What lies in the same location, has the same partitions and needs the same
  partition goes into one run with it instead.
* What needs, directly or through others, a partition that failed is blocked: never requested,
  unless what failed is tried again.
* A run takes as many partitions as the policy of its assets says, and always a range without gaps.
  Where a run takes several, a smaller one is made only when no more can come.

Sets are joined, cut and mapped as ranges; nothing here is done for each partition, except for those
that are requested.
"""

import dataclasses
import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence

from atoll._partitions import index_ranges, ordered_subsets, time_window_mappings
from atoll_host.automation.backfills import cutting, plans
from atoll_host.automation.backfills import progress as progresses

Subset = plans.Subset

_CHAINS_MAX = 100
"""So many ranges of a unit that needs itself are worked on at a time, where a run takes several."""


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """One run to request: some units, and which of their partitions."""

    units: tuple[int, ...]
    piece: cutting.Piece


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What to request now.

    Attributes:
        chunks: The runs, in order.
        progress: The progress once they are requested.
        more: Whether there was more to request than there was room for.
    """

    chunks: tuple[Chunk, ...]
    progress: progresses.Progress
    more: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Class:
    """Partitions for which the same units of a lane can be requested together."""

    units: tuple[int, ...]
    subset: Subset
    grows: bool


def blocked(plan: plans.Plan, progress: progresses.Progress) -> list[Subset]:
    """Return the partitions of each unit that need what failed, directly or through others."""
    found: list[Subset] = []
    for number, unit in enumerate(plan.units):
        open_ones = unit.target - progress.requested[number]
        stopped = unit.target.empty_subset()
        for edge in unit.edges:
            if edge.upstream == number:
                continue
            bad = progress.failed[edge.upstream] | found[edge.upstream]
            stopped = stopped | plan.dependents(number, edge, bad)
        stopped = stopped & open_ones
        for edge in unit.edges:
            if edge.upstream == number:
                seeds = stopped | progress.failed[number]
                stopped = stopped | _all_after(plan, number, edge, seeds, open_ones)
        found.append(stopped)
    return found


def remaining(plan: plans.Plan, progress: progresses.Progress) -> list[Subset]:
    """Return what is still to be requested of each unit: neither requested nor blocked."""
    return [
        unit.target - progress.requested[number] - stopped
        for number, (unit, stopped) in enumerate(
            zip(plan.units, blocked(plan, progress), strict=True)
        )
    ]


def decide(
    plan: plans.Plan, progress: progresses.Progress, room: Mapping[str, int], runs_max: int
) -> Decision:
    """Return the runs to request next.

    Args:
        plan: What the backfill consists of.
        progress: What was done.
        room: How many more runs may wait, by location; none for a location that is left out.
        runs_max: How many runs to return at the most.
    """
    left = remaining(plan, progress)
    ready = _ready(plan, progress, left)
    classes = [
        each
        for lane in dict.fromkeys(unit.lane for unit in plan.units)
        for each in _classes(plan, lane, ready, left)
    ]
    patient = True
    if not any(_any_piece(plan, each, patient=True) for each in classes):
        # What could still grow is not waited for if nothing is under way that it could grow by.
        patient = progress.has_in_flight
    rooms = dict(room)
    chunks: list[Chunk] = []
    more = False
    for each in classes:
        location = plan.units[each.units[0]].location_name
        limit = min(rooms.get(location, 0), runs_max - len(chunks))
        found = list(itertools.islice(_pieces(plan, each, patient=patient), limit + 1))
        more = more or len(found) > limit
        chunks += [Chunk(each.units, piece) for piece in found[:limit]]
        rooms[location] = rooms.get(location, 0) - len(found[:limit])
    return Decision(tuple(chunks), progress.with_requested(taken(plan, chunks)), more)


def _ready(plan: plans.Plan, progress: progresses.Progress, left: Sequence[Subset]) -> list[Subset]:
    """Return the partitions of each unit of which all is there that they need."""
    found: list[Subset] = []
    for number, unit in enumerate(plan.units):
        ready = left[number]
        for edge in unit.edges:
            if edge.upstream == number or not ready:
                continue
            other = edge.upstream
            waiting = plan.units[other].target - progress.materialized[other]
            if edge.joins:
                waiting = waiting - found[other]
            ready = ready - plan.dependents(number, edge, waiting)
        for edge in unit.edges:
            if edge.upstream == number and ready:
                ready = _ready_of_itself(plan, progress, number, edge, ready)
        found.append(ready)
    return found


def _ready_of_itself(
    plan: plans.Plan, progress: progresses.Progress, number: int, edge: plans.Edge, ready: Subset
) -> Subset:
    """Return those of the ready partitions that wait for no other partition of their own unit."""
    unit = plan.units[number]
    waiting = unit.target - progress.materialized[number]
    first = ready - plan.dependents(number, edge, waiting)
    ordered = ordered_subsets.OrderedPartitionsSubset
    if unit.per_run_max == 1 or not isinstance(first, ordered) or not isinstance(ready, ordered):
        return first
    # A run of several takes along what needs each other: of each range, as much as can begin now.
    kept_ones: list[Subset] = []
    for low, high in itertools.islice(ready.ranges.ranges, _CHAINS_MAX):
        begins = (first.ranges & index_ranges.IndexRanges([(low, high)])).ranges
        if begins:
            end = high if unit.per_run_max is None else min(high, begins[0][0] + unit.per_run_max)
            kept = _range(ready, begins[0][0], end)
            while stopped := kept & plan.dependents(number, edge, waiting - kept):
                kept = kept - stopped
            kept_ones.append(kept)
    return plans.union(unit.partitions_def, kept_ones)


def _classes(
    plan: plans.Plan, lane: int, ready: Sequence[Subset], left: Sequence[Subset]
) -> list[_Class]:
    """Return the ready partitions of a lane, by the units for which they are ready."""
    classes: list[_Class] = []
    for number, unit in enumerate(plan.units):
        rest = ready[number]
        if unit.lane != lane or not rest:
            continue
        needs_itself = any(edge.upstream == number for edge in unit.edges)
        grows = not needs_itself and rest != left[number]
        split: list[_Class] = []
        for each in classes:
            both = each.subset & rest
            if not both:
                split.append(each)
                continue
            split.append(_Class((*each.units, number), both, each.grows or grows))
            alone = each.subset - both
            if alone:
                split.append(dataclasses.replace(each, subset=alone))
            rest = rest - both
        if rest:
            split.append(_Class((number,), rest, grows))
        classes = split
    return classes


def _pieces(plan: plans.Plan, of: _Class, *, patient: bool) -> Iterator[cutting.Piece]:
    size = plan.units[of.units[0]].per_run_max
    waits = of.grows and patient
    if waits and size is None:
        return
    # Of others than ordered partitions, a piece may be small because of their shape.
    waits = waits and isinstance(of.subset, ordered_subsets.OrderedPartitionsSubset)
    for piece in cutting.cut(of.subset, size, plan.keys):
        if not waits or size is None or piece.count >= size:
            yield piece


def _any_piece(plan: plans.Plan, of: _Class, *, patient: bool) -> bool:
    return next(_pieces(plan, of, patient=patient), None) is not None


def taken(plan: plans.Plan, chunks: Sequence[Chunk]) -> list[Subset]:
    """Return the partitions of each unit that chunks take.

    Args:
        plan: The units.
        chunks: The chunks.
    """
    pieces: list[list[cutting.Piece]] = [[] for _ in plan.units]
    for chunk in chunks:
        for number in chunk.units:
            pieces[number].append(chunk.piece)
    return [
        cutting.joined(unit.partitions_def, found)
        for unit, found in zip(plan.units, pieces, strict=True)
    ]


def _all_after(
    plan: plans.Plan, number: int, edge: plans.Edge, seeds: Subset, within: Subset
) -> Subset:
    """Return the partitions that need some of their own unit, directly or through others."""
    found = plan.dependents(number, edge, seeds) & within
    if _is_previous(edge) and isinstance(within, ordered_subsets.OrderedPartitionsSubset):
        # One after the other: all of a range that follows, however long it is.
        return plans.union(
            plan.units[number].partitions_def,
            [_range(within, *ends) for ends in _tails(within, found)],
        )
    fresh = found
    while fresh:
        fresh = (plan.dependents(number, edge, fresh) & within) - found
        found = found | fresh
    return found


def _is_previous(edge: plans.Edge) -> bool:
    mapping = edge.mapping
    return (
        isinstance(mapping, time_window_mappings.TimeWindowPartitionMapping)
        and mapping.start_offset == -1
        and mapping.end_offset == -1
    )


def _tails(
    within: ordered_subsets.OrderedPartitionsSubset, touched: Subset
) -> list[tuple[int, int]]:
    """Return each range from the first of some of its partitions on."""
    if not isinstance(touched, ordered_subsets.OrderedPartitionsSubset):
        return []
    return [
        (hit.ranges[0][0], high)
        for low, high in within.ranges.ranges
        if (hit := touched.ranges & index_ranges.IndexRanges([(low, high)]))
    ]


def _range(of: ordered_subsets.OrderedPartitionsSubset, start: int, end: int) -> Subset:
    ranges = index_ranges.IndexRanges([(start, end)])
    return ordered_subsets.OrderedPartitionsSubset(of.partitions_def, ranges)


class State(enum.Enum):
    """Where a backfill stands."""

    GOES_ON = "goes on"
    ENDED = "ended"
    STUCK = "stuck"


def state(plan: plans.Plan, progress: progresses.Progress) -> State:
    """Return whether there is anything left to do, or nothing more that can be done.

    Stuck is a backfill with partitions that wait for each other, which only mappings of partitions
    to later ones of the same asset can bring about.

    Args:
        plan: What the backfill consists of.
        progress: What was done.
    """
    if progress.has_in_flight:
        return State.GOES_ON
    if not any(remaining(plan, progress)):
        return State.ENDED
    unlimited = {unit.location_name: 1 for unit in plan.units}
    return State.GOES_ON if decide(plan, progress, unlimited, 1).chunks else State.STUCK

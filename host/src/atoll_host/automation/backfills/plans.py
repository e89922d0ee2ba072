"""What a backfill consists of: units of work, and which of their partitions need which. Pure.

A unit is what one run always takes together: an asset, the assets of an op that makes them at once,
or a job. Whatever has no partitions has one here, so that every set is a set of partitions. Made by
`planning` from the graph of the mesh; asked by `deciding`. What was done so far stays out.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence

from atoll._partitions import (
    contexts,
    definitions,
    key_mappings,
    mappings,
    static_partitions,
    subsets,
    time_window_mappings,
)

Subset = subsets.PartitionsSubset
AssetPath = tuple[str, ...]

WHOLE_KEY = "-"
WHOLE = static_partitions.StaticPartitionsDefinition([WHOLE_KEY])
"""Stands for the partitions of what has none: there is one, which is all of it."""
EVERYTHING = WHOLE.subset_with_all_partitions()


@dataclasses.dataclass(frozen=True, slots=True)
class Edge:
    """That a unit needs another one of the same backfill.

    Attributes:
        upstream: The number of the unit that is needed; its own where it needs earlier partitions
            of itself.
        mapping: Which partitions need which. Between a unit with partitions and one without, where
            all of the unit without are needed, it is not asked.
        joins: Whether both may go into one run, partition by partition.
    """

    upstream: int
    mapping: mappings.PartitionMapping
    joins: bool = False


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """What one run always takes together.

    Attributes:
        name: What messages call it.
        location_name: Where it runs.
        target: The partitions that the backfill is to request.
        paths: Its assets; none for a job.
        job_name: Its job; empty for assets.
        per_run_max: How many partitions a run takes; None for as many as there are.
        edges: What it needs, of units with smaller numbers and of itself.
        lane: Units of one lane may share runs.
    """

    name: str
    location_name: str
    target: Subset
    paths: tuple[AssetPath, ...] = ()
    job_name: str = ""
    per_run_max: int | None = 1
    edges: tuple[Edge, ...] = ()
    lane: int = 0

    @property
    def partitions_def(self) -> definitions.PartitionsDefinition:
        """Its partitions, `WHOLE` where it has none."""
        found = self.target.partitions_def
        assert isinstance(found, definitions.PartitionsDefinition)  # noqa: S101 - of every subset
        return found

    @property
    def is_whole(self) -> bool:
        """Whether it has no partitions."""
        return self.partitions_def is WHOLE


class KnownKeys:
    """The keys of dynamic partitions at one moment, as mappings ask for them."""

    def __init__(self, keys: Mapping[str, Sequence[str]] | None = None) -> None:
        """Know some keys.

        Args:
            keys: The keys by the name of their definition, in order.
        """
        self._keys = {name: list(found) for name, found in (keys or {}).items()}
        self._sets = {name: frozenset(found) for name, found in self._keys.items()}

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Return the keys of a definition, in order."""
        return self._keys.get(partitions_def_name, [])

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Return whether a definition has a key."""
        return partition_key in self._sets.get(partitions_def_name, frozenset())


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All units of a backfill, upstream before downstream, and what they are mapped by.

    Attributes:
        units: The units; their places are their numbers.
        moment: When the backfill was made: which partitions there are is told by that time.
        keys: The keys of dynamic partitions.
    """

    units: tuple[Unit, ...]
    moment: dt.datetime
    keys: KnownKeys = dataclasses.field(default_factory=KnownKeys)

    def none(self) -> list[Subset]:
        """Return no partition of each unit."""
        return [unit.target.empty_subset() for unit in self.units]

    def dependents(self, number: int, edge: Edge, upstream: Subset) -> Subset:
        """Return the partitions of a unit's target that need any of some upstream partitions.

        Args:
            number: The unit.
            edge: Which of its needs is meant.
            upstream: The partitions of the upstream unit.
        """
        unit, other = self.units[number], self.units[edge.upstream]
        if not upstream:
            return unit.target.empty_subset()
        if other.is_whole:
            return unit.target
        if unit.is_whole:
            found = edge.mapping.get_upstream_mapped_partitions_result_for_partitions(
                None, None, other.partitions_def, self.moment, self.keys
            )
            needed = found.partitions_subset & upstream
            return unit.target if needed else unit.target.empty_subset()
        return unit.target & edge.mapping.get_downstream_partitions_for_partitions(
            upstream, other.partitions_def, unit.partitions_def, self.moment, self.keys
        )

    def context(self) -> contexts.PartitionLoadingContext:
        """Return by what partitions are looked up."""
        return contexts.PartitionLoadingContext(self.moment, self.keys)


def edge(
    number: int,
    upstream: Unit,
    downstream: Unit,
    mapping: mappings.PartitionMapping,
) -> Edge:
    """Return what one unit needs of another, and whether both may go into one run.

    Args:
        number: The number of the upstream unit.
        upstream: The upstream unit.
        downstream: The downstream unit.
        mapping: Which partitions need which.
    """
    joins = (
        upstream is not downstream
        and upstream.location_name == downstream.location_name
        and upstream.per_run_max == downstream.per_run_max
        and _is_identity(mapping, downstream.partitions_def, upstream.partitions_def)
    )
    return Edge(number, mapping, joins)


def _is_identity(
    mapping: mappings.PartitionMapping,
    downstream: definitions.PartitionsDefinition,
    upstream: definitions.PartitionsDefinition,
) -> bool:
    """Return whether a mapping pairs each partition with the same one of an equal definition."""
    if downstream != upstream:
        return False
    if upstream is WHOLE or isinstance(mapping, key_mappings.IdentityPartitionMapping):
        return True
    return (
        isinstance(mapping, time_window_mappings.TimeWindowPartitionMapping)
        and not mapping.start_offset
        and not mapping.end_offset
    )


def lanes(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Return units with those in one lane that may share runs.

    Args:
        units: The units, upstream before downstream.
    """
    lane_of = list(range(len(units)))
    for number, unit in enumerate(units):
        for edge in unit.edges:
            if edge.joins:
                old, new = lane_of[number], lane_of[edge.upstream]
                lane_of = [new if each == old else each for each in lane_of]
    return tuple(
        dataclasses.replace(unit, lane=lane) for unit, lane in zip(units, lane_of, strict=True)
    )


def union(partitions_def: definitions.PartitionsDefinition, found: Sequence[Subset]) -> Subset:
    """Return the union of some sets of partitions of one definition."""
    return functools.reduce(lambda one, other: one | other, found, partitions_def.empty_subset())

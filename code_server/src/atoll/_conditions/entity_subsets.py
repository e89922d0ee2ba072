"""Sets of partitions of one asset, check or job; of one without partitions, itself or nothing.

Called by everything in this package. The value of a set is a set of partitions, or a truth value
where there are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from atoll._conditions import entities
from atoll._partitions import subsets

Value = bool | subsets.PartitionsSubset
"""A set of partitions; of something without partitions, whether it is meant."""


class EntitySubset:
    """A frozen set of partitions of one asset, check or job.

    Attributes:
        entity: Whose partitions they are.
        value: The partitions; whether it is meant at all, where it has none.
    """

    __slots__ = ("entity", "value")

    def __init__(self, entity: entities.Entity, value: Value) -> None:
        self.entity = entity
        self.value = value

    @property
    def is_partitioned(self) -> bool:
        """Whether it is a set of partitions."""
        return not isinstance(self.value, bool)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in the set."""
        return not self.value

    @property
    def size(self) -> int:
        """How many partitions are in the set; one where there are no partitions."""
        return int(self.value) if isinstance(self.value, bool) else len(self.value)

    def partition_keys(self) -> Iterator[str | None]:
        """Yield the keys of the partitions; None for something without partitions."""
        if not isinstance(self.value, bool):
            yield from self.value.get_partition_keys()
        elif self.value:
            yield None

    def __or__(self, other: EntitySubset) -> EntitySubset:
        mine, theirs = self.value, other.value
        if not theirs:
            return self
        if not mine:
            return other
        if isinstance(mine, bool) or isinstance(theirs, bool):
            return self
        return EntitySubset(self.entity, mine | theirs)

    def __and__(self, other: EntitySubset) -> EntitySubset:
        mine, theirs = self.value, other.value
        if not mine:
            return self
        if not theirs:
            return other
        if isinstance(mine, bool) or isinstance(theirs, bool):
            return self
        return EntitySubset(self.entity, mine & theirs)

    def __sub__(self, other: EntitySubset) -> EntitySubset:
        mine, theirs = self.value, other.value
        if not mine or not theirs:
            return self
        if isinstance(mine, bool) or isinstance(theirs, bool):
            return EntitySubset(self.entity, value=False)
        return EntitySubset(self.entity, mine - theirs)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, EntitySubset)
            and self.entity == other.entity
            and self.value == other.value
        )

    def __hash__(self) -> int:
        return hash((self.entity, self.value))

    def __repr__(self) -> str:
        return f"EntitySubset({str(self.entity)!r}, {self.value!r})"


Timing = Sequence[tuple[float, EntitySubset]]
"""When something came true: moments in seconds since 1970, with what came true then."""


def later(one: Timing, other: Timing, empty: EntitySubset) -> EntitySubset:
    """Return what is in two timings, and has a later moment in the first.

    Args:
        one: The first timing. Of several moments, the last counts.
        other: The other.
        empty: The empty set of the entity that both are about.
    """
    found = timed = empty
    for _, subset in other:
        timed = timed | subset
    for moment, subset in one:
        left = subset & timed
        for theirs, others in other:
            if theirs >= moment:
                left = left - others
        found = found | left
    return found


def merged(timings: Iterable[Timing]) -> Timing:
    """Return several timings of one entity as one.

    Args:
        timings: The timings.
    """
    several = [timing for timing in timings if timing]
    if len(several) < 2:  # noqa: PLR2004  # what there is to merge
        return several[0] if several else ()
    found: dict[float, EntitySubset] = {}
    for timing in several:
        for moment, subset in timing:
            found[moment] = found[moment] | subset if moment in found else subset
    return tuple(sorted(found.items(), key=lambda item: item[0]))

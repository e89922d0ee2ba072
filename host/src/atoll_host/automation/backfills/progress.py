"""What became of the partitions of a backfill so far. Pure.

Made anew by each decision (`deciding`) and by each look at runs that ended (`leading`), and stored
as a whole. What is to be done next stays out.
"""

import dataclasses
from collections.abc import Sequence

from atoll_host.automation.backfills import plans

Subset = plans.Subset


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What became of the partitions of each unit so far, by the unit's number.

    A requested partition is materialized, failed, or in the hands of a run.
    """

    requested: tuple[Subset, ...]
    materialized: tuple[Subset, ...]
    failed: tuple[Subset, ...]

    @classmethod
    def begin(cls, plan: plans.Plan) -> "Progress":
        """Return that nothing was done yet."""
        none = tuple(plan.none())
        return cls(none, none, none)

    def in_flight(self, number: int) -> Subset:
        """Return the partitions of a unit that runs are working on, or wait to."""
        return self.requested[number] - self.materialized[number] - self.failed[number]

    @property
    def has_in_flight(self) -> bool:
        """Whether runs are working on anything, or wait to."""
        return any(self.in_flight(number) for number in range(len(self.requested)))

    def with_requested(self, more: Sequence[Subset]) -> "Progress":
        """Return the progress once more partitions are requested."""
        return dataclasses.replace(self, requested=_each_or(self.requested, more))

    def with_ended(self, materialized: Sequence[Subset], failed: Sequence[Subset]) -> "Progress":
        """Return the progress once runs ended.

        Args:
            materialized: What they materialized.
            failed: What they did not, though they were to.
        """
        good = _each_or(self.materialized, materialized)
        bad = tuple(
            one - other for one, other in zip(_each_or(self.failed, failed), good, strict=True)
        )
        return dataclasses.replace(self, materialized=good, failed=bad)

    def with_lost(self) -> "Progress":
        """Return the progress once it is known that no run works on anything any more."""
        lost = [self.in_flight(number) for number in range(len(self.requested))]
        return self.with_ended([each.empty_subset() for each in lost], lost)

    def to_retry(self) -> "Progress":
        """Return the progress as if what failed had not been requested yet."""
        kept = tuple(one - other for one, other in zip(self.requested, self.failed, strict=True))
        none = tuple(each.empty_subset() for each in self.failed)
        return dataclasses.replace(self, requested=kept, failed=none)


def _each_or(one: Sequence[Subset], other: Sequence[Subset]) -> tuple[Subset, ...]:
    return tuple(mine | theirs for mine, theirs in zip(one, other, strict=True))

"""What of the log may go: decided from ages, from what was taken already and from what is needed.

Called by `sweeping`. Pure. The log is taken from its old end only. A group of events goes up to the
first event that is too young or that somebody still has to see; where all groups are gone, whole
partitions are dropped instead, up to the first event that has to stay whatever its age.

    ids    0 ........... thinned ........... through ................ head
           dropped/taken before   taken now           stays
"""

import dataclasses
from collections.abc import Iterator, Mapping

from atoll_storage import log_groups

WINDOW_IDS = 20_000
"""So many ids are looked at in one transaction."""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the log.

    Attributes:
        head: The newest id.
        first_id: The smallest id that a partition exists for.
        partition_size: How many ids a partition holds.
        thinned: Up to which id each group was taken already.
        old: Up to which id the events of each group are old enough; 0 where they are kept.
        first_needed: The first id that somebody still has to see, by group; absent means none.
        first_pinned: The first event that stays whatever its age; None means none.
    """

    head: int
    first_id: int
    partition_size: int
    thinned: Mapping[str, int]
    old: Mapping[str, int]
    first_needed: Mapping[str, int]
    first_pinned: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        drop_before_id: Partitions that hold only ids below this one go as wholes.
        through: Up to which id the events of each group go; groups of which nothing goes are left
            out.
        thinned: Up to which id that was done before.
    """

    drop_before_id: int
    through: Mapping[str, int]
    thinned: Mapping[str, int]

    def windows(self) -> Iterator[tuple[str, int, int]]:
        """Yield the group, the id before and the last id of each step, the oldest first."""
        steps = [
            (start, group, min(start + WINDOW_IDS, through))
            for group, through in self.through.items()
            for start in range(self._begin(group), through, WINDOW_IDS)
        ]
        for start, group, end in sorted(steps):
            yield group, start, end

    def _begin(self, group: str) -> int:
        return max(self.thinned.get(group, 0), self.drop_before_id - 1, 0)


def plan(facts: Facts) -> Plan:
    """Say what may go."""
    reach = {group: _through(facts, group) for group in log_groups.NAMES}
    limit = min(reach.values())
    if facts.first_pinned is not None:
        limit = min(limit, facts.first_pinned - 1)
    # Only whole partitions, and never the one of the head.
    limit = min(limit, facts.head - 1)
    drop_before = max(facts.first_id, (limit + 1) // facts.partition_size * facts.partition_size)
    done = {group: facts.thinned.get(group, 0) for group in log_groups.NAMES}
    through = {
        group: last for group, last in reach.items() if last > max(done[group], drop_before - 1)
    }
    return Plan(drop_before_id=drop_before, through=through, thinned=done)


def _through(facts: Facts, group: str) -> int:
    last = min(facts.old.get(group, 0), facts.head)
    needed = facts.first_needed.get(group)
    return last if needed is None else max(0, min(last, needed - 1))


def may_go_run(run_id: str, needed: frozenset[str], *, has_run_key: bool) -> bool:
    """Say whether a run that is old enough may go.

    A run that a sensor asked for under a key stays: the key makes one run for ever.
    """
    return not has_run_key and run_id not in needed

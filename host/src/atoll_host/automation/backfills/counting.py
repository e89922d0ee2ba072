"""How far a backfill is, in numbers and partition by partition. Pure.

Called by `leading`, which stores the numbers of all of it, and by `api.backfilling`.
"""

import itertools
from collections.abc import Iterator, Mapping

from atoll.api.v1 import backfills_pb2
from atoll_host.automation.backfills import deciding, planning, plans
from atoll_host.automation.backfills import progress as progresses

State = backfills_pb2.BackfillPartitionState

STATES: Mapping[str, "State.ValueType"] = {
    "waiting": backfills_pb2.BACKFILL_PARTITION_STATE_WAITING,
    "in_progress": backfills_pb2.BACKFILL_PARTITION_STATE_IN_PROGRESS,
    "materialized": backfills_pb2.BACKFILL_PARTITION_STATE_MATERIALIZED,
    "failed": backfills_pb2.BACKFILL_PARTITION_STATE_FAILED,
    "blocked": backfills_pb2.BACKFILL_PARTITION_STATE_BLOCKED,
}
"""The states by the fields that count them."""

ByState = dict[str, plans.Subset]


def by_state(planned: planning.Planned, progress: progresses.Progress) -> list[ByState]:
    """Return the partitions of each part by what became of them.

    Args:
        planned: The backfill.
        progress: What was done.
    """
    blocked = deciding.blocked(planned.plan, progress)
    found: list[ByState] = []
    for part, number in zip(planned.parts, planned.units, strict=True):
        mine = part.subset
        states = {
            "materialized": mine & progress.materialized[number],
            "failed": mine & progress.failed[number],
            "in_progress": mine & progress.in_flight(number),
            "blocked": mine & blocked[number],
        }
        states["waiting"] = mine - progress.requested[number] - blocked[number]
        found.append(states)
    return found


def counts(states: ByState) -> backfills_pb2.BackfillCounts:
    """Return how many partitions of a part are in each state."""
    numbers = {field: len(subset) for field, subset in states.items()}
    return backfills_pb2.BackfillCounts(total=sum(numbers.values()), **numbers)


def total(planned: planning.Planned, progress: progresses.Progress) -> backfills_pb2.BackfillCounts:
    """Return how many partitions of all parts are in each state.

    Args:
        planned: The backfill.
        progress: What was done.
    """
    return together(counts(states) for states in by_state(planned, progress))


def together(found: "Iterator[backfills_pb2.BackfillCounts]") -> backfills_pb2.BackfillCounts:
    """Return the sum of counts."""
    result = backfills_pb2.BackfillCounts()
    for each in found:
        for field, number in ((name, getattr(each, name)) for name in (*STATES, "total")):
            setattr(result, field, getattr(result, field) + number)
    return result


def page(
    part_subset: plans.Subset,
    states: ByState,
    state: "State.ValueType",
    *,
    start: int,
    size: int,
) -> tuple[list[backfills_pb2.BackfillPartition], bool]:
    """Return partitions of a part in their order, and whether there are more.

    Args:
        part_subset: All partitions of the part.
        states: What became of them.
        state: Only those in this state; unspecified means all.
        start: How many to pass over.
        size: How many to return at the most.
    """
    chosen = next((states[name] for name, each in STATES.items() if each == state), part_subset)
    keys = list(itertools.islice(chosen.get_partition_keys(), start, start + size + 1))
    found = [
        backfills_pb2.BackfillPartition(
            partition_key="" if key == plans.WHOLE_KEY else str(key),
            state=next(STATES[name] for name, subset in states.items() if key in subset),
        )
        for key in keys[:size]
    ]
    return found, len(keys) > size

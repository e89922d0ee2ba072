"""What runs that ended mean for the progress of their backfill. Pure.

Called by `leading`. A run that succeeded materialized all that it was to, unless it may leave
something out; of any other, what it materialized before it ended is looked up in the log.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

from atoll import errors as location_errors
from atoll._partitions import partition_keys
from atoll_host.automation.backfills import parts, planning, plans
from atoll_storage import backfill_records, records

AssetPath = tuple[str, ...]
_NONE: set[str] = set()


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What ended, by unit.

    Attributes:
        materialized: What was materialized.
        failed: What was to be, and was not.
    """

    materialized: tuple[plans.Subset, ...]
    failed: tuple[plans.Subset, ...]


def to_look_up(
    ended: Iterable[records.RunRecord], planned: planning.Planned, defined: parts.Defined
) -> list[str]:
    """Return the runs of which only the log tells what they materialized.

    Args:
        ended: Runs that ended.
        planned: The backfill.
        defined: What the mesh defines.
    """
    skippable = {
        part.path
        for part in planned.parts
        if part.path and defined.locations[part.location_name].assets[part.path].skippable
    }
    return [
        run.run_id
        for run in ended
        if run.asset_selection
        and (
            run.status is not records.RunStatus.SUCCESS
            or not skippable.isdisjoint(run.asset_selection)
        )
    ]


def account(
    planned: planning.Planned,
    ended: Sequence[records.RunRecord],
    looked_up: Sequence[str],
    found: Iterable[backfill_records.Materialized],
) -> Outcome:
    """Return what became of what runs were to materialize.

    Args:
        planned: The backfill.
        ended: Runs that ended.
        looked_up: The runs whose materializations were looked up.
        found: These materializations.
    """
    made: dict[tuple[str, AssetPath], set[str]] = {}
    for each in found:
        made.setdefault((each.run_id, each.path), set()).add(each.partition)
    good, bad = _Collected(planned.plan), _Collected(planned.plan)
    unknown = frozenset(looked_up)
    numbers = {path: n for n, unit in enumerate(planned.plan.units) for path in unit.paths}
    for run in ended:
        succeeded = run.status is records.RunStatus.SUCCESS
        if not run.asset_selection:
            (good if succeeded else bad).take(0, run)
            continue
        for number in dict.fromkeys(
            numbers[path] for path in run.asset_selection if path in numbers
        ):
            if run.run_id not in unknown:
                (good if succeeded else bad).take(number, run)
                continue
            unit = planned.plan.units[number]
            found_of = [made.get((run.run_id, path), _NONE) for path in unit.paths]
            keys = functools.reduce(lambda one, other: one & other, found_of)
            good.take_keys(number, keys)
            bad.take(number, run)
    return Outcome(good.subsets(), bad.subsets())


class _Collected:
    """Partitions of units, put together once instead of one by one."""

    def __init__(self, plan: plans.Plan) -> None:
        self._plan = plan
        self._keys: list[list[str]] = [[] for _ in plan.units]
        self._ranges: list[list[partition_keys.PartitionKeyRange]] = [[] for _ in plan.units]

    def take(self, number: int, run: records.RunRecord) -> None:
        """Take all that a run was for."""
        target = run.target
        if target.partition_range_start:
            ends = (target.partition_range_start, target.partition_range_end)
            self._ranges[number].append(partition_keys.PartitionKeyRange(*ends))
        else:
            self._keys[number].append(run.partition_key or plans.WHOLE_KEY)

    def take_keys(self, number: int, keys: Iterable[str]) -> None:
        """Take some partitions; the empty one is that of what has none."""
        self._keys[number] += [key or plans.WHOLE_KEY for key in keys]

    def subsets(self) -> tuple[plans.Subset, ...]:
        """Return what was taken, as far as it is still there and the backfill is about it."""
        return tuple(self._subset(number) for number in range(len(self._keys)))

    def _subset(self, number: int) -> plans.Subset:
        unit = self._plan.units[number]
        found = [self._with(unit, self._keys[number])]
        for each in self._ranges[number]:
            try:
                empty = unit.target.empty_subset()
                found.append(empty.with_partition_key_range(each, self._plan.keys))
            except location_errors.Error:
                continue  # the partitions are gone, and so is what is to be known of them
        return plans.union(unit.partitions_def, found) & unit.target

    def _with(self, unit: plans.Unit, keys: Sequence[str]) -> plans.Subset:
        try:
            return unit.partitions_def.subset_with_partition_keys(keys)
        except location_errors.Error:
            there = [key for key in keys if _can_have(unit, key)]
            return unit.partitions_def.subset_with_partition_keys(there)


def _can_have(unit: plans.Unit, key: str) -> bool:
    try:
        unit.partitions_def.subset_with_partition_keys([key])
    except location_errors.Error:
        return False
    return True

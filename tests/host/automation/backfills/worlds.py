"""Plans of backfills for tests, and what a slow and obvious reference says of them."""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from hypothesis import strategies as st

from atoll._partitions import (
    calendar_partitions,
    definitions,
    dynamic_partitions,
    inference,
    key_mappings,
    mappings,
    multi_partitions,
    static_partitions,
    time_window_mappings,
    whole_mappings,
)
from atoll_host.automation.backfills import deciding, plans

MOMENT = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
KEYS = plans.KnownKeys({"d": ["k1", "k2", "k3", "k4", "k5"]})
DAILY = calendar_partitions.DailyPartitionsDefinition("2026-01-01")
WEEKLY = calendar_partitions.WeeklyPartitionsDefinition("2025-12-28")
STATIC = static_partitions.StaticPartitionsDefinition(["a", "b", "c", "d"])
DYNAMIC = dynamic_partitions.DynamicPartitionsDefinition(name="d")
MULTI = multi_partitions.MultiPartitionsDefinition(
    {
        "day": calendar_partitions.DailyPartitionsDefinition("2026-01-11"),
        "kind": static_partitions.StaticPartitionsDefinition(["x", "y"]),
    }
)
DEFINITIONS = (plans.WHOLE, DAILY, WEEKLY, STATIC, DYNAMIC, MULTI)
Work = tuple[int, str]
"""One partition of one unit."""


def everything(partitions_def: definitions.PartitionsDefinition) -> plans.Subset:
    return partitions_def.subset_with_all_partitions(MOMENT, KEYS)


def unit(
    name: str,
    target: plans.Subset,
    *,
    location: str = "one",
    per_run_max: int | None = 1,
) -> plans.Unit:
    return plans.Unit(name, location, target, paths=((name,),), per_run_max=per_run_max)


def plan(
    units: Sequence[plans.Unit],
    needs: Sequence[tuple[int, int, mappings.PartitionMapping | None]],
) -> plans.Plan:
    """Make a plan of units and of what needs what: downstream, upstream, mapping."""
    connected = []
    for number, each in enumerate(units):
        edges = []
        for downstream, upstream, mapping in needs:
            if downstream == number:
                other = units[upstream]
                downs = None if each.is_whole else each.partitions_def
                ups = None if other.is_whole else other.partitions_def
                found = inference.infer_partition_mapping(mapping, downs, ups)
                edges.append(plans.edge(upstream, other, each, found))
        connected.append(dataclasses.replace(each, edges=tuple(edges)))
    return plans.Plan(plans.lanes(connected), MOMENT, KEYS)


def needed(of: plans.Plan, number: int, key: str) -> set[Work]:
    """What a partition needs of the same backfill, asked upwards, one partition at a time."""
    found: set[Work] = set()
    mine = of.units[number]
    for edge in mine.edges:
        other = of.units[edge.upstream]
        if other.is_whole:
            wanted = set(other.target)
        else:
            one = None if mine.is_whole else mine.partitions_def.subset_with_partition_keys([key])
            downs = None if mine.is_whole else mine.partitions_def
            mapped = edge.mapping.get_upstream_mapped_partitions_result_for_partitions(
                one, downs, other.partitions_def, MOMENT, KEYS
            )
            wanted = set(mapped.partitions_subset) & set(other.target)
        found |= {(edge.upstream, each) for each in wanted}
    return found


@dataclasses.dataclass
class Reference:
    """Every partition by itself."""

    of: plans.Plan

    def __post_init__(self) -> None:
        self.target = {(n, k) for n, u in enumerate(self.of.units) for k in u.target}
        self.needs = {work: needed(self.of, *work) for work in self.target}

    def blocked(self, failed: set[Work], requested: set[Work]) -> set[Work]:
        found: set[Work] = set()
        while True:
            bad = failed | found
            more = {w for w in self.target - requested if self.needs[w] & bad}
            if more <= found:
                return found
            found |= more


def works(chunk: deciding.Chunk) -> set[Work]:
    return {(number, key) for number in chunk.units for key in chunk.piece.subset}


@st.composite
def random_plans(draw: st.DrawFn) -> plans.Plan:
    units: list[plans.Unit] = []
    needs: list[tuple[int, int, mappings.PartitionMapping | None]] = []
    for number in range(draw(st.integers(1, 5))):
        partitions_def = draw(st.sampled_from(DEFINITIONS))
        keys = sorted(everything(partitions_def))
        chosen = draw(st.one_of(st.just(keys), st.lists(st.sampled_from(keys), unique=True)))
        policy = draw(st.sampled_from([1, 1, 2, 3, None]))
        if partitions_def is plans.WHOLE:
            policy = 1
        mine = unit(
            f"u{number}",
            partitions_def.subset_with_partition_keys(chosen),
            location=draw(st.sampled_from(["one", "two"])),
            per_run_max=policy,
        )
        chosen_ones = draw(st.sets(st.sampled_from(range(number)), max_size=3)) if number else ()
        needs += [(number, each, draw(_mappings(mine, units[each]))) for each in chosen_ones]
        units.append(mine)
        if partitions_def in (DAILY, WEEKLY) and draw(st.integers(0, 3)) == 0:
            start = draw(st.sampled_from([-1, -1, -2]))
            needs.append(
                (number, number, time_window_mappings.TimeWindowPartitionMapping(start, -1))
            )
    return plan(units, needs)


def _mappings(
    downstream: plans.Unit, upstream: plans.Unit
) -> st.SearchStrategy[mappings.PartitionMapping | None]:
    if upstream.is_whole:
        return st.none()
    found: list[mappings.PartitionMapping | None] = [
        None,
        whole_mappings.AllPartitionMapping(),
        whole_mappings.LastPartitionMapping(),
    ]
    if downstream.is_whole:
        return st.sampled_from(found)
    if {downstream.partitions_def, upstream.partitions_def} <= {DAILY, WEEKLY}:
        found.append(time_window_mappings.TimeWindowPartitionMapping(-1, 0))
    if downstream.partitions_def == upstream.partitions_def == STATIC:
        found.append(key_mappings.StaticPartitionMapping({"a": ["b", "c"], "b": "a", "d": "d"}))
    return st.sampled_from(found)

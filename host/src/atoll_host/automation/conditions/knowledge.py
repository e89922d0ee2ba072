"""What the evaluator of conditions knows of the mesh, at one position of the log. Pure.

Filled by `reading`, which reads what is asked for the first time, and by `hearing`, event by event;
asked by `viewing`. Memory is bounded: what was not asked for lately is forgotten (`trim`) and read
again when it is. Nothing here does I/O.
"""

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from atoll._conditions import conditions, entities, graph
from atoll.events.v1 import events_pb2
from atoll_host.automation.conditions import asset_memory, open_runs
from atoll_storage import condition_records

Entity = entities.Entity

WEIGHT_MAX = 400_000
_FRESHNESS: Mapping[int, str] = {
    events_pb2.FRESHNESS_STATE_PASS: conditions.PASS,
    events_pb2.FRESHNESS_STATE_WARN: conditions.WARN,
    events_pb2.FRESHNESS_STATE_FAIL: conditions.FAIL,
}
RUNS_MAX = 20_000
PARTITION_RUNS_MAX = 100_000


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known from the definitions of locations.

    Attributes:
        graph: The graph of conditions.
        observed: The assets that are observed and never materialized.
        targets: What a run is to execute.
        by_dynamic: Whose partitions hold those of a dynamic partitions definition, by its name.
        compares_data: Whether any condition asks whether data changed.
    """

    graph: graph.Graph
    observed: frozenset[Entity]
    targets: Callable[[condition_records.OpenRun], frozenset[Entity]]
    by_dynamic: Mapping[str, Sequence[Entity]]
    compares_data: bool


class Dynamic:
    """The keys of dynamic partitions, as far as they were read."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[Sequence[str], frozenset[str]]] = {}
        self.missing: set[str] = set()

    def set(self, name: str, keys: Sequence[str]) -> None:
        """Take over the keys of a definition."""
        self._keys[name] = (tuple(keys), frozenset(keys))
        self.missing.discard(name)

    def forget(self, name: str) -> None:
        """Have the keys of a definition read again when they are asked for."""
        self._keys.pop(name, None)

    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Return the keys of a definition, in the order of their addition."""
        found = self._keys.get(partitions_def_name)
        if found is None:
            self.missing.add(partitions_def_name)
            return ()
        return found[0]

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """Return whether a key was added to a definition."""
        self.get_dynamic_partitions(partitions_def_name)
        found = self._keys.get(partitions_def_name)
        return found is not None and partition_key in found[1]


class Knowledge:
    """What is known. See the module.

    Args:
        surroundings: What is known from the definitions.

    Attributes:
        position: The log is taken into account up to here.
        memories: What is remembered of assets and checks; the latest asked for come last.
        runs: Runs that were asked for, ended or not.
        partition_runs: The run that last updated a partition of an asset, empty for none.
        versions_before: The data version that a partition had before a position; None for none.
        open: The runs that have not ended.
        dynamic: The keys of dynamic partitions.
        freshness: How fresh assets are, as conditions call it.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.position = 0
        self.memories: collections.OrderedDict[Entity, asset_memory.Memory] = (
            collections.OrderedDict()
        )
        self.runs: collections.OrderedDict[str, condition_records.OpenRun | None] = (
            collections.OrderedDict()
        )
        self.partition_runs: collections.OrderedDict[tuple[Entity, str], str] = (
            collections.OrderedDict()
        )
        self.versions_before: collections.OrderedDict[tuple[Entity, str, int], str | None] = (
            collections.OrderedDict()
        )
        self.open = open_runs.OpenRuns()
        self.dynamic = Dynamic()
        self.freshness: dict[Entity, str] = {}
        self._moment = 0.0

    def redefine(self, surroundings: Surroundings) -> None:
        """Take over other definitions; what was remembered of other partitions is forgotten."""
        before, self.surroundings = self.surroundings, surroundings
        for entity in list(self.memories):
            old, new = before.graph.node(entity), surroundings.graph.node(entity)
            if (
                old.partitions_def != new.partitions_def
                or old.materializable != new.materializable
                or (entity in before.observed) != (entity in surroundings.observed)
            ):
                del self.memories[entity]
        self.open.resolve(surroundings.targets)

    def forget(self) -> None:
        """Know nothing any more but the definitions."""
        self.memories.clear()
        self.runs.clear()
        self.partition_runs.clear()
        self.versions_before.clear()
        self.open = open_runs.OpenRuns()
        self.dynamic = Dynamic()
        self.freshness.clear()

    def memory(self, entity: Entity) -> asset_memory.Memory | None:
        """Return what is remembered of an asset or a check, None where it has to be read."""
        found = self.memories.get(entity)
        if found is not None:
            self.memories.move_to_end(entity)
        return found

    def remember(self, entity: Entity, memory: asset_memory.Memory) -> None:
        """Take over what was read of an asset or a check."""
        self.memories[entity] = memory

    def run(self, run_id: str) -> condition_records.OpenRun | None:
        """Return a run that was read, None where it is unknown."""
        known = self.open.get(run_id)
        if known is not None:
            return known.run
        found = self.runs.get(run_id)
        if found is not None:
            self.runs.move_to_end(run_id)
        return found

    def knows_run(self, run_id: str) -> bool:
        """Say whether a run was read, be it that there is none."""
        return run_id in self.open or run_id in self.runs

    def set_freshness(self, entity: Entity, state: events_pb2.FreshnessState.ValueType) -> None:
        """Take note of how fresh an asset is."""
        self.freshness[entity] = _FRESHNESS.get(state, "")

    def moment(self, now: float) -> float:
        """Return the time at which the next event counts as heard of."""
        self._moment = asset_memory.later(now, self._moment)
        return self._moment

    def trim(self) -> None:
        """Forget what was not asked for lately, as far as there is too much."""
        weight = sum(memory.weight for memory in self.memories.values())
        while weight > WEIGHT_MAX and len(self.memories) > 1:
            _, memory = self.memories.popitem(last=False)
            weight -= memory.weight
        for some, at_most in (
            (self.runs, RUNS_MAX),
            (self.partition_runs, PARTITION_RUNS_MAX),
            (self.versions_before, PARTITION_RUNS_MAX),
        ):
            while len(some) > at_most:
                some.popitem(last=False)

    def begin_runs(self, runs: Iterable[condition_records.OpenRun]) -> set[Entity]:
        """Take note of runs that have not ended; return what they are to execute."""
        changed: set[Entity] = set()
        for run in runs:
            changed |= self.open.begin(run, self.surroundings.targets)
        return changed


@dataclasses.dataclass(slots=True)
class Needs:
    """What has to be read before conditions can be evaluated.

    Attributes:
        assets: Assets.
        checks: Checks.
        updates: The position behind which the updates of assets and checks are asked for.
        runs: Runs.
        partition_runs: The runs that last updated partitions.
        versions: The data versions of partitions before positions.
        dynamic: Dynamic partitions definitions.
    """

    assets: set[Entity] = dataclasses.field(default_factory=set[Entity])
    checks: set[Entity] = dataclasses.field(default_factory=set[Entity])
    updates: dict[Entity, int] = dataclasses.field(default_factory=dict[Entity, int])
    runs: set[str] = dataclasses.field(default_factory=set[str])
    partition_runs: set[tuple[Entity, str]] = dataclasses.field(
        default_factory=set[tuple[Entity, str]]
    )
    versions: set[tuple[Entity, str, int]] = dataclasses.field(
        default_factory=set[tuple[Entity, str, int]]
    )
    dynamic: set[str] = dataclasses.field(default_factory=set[str])

    def __bool__(self) -> bool:
        return any(
            (
                self.assets,
                self.checks,
                self.updates,
                self.runs,
                self.partition_runs,
                self.versions,
                self.dynamic,
            )
        )

    def of(self, some: Collection[Entity], known: Knowledge) -> None:
        """Add those assets and checks of which nothing is known."""
        for entity in some:
            if entity in known.memories or entity.kind == entities.JOB:
                continue
            (self.checks if entity.kind == entities.CHECK else self.assets).add(entity)

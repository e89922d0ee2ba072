"""A small world of assets, checks and a job, what happens in it, and views of it."""

import dataclasses
import datetime as dt

from atoll._conditions import conditions, entities, graph, views
from atoll._partitions import (
    calendar_partitions,
    contexts,
    dynamic_partitions,
    static_partitions,
)

LETTERS = static_partitions.StaticPartitionsDefinition(["x", "y", "z"])
DAYS = calendar_partitions.DailyPartitionsDefinition("2024-01-01")
COLOURS = dynamic_partitions.DynamicPartitionsDefinition(name="colours")
START = dt.datetime(2024, 1, 3, 23, 59, tzinfo=dt.UTC)

SOURCE = entities.asset(["source"])
ONE = entities.asset(["one"])
BY_LETTER = entities.asset(["by_letter"])
BY_LETTER_TOO = entities.asset(["by_letter_too"])
BY_DAY = entities.asset(["by_day"])
BY_DAY_TOO = entities.asset(["by_day_too"])
BY_COLOUR = entities.asset(["by_colour"])
LEFT = entities.asset(["left"])
RIGHT = entities.asset(["right"])
LAST = entities.asset(["last"])
CHECK = entities.check(["one"], "looks_well")
BLOCKING = entities.check(["by_letter"], "must_hold")
JOB = entities.job("", "everything")

UPSTREAM = {
    SOURCE: [],
    ONE: [SOURCE],
    BY_LETTER: [ONE],
    BY_LETTER_TOO: [BY_LETTER],
    BY_DAY: [SOURCE],
    BY_DAY_TOO: [BY_DAY],
    BY_COLOUR: [ONE],
    LEFT: [ONE],
    RIGHT: [ONE],
    LAST: [LEFT, BY_LETTER, BY_DAY_TOO],
    CHECK: [ONE],
    BLOCKING: [BY_LETTER],
    JOB: [ONE, BY_LETTER],
}
PARTITIONS = {
    BY_LETTER: LETTERS,
    BY_LETTER_TOO: LETTERS,
    BLOCKING: LETTERS,
    BY_DAY: DAYS,
    BY_DAY_TOO: DAYS,
    BY_COLOUR: COLOURS,
}
UNIT = frozenset({LEFT, RIGHT})
TARGETS = [entity for entity in UPSTREAM if entity != SOURCE]
EXECUTED = [entity for entity in UPSTREAM if entity != JOB]


@dataclasses.dataclass(frozen=True)
class Happened:
    """An update."""

    position: int
    timestamp: float
    partition: str | None
    run_id: str
    new_data: bool


@dataclasses.dataclass
class World:
    """What is known, changed by a test."""

    now: dt.datetime = START
    position: int = 0
    colours: list[str] = dataclasses.field(default_factory=lambda: ["red"])
    updates: dict[entities.Entity, list[Happened]] = dataclasses.field(default_factory=dict)
    facts: dict[tuple[str, entities.Entity], frozenset[str | None]] = dataclasses.field(
        default_factory=dict
    )
    runs: dict[str, views.RunFacts] = dataclasses.field(default_factory=dict)
    code_versions: dict[entities.Entity, str] = dataclasses.field(default_factory=dict)

    def copy(self):
        """Return the world as it is now, for a history."""
        return dataclasses.replace(
            self,
            colours=list(self.colours),
            updates={entity: list(some) for entity, some in self.updates.items()},
            facts=dict(self.facts),
            runs=dict(self.runs),
            code_versions=dict(self.code_versions),
        )

    def keys_of(self, entity):
        """Return the partitions that there are; None alone for something without."""
        partitions_def = PARTITIONS.get(entity)
        if partitions_def is None:
            return [None]
        return list(partitions_def.get_partition_keys(self.now, self))

    def get_dynamic_partitions(self, name):
        """Return the colours."""
        return self.colours if name == "colours" else []

    def has_dynamic_partition(self, name, key):
        """Tell whether there is a colour."""
        return key in self.get_dynamic_partitions(name)

    def update(self, entity, partition, run_id="", *, new_data=True, seconds=0):
        """Let something be updated."""
        self.position += 1
        happened = Happened(
            self.position, self.now.timestamp() - seconds, partition, run_id, new_data
        )
        self.updates.setdefault(entity, []).append(happened)

    def graph(self, wanted: dict[entities.Entity, conditions.Condition]):
        """Return the graph with conditions on targets."""
        return graph.Graph(
            graph.Node(
                entity=entity,
                condition=wanted.get(entity),
                partitions_def=PARTITIONS.get(entity),
                upstream=dict.fromkeys(upstream),
                location="elsewhere" if entity == SOURCE else "here",
                code_version=self.code_versions.get(entity),
                materializable=entity.kind == entities.ASSET,
                blocking=entity == BLOCKING,
                unit=UNIT if entity in UNIT else frozenset(),
                group_name="daily" if entity in (BY_DAY, BY_DAY_TOO) else "default",
            )
            for entity, upstream in UPSTREAM.items()
        )


class WorldView:
    """A view of a world."""

    def __init__(self, world):
        self._world = world
        self.partitions = contexts.PartitionLoadingContext(world.now, world)

    def present(self, entity):
        """Return what was updated."""
        return self._value(entity, {one.partition for one in self._world.updates.get(entity, [])})

    def run_in_progress(self, entity):
        """Return what a test said."""
        return self._fact("run", entity)

    def backfill_in_progress(self, entity):
        """Return what a test said."""
        return self._fact("backfill", entity)

    def execution_failed(self, entity):
        """Return what a test said."""
        return self._fact("failed", entity)

    def check_result(self, entity, *, passed):
        """Return what a test said."""
        return self._fact("passed" if passed else "check_failed", entity)

    def freshness(self, entity):
        """Return what a test said."""
        return "fail" if self._world.facts.get(("stale", entity)) else "pass"

    def updates(self, entity, after):
        """Return the updates behind a position."""
        return [
            views.Update(
                one.timestamp, self._value(entity, {one.partition}), one.run_id, one.new_data
            )
            for one in self._world.updates.get(entity, [])
            if one.position > after
        ]

    def latest_runs(self, entity, value):
        """Return the runs that last updated something."""
        latest = {one.partition: one.run_id for one in self._world.updates.get(entity, [])}
        del value
        return [
            (run_id, self._value(entity, {key for key, run in latest.items() if run == run_id}))
            for run_id in set(latest.values())
            if run_id
        ]

    def run(self, run_id):
        """Return a run."""
        return self._world.runs.get(run_id)

    def custom(self, call):
        """Return what a test said, and count in the cursor how often it was asked."""
        asked = int(call.cursor or 0) + 1
        return views.CustomAnswer(self._fact("custom", call.candidates.entity), str(asked))

    def _fact(self, name, entity):
        return self._value(entity, self._world.facts.get((name, entity), frozenset()))

    def _value(self, entity, keys):
        partitions_def = PARTITIONS.get(entity)
        if partitions_def is None:
            return bool(keys)
        there = set(self._world.keys_of(entity))
        return partitions_def.subset_with_partition_keys(sorted(keys & there))

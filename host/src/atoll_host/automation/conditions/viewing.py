"""What conditions ask, answered from what is known. Pure.

Called by evaluations through `atoll._conditions.views.View`. What is not known yet is noted
(`View.needs`) and answered as if there was nothing; whoever evaluates then reads it and evaluates
again, so that everything an evaluation lacks is read in a few statements, however many targets ask.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from atoll import errors as location_errors
from atoll._conditions import entities, entity_subsets, views
from atoll._partitions import contexts
from atoll_host.automation.conditions import asset_memory, knowledge, open_runs

Entity = entities.Entity
Value = entity_subsets.Value


class NotAnswered(location_errors.Error):
    """A custom condition was not asked yet, or could not be."""


def nothing_in_backfills(entity: Entity) -> Value | None:
    """Say that no backfill executes anything."""
    del entity
    return None


class View:
    """What is known at the position of the knowledge.

    Args:
        known: What is known.
        now: The time of the evaluation.
        answer: Answers custom conditions; raises `NotAnswered` where it cannot.
        held: What was requested and waits for something in another run.
        backfills: Returns what backfills execute; None for nothing.

    Attributes:
        needs: What has to be read.
    """

    def __init__(
        self,
        known: knowledge.Knowledge,
        now: dt.datetime,
        answer: Callable[[views.CustomCall], views.CustomAnswer],
        *,
        held: Mapping[Entity, Value] | None = None,
        backfills: Callable[[Entity], Value | None] = nothing_in_backfills,
    ) -> None:
        self._known = known
        self._answer = answer
        self._held = held or {}
        self._backfills = backfills
        self._context = contexts.PartitionLoadingContext(now, known.dynamic)
        self.needs = knowledge.Needs(dynamic=known.dynamic.missing)

    @property
    def partitions(self) -> contexts.PartitionLoadingContext:
        """The time and the dynamic partitions by which partitions are told."""
        return self._context

    def present(self, entity: Entity) -> Value:
        """Return what is not missing."""
        memory = self._memory(entity)
        present = self._empty(entity) if memory is None else memory.present
        if entity.kind != entities.CHECK:
            return present
        return asset_memory.joined(present, self.run_in_progress(entity))

    def run_in_progress(self, entity: Entity) -> Value:
        """Return what a run that has not ended is to execute and has not executed yet."""
        found = self._held.get(entity)
        if found is None:
            found = self._empty(entity)
        for each in self._known.open.of(entity):
            found = asset_memory.joined(found, self._left_of(each, entity))
        return found

    def backfill_in_progress(self, entity: Entity) -> Value:
        """Return what a backfill that has not ended is to execute and has not executed yet."""
        found = self._backfills(entity)
        return self._empty(entity) if found is None else found

    def execution_failed(self, entity: Entity) -> Value:
        """Return what the latest run that was to execute it failed to execute."""
        if entity.kind != entities.ASSET:
            return self._empty(entity)
        memory = self._memory(entity)
        if memory is None:
            return self._empty(entity)
        return asset_memory.without(memory.failed, self.run_in_progress(entity))

    def check_result(self, entity: Entity, *, passed: bool) -> Value:
        """Return what a check passed, or failed, for the latest materialization of its asset."""
        memory = self._memory(entity)
        if memory is None:
            return self._empty(entity)
        return memory.passed if passed else memory.failed

    def freshness(self, entity: Entity) -> str:
        """Return "pass", "warn" or "fail", empty for an asset whose freshness is not known."""
        return self._known.freshness.get(entity, "")

    def updates(self, entity: Entity, after: int) -> Sequence[views.Update]:
        """Return what was updated behind a position of the log, oldest first."""
        memory = self._memory(entity)
        if memory is None or memory.newest is None or memory.newest.event_id <= after:
            return ()
        if after < memory.recent_from:
            wanted = self.needs.updates
            wanted[entity] = min(after, wanted.get(entity, after))
            return ()
        found = memory.since(after)
        if not self._known.surroundings.compares_data and not any(each.observed for each in found):
            return self._grouped(entity, [(each, False) for each in found])
        return self._grouped(entity, self._compared(entity, memory, found))

    def latest_runs(self, entity: Entity, value: Value) -> Sequence[tuple[str, Value]]:
        """Return the runs that last updated some partitions, each with those that it updated."""
        memory = self._memory(entity)
        if memory is None or not value:
            return ()
        if isinstance(value, bool):
            newest = memory.newest
            return [(newest.run_id, True)] if newest is not None and newest.run_id else ()
        by_run: dict[str, list[str]] = {}
        for key in value.get_partition_keys():
            run_id = self._run_of(entity, memory, key)
            if run_id:
                by_run.setdefault(run_id, []).append(key)
        partitions_def = self._partitions_def(entity)
        return [
            (run_id, asset_memory.value_of(partitions_def, keys)) for run_id, keys in by_run.items()
        ]

    def run(self, run_id: str) -> views.RunFacts | None:
        """Return a run, None where it is not known any more."""
        if not self._known.knows_run(run_id):
            self.needs.runs.add(run_id)
            return None
        run = self._known.run(run_id)
        if run is None:
            return None
        return views.RunFacts(run_id, run.tags, self._known.surroundings.targets(run))

    def custom(self, call: views.CustomCall) -> views.CustomAnswer | None:
        """Return what a custom condition says.

        Raises:
            NotAnswered: Its location was not asked yet, or did not say.
        """
        return self._answer(call)

    def _memory(self, entity: Entity) -> asset_memory.Memory | None:
        if entity.kind == entities.JOB:
            return None
        found = self._known.memory(entity)
        if found is None:
            needed = self.needs.checks if entity.kind == entities.CHECK else self.needs.assets
            needed.add(entity)
        return found

    def _partitions_def(self, entity: Entity) -> asset_memory.PartitionsDefinition | None:
        return self._known.surroundings.graph.node(entity).partitions_def

    def _empty(self, entity: Entity) -> Value:
        return asset_memory.empty_value(self._partitions_def(entity))

    def _left_of(self, each: open_runs.Open, entity: Entity) -> Value:
        """Return what a run is still to execute of something."""
        partitions_def = self._partitions_def(entity)
        run = each.run
        if partitions_def is None:
            return each.is_left(entity)
        done = [partition for one, partition in each.done if one == entity]
        if each.takes_range:
            start, end = run.partition_range
            left = asset_memory.range_of(partitions_def, start, end, self._known.dynamic)
        else:
            left = asset_memory.value_of(partitions_def, [run.partition_key])
        return (
            asset_memory.without(left, asset_memory.value_of(partitions_def, done))
            if done
            else left
        )

    def _run_of(self, entity: Entity, memory: asset_memory.Memory, key: str) -> str:
        if entity.kind == entities.CHECK:
            return memory.run_ids.get(key, "")
        found = self._known.partition_runs.get((entity, key))
        if found is None:
            self.needs.partition_runs.add((entity, key))
            return ""
        return found

    def _compared(
        self, entity: Entity, memory: asset_memory.Memory, found: Sequence[asset_memory.Recent]
    ) -> list[tuple[asset_memory.Recent, bool]]:
        """Return updates with whether the data is other than before.

        An observation that found the same data as before is no update.
        """
        compared: list[tuple[asset_memory.Recent, bool]] = []
        before: dict[str, str | None] = {}
        wanted = {each.event_id for each in found}
        for each in memory.recent:
            if each.partition not in before:
                before[each.partition] = self._version_before(entity, each)
            old, new = before[each.partition], each.version
            if new is not None:
                before[each.partition] = new
            differs = old is not None and new is not None and old != new
            if each.event_id in wanted and (not each.observed or differs or old is None):
                compared.append((each, differs))
        return compared

    def _version_before(self, entity: Entity, recent: asset_memory.Recent) -> str | None:
        key = (entity, recent.partition, recent.event_id)
        if key not in self._known.versions_before:
            self.needs.versions.add(key)
            return None
        return self._known.versions_before[key]

    def _grouped(
        self, entity: Entity, found: Iterable[tuple[asset_memory.Recent, bool]]
    ) -> list[views.Update]:
        """Return updates; what one run updated in one go is one update."""
        partitions_def = self._partitions_def(entity)
        groups: list[list[tuple[asset_memory.Recent, bool]]] = []
        for each, differs in found:
            last = groups[-1][-1] if groups else None
            if (
                last is not None
                and partitions_def is not None
                and last[0].event_id + 1 == each.event_id
                and (last[0].run_id, last[1]) == (each.run_id, differs)
            ):
                groups[-1].append((each, differs))
            else:
                groups.append([(each, differs)])
        return [
            views.Update(
                timestamp=group[-1][0].timestamp,
                value=True
                if partitions_def is None
                else asset_memory.value_of(partitions_def, [each.partition for each, _ in group]),
                run_id=group[-1][0].run_id,
                new_data=group[-1][1],
            )
            for group in groups
        ]

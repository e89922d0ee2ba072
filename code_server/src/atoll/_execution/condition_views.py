"""What an instance knows, as conditions look at it.

Called by `evaluate_automation_conditions`: it reads all events of the assets that conditions look
at, which is right for tests and no way to serve a location. The host has a view of its own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence

from atoll._conditions import entities, entity_subsets, graph, views
from atoll._definitions import condition_entities, events, keys, runs
from atoll._definitions import tags as tag_names
from atoll._execution import custom_conditions
from atoll._instance import backend as backends
from atoll._instance import instance as instances
from atoll._partitions import contexts

_UPDATES = (events.EventType.ASSET_MATERIALIZATION, events.EventType.ASSET_OBSERVATION)
_PAGE = 1000
_ENDED = frozenset({runs.RunStatus.SUCCESS, runs.RunStatus.FAILURE, runs.RunStatus.CANCELED})


@dataclasses.dataclass(frozen=True)
class _Happened:
    """An event, as far as conditions look at it."""

    position: int
    timestamp: float
    kind: events.EventType
    partition: str | None
    run_id: str
    check_name: str = ""
    passed: bool = False
    new_data: bool = False


class InstanceView:
    """What an instance knows now.

    Args:
        instance: The instance.
        known: The assets, checks and jobs.
        context: The time of the evaluation, and the dynamic partitions.
    """

    def __init__(
        self,
        instance: instances.Instance,
        known: graph.Graph,
        context: contexts.PartitionLoadingContext,
    ) -> None:
        self._instance = instance
        self._graph = known
        self._context = context
        self._happened: dict[entities.Entity, Sequence[_Happened]] = {}
        self._runs: dict[str, views.RunFacts | None] = {}
        last, _ = instance.backend.log_records(backends.EventsQuery(limit=1))
        self.position = last[0].storage_id if last else 0

    @property
    def partitions(self) -> contexts.PartitionLoadingContext:
        """The time and the dynamic partitions by which partitions are told."""
        return self._context

    def present(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what is not missing."""
        return self._value(entity, (one.partition for one in self._updates(entity)))

    def run_in_progress(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what a run that has not ended is to execute and has not executed yet."""
        return self._planned(entity, lambda status: status not in _ENDED)

    def backfill_in_progress(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what a backfill is to execute: nothing, an instance in a process has none."""
        return self._value(entity, ())

    def execution_failed(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what the latest run that was to execute it failed to execute."""
        return self._planned(entity, lambda status: status is runs.RunStatus.FAILURE)

    def check_result(self, entity: entities.Entity, *, passed: bool) -> entity_subsets.Value:
        """Return what a check passed, or failed, for the latest materialization of its asset."""
        latest = {one.partition: one for one in self._updates(entity)}
        return self._value(
            entity, (one.partition for one in latest.values() if one.passed == passed)
        )

    def freshness(self, entity: entities.Entity) -> str:
        """Return nothing: the host alone follows how fresh assets are."""
        del entity
        return ""

    def updates(self, entity: entities.Entity, after: int) -> Sequence[views.Update]:
        """Return what was updated behind a position of the log, oldest first."""
        return [
            views.Update(
                one.timestamp, self._value(entity, [one.partition]), one.run_id, one.new_data
            )
            for one in self._updates(entity, of_latest=False)
            if one.position > after
        ]

    def latest_runs(
        self, entity: entities.Entity, value: entity_subsets.Value
    ) -> Sequence[tuple[str, entity_subsets.Value]]:
        """Return the runs that last updated some partitions, each with those that it updated."""
        latest = {one.partition: one.run_id for one in self._updates(entity) if one.run_id}
        by_run: dict[str, list[str | None]] = {}
        for partition, run_id in latest.items():
            by_run.setdefault(run_id, []).append(partition)
        asked = entity_subsets.EntitySubset(entity, value)
        found = (
            (run_id, (entity_subsets.EntitySubset(entity, self._value(entity, some)) & asked).value)
            for run_id, some in by_run.items()
        )
        return [(run_id, own) for run_id, own in found if own]

    def run(self, run_id: str) -> views.RunFacts | None:
        """Return a run, None where it is not known any more."""
        if run_id not in self._runs:
            self._runs[run_id] = self._facts_of_run(run_id)
        return self._runs[run_id]

    def custom(self, call: views.CustomCall) -> views.CustomAnswer | None:
        """Return what a custom condition says: its code is in this process."""
        return custom_conditions.answer(
            call.implementation,
            call,
            self._graph.node(call.candidates.entity).partitions_def,
            self._context,
            self._instance,
        )

    def _planned(
        self, entity: entities.Entity, fits: Callable[[runs.RunStatus], bool]
    ) -> entity_subsets.Value:
        kind = (
            events.EventType.ASSET_CHECK_EVALUATION_PLANNED
            if entity.kind == entities.CHECK
            else events.EventType.ASSET_MATERIALIZATION_PLANNED
        )
        latest: dict[str | None, _Happened] = {}
        for one in self._of(entity):
            if one.kind is kind:
                latest[one.partition] = one
            elif one.partition in latest and one.run_id == latest[one.partition].run_id:
                del latest[one.partition]
        return self._value(
            entity,
            (
                partition
                for partition, one in latest.items()
                if (run := self._instance.get_run_by_id(one.run_id)) is not None
                and fits(run.status)
            ),
        )

    def _updates(self, entity: entities.Entity, *, of_latest: bool = True) -> list[_Happened]:
        """Return the updates, oldest first; of a check, those for the latest materializations."""
        if entity.kind == entities.CHECK:
            made = {
                one.partition: one.position for one in self._updates(entities.asset(entity.path))
            }
            return [
                one
                for one in self._of(entity)
                if one.kind is events.EventType.ASSET_CHECK_EVALUATION
                and (not of_latest or one.position > made.get(one.partition, 0))
            ]
        observed = not self._graph.node(entity).materializable
        return [
            one
            for one in self._of(entity)
            if one.kind is events.EventType.ASSET_MATERIALIZATION
            or (observed and one.kind is events.EventType.ASSET_OBSERVATION and one.new_data)
        ]

    def _of(self, entity: entities.Entity) -> Sequence[_Happened]:
        found = self._happened.get(entity)
        if found is None:
            everything = self._read(entities.asset(entity.path))
            found = [one for one in everything if one.check_name == entity.name]
            self._happened[entity] = found
        return found

    @functools.cached_property
    def _read(self) -> Callable[[entities.Entity], Sequence[_Happened]]:
        return functools.cache(self._read_asset)

    def _read_asset(self, asset: entities.Entity) -> Sequence[_Happened]:
        found: list[_Happened] = []
        versions: dict[str | None, str | None] = {}
        position = 0
        has_more = asset.kind == entities.ASSET
        while has_more:
            page, has_more = self._instance.backend.log_records(
                backends.EventsQuery(
                    asset_key=keys.AssetKey(asset.path),
                    after_id=position,
                    ascending=True,
                    limit=_PAGE,
                )
            )
            for record in page:
                position = record.storage_id
                event = record.event_log_entry.event
                if event is not None and position <= self.position:
                    found.append(_happened(position, event, versions))
        return found

    def _value(
        self, entity: entities.Entity, partitions: Iterable[str | None]
    ) -> entity_subsets.Value:
        partitions_def = self._graph.node(entity).partitions_def
        if partitions_def is None:
            return any(True for _ in partitions)
        known = partitions_def.filter_valid_partition_keys(
            {key for key in partitions if key is not None},
            self._context.effective_dt,
            self._context.dynamic_partitions_store,
        )
        return partitions_def.subset_with_partition_keys(known)

    def _facts_of_run(self, run_id: str) -> views.RunFacts | None:
        run = self._instance.get_run_by_id(run_id)
        if run is None:
            return None
        targets = {
            condition_entities.entity_of(key)
            for key in (*(run.asset_selection or ()), *(run.asset_check_selection or ()))
        }
        planned = self._instance.get_records_for_run(
            run_id, of_type=events.EventType.ASSET_MATERIALIZATION_PLANNED
        )
        for record in planned.records:
            event = record.event_log_entry.event
            if event is not None and event.asset_key is not None:
                targets.add(condition_entities.entity_of(event.asset_key))
        return views.RunFacts(run_id, run.tags, frozenset(targets))


def _happened(
    position: int, event: events.Event, versions: dict[str | None, str | None]
) -> _Happened:
    new_data = False
    if event.event_type in _UPDATES:
        told = event.materialization or event.observation
        version = None if told is None else told.tags.get(tag_names.DATA_VERSION)
        new_data = version is None or versions.get(event.partition) != version
        versions[event.partition] = version
    check = event.asset_check_evaluation
    name = "" if check is None else check.check_name
    planned = event.event_specific_data
    if isinstance(planned, events.AssetCheckEvaluationPlannedData):
        name = planned.asset_check_key.name
    return _Happened(
        position=position,
        timestamp=event.timestamp,
        kind=event.event_type,
        partition=event.partition,
        run_id=event.run_id,
        check_name=name,
        passed=check is not None and check.passed,
        new_data=new_data,
    )

"""Makes the graph of conditions of what all locations define. Pure.

Called by `leading` whenever a location defines something else or a sensor was started or stopped.
A key that several locations know is one node, its owner's: so it is decided on once, by the
condition that its owner gives it. Targets are what running sensors evaluate.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from atoll import errors as location_errors
from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import conditions, entities, operands
from atoll._conditions import graph as condition_graphs
from atoll._partition_messages import mappings as mapping_messages
from atoll._partitions import mappings
from atoll.definitions.v1 import conditions_pb2, snapshot_pb2
from atoll_host.automation.conditions import knowledge
from atoll_host.locations import definitions, graph, partitioned
from atoll_storage import condition_records, records

Entity = entities.Entity
_Read = TypeVar("_Read")
SENSOR_KIND = snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION
_DEFAULT_GROUP = "default"
_Definition = (
    snapshot_pb2.AssetDefinition | snapshot_pb2.AssetCheckDefinition | snapshot_pb2.JobDefinition
)


@dataclasses.dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything that evaluations need of the definitions.

    Attributes:
        locations: What each location defines.
        owners: The merged graph.
        graph: The graph of conditions; its targets are evaluated.
        surroundings: What the knowledge needs of it.
        sensors: The sensor that evaluates each target.
        unusable: Targets whose conditions cannot be read here, with what is wrong.
    """

    locations: Mapping[str, definitions.Definitions]
    owners: graph.AssetGraph
    graph: condition_graphs.Graph
    surroundings: knowledge.Surroundings
    sensors: Mapping[Entity, records.SensorKey]
    unusable: Mapping[Entity, str]

    def sensor(self, key: records.SensorKey) -> snapshot_pb2.SensorDefinition:
        """Return the definition of a sensor."""
        return self.locations[key.location_name].sensors[key.sensor_name]


def sensors_of(defined: definitions.Definitions) -> Iterator[snapshot_pb2.SensorDefinition]:
    """Yield the sensors of a location that evaluate conditions, by name."""
    for name in sorted(defined.sensors):
        if defined.sensors[name].kind == SENSOR_KIND:
            yield defined.sensors[name]


def targets_of(location_name: str, sensor: snapshot_pb2.SensorDefinition) -> Iterator[Entity]:
    """Yield what a sensor evaluates the conditions of."""
    for message in sensor.automation_targets:
        try:
            entity = entity_messages.from_message(message)
        except location_errors.Error:
            continue  # Of a kind that this release does not know; the location may be newer.
        yield entities.job(location_name, entity.name) if entity.kind == entities.JOB else entity


def build(
    locations: Mapping[str, definitions.Definitions],
    merged: graph.AssetGraph,
    running: Iterable[records.SensorKey],
) -> Blueprint:
    """Make the graph of conditions.

    Args:
        locations: What each location defines.
        merged: The same, merged by key.
        running: The sensors that are to evaluate their targets.
    """
    return _Builder(locations, merged).build(set(running))


class _Builder:
    def __init__(
        self, locations: Mapping[str, definitions.Definitions], merged: graph.AssetGraph
    ) -> None:
        self._locations = locations
        self._merged = merged
        self._conditions: dict[bytes, conditions.Condition] = {}
        self._mappings: dict[bytes, mappings.PartitionMapping] = {}
        self._sensors: dict[Entity, records.SensorKey] = {}
        self._defaults: dict[Entity, conditions_pb2.AutomationCondition] = {}
        self._unusable: dict[Entity, str] = {}
        self._observed: set[Entity] = set()

    def build(self, running: set[records.SensorKey]) -> Blueprint:
        """Make everything."""
        for name, defined in sorted(self._locations.items()):
            for sensor in sensors_of(defined):
                key = records.SensorKey(name, sensor.name)
                if key in running:
                    self._take_targets(key, sensor)
        nodes = [*self._assets(), *self._checks(), *self._jobs()]
        made = condition_graphs.Graph(nodes)
        by_dynamic: dict[str, list[Entity]] = {}
        for node in nodes:
            if node.partitions_def is not None:
                for part in partitioned.dynamic_parts(node.partitions_def):
                    by_dynamic.setdefault(part.name or "", []).append(node.entity)
        targets = {node.entity for node in nodes if node.condition is not None}
        return Blueprint(
            locations=self._locations,
            owners=self._merged,
            graph=made,
            surroundings=knowledge.Surroundings(
                graph=made,
                observed=frozenset(self._observed),
                targets=lambda run: targets_of_run(run, self._locations),
                by_dynamic=by_dynamic,
                compares_data=any(map(_compares_data, self._conditions.values())),
            ),
            sensors={each: key for each, key in self._sensors.items() if each in targets},
            unusable=self._unusable,
        )

    def _take_targets(self, key: records.SensorKey, sensor: snapshot_pb2.SensorDefinition) -> None:
        for entity in targets_of(key.location_name, sensor):
            if self._owner(entity) != key.location_name or entity in self._sensors:
                continue
            self._sensors[entity] = key
            if sensor.HasField("default_condition"):
                self._defaults[entity] = sensor.default_condition

    def _owner(self, entity: Entity) -> str:
        if entity.kind == entities.ASSET:
            return self._merged.owner(entity.path)
        if entity.kind == entities.CHECK:
            return self._merged.check_owner((entity.path, entity.name))
        return entity.path[0]

    def _assets(self) -> Iterator[condition_graphs.Node]:
        for path in self._merged:
            merged = self._merged.node(path)
            if merged is None:
                continue
            entity, asset = entities.asset(path), merged.definition
            source = merged.owner or next(iter(self._merged.definers(path)), "")
            defined = self._locations.get(source)
            if asset.observable:
                self._observed.add(entity)
            upstream = self._upstream(entity, asset.dependencies)
            upstream.update(
                (entities.asset(one), None)
                for one in merged.upstream
                if entities.asset(one) not in upstream
            )
            self._blindfold(upstream, defined)
            made_with = () if defined is None else defined.made_with(path)
            partitions_def = None
            if defined is not None:
                partitions_def = self._read(
                    entity, functools.partial(defined.partitions.of_asset, path)
                )
            yield condition_graphs.Node(
                entity=entity,
                condition=self._condition(entity, asset),
                partitions_def=partitions_def,
                upstream=upstream,
                location=source,
                code_version=asset.code_version or None,
                materializable=bool(merged.owner) and not asset.observable,
                unit=frozenset(map(entities.asset, made_with)) if len(made_with) > 1 else _ALONE,
                group_name=asset.group_name or _DEFAULT_GROUP,
                tags=dict(asset.tags),
                owners=tuple(asset.owners),
                kinds=frozenset(asset.kinds),
            )

    def _checks(self) -> Iterator[condition_graphs.Node]:
        for key in self._merged.check_keys:
            merged = self._merged.check(key)
            if merged is None:
                continue
            entity, check = entities.check(*key), merged.definition
            source = merged.owner or merged.locations[0]
            upstream = {
                entities.asset(key[0]): None,
                **self._upstream(entity, check.additional_dependencies),
            }
            defined = self._locations[source]
            self._blindfold(upstream, defined)
            partitions_def = self._read(entity, functools.partial(defined.partitions.of_check, key))
            yield condition_graphs.Node(
                entity=entity,
                condition=self._condition(entity, check),
                partitions_def=partitions_def,
                upstream=upstream,
                location=source,
                blocking=check.blocking,
            )

    @staticmethod
    def _blindfold(
        upstream: dict[Entity, mappings.PartitionMapping | None],
        defined: definitions.Definitions | None,
    ) -> None:
        """Leave out what the conditions of a location must not hear of."""
        if defined is not None:
            for path in defined.unwatched:
                upstream.pop(entities.asset(path), None)

    def _jobs(self) -> Iterator[condition_graphs.Node]:
        for location_name, defined in sorted(self._locations.items()):
            for name, job in sorted(defined.jobs.items()):
                entity = entities.job(location_name, name)
                condition = self._condition(entity, job)
                if condition is None:
                    continue
                partitions_def = self._read(
                    entity, functools.partial(defined.partitions.of_job, name)
                )
                yield condition_graphs.Node(
                    entity=entity,
                    condition=None if entity in self._unusable else condition,
                    partitions_def=partitions_def,
                    upstream={entities.asset(key.path): None for key in job.asset_keys},
                    location=location_name,
                )

    def _read(self, entity: Entity, read: Callable[[], _Read | None]) -> _Read | None:
        """Read something of a definition; what cannot be read makes its target unusable alone."""
        try:
            return read()
        except location_errors.Error as error:
            self._unusable[entity] = str(error)
            return None

    def _upstream(
        self, entity: Entity, edges: Iterable[snapshot_pb2.AssetDependency]
    ) -> dict[Entity, mappings.PartitionMapping | None]:
        found: dict[Entity, mappings.PartitionMapping | None] = {}
        for edge in edges:
            mapping = None
            if edge.HasField("partition_mapping"):
                content = edge.partition_mapping.SerializeToString(deterministic=True)
                mapping = self._mappings.get(content)
                if mapping is None:
                    mapping = self._read(entity, functools.partial(_mapping_of, edge))
                if mapping is not None:
                    self._mappings[content] = mapping
            found[entities.asset(edge.asset_key.path)] = mapping
        return found

    def _condition(self, entity: Entity, defined: _Definition) -> conditions.Condition | None:
        """Return the condition of a target; of the same content always the same object."""
        if entity not in self._sensors or entity in self._unusable:
            return None
        message = self._defaults.get(entity)
        if defined.HasField("automation_condition"):
            message = defined.automation_condition
        if message is None:
            return None
        content = message.SerializeToString(deterministic=True)
        found = self._conditions.get(content)
        if found is None:
            found = self._read(entity, functools.partial(condition_messages.from_message, message))
        if found is not None:
            self._conditions[content] = found
        return found


def _mapping_of(edge: snapshot_pb2.AssetDependency) -> mappings.PartitionMapping:
    return mapping_messages.from_message(edge.partition_mapping)


_ALONE: frozenset[Entity] = frozenset()


def _compares_data(condition: conditions.Condition) -> bool:
    return any(isinstance(each, operands.DataVersionChanged) for each in conditions.walk(condition))


def targets_of_run(
    run: condition_records.OpenRun, locations: Mapping[str, definitions.Definitions]
) -> frozenset[Entity]:
    """Return what a run is to execute.

    Args:
        run: The run.
        locations: What each location defines.
    """
    found = {entities.job(run.location_name, run.job_name)}
    found.update(map(entities.asset, run.asset_selection))
    found.update(entities.check(*key) for key in run.check_selection)
    defined = locations.get(run.location_name)
    if defined is None:
        return frozenset(found)
    paths = list(run.asset_selection)
    if not run.asset_selection and not run.check_selection:
        job = defined.jobs.get(run.job_name)
        if job is not None:
            paths = [tuple(key.path) for key in job.asset_keys]
            found.update(map(entities.asset, paths))
            found.update(entities.check(key.asset_key.path, key.name) for key in job.check_keys)
    if run.asset_selection and not run.check_selection:
        found.update(
            entities.check(path, name) for path in paths for name in defined.checks_of.get(path, ())
        )
    for path in paths:
        found.update(map(entities.asset, defined.made_with(path)))
    return frozenset(found)

"""What has an automation condition, as the API shows it. Pure.

Called by `servicers.conditions`. Which sensor evaluates something, and what its condition is,
stands in the definitions; what evaluations came to comes in from storage.
"""

import dataclasses
from collections.abc import Iterator, Mapping

from atoll import errors as location_errors
from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import conditions, entities
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_host.automation.conditions import graphs
from atoll_host.locations import definitions, graph
from atoll_storage import condition_records, records

Entity = entities.Entity
Sensors = Mapping[records.SensorKey, records.SensorState]


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Something with a condition.

    Attributes:
        entity: What it is.
        location_name: The location that executes it.
        condition: Its condition.
        sensors: The sensors that evaluate it, by name.
    """

    entity: Entity
    location_name: str
    condition: definition_pb2.AutomationCondition
    sensors: tuple[snapshot_pb2.SensorDefinition, ...]

    @property
    def order(self) -> tuple[str, str, str]:
        """The place in lists: by location, then by name."""
        return self.location_name, str(self.entity), self.entity.kind


def find_all(
    locations: Mapping[str, definitions.Definitions], merged: graph.AssetGraph
) -> list[Found]:
    """Return everything that has a condition, in the order of lists.

    Args:
        locations: What each location defines.
        merged: The same, merged by key.
    """
    found = (one for name, defined in locations.items() for one in _of(name, defined, merged))
    return sorted(found, key=lambda one: one.order)


def _of(
    location_name: str, defined: definitions.Definitions, merged: graph.AssetGraph
) -> Iterator[Found]:
    sensors: dict[Entity, list[snapshot_pb2.SensorDefinition]] = {}
    for sensor in graphs.sensors_of(defined):
        for entity in graphs.targets_of(location_name, sensor):
            sensors.setdefault(entity, []).append(sensor)
    for entity, own in _conditions(location_name, defined, merged):
        evaluators = tuple(sensors.get(entity, ()))
        given = [each for each in evaluators if each.HasField("default_condition")]
        condition = own or (given[0].default_condition if given else None)
        if condition is not None:
            yield Found(entity, location_name, condition, evaluators)


def _conditions(
    location_name: str, defined: definitions.Definitions, merged: graph.AssetGraph
) -> Iterator[tuple[Entity, definition_pb2.AutomationCondition | None]]:
    for path, asset in defined.assets.items():
        if merged.owner(path) == location_name:
            yield entities.asset(path), _own(asset)
    for key, check in defined.checks.items():
        if merged.check_owner(key) == location_name:
            yield entities.check(*key), _own(check)
    for name, job in defined.jobs.items():
        yield entities.job(location_name, name), _own(job)


def _own(
    defined: snapshot_pb2.AssetDefinition
    | snapshot_pb2.AssetCheckDefinition
    | snapshot_pb2.JobDefinition,
) -> definition_pb2.AutomationCondition | None:
    return defined.automation_condition if defined.HasField("automation_condition") else None


def problems(
    condition: definition_pb2.AutomationCondition, merged: graph.AssetGraph
) -> tuple[str, ...]:
    """Return what is wrong with a condition in this mesh.

    What the definitions of one location show to be wrong, they refuse themselves.
    """
    try:
        tree = condition_messages.from_message(condition)
    except location_errors.Error as error:
        return (f"This host cannot read the condition, so nothing evaluates it: {error}",)
    unknown = sorted(path for path in _matched(tree) if merged.node(path) is None)
    return tuple(
        f"The condition asks for asset {'/'.join(path)!r}, which no location defines: that part is "
        "never true. Correct the key, or have a location define the asset."
        for path in unknown
    )


def _matched(condition: conditions.Condition) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    if isinstance(condition, conditions.AssetMatches):
        found.add(condition.path)
    return found.union(*map(_matched, condition.children))


def render(
    found: Found,
    merged: graph.AssetGraph,
    sensors: Sensors,
    state: condition_records.ConditionState | None,
    latest: condition_records.EvaluationRecord | None,
) -> conditions_pb2.ConditionTarget:
    """Return something with a condition as the API shows it.

    Args:
        found: What it is.
        merged: What all locations define, merged by key.
        sensors: The states of sensors.
        state: What is remembered of it; None for nothing.
        latest: Its newest kept evaluation; None for none.
    """
    message = conditions_pb2.ConditionTarget(
        entity=entity_messages.to_message(found.entity),
        location_name=found.location_name,
        condition=found.condition,
        problems=problems(found.condition, merged),
    )
    running = [one for one in found.sensors if _runs(found.location_name, one, sensors)]
    if found.sensors:
        message.sensor_name = (running or found.sensors)[0].name
        message.sensor_status = (
            snapshot_pb2.SENSOR_STATUS_RUNNING if running else snapshot_pb2.SENSOR_STATUS_STOPPED
        )
    if state is not None:
        message.failure_count = state.failures
        if state.failure is not None:
            message.failure.CopyFrom(state.failure)
        if state.state:
            message.evaluation_time.FromDatetime(state.evaluation_time)
        if state.held is not None:
            message.held.ParseFromString(state.held)
    if latest is not None:
        message.latest_evaluation.CopyFrom(evaluation(latest, explained=False))
    return message


def evaluation(
    record: condition_records.EvaluationRecord, *, explained: bool
) -> conditions_pb2.ConditionEvaluation:
    """Return a kept evaluation, with its explanation or without."""
    message = conditions_pb2.ConditionEvaluation.FromString(record.payload)
    if not explained:
        message.ClearField("explanation")
    return message


def _runs(location_name: str, sensor: snapshot_pb2.SensorDefinition, sensors: Sensors) -> bool:
    state = sensors.get(records.SensorKey(location_name, sensor.name))
    if state is None or state.running is None:
        return sensor.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING
    return state.running

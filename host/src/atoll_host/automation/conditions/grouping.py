"""Makes runs of what conditions request. Pure.

Called by `deciding`. A run never spans locations, has one partition, one range of partitions or
none, and holds what can be executed together: assets and checks of one location with the same
partitions that one sensor evaluates, or that depend on each other. Several partitions are one run
each, unless the backfill policies of all that a run holds let it have more. Jobs are runs of their
own.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from atoll._conditions import entities, entity_subsets
from atoll._partitions import contexts, subsets
from atoll_host.automation.conditions import graphs
from atoll_host.runs import requests
from atoll_storage import records

Entity = entities.Entity
Value = entity_subsets.Value
Requested = Mapping[Entity, entity_subsets.EntitySubset]

_NO_POLICY = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """What one run is to execute.

    Attributes:
        sensor: The sensor that asks for it, whose location runs it.
        requested: The run as it is asked for.
        members: What is in it of what was requested.
    """

    sensor: records.SensorKey
    requested: requests.RequestedRun
    members: tuple[Entity, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class _Kin:
    """Things of one location with the same partitions that may share runs.

    Attributes:
        sensor: The sensor of the first of them.
        members: They themselves, in the order of the graph.
        at_once: How many partitions a run of them may have.
    """

    sensor: records.SensorKey
    members: tuple[Entity, ...]
    at_once: float


def groups(
    blueprint: graphs.Blueprint, requested: Requested, context: contexts.PartitionLoadingContext
) -> list[Group]:
    """Return the runs that execute what is requested.

    Args:
        blueprint: The definitions.
        requested: What is to be executed.
        context: The time and the dynamic partitions.
    """
    found: list[Group] = []
    for kin in _kins(blueprint, requested):
        for value, members in _regions(kin, requested):
            for start, end in _pieces(value, kin.at_once, context):
                found.append(_group(blueprint, kin.sensor, members, (start, end)))
    for entity, subset in sorted(requested.items(), key=lambda item: item[0]):
        sensor = blueprint.sensors.get(entity)
        if entity.kind == entities.JOB and sensor is not None:
            found += _of_job(blueprint, sensor, subset)
    return found


def sensor_of(
    blueprint: graphs.Blueprint, entity: Entity, requested: Requested
) -> records.SensorKey | None:
    """Return the sensor that asks for something, its own or that of what it is executed with."""
    unit = blueprint.graph.node(entity).unit
    own = blueprint.sensors.get(entity)
    if own is not None:
        return own
    found = (blueprint.sensors.get(one) for one in sorted(unit) if one in requested)
    return next((key for key in found if key is not None), None)


def _kins(blueprint: graphs.Blueprint, requested: Requested) -> list[_Kin]:
    """Return what may share runs."""
    known = blueprint.graph
    chosen: dict[Entity, records.SensorKey] = {}
    for entity in sorted(requested, key=known.rank):
        sensor = sensor_of(blueprint, entity, requested)
        if entity.kind != entities.JOB and sensor is not None and requested[entity]:
            chosen[entity] = sensor
    families = _Families(chosen)
    alike: dict[object, Entity] = {}
    for entity, sensor in chosen.items():
        identity = _partitions_identity(requested[entity].value)
        first = alike.setdefault((sensor, identity, _at_once(blueprint, entity)), entity)
        families.join(first, entity)
        for one in (*known.node(entity).upstream, *known.node(entity).unit):
            if (
                one in chosen
                and chosen[one].location_name == sensor.location_name
                and _partitions_identity(requested[one].value) == identity
            ):
                families.join(one, entity)
    return [
        _Kin(
            chosen[members[0]],
            tuple(members),
            min(_at_once(blueprint, entity) for entity in members),
        )
        for members in families.members()
    ]


class _Families:
    """Sets of things, joined two by two."""

    def __init__(self, some: Iterable[Entity]) -> None:
        self._heads = {entity: entity for entity in some}

    def join(self, one: Entity, other: Entity) -> None:
        mine, theirs = self._head(one), self._head(other)
        self._heads[theirs] = mine

    def members(self) -> list[list[Entity]]:
        found: dict[Entity, list[Entity]] = {}
        for entity in self._heads:
            found.setdefault(self._head(entity), []).append(entity)
        return list(found.values())

    def _head(self, entity: Entity) -> Entity:
        while self._heads[entity] != entity:
            self._heads[entity] = self._heads[self._heads[entity]]
            entity = self._heads[entity]
        return entity


def _partitions_identity(value: Value) -> object:
    return None if isinstance(value, bool) else value.partitions_def


def _at_once(blueprint: graphs.Blueprint, entity: Entity) -> float:
    """Return how many partitions of something a run may have."""
    if entity.kind != entities.ASSET:
        return _NO_POLICY
    location = blueprint.graph.node(entity).location
    asset = blueprint.locations[location].assets.get(entity.path)
    if asset is None or not asset.HasField("backfill_policy"):
        return _NO_POLICY
    if not asset.backfill_policy.HasField("max_partitions_per_run"):
        return math.inf
    return float(max(1, asset.backfill_policy.max_partitions_per_run))


def _regions(kin: _Kin, requested: Requested) -> list[tuple[Value, tuple[Entity, ...]]]:
    """Return the partitions that the same members are requested for, and these."""
    regions: list[tuple[Value, tuple[Entity, ...]]] = []
    for entity in kin.members:
        left = requested[entity].value
        parted: list[tuple[Value, tuple[Entity, ...]]] = []
        for value, members in regions:
            if isinstance(value, bool) or isinstance(left, bool):
                parted.append((value, (*members, entity)))
                left = False
                continue
            shared, rest = value & left, value - left
            left = left - value
            parted += [(shared, (*members, entity))] if shared else []
            parted += [(rest, members)] if rest else []
        if left:
            parted.append((left, (entity,)))
        regions = parted
    return regions


def _pieces(
    value: Value, at_once: float, context: contexts.PartitionLoadingContext
) -> Iterator[tuple[str, str]]:
    """Yield the first and the last partition of each run; empty where there are none."""
    if isinstance(value, bool):
        yield "", ""
    elif at_once == 1:
        for key in value.get_partition_keys():
            yield key, key
    else:
        yield from _ranges(value, at_once, context)


def _ranges(
    value: subsets.PartitionsSubset, at_once: float, context: contexts.PartitionLoadingContext
) -> Iterator[tuple[str, str]]:
    for found in value.get_partition_key_ranges(context.dynamic_partitions_store):
        if at_once == math.inf:
            yield found.start, found.end
            continue
        part = (value - value).with_partition_key_range(found, context.dynamic_partitions_store)
        keys = list(part.get_partition_keys())
        size = int(at_once)
        for start in range(0, len(keys), size):
            piece = keys[start : start + size]
            yield piece[0], piece[-1]


def _group(
    blueprint: graphs.Blueprint,
    sensor: records.SensorKey,
    members: Sequence[Entity],
    piece: tuple[str, str],
) -> Group:
    start, end = piece
    assets = [entity.path for entity in members if entity.kind == entities.ASSET]
    checks = [(one.path, one.name) for one in members if one.kind == entities.CHECK]
    if assets and checks:
        # Naming any check means naming all: those that no condition decides on come along.
        defined = blueprint.locations[sensor.location_name]
        along = [
            (path, name)
            for path in assets
            for name in defined.checks_of.get(path, ())
            if entities.check(path, name) not in blueprint.sensors
            and blueprint.owners.check_owner((path, name)) == sensor.location_name
        ]
        checks = sorted({*checks, *along})
    is_range = start != end
    requested = requests.RequestedRun(
        asset_selection=tuple(assets),
        partition_key="" if is_range else start,
        tags=dict(blueprint.sensor(sensor).run_tags),
        target=records.RunTarget(
            partition_range_start=start if is_range else "",
            partition_range_end=end if is_range else "",
            asset_check_selection=tuple(checks),
        ),
    )
    return Group(sensor, requested, tuple(members))


def _of_job(
    blueprint: graphs.Blueprint, sensor: records.SensorKey, subset: entity_subsets.EntitySubset
) -> Iterator[Group]:
    job_name = subset.entity.name
    for key in subset.partition_keys():
        requested = requests.RequestedRun(
            job_name=job_name,
            partition_key=key or "",
            tags=dict(blueprint.sensor(sensor).run_tags),
        )
        yield Group(sensor, requested, (subset.entity,))

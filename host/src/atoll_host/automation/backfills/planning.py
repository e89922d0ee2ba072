"""Makes the plan of a backfill from its parts and what the mesh defines. Pure.

Called when a backfill is asked for, so that one that cannot be ordered is refused before anything
is stored, and by `leading`, whenever definitions changed.
"""

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence

from atoll import errors as location_errors
from atoll._partition_messages import mappings as messages
from atoll._partitions import inference, mappings
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.automation.backfills import parts, plans

AssetPath = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan, and where the parts of the backfill are in it.

    Attributes:
        plan: The plan.
        parts: The parts.
        units: The number of the unit of each part.
    """

    plan: plans.Plan
    parts: tuple[parts.Part, ...]
    units: tuple[int, ...]


def plan(
    found: Sequence[parts.Part],
    defined: parts.Defined,
    moment: dt.datetime,
    keys: plans.KnownKeys,
) -> Planned:
    """Return the plan of some parts.

    Args:
        found: The parts.
        defined: What the mesh defines.
        moment: When the backfill was made.
        keys: The keys of dynamic partitions.

    Raises:
        errors.InvalidRequest: They cannot be ordered.
    """
    groups = _groups(found, defined)
    group_of = {path: n for n, group in enumerate(groups) for path in _paths(group)}
    needs = [_needs(group, group_of, defined) for group in groups]
    order = _ordered(groups, needs)
    place = {group: number for number, group in enumerate(order)}
    units: list[plans.Unit] = []
    for number, group in enumerate(order):
        unit = _unit(groups[group], defined)
        edges = [
            plans.edge(place[up], unit if up == group else units[place[up]], unit, mapping)
            for up, mapping in needs[group]
        ]
        units.append(dataclasses.replace(unit, edges=tuple(edges)))
        assert all(edge.upstream <= number for edge in edges)  # noqa: S101 - by the order
    part_units = {part: place[n] for n, group in enumerate(groups) for part in map(id, group)}
    return Planned(
        plans.Plan(plans.lanes(units), moment, keys),
        tuple(found),
        tuple(part_units[id(part)] for part in found),
    )


def mapping_of(
    dependency: snapshot_pb2.AssetDependency, downstream: AssetPath, defined: parts.Defined
) -> mappings.PartitionMapping:
    """Return which partitions of one asset another one needs.

    Args:
        dependency: The edge.
        downstream: The asset that needs the other.
        defined: What the mesh defines.

    Raises:
        errors.InvalidRequest: Only the location can tell.
    """
    upstream = tuple(dependency.asset_key.path)
    written: mappings.PartitionMapping | None = None
    downs, ups = defined.partitions_of(downstream), defined.partitions_of(upstream)
    try:
        if dependency.HasField("partition_mapping"):
            written = messages.from_message(dependency.partition_mapping)
        found = inference.infer_partition_mapping(
            written,
            None if downs is plans.WHOLE else downs,
            None if ups is plans.WHOLE else ups,
        )
        if ups is not plans.WHOLE:
            found.validate_partition_mapping(ups, None if downs is plans.WHOLE else downs)
    except location_errors.Error as error:
        raise errors.InvalidRequest(
            f"{'/'.join(downstream)!r} needs partitions of {'/'.join(upstream)!r} by a mapping "
            f"that a backfill of both cannot follow. {error} Or begin one backfill for each.",
            field="asset_keys",
        ) from error
    return found


def _paths(group: Sequence[parts.Part]) -> list[AssetPath]:
    return [part.path for part in group if part.path]


def _groups(found: Sequence[parts.Part], defined: parts.Defined) -> list[list[parts.Part]]:
    """Return the parts, those that are always made together in one group."""
    groups: dict[tuple[str, tuple[AssetPath, ...], str], list[parts.Part]] = {}
    for part in found:
        made_with: tuple[AssetPath, ...] = ()
        if part.path:
            made_with = defined.locations[part.location_name].made_with(part.path)
        groups.setdefault((part.location_name, made_with, part.job_name), []).append(part)
    for group in groups.values():
        whose = {id(part.subset.partitions_def): part for part in group}
        if len(whose) > 1:
            one, other, *_ = whose.values()
            raise errors.InvalidRequest(
                f"{one.name!r} and {other.name!r} are made by one function and have different "
                "partitions, so no run can make both. Give them the same partitions.",
                field="asset_keys",
            )
    return list(groups.values())


def _needs(
    group: Sequence[parts.Part], group_of: Mapping[AssetPath, int], defined: parts.Defined
) -> list[tuple[int, mappings.PartitionMapping]]:
    """Return the groups that a group needs, itself included where it needs earlier partitions."""
    own = set(_paths(group))
    found: list[tuple[int, mappings.PartitionMapping]] = []
    for part in group:
        if not part.path:
            continue
        definition = defined.locations[part.location_name].assets[part.path]
        for dependency in definition.dependencies:
            upstream = tuple(dependency.asset_key.path)
            if upstream in own and upstream != part.path:
                continue  # made by the same function, in its own order
            number = group_of.get(upstream)
            if number is not None:
                need = (number, mapping_of(dependency, part.path, defined))
                if need not in found:
                    found.append(need)
    return found


def _unit(group: Sequence[parts.Part], defined: parts.Defined) -> plans.Unit:
    first = group[0]
    target = functools.reduce(lambda one, other: one | other, [part.subset for part in group])
    others = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return plans.Unit(
        name=first.name + others,
        location_name=first.location_name,
        target=target,
        paths=tuple(_paths(group)),
        job_name=first.job_name,
        per_run_max=1 if first.is_whole else _per_run_max(group, defined),
    )


def _per_run_max(group: Sequence[parts.Part], defined: parts.Defined) -> int | None:
    """Return how many partitions a run takes: the least that the policies say, 1 without one."""
    paths = _paths(group)
    known = defined.locations[group[0].location_name]
    if not paths:
        paths = [tuple(key.path) for key in known.jobs[group[0].job_name].asset_keys]
    sizes: list[int | None] = [1] if not paths else []
    for path in paths:
        definition = known.assets[path]
        if not definition.HasField("backfill_policy"):
            return 1
        policy = definition.backfill_policy
        has_bound = policy.HasField("max_partitions_per_run")
        sizes.append(policy.max_partitions_per_run if has_bound else None)
    bounds = [size for size in sizes if size is not None]
    return min(bounds) if bounds else None


def _ordered(
    groups: Sequence[Sequence[parts.Part]],
    needs: Sequence[Sequence[tuple[int, mappings.PartitionMapping]]],
) -> list[int]:
    """Return the groups, upstream before downstream, otherwise as they come."""
    waits = {number: {up for up, _ in found if up != number} for number, found in enumerate(needs)}
    downstream: dict[int, list[int]] = {}
    for number, ups in waits.items():
        for up in ups:
            downstream.setdefault(up, []).append(number)
    order: list[int] = []
    ready = [number for number, ups in waits.items() if not ups]
    while ready:
        number = ready.pop(0)
        order.append(number)
        for other in downstream.get(number, ()):
            waits[other].discard(number)
            if not waits[other]:
                ready.append(other)
    if len(order) < len(groups):
        names = [groups[number][0].name for number, ups in waits.items() if ups]
        raise errors.InvalidRequest(
            f"{', '.join(map(repr, names[:5]))} need each other in a circle, which no order of "
            "runs can satisfy. Leave one of them out, or let its function be run in parts with "
            "can_subset=True.",
            field="asset_keys",
        )
    return order

"""What is wrong with the automation conditions of a location.

Called by `problems`. What a condition names in other locations cannot be seen here; the host tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from atoll import errors
from atoll._conditions import conditions, selections
from atoll._definitions import (
    asset_graph,
    automation_conditions,
    automation_sensors,
    jobs,
    keys,
    sensors,
    sources,
)

Job = jobs.UnresolvedAssetJobDefinition | jobs.JobDefinition
Found = tuple[str, sources.SourcePosition | None]
# What asks its parts about the target itself, not about something else.
_OF_THE_TARGET = (
    conditions.And,
    conditions.Or,
    conditions.Not,
    conditions.Since,
    conditions.NewlyTrue,
)


def find(
    graph: asset_graph.AssetGraph,
    all_jobs: Iterable[Job],
    all_sensors: Iterable[sensors.SensorDefinition],
) -> Iterator[Found]:
    """Yield what is wrong, and where it stands.

    Args:
        graph: The assets and checks.
        all_jobs: The jobs.
        all_sensors: The sensors.
    """
    known = _known(graph)
    for key, spec in graph.specs.items():
        made_by = graph.get(key)
        source = spec.source if made_by is None else made_by.source or spec.source
        whose = f"asset {key.to_user_string()!r}"
        yield from _of(spec.automation_condition, whose, source, known)
    for check_key, check in graph.check_specs.items():
        made_by = graph.get_check(check_key)
        source = None if made_by is None else made_by.source
        whose = f"check {check_key.to_user_string()!r}"
        yield from _of(check.automation_condition, whose, source, known)
    for job in all_jobs:
        yield from _of(job.automation_condition, f"job {job.name!r}", job.source, None)
    for sensor in all_sensors:
        if isinstance(sensor, automation_sensors.AutomationConditionSensorDefinition):
            whose = f"sensor {sensor.name!r}"
            yield from _of(sensor.default_condition, whose, sensor.source, known)


def _known(graph: asset_graph.AssetGraph) -> Callable[[keys.AssetKey], bool]:
    depended_on = {dep.asset_key for spec in graph.specs.values() for dep in spec.deps}
    depended_on.update(
        dep.asset_key for check in graph.check_specs.values() for dep in check.additional_deps
    )
    return lambda key: key in graph.specs or key in depended_on


def _of(
    condition: Any,
    whose: str,
    source: sources.SourcePosition | None,
    known: Callable[[keys.AssetKey], bool] | None,
) -> Iterator[Found]:
    try:
        node = automation_conditions.data_of(condition, f"the {whose}")
    except errors.InvalidDefinitionError as error:
        yield str(error), source
        return
    if node is None:
        return
    if conditions.depth(node) > conditions.DEPTH_MAX:
        message = (
            f"The condition of the {whose} has {conditions.depth(node)} levels, and more than"
            f" {conditions.DEPTH_MAX} cannot be sent. Write it with fewer parts within parts."
        )
        yield message, source
    if known is None:
        return
    if any(
        isinstance(one, conditions.AnyJobRoots | conditions.AllJobRoots)
        for one in conditions.walk(node)
    ):
        message = (
            f"The condition of the {whose} asks for the root assets of a job, which only jobs have."
            " Give it to define_asset_job(automation_condition=...), or use any_deps_match."
        )
        yield message, source
    for unknown in sorted({key for key in _named(node) if not known(key)}):
        message = (
            f"The condition of the {whose} allows or ignores the asset"
            f" {unknown.to_user_string()!r}, which the definitions neither hold nor depend on: it"
            " can mean no dependency. Correct the key."
        )
        yield message, source


def _named(node: conditions.Condition) -> Iterator[keys.AssetKey]:
    """Yield the assets that parts about the dependencies of the target allow or ignore by key."""
    if isinstance(node, conditions.AnyDeps | conditions.AllDeps):
        for selection in (node.allow, node.ignore):
            yield from _named_in(selection)
    elif isinstance(node, _OF_THE_TARGET):
        for child in node.children:
            yield from _named(child)


def _named_in(selection: selections.Selection | None) -> Iterator[keys.AssetKey]:
    if isinstance(selection, selections.Keys):
        yield from map(keys.AssetKey, selection.paths)
    elif isinstance(selection, selections.Either | selections.Both):
        for operand in selection.operands:
            yield from _named_in(operand)
    elif isinstance(selection, selections.Without):
        yield from _named_in(selection.left)
        yield from _named_in(selection.right)

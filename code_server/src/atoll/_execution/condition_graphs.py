"""The definitions of one location as the graph that conditions are evaluated over.

Called by `evaluate_automation_conditions`. The host makes its own graph, of all locations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from atoll._conditions import entities, graph
from atoll._definitions import (
    asset_checks,
    automation_conditions,
    condition_entities,
    definitions,
    jobs,
    keys,
    specs,
)
from atoll._definitions import assets as asset_definitions


def of_definitions(defined: definitions.Definitions) -> graph.Graph:
    """Return the graph of a location.

    Args:
        defined: Its definitions.

    Raises:
        InvalidDefinitionError: Something has a condition that is none.
    """
    return graph.Graph(_nodes(defined))


def _nodes(defined: definitions.Definitions) -> Iterator[graph.Node]:
    known = defined.graph
    for key, spec in known.specs.items():
        yield _asset(key, spec, known.get(key))
    for check_key, check in known.check_specs.items():
        yield _check(check_key, check, known.get_check(check_key))
    for job in defined.resolve_all_job_defs():
        if job.automation_condition is not None:
            yield _job(job)


def _asset(
    key: keys.AssetKey, spec: specs.AssetSpec, made_by: asset_definitions.AssetsDefinition | None
) -> graph.Node:
    entity = condition_entities.entity_of(key)
    return graph.Node(
        entity=entity,
        condition=automation_conditions.data_of(spec.automation_condition, f"the asset {key}"),
        partitions_def=spec.partitions_def,
        upstream=_upstream(spec.deps),
        code_version=spec.code_version,
        materializable=made_by is not None and made_by.is_materializable,
        unit=_unit(made_by),
        group_name=spec.group_name or specs.DEFAULT_GROUP_NAME,
        tags=spec.tags,
        owners=spec.owners,
        kinds=spec.kinds,
    )


def _check(
    key: keys.AssetCheckKey,
    check: asset_checks.AssetCheckSpec,
    made_by: asset_definitions.AssetsDefinition | None,
) -> graph.Node:
    return graph.Node(
        entity=condition_entities.entity_of(key),
        condition=automation_conditions.data_of(check.automation_condition, f"the check {key}"),
        partitions_def=check.partitions_def,
        upstream={entities.asset(key.asset_key.path): None, **_upstream(check.additional_deps)},
        blocking=check.blocking,
        unit=_unit(made_by),
    )


def _job(job: jobs.JobDefinition) -> graph.Node:
    return graph.Node(
        entity=entities.job("", job.name),
        condition=automation_conditions.data_of(job.automation_condition, f"the job {job.name!r}"),
        partitions_def=job.partitions_def,
        upstream=dict.fromkeys(entities.asset(key.path) for key in job.asset_keys),
    )


def _upstream(deps: Any) -> Mapping[entities.Entity, Any]:
    return {entities.asset(dep.asset_key.path): dep.partition_mapping for dep in deps}


def _unit(made_by: asset_definitions.AssetsDefinition | None) -> frozenset[entities.Entity]:
    if made_by is None or made_by.can_subset:
        return frozenset()
    every = {condition_entities.entity_of(key) for key in made_by.keys}
    every |= {condition_entities.entity_of(key) for key in made_by.check_keys}
    return frozenset(every) if len(every) > 1 else frozenset()

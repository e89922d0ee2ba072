"""The plan of a run: its steps in order, with their validated config.

Called by `runs` before anything of the user's is called, so that a run with a bad
selection or bad configuration fails before its first step.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from atoll._definitions import (
    asset_graph,
    assets,
    config_contract,
    definitions,
    errors,
    job_config,
    jobs,
    keys,
    runs,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        key: The key of the step: the op name of its assets.
        assets_def: The assets that it materializes, and their function.
        config: The validated config, None where the function takes none.
        op_config: The plain config, as given.
        upstream_keys: The assets of earlier steps that it depends on, by step.
    """

    key: str
    assets_def: assets.AssetsDefinition
    config: config_contract.ConfigClass | None
    op_config: Mapping[str, Any]
    upstream_keys: Mapping[keys.AssetKey, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        job: The job.
        steps: The steps in order.
        asset_keys: The assets that the run is to materialize.
        run_config: The plain run configuration in force.
    """

    job: jobs.JobDefinition
    steps: tuple[Step, ...]
    asset_keys: frozenset[keys.AssetKey]
    run_config: Mapping[str, Any]


def plan(defs: definitions.Definitions, run: runs.Run) -> Plan:
    """Plan a run.

    Args:
        defs: The definitions of the location.
        run: The run.

    Returns:
        The plan.

    Raises:
        InvariantViolationError: There is no such job.
        InvalidSubsetError: The run selects assets that the job does not hold.
        InvalidConfigError: The run configuration does not fit.
        InvalidDefinitionError: The assets depend on each other in a circle.
    """
    job = defs.get_job_def(run.job_name)
    selected = _selected(job, run)
    config = dict(run.run_config) or job.run_config or {}
    ops = job_config.checked_ops(config, job)
    ordered = asset_graph.in_order(job.graph.definitions_of(sorted(selected)))
    makers = {key: one.op_name for one in ordered for key in one.keys}
    steps = tuple(_step(one, ops, makers) for one in ordered)
    return Plan(job, steps, selected, config)


def _selected(job: jobs.JobDefinition, run: runs.Run) -> frozenset[keys.AssetKey]:
    if not run.asset_selection:
        return job.asset_keys
    foreign = run.asset_selection - job.asset_keys
    if foreign:
        raise errors.InvalidSubsetError(
            f"The run selects {keys.in_words(foreign)}, which the job {job.name!r} does not "
            "materialize. "
            f"It materializes {keys.in_words(job.asset_keys) or 'nothing'}."
        )
    return run.asset_selection


def _step(
    one: assets.AssetsDefinition,
    ops: Mapping[str, Any],
    makers: Mapping[keys.AssetKey, str],
) -> Step:
    values = ops.get(one.op_name, {})
    config = job_config.config_of(one, values)
    upstream = {
        key: makers[key] for key in one.dependency_keys if key in makers and key not in one.keys
    }
    return Step(one.op_name, one, config, values, upstream)

"""Which IO manager loads an input or stores an output, and with which config.

Called by the planning, which checks the config, and by the loading and storing, which pass it on.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from atoll import errors
from atoll._definitions import config_contract, io_config, keys, specs
from atoll._definitions.nodes import ins_and_outs
from atoll._execution import planning, step_sources


def output_manager_key(step: planning.Step, output: planning.StepOutput) -> str:
    """Return the resource key of the IO manager that stores an output.

    Args:
        step: The step.
        output: Its output.
    """
    one, key = step.assets_def, output.asset_key
    if key is not None and one is not None and key in one.keys:
        return one.io_manager_key_of(key)
    return output.definition.io_manager_key


def asset_manager_key(
    plan: planning.Plan, key: keys.AssetKey, spec: specs.AssetSpec | None = None
) -> str:
    """Return the resource key of the IO manager that loads an asset.

    Args:
        plan: The plan of the run.
        key: The asset.
        spec: What is known of an asset that is made elsewhere.
    """
    if not plan.graph.has_executable(key) and spec is not None:
        told = spec.metadata.get(specs.IO_MANAGER_KEY_METADATA)
        if told is not None:
            return str(told.value)
    return plan.graph.io_manager_key_of(key)


def source_manager_key(
    plan: planning.Plan,
    definition: ins_and_outs.InputDefinition,
    source: step_sources.FromStep | step_sources.FromCollected | step_sources.FromEarlierRun,
) -> str:
    """Return the resource key of what loads an output of another step for an input.

    Args:
        plan: The plan of the run.
        definition: The input.
        source: The output.
    """
    if definition.input_manager_key is not None:
        return definition.input_manager_key
    step = plan.maker_of(source.step_key)
    for output in step.outputs:
        if output.definition.name == source.output_name:
            return output_manager_key(step, output)
    return step.op.outputs_by_name[source.output_name].io_manager_key


def input_config(step: planning.Step, name: str, field: config_contract.ConfigField | None) -> Any:
    """Return the config that an input is loaded with.

    Args:
        step: The step.
        name: The input.
        field: What its IO manager takes.

    Raises:
        InvalidConfigError: It does not fit.
    """
    plain, path = step.config.of_input(name)
    return None if field is None else field.resolve(plain, path)


def output_config(step: planning.Step, name: str, resources: Mapping[str, Any], key: str) -> Any:
    """Return the config that an output is stored with.

    Args:
        step: The step.
        name: The output.
        resources: What users gave as resources, by key.
        key: The resource that stores.

    Raises:
        InvalidConfigError: It does not fit.
    """
    field = io_config.output_field(resources, key)
    plain, path = step.config.of_output(name)
    return None if field is None else field.resolve(plain, path)


def check(plan: planning.Plan) -> None:
    """Check what run configuration says of the inputs and outputs of the steps.

    Args:
        plan: The plan of the run.

    Raises:
        InvalidConfigError: It does not fit, or an IO manager takes none.
    """
    resources = _resources(plan)
    for step in plan.steps:
        for one in step.inputs:
            if not one.config_is_value:
                plain, path = step.config.of_input(one.definition.name)
                for key in _loading_keys(plan, one.definition, one.source):
                    _check(io_config.input_field(resources, key), plain, path, key)
        for output in step.outputs:
            if output.check is None and output.is_selected:
                plain, path = step.config.of_output(output.definition.name)
                key = output_manager_key(step, output)
                _check(io_config.output_field(resources, key), plain, path, key)


def _resources(plan: planning.Plan) -> Mapping[str, Any]:
    found: dict[str, Any] = dict(plan.job.resources)
    for one in plan.graph.every_def:
        found.update(one.resource_defs)
    return {**found, **plan.job.resource_defs}


def _loading_keys(
    plan: planning.Plan,
    definition: ins_and_outs.InputDefinition,
    source: step_sources.Source,
) -> Iterator[str]:
    if definition.input_manager_key is not None:
        yield definition.input_manager_key
    elif isinstance(source, step_sources.FromAsset):
        yield asset_manager_key(plan, source.asset_key)
    elif isinstance(
        source, (step_sources.FromStep, step_sources.FromCollected, step_sources.FromEarlierRun)
    ):
        yield source_manager_key(plan, definition, source)
    elif isinstance(source, step_sources.FromSeveral):
        for member in source.members:
            yield from _loading_keys(plan, definition, member)


def _check(
    field: config_contract.ConfigField | None,
    plain: Any,
    path: tuple[str, ...],
    manager_key: str,
) -> None:
    if field is not None:
        field.check(plain, path)
    elif plain not in (config_contract.NOT_GIVEN, None, {}):
        what = path[-2].removesuffix("s")
        raise errors.InvalidConfigError(
            f"At {'/'.join(path)}: {manager_key!r} takes no config for this {what}, got {plain!r}. "
            f"Give its definition an {what}_config_schema, or leave this out.",
            path,
            plain,
        )

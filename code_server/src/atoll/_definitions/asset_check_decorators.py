"""The `asset_check` and `multi_asset_check` decorators: checks of assets, of any location.

Called by users. A check runs in the location that defines it, whoever makes the asset.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import (
    annotations,
    asset_checks,
    asset_functions,
    asset_ins_and_outs,
    assets,
    keys,
    parameters,
    sources,
)
from atoll._definitions import metadata as metadata_values
from atoll._definitions import specs as spec_module
from atoll._definitions.nodes import ins_and_outs, retries

CheckFunction = Callable[..., Any]


def asset_check(
    *,
    asset: spec_module.CoercibleToAssetDep,
    name: str | None = None,
    description: str | None = None,
    blocking: bool = False,
    additional_ins: asset_functions.Ins | None = None,
    additional_deps: Iterable[spec_module.CoercibleToAssetDep] | None = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    config_schema: Any = None,
    compute_kind: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    retry_policy: retries.RetryPolicy | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    automation_condition: Any = None,
    pool: str | None = None,
    partitions_def: Any = None,
) -> Callable[[CheckFunction], assets.AssetChecksDefinition]:
    """Make a check of an asset out of a function.

    The function returns an `AssetCheckResult`. A parameter called like the asset, or its first
    parameter beside context, config and resources, receives the value of the asset; without such a
    parameter nothing is loaded.

    Args:
        asset: The asset that it looks at, of this location or of another.
        name: The name of the check; the function's where not given.
        description: What it finds out; the function's docstring where not given.
        blocking: Whether a failed check of severity ERROR stops what is downstream in the run.
        additional_ins: Further assets whose values the function takes, by parameter.
        additional_deps: Further assets that have to come first.
        required_resource_keys: The resources that it takes from `context.resources`.
        resource_defs: Objects that the check brings along for its own resource keys.
        config_schema: What config it takes, where no parameter `config` says so.
        compute_kind: The older name of a kind; becomes a label of the op.
        op_tags: Labels of the op.
        retry_policy: When a failed step is tried again.
        metadata: What to attach to the definition.
        automation_condition: When the host is to evaluate the check by itself.
        pool: The pool whose slots limit how many such steps run at once.
        partitions_def: The partitions that the check is evaluated for.

    Returns:
        A decorator that makes the check.

    Raises:
        InvalidDefinitionError: The function or an option cannot be what it says.

    Example:
        ```
        @asset_check(asset=orders)
        def no_negative_prices(orders: pd.DataFrame) -> AssetCheckResult:
            return AssetCheckResult(passed=bool((orders["price"] >= 0).all()))
        ```
    """
    own_key = spec_module.AssetDep.from_coercible(asset).asset_key

    def decorate(function: CheckFunction) -> assets.AssetChecksDefinition:
        check_name = name or function.__name__
        op_name = f"{own_key.to_python_identifier()}_{check_name}"
        whose = f"the check {op_name!r}"
        ins = dict(additional_ins or {})
        told = parameters.read(function, f"{whose[:1].upper()}{whose[1:]}")
        ins.update(_primary_input(told, own_key, ins))
        inputs = asset_functions.inputs_of(function, whose, told, ins)
        further = [
            dep for dep in inputs.deps if dep.asset_key != own_key
        ] + spec_module.dependencies(additional_deps, own_key)
        spec = asset_checks.AssetCheckSpec(
            check_name,
            asset=own_key,
            description=description or annotations.docstring(function),
            additional_deps=further,
            blocking=blocking,
            metadata=metadata,
            automation_condition=automation_condition,
            partitions_def=partitions_def,
        )
        tags = dict(op_tags or {})
        if compute_kind is not None:
            tags["kind"] = compute_kind
        options = asset_functions.OpOptions(
            config_schema, required_resource_keys, tags, retry_policy, None, pool
        )
        return _made(function, op_name, told, inputs, (spec,), options, resource_defs=resource_defs)

    return decorate


def multi_asset_check(
    *,
    specs: Sequence[asset_checks.AssetCheckSpec],
    name: str | None = None,
    description: str | None = None,
    can_subset: bool = False,
    compute_kind: str | None = None,
    op_tags: Mapping[str, Any] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    required_resource_keys: Iterable[str] | None = None,
    retry_policy: retries.RetryPolicy | None = None,
    config_schema: Any = None,
    ins: asset_functions.Ins | None = None,
    pool: str | None = None,
) -> Callable[[CheckFunction], assets.AssetChecksDefinition]:
    """Make several checks, of one asset or of several, out of one function.

    Args:
        specs: What the checks are.
        name: The name of the op; the function's where not given.
        description: What the function does.
        can_subset: Whether a run may ask for some of the checks only; the function then looks at
            `context.selected_asset_check_keys`.
        compute_kind: The older name of a kind; becomes a label of the op.
        op_tags: Labels of the op.
        resource_defs: Objects that the checks bring along for their own resource keys.
        required_resource_keys: The resources that it takes from `context.resources`.
        retry_policy: When a failed step is tried again.
        config_schema: What config it takes, where no parameter `config` says so.
        ins: How parameters get the values of assets.
        pool: The pool whose slots limit how many such steps run at once.

    Returns:
        A decorator that makes the checks. The function yields an `AssetCheckResult` for each.

    Raises:
        InvalidDefinitionError: The function or an option cannot be what it says.
    """

    def decorate(function: CheckFunction) -> assets.AssetChecksDefinition:
        op_name = name or function.__name__
        whose = f"the check {op_name!r}"
        told = parameters.read(function, f"{whose[:1].upper()}{whose[1:]}")
        inputs = asset_functions.inputs_of(function, whose, told, ins or {})
        tags = dict(op_tags or {})
        if compute_kind is not None:
            tags["kind"] = compute_kind
        options = asset_functions.OpOptions(
            config_schema, required_resource_keys, tags, retry_policy, None, pool
        )
        if not specs:
            raise errors.InvalidDefinitionError(
                f"The multi-asset check {op_name!r} has no checks. Give it specs."
            )
        made = _made(
            function,
            op_name,
            told,
            inputs,
            specs,
            options,
            resource_defs=resource_defs,
            can_subset=can_subset,
        )
        if description is not None:
            made.op.description = description
        return made

    return decorate


def _primary_input(
    told: parameters.Parameters, own_key: keys.AssetKey, ins: asset_functions.Ins
) -> dict[str, Any]:
    free = [one.name for one in told.inputs if one.name not in ins]
    if not free:
        return {}
    if len(free) > 1 and own_key.path[-1] not in free:
        raise errors.InvalidDefinitionError(
            f"The function of a check of {own_key.to_user_string()!r} takes "
            f"{', '.join(free)}; one of them can be the asset. Name the others in additional_ins."
        )
    primary = own_key.path[-1] if own_key.path[-1] in free else free[0]
    rest = [one for one in free if one != primary]
    if rest:
        raise errors.InvalidDefinitionError(
            f"The function of a check of {own_key.to_user_string()!r} takes {', '.join(rest)} as "
            "well. Name them in additional_ins, or annotate them as resources."
        )
    return {primary: asset_ins_and_outs.AssetIn(own_key)}


def _made(
    function: CheckFunction,
    op_name: str,
    told: parameters.Parameters,
    inputs: asset_functions.Inputs,
    check_specs: Sequence[asset_checks.AssetCheckSpec],
    options: asset_functions.OpOptions,
    *,
    resource_defs: Mapping[str, Any] | None,
    can_subset: bool = False,
) -> assets.AssetChecksDefinition:
    by_output: dict[str, asset_checks.AssetCheckSpec] = {}
    for one in check_specs:
        output = one.get_python_identifier()
        if output in by_output:
            raise errors.InvalidDefinitionError(
                f"{op_name!r} evaluates the check {one.key.to_user_string()!r} twice. Rename one "
                "of them."
            )
        by_output[output] = one
    return assets.AssetChecksDefinition(
        keys_by_input_name=inputs.keys,
        keys_by_output_name={},
        node_def=asset_functions.make_op(
            function,
            ins_and_outs.checked_name(op_name, "a check"),
            told,
            inputs.definitions,
            [ins_and_outs.OutputDefinition(name) for name in by_output],
            options,
        ),
        specs=(),
        check_specs_by_output_name=by_output,
        resource_defs=resource_defs,
        can_subset=can_subset,
        source=sources.of_function(function),
    )

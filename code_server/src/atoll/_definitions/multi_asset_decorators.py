"""The `multi_asset` decorator: makes several assets of one function.

Called by users.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import (
    annotations,
    asset_checks,
    asset_decorator,
    asset_functions,
    asset_ins_and_outs,
    assets,
    inline_checks,
    keys,
    parameters,
    sources,
)
from atoll._definitions import specs as spec_module
from atoll._definitions.nodes import hooks as hook_definitions
from atoll._definitions.nodes import ins_and_outs, retries

AssetFunction = Callable[..., Any]


class MultiOptions(records.Record):
    """What a decorator of several assets was given.

    Attributes:
        name: The name of the op; the function's where None.
        ins: How parameters get their values.
        outs: The outputs by name, whose values are stored.
        specs: What the assets are, where no values are stored.
        deps: Assets that have to come first.
        internal_asset_deps: The dependencies of single outputs, by output.
        partitions_def: The partitions of all the assets.
        group_name: The group of all the assets.
        check_specs: The checks that the function evaluates too.
        can_subset: Whether a run may ask for some of them only.
        op: What was given about the op itself.
        resource_defs: Objects that the assets bring along.
        backfill_policy: How many partitions one run of a backfill takes.
        hooks: What is called after the steps.
        execution_type: What running the function means.
    """

    name: str | None
    ins: asset_functions.Ins
    outs: Mapping[str, asset_ins_and_outs.AssetOut] | None
    specs: Sequence[spec_module.AssetSpec] | None
    deps: Iterable[spec_module.CoercibleToAssetDep] | None
    internal_asset_deps: Mapping[str, AbstractSet[keys.AssetKey]] | None
    partitions_def: Any
    group_name: str | None
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None
    can_subset: bool
    op: asset_functions.OpOptions
    resource_defs: Mapping[str, Any] | None = None
    backfill_policy: Any = None
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None
    execution_type: assets.AssetExecutionType = assets.AssetExecutionType.MATERIALIZATION


def multi_asset(
    *,
    outs: Mapping[str, asset_ins_and_outs.AssetOut] | None = None,
    name: str | None = None,
    ins: asset_functions.Ins | None = None,
    deps: Iterable[spec_module.CoercibleToAssetDep] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    internal_asset_deps: Mapping[str, AbstractSet[keys.AssetKey]] | None = None,
    partitions_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    backfill_policy: Any = None,
    op_tags: Mapping[str, Any] | None = None,
    can_subset: bool = False,
    resource_defs: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    retry_policy: retries.RetryPolicy | None = None,
    code_version: str | None = None,
    specs: Sequence[spec_module.AssetSpec] | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    pool: str | None = None,
    allow_arbitrary_check_specs: bool = False,
    **unsupported: Any,
) -> Callable[[AssetFunction], assets.AssetsDefinition]:
    """Make several assets of one function.

    Give either `outs`, whose values the function returns as a tuple or yields and an IO manager
    stores; or `specs`, of assets that the function stores itself.

    Args:
        outs: The outputs by name.
        name: The name of the op; the function's where not given.
        ins: How parameters get their values, where their names do not say.
        deps: Assets that have to come first and whose values are not loaded.
        description: What the function does.
        config_schema: What config it takes, where no parameter `config` says so.
        required_resource_keys: The resources that it takes from `context.resources`.
        internal_asset_deps: By output, the assets that it depends on, where that is not all of
            the inputs; outputs of this function among them.
        partitions_def: The partitions of all the assets.
        hooks: What is called after its steps.
        backfill_policy: How many partitions one run of a backfill takes.
        op_tags: Labels of the op.
        can_subset: Whether a run may ask for some of the assets only; the function then looks at
            `context.selected_asset_keys`.
        resource_defs: Objects that the assets bring along for their own resource keys.
        group_name: The group of all the assets.
        retry_policy: When a failed step is tried again.
        code_version: The version of the code.
        specs: What the assets are.
        check_specs: The checks that the function evaluates too.
        pool: The pool whose slots limit how many such steps run at once.
        allow_arbitrary_check_specs: Whether checks may look at assets that are not made here.
        unsupported: Refused by name.

    Returns:
        A decorator that makes the assets.

    Raises:
        InvalidDefinitionError: The options do not fit together.

    Example:
        ```
        @multi_asset(specs=[AssetSpec("orders"), AssetSpec("customers", deps=["orders"])])
        def import_shop():
            yield MaterializeResult("orders")
            yield MaterializeResult("customers")
        ```
    """
    asset_decorator.refuse("multi_asset", unsupported)
    del allow_arbitrary_check_specs  # checks of other assets are never refused here
    options = MultiOptions(
        name=name,
        ins=ins or {},
        outs=outs,
        specs=specs,
        deps=deps,
        internal_asset_deps=internal_asset_deps,
        partitions_def=partitions_def,
        group_name=group_name,
        check_specs=check_specs,
        can_subset=can_subset,
        op=asset_functions.OpOptions(
            config_schema, required_resource_keys, op_tags, retry_policy, code_version, pool
        ),
        resource_defs=resource_defs,
        backfill_policy=backfill_policy,
        hooks=hooks,
    )

    def decorate(function: AssetFunction) -> assets.AssetsDefinition:
        made = make(function, options)
        if description is not None:
            made.op.description = description
        return made

    return decorate


def make(function: AssetFunction, options: MultiOptions) -> assets.AssetsDefinition:
    """Make several assets of one function.

    Args:
        function: The function.
        options: What the decorator was given.

    Raises:
        InvalidDefinitionError: The options do not fit together.
    """
    name = options.name or str(getattr(function, "__name__", ""))
    whose = f"the multi-asset {name!r}"
    if (options.outs is None) == (options.specs is None):
        raise errors.InvalidDefinitionError(
            f"{whose[:1].upper()}{whose[1:]} takes either outs, whose values are stored by an IO "
            "manager, or specs, of assets that the function stores itself. Give one of them."
        )
    told = parameters.read(function, f"{whose[:1].upper()}{whose[1:]}")
    inputs = asset_functions.inputs_of(function, whose, told, options.ins)
    made_specs, by_output, outputs = (
        _from_outs(function, told, inputs, options, name)
        if options.outs is not None
        else _from_specs(inputs, options, name)
    )
    own = tuple(by_output.values())
    checks = inline_checks.by_output_name(options.check_specs, own, name)
    source = sources.of_function(function)
    return assets.AssetsDefinition(
        keys_by_input_name=inputs.keys,
        keys_by_output_name=by_output,
        node_def=asset_functions.make_op(
            function,
            ins_and_outs.checked_name(name, "an op"),
            told,
            inputs.definitions,
            [*outputs, *inline_checks.outputs(checks)],
            options.op,
        ),
        specs=[one.at(source) for one in made_specs],
        check_specs_by_output_name=checks,
        resource_defs=options.resource_defs,
        can_subset=options.can_subset,
        backfill_policy=options.backfill_policy,
        execution_type=options.execution_type,
        stores_itself=options.outs is None,
        hook_defs=options.hooks,
        source=source,
    )


_Made = tuple[
    list[spec_module.AssetSpec], dict[str, keys.AssetKey], list[ins_and_outs.OutputDefinition]
]


def _from_outs(
    function: AssetFunction,
    told: parameters.Parameters,
    inputs: asset_functions.Inputs,
    options: MultiOptions,
    name: str,
) -> _Made:
    outs = options.outs or {}
    by_output = {output: one.resolve_key(output) for output, one in outs.items()}
    _check_unique(name, list(by_output.values()))
    deps = [*inputs.deps, *spec_module.dependencies(options.deps, next(iter(by_output.values())))]
    known = {dep.asset_key for dep in deps} | set(by_output.values())
    internal = _internal(name, options, by_output, known)
    made: list[spec_module.AssetSpec] = []
    outputs: list[ins_and_outs.OutputDefinition] = []
    members = annotations.members_of_tuple(told.returns, function, len(outs))
    only = told.returns if len(outs) == 1 else None
    for (output, one), annotation in zip(outs.items(), members, strict=True):
        key = by_output[output]
        chosen = internal.get(output)
        own_deps = deps if chosen is None else _chosen_deps(deps, chosen)
        spec = one.to_spec(key, own_deps, partitions_def=options.partitions_def)
        made.append(_completed(spec, options, one.code_version))
        outputs.append(
            ins_and_outs.OutputDefinition(
                ins_and_outs.checked_name(output, "an output"),
                annotation if only is None else only,
                function,
                one.to_out(),
            )
        )
    return made, by_output, outputs


def _from_specs(inputs: asset_functions.Inputs, options: MultiOptions, name: str) -> _Made:
    given = list(options.specs or ())
    if not given and not options.check_specs:
        raise errors.InvalidDefinitionError(
            f"The multi-asset {name!r} makes no assets. Give it specs."
        )
    if options.internal_asset_deps is not None:
        raise errors.InvalidDefinitionError(
            f"The multi-asset {name!r} takes specs, which have deps of their own. Leave "
            "internal_asset_deps out."
        )
    _check_unique(name, [one.key for one in given])
    shared = list(inputs.deps)
    if options.deps is not None:
        shared += spec_module.dependencies(options.deps, given[0].key)
    made: list[spec_module.AssetSpec] = []
    by_output: dict[str, keys.AssetKey] = {}
    outputs: list[ins_and_outs.OutputDefinition] = []
    own = {one.key for one in given}
    for spec in given:
        further = [dep for dep in shared if dep.asset_key not in own]
        completed = _completed(spec, options, spec.code_version)
        if further:
            completed = completed.replace_attributes(deps=[*completed.deps, *further])
        made.append(completed)
        output = spec.key.to_python_identifier()
        by_output[output] = spec.key
        outputs.append(
            ins_and_outs.OutputDefinition(
                output, given=ins_and_outs.Out(is_required=not spec.skippable)
            )
        )
    return made, by_output, outputs


def _completed(
    spec: spec_module.AssetSpec, options: MultiOptions, code_version: str | None
) -> spec_module.AssetSpec:
    changes: dict[str, Any] = {}
    if options.group_name is not None:
        if spec.group_name is not None and spec.group_name != options.group_name:
            raise errors.InvalidDefinitionError(
                f"The asset {spec.key.to_user_string()!r} has the group {spec.group_name!r}, and "
                f"its multi-asset the group {options.group_name!r}. Keep one of them."
            )
        changes["group_name"] = options.group_name
    if options.partitions_def is not None and spec.partitions_def is None:
        changes["partitions_def"] = options.partitions_def
    if options.op.code_version is not None and code_version is None:
        changes["code_version"] = options.op.code_version
    return spec.replace_attributes(**changes) if changes else spec


def _internal(
    name: str,
    options: MultiOptions,
    by_output: Mapping[str, keys.AssetKey],
    known: AbstractSet[keys.AssetKey],
) -> Mapping[str, AbstractSet[keys.AssetKey]]:
    given = options.internal_asset_deps or {}
    for output, needed in given.items():
        if output not in by_output:
            raise errors.InvalidDefinitionError(
                f"The internal_asset_deps of {name!r} name the output {output!r}, which it does "
                f"not have; it has {', '.join(by_output)}."
            )
        unknown = set(needed) - known
        if unknown:
            raise errors.InvalidDefinitionError(
                f"The internal_asset_deps of {name!r} let {output!r} depend on "
                f"{keys.in_words(unknown)}, which is neither an input nor an output of it. Name it "
                "in deps or ins."
            )
    return given


def _chosen_deps(
    deps: Sequence[spec_module.AssetDep], chosen: AbstractSet[keys.AssetKey]
) -> list[spec_module.AssetDep]:
    kept = [dep for dep in deps if dep.asset_key in chosen]
    known = {dep.asset_key for dep in kept}
    return [*kept, *(spec_module.AssetDep(key) for key in sorted(chosen - known))]


def _check_unique(name: str, made: Sequence[keys.AssetKey]) -> None:
    for key in made:
        if list(made).count(key) > 1:
            raise errors.InvalidDefinitionError(
                f"The multi-asset {name!r} makes the asset {key.to_user_string()!r} twice. Rename "
                "one of them."
            )

"""The `asset` decorator: makes an asset of a function.

Called by users. Reads the function's signature once; a location may define tens of thousands of
assets, so nothing here is done twice.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, overload

from atoll import errors
from atoll._definitions import (
    annotations,
    asset_checks,
    asset_events,
    asset_functions,
    assets,
    inline_checks,
    keys,
    parameters,
    sources,
    specs,
)
from atoll._definitions import metadata as metadata_values
from atoll._definitions.nodes import hooks as hook_definitions
from atoll._definitions.nodes import ins_and_outs, retries

AssetFunction = Callable[..., Any]


class _Options(NamedTuple):
    """What the decorator was given."""

    name: str | None
    key_prefix: keys.CoercibleToAssetKeyPrefix | None
    key: keys.CoercibleToAssetKey | None
    ins: asset_functions.Ins
    deps: Iterable[specs.CoercibleToAssetDep] | None
    op: asset_functions.OpOptions
    spec: Mapping[str, Any]
    io_manager_def: Any
    io_manager_key: str | None
    resource_defs: Mapping[str, Any] | None
    output_required: bool
    type: Any
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None
    backfill_policy: Any
    hooks: AbstractSet[hook_definitions.HookDefinition] | None


@overload
def asset(compute_fn: AssetFunction, /) -> assets.AssetsDefinition: ...
@overload
def asset(
    *,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    ins: asset_functions.Ins | None = None,
    deps: Iterable[specs.CoercibleToAssetDep] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    type: Any = ins_and_outs.NO_TYPE,
    partitions_def: Any = None,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    automation_condition: Any = None,
    freshness_policy: Any = None,
    backfill_policy: Any = None,
    retry_policy: retries.RetryPolicy | None = None,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    is_virtual: bool = False,
) -> Callable[[AssetFunction], assets.AssetsDefinition]: ...
def asset(
    compute_fn: AssetFunction | None = None,
    /,
    *,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    ins: asset_functions.Ins | None = None,
    deps: Iterable[specs.CoercibleToAssetDep] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    type: Any = ins_and_outs.NO_TYPE,
    partitions_def: Any = None,
    op_tags: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    automation_condition: Any = None,
    freshness_policy: Any = None,
    backfill_policy: Any = None,
    retry_policy: retries.RetryPolicy | None = None,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
    pool: str | None = None,
    is_virtual: bool = False,
    **unsupported: Any,
) -> assets.AssetsDefinition | Callable[[AssetFunction], assets.AssetsDefinition]:
    """Make an asset of a function. Its parameters name the upstream assets whose values it takes.

    Args:
        compute_fn: The function, where the decorator is used without parentheses.
        name: The last part of the key; the function's name where not given.
        key_prefix: Parts of the key before the name.
        ins: How parameters get their values, where their names do not say.
        deps: Assets that have to come first and whose values are not loaded.
        metadata: What to attach to the definition.
        tags: Labels.
        description: What the asset is; the function's docstring where not given.
        config_schema: What config it takes, where no parameter `config` says so.
        required_resource_keys: The resources that the function takes from `context.resources`.
        resource_defs: Objects that the asset brings along for its own resource keys.
        hooks: What is called after its steps.
        io_manager_def: The IO manager of this asset alone.
        io_manager_key: The resource key of its IO manager.
        type: The type of the value; told from the annotation where not given.
        partitions_def: The partitions that the asset consists of.
        op_tags: Labels of the op that computes it.
        group_name: The group that the asset belongs to.
        output_required: Whether it has to give a result; without one, what is below is left out.
        automation_condition: When the host is to materialize it by itself.
        freshness_policy: How old it may become.
        backfill_policy: How many partitions one run of a backfill takes.
        retry_policy: When a failed step is tried again.
        code_version: The version of the code.
        key: The whole key, instead of name and prefix.
        check_specs: The checks that the function evaluates with the asset.
        owners: Who answers for the asset: e-mail addresses or `team:name`.
        kinds: What the asset is made of or with.
        pool: The pool whose slots limit how many such steps run at once.
        is_virtual: Whether it is computed where it is read, such as a view.
        unsupported: Refused by name.

    Returns:
        The asset, or a decorator that makes it.

    Raises:
        UnsupportedParameterError: A parameter that this release does not know.
        InvalidDefinitionError: The function or a parameter cannot be what it says.

    Example:
        ```
        @asset
        def daily_totals(sales: pd.DataFrame) -> pd.DataFrame:
            return sales.groupby("day").sum()
        ```
    """
    refuse("asset", unsupported)
    options = _Options(
        name=name,
        key_prefix=key_prefix,
        key=key,
        ins=ins or {},
        deps=deps,
        op=asset_functions.OpOptions(
            config_schema, required_resource_keys, op_tags, retry_policy, code_version, pool
        ),
        spec={
            "description": description,
            "metadata": metadata,
            "skippable": not output_required,
            "group_name": group_name,
            "code_version": code_version,
            "automation_condition": automation_condition,
            "owners": owners,
            "tags": tags,
            "kinds": kinds,
            "partitions_def": partitions_def,
            "freshness_policy": freshness_policy,
            "is_virtual": is_virtual,
        },
        io_manager_def=io_manager_def,
        io_manager_key=io_manager_key,
        resource_defs=resource_defs,
        output_required=output_required,
        type=type,
        check_specs=check_specs,
        backfill_policy=backfill_policy,
        hooks=hooks,
    )
    decorate = functools.partial(_made, options=options)
    return decorate(compute_fn) if compute_fn is not None else decorate


def _made(function: AssetFunction, options: _Options) -> assets.AssetsDefinition:
    own_key = key_of(function, options.name, options.key_prefix, options.key)
    op_name = keys.op_name_of(own_key)
    whose = f"the asset function {op_name!r}"
    deps = specs.dependencies(options.deps, own_key)
    told = parameters.read(function, f"{whose[:1].upper()}{whose[1:]}")
    inputs = asset_functions.inputs_of(function, whose, told, options.ins)
    asset_functions.check_dependencies(
        f"the asset {op_name!r}", (own_key,), inputs.keys.values(), inputs.deps
    )
    manager_key, resource_defs = asset_functions.io_manager(
        op_name, options.io_manager_def, options.io_manager_key, options.resource_defs
    )
    checks = inline_checks.by_output_name(options.check_specs, (own_key,), op_name)
    outputs = [_output(function, told.returns, manager_key, options)]
    outputs += inline_checks.outputs(checks)
    source = sources.of_function(function)
    spec = specs.AssetSpec.placed(
        source,
        own_key,
        {
            **options.spec,
            "deps": [*inputs.deps, *deps],
            "description": options.spec["description"] or annotations.docstring(function),
        },
    )
    return assets.AssetsDefinition(
        keys_by_input_name=inputs.keys,
        keys_by_output_name={ins_and_outs.DEFAULT_OUTPUT_NAME: own_key},
        node_def=asset_functions.make_op(
            function, op_name, told, inputs.definitions, outputs, options.op
        ),
        specs=(spec,),
        check_specs_by_output_name=checks,
        resource_defs=resource_defs,
        backfill_policy=options.backfill_policy,
        hook_defs=options.hooks,
        source=source,
    )


def _output(
    function: AssetFunction, returned: Any, manager_key: str | None, options: _Options
) -> ins_and_outs.OutputDefinition:
    given: ins_and_outs.Out | None = None
    plain = manager_key is None and options.output_required
    if not plain or options.type is not ins_and_outs.NO_TYPE:
        given = ins_and_outs.Out(
            options.type, is_required=options.output_required, io_manager_key=manager_key
        )
    # What says that nothing is returned says nothing about a value.
    if annotations.is_none(returned) or annotations.names_class(
        returned, asset_events.MaterializeResult
    ):
        returned = annotations.UNKNOWN
    return ins_and_outs.OutputDefinition(
        ins_and_outs.DEFAULT_OUTPUT_NAME, returned, function, given
    )


def refuse(decorator: str, unsupported: Mapping[str, Any]) -> None:
    """Refuse parameters that this release does not know.

    Args:
        decorator: The name of the decorator.
        unsupported: The parameters.

    Raises:
        UnsupportedParameterError: There is one.
    """
    for name in unsupported:
        raise errors.UnsupportedParameterError(
            f"{decorator} does not take the parameter {name!r} in this release. Leave it out.", name
        )


def key_of(
    function: AssetFunction,
    name: str | None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None,
    key: keys.CoercibleToAssetKey | None,
) -> keys.AssetKey:
    """Return the key of the asset that a function makes.

    Args:
        function: The function.
        name: The last part of the key; the function's name where not given.
        key_prefix: Parts before the name.
        key: The whole key, instead.

    Raises:
        InvalidDefinitionError: It is no function, or the key was given twice.
    """
    if not callable(function):
        raise errors.InvalidDefinitionError(
            f"asset decorates a function, got {function!r}. Give options by name: @asset(name=...)."
        )
    if key is not None:
        if name is not None or key_prefix is not None:
            raise errors.InvalidDefinitionError(
                f"asset takes either key or name and key_prefix, got key={key!r}, name={name!r}, "
                f"key_prefix={key_prefix!r}."
            )
        return keys.AssetKey.from_coercible(key)
    own_name = name or str(getattr(function, "__name__", ""))
    return keys.AssetKey((*keys.prefix_parts(key_prefix), own_name))

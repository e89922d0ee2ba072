"""The `graph_asset` and `graph_multi_asset` decorators: assets that several ops compute together.

Called by users.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, overload

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
    sources,
    specs,
)
from atoll._definitions import metadata as metadata_values
from atoll._definitions.nodes import graph, graph_decorator
from atoll._definitions.nodes import hooks as hook_definitions

GraphFunction = Callable[..., Any]


@overload
def graph_asset(compose_fn: GraphFunction, /) -> assets.AssetsDefinition: ...
@overload
def graph_asset(
    *,
    name: str | None = None,
    description: str | None = None,
    ins: asset_functions.Ins | None = None,
    config: Any = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    group_name: str | None = None,
    partitions_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    resource_defs: Mapping[str, Any] | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    kinds: Iterable[str] | None = None,
) -> Callable[[GraphFunction], assets.AssetsDefinition]: ...
def graph_asset(
    compose_fn: GraphFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    ins: asset_functions.Ins | None = None,
    config: Any = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    group_name: str | None = None,
    partitions_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    owners: Sequence[str] | None = None,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    resource_defs: Mapping[str, Any] | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    kinds: Iterable[str] | None = None,
    **unsupported: Any,
) -> assets.AssetsDefinition | Callable[[GraphFunction], assets.AssetsDefinition]:
    """Make an asset of a function that calls ops; each op is a step of its own.

    The parameters of the function name the upstream assets; it returns the output of the op that
    is the asset.

    Args:
        compose_fn: The function, where the decorator is used without parentheses.
        name: The last part of the key; the function's name where not given.
        description: What the asset is; the function's docstring where not given.
        ins: How parameters get their values, where their names do not say.
        config: A config mapping, or plain config for the ops.
        key_prefix: Parts of the key before the name.
        group_name: The group that the asset belongs to.
        partitions_def: The partitions that the asset consists of.
        hooks: What is called after each of its steps.
        metadata: What to attach to the definition.
        tags: Labels.
        owners: Who answers for the asset.
        automation_condition: When the host is to materialize it by itself.
        backfill_policy: How many partitions one run of a backfill takes.
        resource_defs: Objects that the asset brings along for its own resource keys.
        check_specs: The checks that ops of the graph evaluate; the function returns their outputs
            too, in a dict by name.
        code_version: The version of the code.
        key: The whole key, instead of name and prefix.
        kinds: What the asset is made of or with.
        unsupported: Refused by name.

    Returns:
        The asset, or a decorator that makes it.

    Raises:
        InvalidDefinitionError: The function or an option cannot be what it says.
    """
    asset_decorator.refuse("graph_asset", unsupported)

    def decorate(function: GraphFunction) -> assets.AssetsDefinition:
        own_key = asset_decorator.key_of(function, name, key_prefix, key)
        op_name = keys.op_name_of(own_key)
        checks = inline_checks.by_output_name(check_specs, (own_key,), op_name)
        made = graph_decorator.compose(
            function, op_name, out=_outs(("result", *checks)) if checks else None, config=config
        )
        if set(made.outputs) != {"result", *checks}:
            raise errors.InvalidDefinitionError(
                f"The graph asset {op_name!r} returns the output of the op that is the asset"
                f"{' and those of its checks' if checks else ''}; it returned "
                f"{', '.join(made.outputs) or 'nothing'}."
            )
        inputs = _inputs(made, ins or {})
        spec = specs.AssetSpec(
            own_key,
            deps=inputs.deps,
            description=description or annotations.docstring(function),
            metadata=metadata,
            group_name=group_name,
            code_version=code_version,
            automation_condition=automation_condition,
            owners=owners,
            tags=tags,
            kinds=kinds,
            partitions_def=partitions_def,
        )
        source = sources.of_function(function)
        return assets.AssetsDefinition(
            keys_by_input_name=inputs.keys,
            keys_by_output_name={"result": own_key},
            node_def=made,
            specs=(spec.at(source),),
            check_specs_by_output_name=checks,
            resource_defs=resource_defs,
            backfill_policy=backfill_policy,
            hook_defs=hooks,
            source=source,
        )

    return decorate(compose_fn) if compose_fn is not None else decorate


def graph_multi_asset(
    *,
    outs: Mapping[str, asset_ins_and_outs.AssetOut],
    name: str | None = None,
    ins: asset_functions.Ins | None = None,
    partitions_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    backfill_policy: Any = None,
    group_name: str | None = None,
    can_subset: bool = False,
    resource_defs: Mapping[str, Any] | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    config: Any = None,
    **unsupported: Any,
) -> Callable[[GraphFunction], assets.AssetsDefinition]:
    """Make several assets of a function that calls ops.

    Args:
        outs: The assets by output; the function returns a dict with these names, or a tuple.
        name: The name of the graph; the function's where not given.
        ins: How parameters get their values, where their names do not say.
        partitions_def: The partitions of all the assets.
        hooks: What is called after each of its steps.
        backfill_policy: How many partitions one run of a backfill takes.
        group_name: The group of all the assets.
        can_subset: Whether a run may ask for some of the assets only.
        resource_defs: Objects that the assets bring along for their own resource keys.
        check_specs: The checks that ops of the graph evaluate.
        config: A config mapping, or plain config for the ops.
        unsupported: Refused by name.

    Returns:
        A decorator that makes the assets.

    Raises:
        InvalidDefinitionError: The function or an option cannot be what it says.
    """
    asset_decorator.refuse("graph_multi_asset", unsupported)

    def decorate(function: GraphFunction) -> assets.AssetsDefinition:
        own_name = name or function.__name__
        by_output = {output: one.resolve_key(output) for output, one in outs.items()}
        checks = inline_checks.by_output_name(check_specs, by_output.values(), own_name)
        made = graph_decorator.compose(
            function, own_name, out=_outs((*outs, *checks)), config=config
        )
        inputs = _inputs(made, ins or {})
        source = sources.of_function(function)
        made_specs = [
            one.to_spec(by_output[output], inputs.deps, partitions_def=partitions_def).at(source)
            for output, one in outs.items()
        ]
        if group_name is not None:
            made_specs = [one.replace_attributes(group_name=group_name) for one in made_specs]
        return assets.AssetsDefinition(
            keys_by_input_name=inputs.keys,
            keys_by_output_name=by_output,
            node_def=made,
            specs=made_specs,
            check_specs_by_output_name=checks,
            resource_defs=resource_defs,
            can_subset=can_subset,
            backfill_policy=backfill_policy,
            hook_defs=hooks,
            source=source,
        )

    return decorate


def _outs(names: Iterable[str]) -> dict[str, Any]:
    return dict.fromkeys(names)


def _inputs(made: graph.GraphDefinition, ins: asset_functions.Ins) -> asset_functions.Inputs:
    by_input: dict[str, keys.AssetKey] = {}
    deps: list[specs.AssetDep] = []
    names = [one.name for one in made.input_definitions]
    unknown = set(ins) - set(names)
    if unknown:
        raise errors.InvalidDefinitionError(
            f"The ins of the graph asset {made.name!r} name {', '.join(sorted(unknown))}, but the "
            "function has no such parameter."
        )
    for name in names:
        chosen = asset_ins_and_outs.AssetIn.from_coercible(ins.get(name) or keys.AssetKey((name,)))
        by_input[name] = chosen.resolve_key(name)
        deps.append(specs.AssetDep(by_input[name], partition_mapping=chosen.partition_mapping))
    return asset_functions.Inputs(made.input_definitions, by_input, deps)

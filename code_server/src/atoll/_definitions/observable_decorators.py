"""Observable source assets: made elsewhere, and looked at by a function of this location.

Called by users. The function tells the data version of what it sees, or reports observations.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from atoll._definitions import (
    annotations,
    asset_checks,
    asset_decorator,
    asset_functions,
    assets,
    keys,
    multi_asset_decorators,
    parameters,
    sources,
)
from atoll._definitions import metadata as metadata_values
from atoll._definitions import specs as spec_module
from atoll._definitions.nodes import ins_and_outs

ObserveFunction = Callable[..., Any]


@overload
def observable_source_asset(observe_fn: ObserveFunction, /) -> assets.AssetsDefinition: ...
@overload
def observable_source_asset(
    *,
    key: keys.CoercibleToAssetKey | None = None,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    io_manager_key: str | None = None,
    io_manager_def: Any = None,
    description: str | None = None,
    group_name: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    partitions_def: Any = None,
    automation_condition: Any = None,
    freshness_policy: Any = None,
    op_tags: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Callable[[ObserveFunction], assets.AssetsDefinition]: ...
def observable_source_asset(
    observe_fn: ObserveFunction | None = None,
    /,
    *,
    key: keys.CoercibleToAssetKey | None = None,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    io_manager_key: str | None = None,
    io_manager_def: Any = None,
    description: str | None = None,
    group_name: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    partitions_def: Any = None,
    automation_condition: Any = None,
    freshness_policy: Any = None,
    op_tags: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    **unsupported: Any,
) -> assets.AssetsDefinition | Callable[[ObserveFunction], assets.AssetsDefinition]:
    """Make an asset that is made elsewhere and observed by a function of this location.

    Args:
        observe_fn: The function, where the decorator is used without parentheses. It returns a
            `DataVersion`, a `DataVersionsByPartition` or an `ObserveResult`.
        key: The whole key, instead of name and prefix.
        name: The last part of the key; the function's name where not given.
        key_prefix: Parts of the key before the name.
        metadata: What to attach to the definition.
        io_manager_key: The resource key of the IO manager that loads its value.
        io_manager_def: The IO manager that loads its value.
        description: What the asset is; the function's docstring where not given.
        group_name: The group that the asset belongs to.
        required_resource_keys: The resources that the function takes from `context.resources`.
        resource_defs: Objects that the asset brings along for its own resource keys.
        partitions_def: The partitions that the asset consists of.
        automation_condition: When the host is to observe it by itself.
        freshness_policy: How old it may become.
        op_tags: Labels of the op.
        tags: Labels of the asset.
        unsupported: Refused by name.

    Returns:
        The asset, or a decorator that makes it.
    """
    asset_decorator.refuse("observable_source_asset", unsupported)

    def decorate(function: ObserveFunction) -> assets.AssetsDefinition:
        own_key = asset_decorator.key_of(function, name, key_prefix, key)
        op_name = keys.op_name_of(own_key)
        told = parameters.read(function, f"The observable asset {op_name!r}")
        inputs = asset_functions.inputs_of(function, f"{op_name!r}", told, {})
        manager, brought = asset_functions.io_manager(
            op_name, io_manager_def, io_manager_key, resource_defs
        )
        spec = spec_module.AssetSpec(
            own_key,
            deps=inputs.deps,
            description=description or annotations.docstring(function),
            metadata=metadata,
            group_name=group_name,
            automation_condition=automation_condition,
            partitions_def=partitions_def,
            freshness_policy=freshness_policy,
            tags=tags,
        )
        source = sources.of_function(function)
        output = ins_and_outs.OutputDefinition(
            given=None if manager is None else ins_and_outs.Out(io_manager_key=manager)
        )
        return assets.AssetsDefinition(
            keys_by_input_name=inputs.keys,
            keys_by_output_name={output.name: own_key},
            node_def=asset_functions.make_op(
                function,
                op_name,
                told,
                inputs.definitions,
                [output],
                asset_functions.OpOptions(
                    required_resource_keys=required_resource_keys, tags=op_tags
                ),
            ),
            specs=(spec.at(source),),
            resource_defs=brought,
            execution_type=assets.AssetExecutionType.OBSERVATION,
            source=source,
        )

    return decorate(observe_fn) if observe_fn is not None else decorate


def multi_observable_source_asset(
    *,
    specs: Sequence[spec_module.AssetSpec],
    name: str | None = None,
    description: str | None = None,
    partitions_def: Any = None,
    can_subset: bool = False,
    required_resource_keys: Iterable[str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    group_name: str | None = None,
    check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
    **unsupported: Any,
) -> Callable[[ObserveFunction], assets.AssetsDefinition]:
    """Make several assets that are made elsewhere and observed by one function.

    Args:
        specs: What the assets are.
        name: The name of the op; the function's where not given.
        description: What the function does.
        partitions_def: The partitions of all the assets.
        can_subset: Whether a run may ask for some of them only.
        required_resource_keys: The resources that the function takes from `context.resources`.
        resource_defs: Objects that the assets bring along for their own resource keys.
        group_name: The group of all the assets.
        check_specs: The checks that the function evaluates too.
        unsupported: Refused by name.

    Returns:
        A decorator that makes the assets. The function yields an `ObserveResult` for each.
    """
    asset_decorator.refuse("multi_observable_source_asset", unsupported)

    def decorate(function: ObserveFunction) -> assets.AssetsDefinition:
        made = multi_asset_decorators.make(
            function,
            multi_asset_decorators.MultiOptions(
                name=name,
                ins={},
                outs=None,
                specs=specs,
                deps=None,
                internal_asset_deps=None,
                partitions_def=partitions_def,
                group_name=group_name,
                check_specs=check_specs,
                can_subset=can_subset,
                op=asset_functions.OpOptions(required_resource_keys=required_resource_keys),
                resource_defs=resource_defs,
                execution_type=assets.AssetExecutionType.OBSERVATION,
            ),
        )
        if description is not None:
            made.op.description = description
        return made

    return decorate

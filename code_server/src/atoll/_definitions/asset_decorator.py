"""The `asset` decorator: makes an asset of a function.

Called by users. Reads the function's signature once; a location may define tens of thousands of
assets, so nothing here is done twice.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, overload

from atoll._definitions import (
    annotations,
    asset_events,
    assets,
    config_contract,
    errors,
    keys,
    sources,
    specs,
)
from atoll._definitions import metadata as metadata_values

_CONTEXT_NAMES = ("context", "_context", "_", "__")
_CONFIG_NAME = "config"
AssetFunction = Callable[..., Any]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class _Options:
    """What the decorator was given about how the function is called."""

    ins: Mapping[str, assets.AssetIn | keys.CoercibleToAssetKey]
    deps: Sequence[specs.AssetDep]
    io_manager_key: str
    output_required: bool
    required_resource_keys: frozenset[str]
    resource_defs: Mapping[str, Any]


@overload
def asset(compute_fn: AssetFunction, /) -> assets.AssetsDefinition: ...
@overload
def asset(
    *,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    ins: Mapping[str, assets.AssetIn | keys.CoercibleToAssetKey] | None = None,
    deps: Iterable[specs.CoercibleToAssetDep] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
) -> Callable[[AssetFunction], assets.AssetsDefinition]: ...
def asset(
    compute_fn: AssetFunction | None = None,
    /,
    *,
    name: str | None = None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None = None,
    ins: Mapping[str, assets.AssetIn | keys.CoercibleToAssetKey] | None = None,
    deps: Iterable[specs.CoercibleToAssetDep] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    tags: Mapping[str, str] | None = None,
    description: str | None = None,
    required_resource_keys: Iterable[str] | None = None,
    io_manager_def: Any = None,
    io_manager_key: str | None = None,
    group_name: str | None = None,
    output_required: bool = True,
    code_version: str | None = None,
    key: keys.CoercibleToAssetKey | None = None,
    owners: Sequence[str] | None = None,
    kinds: Iterable[str] | None = None,
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
        required_resource_keys: The resources that the function takes from `context.resources`.
        io_manager_def: The IO manager of this asset alone.
        io_manager_key: The resource key of its IO manager.
        group_name: The group that the asset belongs to.
        output_required: Whether the function has to give a result. Without one, downstream assets
            are left out.
        code_version: The version of the code.
        key: The whole key, instead of name and prefix.
        owners: Who answers for the asset: e-mail addresses or `team:name`.
        kinds: What the asset is made of or with.
        unsupported: Refused by name.

    Returns:
        The asset, or a decorator that makes it.

    Raises:
        UnsupportedParameterError: A parameter that this release does not know.
        InvalidDefinitionError: The function or a parameter cannot be what it says.
    """
    _refuse(unsupported)
    if io_manager_def is not None and io_manager_key is not None:
        raise errors.InvalidDefinitionError(
            "asset takes either io_manager_def or io_manager_key, got both (key "
            f"{io_manager_key!r})."
        )

    def decorate(function: AssetFunction) -> assets.AssetsDefinition:
        own_key = _key_of(function, name, key_prefix, key)
        manager_key = io_manager_key or assets.DEFAULT_IO_MANAGER_KEY
        resource_defs: dict[str, Any] = {}
        if io_manager_def is not None:
            manager_key = f"{keys.op_name_of(own_key)}__io_manager"
            resource_defs[manager_key] = io_manager_def
        options = _Options(
            ins=ins or {},
            deps=specs.dependencies(deps, own_key),
            io_manager_key=manager_key,
            output_required=output_required,
            required_resource_keys=frozenset(required_resource_keys or ()),
            resource_defs=resource_defs,
        )
        computation = _computation(function, own_key, options)
        loaded = [specs.AssetDep(one.key) for one in computation.inputs]
        spec = specs.AssetSpec(
            own_key,
            deps=[*loaded, *options.deps],
            description=description or _docstring(function),
            metadata=metadata,
            skippable=not output_required,
            group_name=group_name,
            code_version=code_version,
            owners=owners,
            tags=tags,
            kinds=kinds,
        )
        source = sources.of_function(function)
        return assets.AssetsDefinition(
            asset_specs=(spec.at(source),),
            computation=computation,
            source=source,
            resource_defs=resource_defs,
        )

    return decorate(compute_fn) if compute_fn is not None else decorate


def _refuse(unsupported: Mapping[str, Any]) -> None:
    for name in unsupported:
        raise errors.UnsupportedParameterError(
            f"asset does not take the parameter {name!r} in this release. Leave it out.", name
        )


def _key_of(
    function: AssetFunction,
    name: str | None,
    key_prefix: keys.CoercibleToAssetKeyPrefix | None,
    key: keys.CoercibleToAssetKey | None,
) -> keys.AssetKey:
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


def _docstring(function: AssetFunction) -> str | None:
    return inspect.cleandoc(function.__doc__) if function.__doc__ else None


def _computation(
    function: AssetFunction, key: keys.AssetKey, options: _Options
) -> assets.Computation:
    op_name = keys.op_name_of(key)
    signature = inspect.signature(function)
    context_parameter: str | None = None
    config_parameter: str | None = None
    config_class: type[config_contract.ConfigClass] | None = None
    inputs: list[assets.AssetInput] = []
    takes_any = False
    for position, parameter in enumerate(signature.parameters.values()):
        if position == 0 and parameter.name in _CONTEXT_NAMES:
            context_parameter = parameter.name
        elif parameter.kind is parameter.VAR_KEYWORD:
            takes_any = True
        elif parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise errors.InvalidDefinitionError(
                f"The asset function {op_name!r} has the parameter {parameter}, which cannot be "
                "given by name. "
                "Its parameters name the upstream assets."
            )
        elif parameter.name == _CONFIG_NAME and parameter.name not in options.ins:
            config_parameter = parameter.name
            config_class = _config_class(op_name, function, parameter.annotation)
        else:
            inputs.append(_input(parameter.name, parameter.annotation, options))
    inputs += _inputs_by_keyword(
        op_name, options, [one.name for one in inputs], takes_any=takes_any
    )
    _check_dependencies(op_name, key, inputs, options.deps)
    returned = signature.return_annotation
    return assets.Computation(
        function=function,
        op_name=op_name,
        inputs=tuple(inputs),
        outputs=(
            assets.AssetOutput(
                name=asset_events.DEFAULT_OUTPUT_NAME,
                key=key,
                io_manager_key=options.io_manager_key,
                is_required=options.output_required,
            ),
        ),
        context_parameter=context_parameter,
        config_parameter=config_parameter,
        config_class=config_class,
        required_resource_keys=options.required_resource_keys,
        returns_nothing=annotations.is_none(returned),
        returns_result=annotations.names_class(returned, asset_events.MaterializeResult),
    )


def _config_class(
    op_name: str, function: AssetFunction, annotation: Any
) -> type[config_contract.ConfigClass]:
    resolved = annotation
    if isinstance(annotation, str):
        resolved = annotations.resolve(annotation, function, annotations.names_of_definition())
    if isinstance(resolved, type) and issubclass(resolved, config_contract.ConfigClass):
        return resolved
    shown = "nothing" if annotation is annotations.UNKNOWN else repr(annotation)
    raise errors.InvalidDefinitionError(
        f"The parameter 'config' of the asset function {op_name!r} is annotated with {shown}. "
        "Annotate it with a subclass of Config that is known where the function is defined."
    )


def _input(name: str, annotation: Any, options: _Options) -> assets.AssetInput:
    given = options.ins.get(name)
    if given is None:
        return assets.AssetInput(name, keys.AssetKey((name,)), annotation)
    chosen = assets.AssetIn.from_coercible(given)
    return assets.AssetInput(
        name, chosen.resolve_key(name), annotation, chosen.input_manager_key, chosen.metadata
    )


def _inputs_by_keyword(
    op_name: str, options: _Options, known: Sequence[str], *, takes_any: bool
) -> list[assets.AssetInput]:
    rest = [name for name in options.ins if name not in known]
    if rest and not takes_any:
        raise errors.InvalidDefinitionError(
            f"The ins of {op_name!r} name {', '.join(rest)}, but the function has no such "
            "parameter."
        )
    return [_input(name, annotations.UNKNOWN, options) for name in rest]


def _check_dependencies(
    op_name: str,
    key: keys.AssetKey,
    inputs: Sequence[assets.AssetInput],
    deps: Sequence[specs.AssetDep],
) -> None:
    loaded = {one.key for one in inputs}
    if key in loaded:
        raise errors.InvalidDefinitionError(
            f"The asset {op_name!r} takes its own value as a parameter. Rename the parameter."
        )
    both = loaded & {dep.asset_key for dep in deps}
    if both:
        raise errors.InvalidDefinitionError(
            f"The asset {op_name!r} names {keys.in_words(both)} both as a parameter and in deps. "
            "Keep one of them."
        )

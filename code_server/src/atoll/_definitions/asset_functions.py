"""Ops of asset and check functions: which parameter takes the value of which asset.

Called by the decorators of assets and checks. Nothing here is done twice, since a location may
define tens of thousands of assets.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from atoll import errors
from atoll._definitions import (
    annotations,
    asset_ins_and_outs,
    config_contract,
    config_schemas,
    keys,
    parameters,
    specs,
)
from atoll._definitions.nodes import ins_and_outs, op, retries

AssetFunction = Callable[..., Any]
Ins = Mapping[str, asset_ins_and_outs.CoercibleToAssetIn]

_NOTHING: frozenset[str] = frozenset()


class OpOptions(NamedTuple):
    """What a decorator was given about the op itself.

    Attributes:
        config_schema: What config it takes.
        required_resource_keys: The resources that it takes from `context.resources`.
        tags: Labels of the op.
        retry_policy: When a failed step is tried again.
        code_version: The version of the code.
        pool: The pool whose slots limit how many such steps run at once.
    """

    config_schema: Any = None
    required_resource_keys: Iterable[str] | None = None
    tags: Mapping[str, str] | None = None
    retry_policy: retries.RetryPolicy | None = None
    code_version: str | None = None
    pool: str | None = None


class Inputs(NamedTuple):
    """The inputs of an op, and the assets whose values they take.

    Attributes:
        definitions: The inputs in order.
        keys: The upstream assets by input.
        deps: The dependencies that follow from them, in order.
    """

    definitions: Sequence[ins_and_outs.InputDefinition]
    keys: Mapping[str, keys.AssetKey]
    deps: Sequence[specs.AssetDep]


def inputs_of(function: AssetFunction, whose: str, told: parameters.Parameters, ins: Ins) -> Inputs:
    """Tell which parameter takes the value of which asset.

    Args:
        function: The function.
        whose: Whose function it is, for errors.
        told: What its parameters are for.
        ins: How parameters get their values, where their names do not say.

    Raises:
        InvalidDefinitionError: The ins name what is no parameter, or map the partitions of one
            asset in two ways.
    """
    definitions: list[ins_and_outs.InputDefinition] = []
    by_input: dict[str, keys.AssetKey] = {}
    deps: list[specs.AssetDep] = []
    for parameter in told.inputs:
        name = parameter.name
        given = ins.get(name)
        if given is None:
            key = keys.AssetKey((name,))
            definitions.append(ins_and_outs.InputDefinition(name, parameter.annotation, function))
            deps.append(specs.AssetDep(key))
        else:
            chosen = asset_ins_and_outs.AssetIn.from_coercible(given)
            key = chosen.resolve_key(name)
            definitions.append(
                ins_and_outs.InputDefinition(name, parameter.annotation, function, chosen.to_in())
            )
            deps.append(specs.AssetDep(key, partition_mapping=chosen.partition_mapping))
        by_input[name] = key
    for name, given in ins.items():
        if name in by_input:
            continue
        chosen = asset_ins_and_outs.AssetIn.from_coercible(given)
        one = ins_and_outs.InputDefinition(name, given=chosen.to_in())
        if not one.is_nothing and not told.takes_any_keyword:
            raise errors.InvalidDefinitionError(
                f"The ins of {whose} name {name!r}, but the function has no such parameter. Add "
                "it, or name the asset in deps."
            )
        key = chosen.resolve_key(name)
        deps.append(specs.AssetDep(key, partition_mapping=chosen.partition_mapping))
        definitions.append(one)
        by_input[name] = key
    _check_mappings(whose, deps)
    return Inputs(definitions, by_input, deps)


def _check_mappings(whose: str, deps: Sequence[specs.AssetDep]) -> None:
    by_key: dict[keys.AssetKey, specs.AssetDep] = {}
    for dep in deps:
        first = by_key.setdefault(dep.asset_key, dep)
        if dep.partition_mapping != first.partition_mapping:
            raise errors.InvalidDefinitionError(
                f"{whose[:1].upper()}{whose[1:]} takes {dep.asset_key.to_user_string()!r} in two "
                "parameters with different partition mappings. An asset depends on another in one "
                "way: take it in one parameter, with a mapping to all partitions that it needs."
            )


def make_op(
    function: AssetFunction,
    name: str,
    told: parameters.Parameters,
    inputs: Sequence[ins_and_outs.InputDefinition],
    outputs: Sequence[ins_and_outs.OutputDefinition],
    options: OpOptions,
) -> op.OpDefinition:
    """Make the op of an asset or check function.

    Args:
        function: The function.
        name: The name of the op.
        told: What the parameters of the function are for.
        inputs: The inputs.
        outputs: The outputs.
        options: What the decorator was given about the op itself.
    """
    made = object.__new__(op.OpDefinition)
    made.name = name
    made.setup(function, told, inputs, outputs, config_field=_config_field(name, told, options))
    if function.__doc__:
        made.description = annotations.docstring(function)
    if options.required_resource_keys:
        made.own_resource_keys = frozenset(options.required_resource_keys)
    if options.tags:
        made.tags = dict(options.tags)
    made.retry_policy = options.retry_policy
    made.code_version = options.code_version
    made.pool = op.checked_pool(f"{name!r}", options.pool)
    return made


def check_dependencies(
    whose: str,
    own: Iterable[keys.AssetKey],
    loaded: Iterable[keys.AssetKey],
    deps: Iterable[specs.AssetDep],
) -> None:
    """Check that an asset depends on itself only in earlier partitions.

    Args:
        whose: Whose function it is, for errors.
        own: The assets that the function makes.
        loaded: The assets whose values it takes.
        deps: The assets that have to come first.

    Raises:
        InvalidDefinitionError: It does.
    """
    of_partitions = {dep.asset_key for dep in deps if dep.partition_mapping is not None}
    if (set(loaded) & set(own)) - of_partitions:
        raise errors.InvalidDefinitionError(
            f"{whose[:1].upper()}{whose[1:]} takes its own value as a parameter. Rename the "
            "parameter; or give it AssetIn(partition_mapping=TimeWindowPartitionMapping("
            "start_offset=-1, end_offset=-1)), to take that of the partition before."
        )


def _config_field(
    name: str, told: parameters.Parameters, options: OpOptions
) -> config_contract.ConfigField | None:
    if told.config is None:
        return config_schemas.coerce(options.config_schema)
    if options.config_schema is not None:
        raise errors.InvalidDefinitionError(
            f"The function of the asset {name!r} has the parameter 'config', and config_schema is "
            "given too. Keep one of them."
        )
    return op.field_of_annotation(told.config_annotation, f"the asset function {name!r}")


def io_manager(
    op_name: str, definition: Any, key: str | None, resource_defs: Mapping[str, Any] | None
) -> tuple[str | None, dict[str, Any]]:
    """Return the key of an asset's IO manager, and the objects that it brings along.

    Args:
        op_name: The op of the asset.
        definition: The IO manager of this asset alone, if any.
        key: The resource key of its IO manager, if given.
        resource_defs: Further objects by resource key.

    Raises:
        InvalidDefinitionError: Both the IO manager and its key were given.
    """
    if definition is not None and key is not None:
        raise errors.InvalidDefinitionError(
            f"The asset {op_name!r} takes either io_manager_def or io_manager_key, got both (key "
            f"{key!r})."
        )
    brought = dict(resource_defs or {})
    if definition is not None:
        key = f"{op_name}__io_manager"
        brought[key] = definition
    return key, brought

"""Assets made by hand of an op or a graph that exists already.

The base of `assets.AssetsDefinition`, which it makes; nobody else calls it. What the decorators
make of functions stands beside them.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_checks, inline_checks, specs
from atoll._definitions import keys as asset_keys
from atoll._definitions.nodes import graph, hooks, ins_and_outs
from atoll._definitions.nodes import op as ops

T = TypeVar("T", bound="MadeOfNodes")
_Node = ops.OpDefinition | graph.GraphDefinition
_ByOutput = Mapping[str, Any]


class MadeOfNodes:
    """What has `from_graph` and `from_op`."""

    def __init__(self, **parts: Any) -> None:
        raise NotImplementedError

    @classmethod
    def from_graph(  # noqa: PYI019 - Self is not in Python 3.10
        cls: type[T],
        graph_def: graph.GraphDefinition,
        *,
        keys_by_input_name: Mapping[str, asset_keys.AssetKey] | None = None,
        keys_by_output_name: Mapping[str, asset_keys.AssetKey] | None = None,
        key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
        internal_asset_deps: Mapping[str, AbstractSet[asset_keys.AssetKey]] | None = None,
        partitions_def: Any = None,
        partition_mappings: Mapping[str, Any] | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        group_name: str | None = None,
        group_names_by_output_name: Mapping[str, str | None] | None = None,
        descriptions_by_output_name: Mapping[str, str] | None = None,
        metadata_by_output_name: Mapping[str, Mapping[str, Any] | None] | None = None,
        tags_by_output_name: Mapping[str, Mapping[str, str] | None] | None = None,
        automation_conditions_by_output_name: Mapping[str, Any] | None = None,
        backfill_policy: Any = None,
        can_subset: bool = False,
        check_specs: Sequence[asset_checks.AssetCheckSpec] | None = None,
        owners_by_output_name: Mapping[str, Sequence[str]] | None = None,
        code_versions_by_output_name: Mapping[str, str | None] | None = None,
        hook_defs: AbstractSet[hooks.HookDefinition] | None = None,
    ) -> T:
        """Make assets of a graph: its outputs are assets, its inputs take values of others.

        Args:
            graph_def: The graph.
            keys_by_input_name: The assets whose values the inputs take; an input takes that of its
                own name where not given.
            keys_by_output_name: The assets that the outputs are; the only output is called like the
                graph, others like themselves, where not given.
            key_prefix: Parts to put before the keys of the outputs.
            internal_asset_deps: What each asset depends on, by output; on every input where not
                given.
            partitions_def: The partitions of all the assets.
            partition_mappings: By input, which partitions of its asset a partition needs.
            resource_defs: Objects that the assets bring along for their own resource keys.
            group_name: The group of all the assets.
            group_names_by_output_name: Groups.
            descriptions_by_output_name: Descriptions.
            metadata_by_output_name: Metadata.
            tags_by_output_name: Labels.
            automation_conditions_by_output_name: When the host is to materialize them by itself.
            backfill_policy: How many partitions one run of a backfill takes.
            can_subset: Whether a run may ask for some of the assets only.
            check_specs: The checks that outputs of the graph evaluate.
            owners_by_output_name: Owners.
            code_versions_by_output_name: Versions of the code.
            hook_defs: What is called after each of its steps.

        Raises:
            InvalidDefinitionError: An option names an input or output that is not there.

        Example:
            `orders = AssetsDefinition.from_graph(load_orders, group_name="sales")`
        """
        options = _Options(
            keys_by_input_name=keys_by_input_name or {},
            keys_by_output_name=keys_by_output_name or {},
            key_prefix=key_prefix,
            internal_asset_deps=internal_asset_deps or {},
            partitions_def=partitions_def,
            partition_mappings=partition_mappings or {},
            group_name=group_name,
            group_name_by_output=group_names_by_output_name or {},
            description_by_output=descriptions_by_output_name or {},
            metadata_by_output=metadata_by_output_name or {},
            tags_by_output=tags_by_output_name or {},
            automation_condition_by_output=automation_conditions_by_output_name or {},
            owners_by_output=owners_by_output_name or {},
            code_version_by_output=code_versions_by_output_name or {},
            check_specs=check_specs or (),
        )
        return cls(
            **_parts(graph_def, options),
            resource_defs=resource_defs,
            backfill_policy=backfill_policy,
            can_subset=can_subset,
            hook_defs=hook_defs,
        )

    @classmethod
    def from_op(  # noqa: PYI019 - Self is not in Python 3.10
        cls: type[T],
        op_def: ops.OpDefinition,
        *,
        keys_by_input_name: Mapping[str, asset_keys.AssetKey] | None = None,
        keys_by_output_name: Mapping[str, asset_keys.AssetKey] | None = None,
        key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
        internal_asset_deps: Mapping[str, AbstractSet[asset_keys.AssetKey]] | None = None,
        partitions_def: Any = None,
        partition_mappings: Mapping[str, Any] | None = None,
        group_name: str | None = None,
        group_names_by_output_name: Mapping[str, str | None] | None = None,
        descriptions_by_output_name: Mapping[str, str] | None = None,
        metadata_by_output_name: Mapping[str, Mapping[str, Any] | None] | None = None,
        tags_by_output_name: Mapping[str, Mapping[str, str] | None] | None = None,
        automation_conditions_by_output_name: Mapping[str, Any] | None = None,
        backfill_policy: Any = None,
        can_subset: bool = False,
        hook_defs: AbstractSet[hooks.HookDefinition] | None = None,
    ) -> T:
        """Make assets of an op, as `from_graph` makes them of a graph; it explains the options."""
        options = _Options(
            keys_by_input_name=keys_by_input_name or {},
            keys_by_output_name=keys_by_output_name or {},
            key_prefix=key_prefix,
            internal_asset_deps=internal_asset_deps or {},
            partitions_def=partitions_def,
            partition_mappings=partition_mappings or {},
            group_name=group_name,
            group_name_by_output=group_names_by_output_name or {},
            description_by_output=descriptions_by_output_name or {},
            metadata_by_output=metadata_by_output_name or {},
            tags_by_output=tags_by_output_name or {},
            automation_condition_by_output=automation_conditions_by_output_name or {},
            owners_by_output={},
            code_version_by_output={
                one.name: op_def.code_version for one in op_def.output_definitions
            },
        )
        return cls(
            **_parts(op_def, options),
            backfill_policy=backfill_policy,
            can_subset=can_subset,
            hook_defs=hook_defs,
        )


class _Options(records.Record):
    keys_by_input_name: Mapping[str, asset_keys.AssetKey]
    keys_by_output_name: Mapping[str, asset_keys.AssetKey]
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None
    internal_asset_deps: Mapping[str, AbstractSet[asset_keys.AssetKey]]
    partitions_def: Any
    partition_mappings: Mapping[str, Any]
    group_name: str | None
    group_name_by_output: _ByOutput
    description_by_output: _ByOutput
    metadata_by_output: _ByOutput
    tags_by_output: _ByOutput
    automation_condition_by_output: _ByOutput
    code_version_by_output: _ByOutput
    owners_by_output: _ByOutput
    check_specs: Sequence[asset_checks.AssetCheckSpec] = ()

    def spec(
        self, output: str, key: asset_keys.AssetKey, deps: Mapping[asset_keys.AssetKey, Any]
    ) -> specs.AssetSpec:
        """Return what the asset of an output is."""
        chosen = self.internal_asset_deps.get(output, deps.keys())
        return specs.AssetSpec(
            key,
            deps=[
                specs.AssetDep(one, partition_mapping=deps.get(one))
                for one in sorted(chosen)
                if one != key
            ],
            description=self.description_by_output.get(output),
            metadata=self.metadata_by_output.get(output),
            group_name=self.group_name or self.group_name_by_output.get(output),
            code_version=self.code_version_by_output.get(output),
            automation_condition=self.automation_condition_by_output.get(output),
            owners=self.owners_by_output.get(output),
            tags=self.tags_by_output.get(output),
            partitions_def=self.partitions_def,
        )


def _parts(node_def: _Node, options: _Options) -> dict[str, Any]:
    """Return what the constructor takes."""
    inputs = [one.name for one in node_def.input_definitions]
    outputs = [one.name for one in node_def.output_definitions]
    _check_names(node_def, options, inputs, outputs)
    by_input = {
        name: options.keys_by_input_name.get(name) or asset_keys.AssetKey((name,))
        for name in inputs
    }
    prefix = asset_keys.prefix_parts(options.key_prefix)
    checks = {one.get_python_identifier() for one in options.check_specs}
    by_output = {
        name: (
            options.keys_by_output_name.get(name)
            or _default_key(node_def, name, len(outputs) - len(checks))
        ).with_prefix(prefix)
        for name in outputs
        if name not in checks
    }
    deps = {key: options.partition_mappings.get(name) for name, key in by_input.items()}
    described = node_def.description if len(by_output) == 1 else None
    made = [options.spec(name, key, deps) for name, key in by_output.items()]
    return {
        "keys_by_input_name": by_input,
        "keys_by_output_name": by_output,
        "node_def": node_def,
        "specs": [
            one if one.description else one.replace_attributes(description=described)
            for one in made
        ],
        "check_specs_by_output_name": inline_checks.by_output_name(
            options.check_specs, by_output.values(), node_def.name
        ),
    }


def _default_key(node_def: _Node, output: str, count: int) -> asset_keys.AssetKey:
    is_unnamed = output == ins_and_outs.DEFAULT_OUTPUT_NAME and count == 1
    return asset_keys.AssetKey((node_def.name if is_unnamed else output,))


def _check_names(
    node_def: _Node, options: _Options, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    def check(option: str, given: Mapping[str, Any], known: Sequence[str], what: str) -> None:
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise errors.InvalidDefinitionError(
                f"{option} names the {what} {', '.join(unknown)}, which {node_def.name!r} does not "
                f"have; it has {', '.join(known) or 'none'}."
            )

    check("keys_by_input_name", options.keys_by_input_name, inputs, "input")
    check("partition_mappings", options.partition_mappings, inputs, "input")
    check("keys_by_output_name", options.keys_by_output_name, outputs, "output")
    check("internal_asset_deps", options.internal_asset_deps, outputs, "output")
    for option in (name for name in options.record_fields if name.endswith("_by_output")):
        check(f"{option}_name", getattr(options, option), outputs, "output")
    if options.group_name is not None and options.group_name_by_output:
        raise errors.InvalidDefinitionError(
            f"The assets of {node_def.name!r} get group_name and group_names_by_output_name. Give "
            "one of them."
        )

"""Assets that this location can compute or observe, and checks: specs, and the node that does it.

Called by the decorators, by `Definitions` and by the execution. One class holds all of them:
assets of one function or of a whole graph, several assets at once, observations, and checks, alone
or together with the assets that they look at.
"""

import enum
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import errors
from atoll._definitions import asset_attributes, asset_checks, assets_of_nodes, sources
from atoll._definitions import keys as asset_keys
from atoll._definitions import specs as spec_module
from atoll._definitions.nodes import composition, graph, hooks, ins_and_outs, invocation, node
from atoll._definitions.nodes import op as ops

DEFAULT_IO_MANAGER_KEY = ins_and_outs.DEFAULT_IO_MANAGER_KEY


class AssetExecutionType(str, enum.Enum):
    """What running an asset's function means."""

    MATERIALIZATION = "MATERIALIZATION"
    OBSERVATION = "OBSERVATION"


class AssetsDefinition(spec_module.HasKey, assets_of_nodes.MadeOfNodes):
    """Assets and the op or graph that computes them. Made by `asset` and its relatives.

    Called directly it calls the function; called inside a graph it stands there.

    Args:
        keys_by_input_name: The assets whose values the inputs of the node take.
        keys_by_output_name: The assets that its outputs are.
        node_def: The op or graph.
        specs: What the assets are; made of the options that follow where not given.
        asset_deps: The dependencies of each asset, where they are not all the inputs.
        partitions_def: The partitions of all the assets.
        partition_mappings: By upstream asset, which partitions of it a partition needs.
        group_names_by_key: Groups.
        metadata_by_key: Metadata.
        tags_by_key: Labels.
        descriptions_by_key: Descriptions.
        owners_by_key: Owners.
        check_specs_by_output_name: The checks that its outputs evaluate.
        resource_defs: Objects that this definition brings along for its own resource keys.
        can_subset: Whether a run may ask for some of the assets and checks only.
        selected_asset_keys: The assets that are asked for; None means all.
        selected_asset_check_keys: The checks that are asked for; None means all.
        is_subset: Whether this was made of a larger definition.
        backfill_policy: How many partitions one run of a backfill takes.
        execution_type: What running the node means.
        stores_itself: Whether the function stores the assets, so that it need not give values.
        hook_defs: What is called after its steps.
        source: Where the function stands in the user's code.
    """

    def __init__(
        self,
        *,
        keys_by_input_name: Mapping[str, asset_keys.AssetKey],
        keys_by_output_name: Mapping[str, asset_keys.AssetKey],
        node_def: ops.OpDefinition | graph.GraphDefinition,
        specs: Sequence[spec_module.AssetSpec] | None = None,
        asset_deps: Mapping[asset_keys.AssetKey, AbstractSet[asset_keys.AssetKey]] | None = None,
        partitions_def: Any = None,
        partition_mappings: Mapping[asset_keys.AssetKey, Any] | None = None,
        group_names_by_key: Mapping[asset_keys.AssetKey, str] | None = None,
        metadata_by_key: Mapping[asset_keys.AssetKey, Mapping[str, Any]] | None = None,
        tags_by_key: Mapping[asset_keys.AssetKey, Mapping[str, str]] | None = None,
        descriptions_by_key: Mapping[asset_keys.AssetKey, str] | None = None,
        owners_by_key: Mapping[asset_keys.AssetKey, Sequence[str]] | None = None,
        check_specs_by_output_name: Mapping[str, asset_checks.AssetCheckSpec] | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        can_subset: bool = False,
        selected_asset_keys: AbstractSet[asset_keys.AssetKey] | None = None,
        selected_asset_check_keys: AbstractSet[asset_keys.AssetCheckKey] | None = None,
        is_subset: bool = False,
        backfill_policy: Any = None,
        execution_type: AssetExecutionType = AssetExecutionType.MATERIALIZATION,
        stores_itself: bool = False,
        hook_defs: AbstractSet[hooks.HookDefinition] | None = None,
        source: sources.SourcePosition | None = None,
    ) -> None:
        self.node_def = node_def
        self.keys_by_input_name = keys_by_input_name
        self.keys_by_output_name = keys_by_output_name
        self.check_specs_by_output_name = check_specs_by_output_name or {}
        if specs is None:
            specs = asset_attributes.specs_of(
                asset_attributes.Attributes(
                    keys_by_output_name=keys_by_output_name,
                    upstream=frozenset(keys_by_input_name.values()),
                    asset_deps=asset_deps or {},
                    partitions_def=partitions_def,
                    partition_mappings=partition_mappings or {},
                    group_names=group_names_by_key or {},
                    metadata=metadata_by_key or {},
                    tags=tags_by_key or {},
                    descriptions=descriptions_by_key or {},
                    owners=owners_by_key or {},
                )
            )
        self._every_spec = tuple(specs)
        # Asked for often, and by no means always: kept when first asked for.
        self._keys: frozenset[asset_keys.AssetKey] | None = None
        self._resource_defs = resource_defs or {}
        self.can_subset = can_subset
        self._selected = selected_asset_keys
        self._selected_checks = selected_asset_check_keys
        self.is_subset = is_subset
        self.backfill_policy = backfill_policy
        self.execution_type = execution_type
        self.stores_itself = stores_itself
        self.hook_defs: AbstractSet[hooks.HookDefinition] = hook_defs or frozenset()
        self._source = source
        if isinstance(node_def, ops.OpDefinition):
            # Only the names: what the op was updated with would be copied once more for each.
            self.__name__ = getattr(node_def.compute_fn, "__name__", node_def.name)
            self.__doc__ = node_def.compute_fn.__doc__
            self.__module__ = getattr(node_def.compute_fn, "__module__", __name__)
            self.__wrapped__ = node_def.compute_fn

    @property
    def specs(self) -> Sequence[spec_module.AssetSpec]:
        """What the assets are; those that are asked for, where it is a subset."""
        if self._selected is None:
            return self._every_spec
        return tuple(one for one in self._every_spec if one.key in self._selected)

    @property
    def every_spec(self) -> Sequence[spec_module.AssetSpec]:
        """What the assets are, those included that a subset leaves out."""
        return self._every_spec

    @property
    def key(self) -> asset_keys.AssetKey:
        """The key of the only asset."""
        found = self.specs
        if len(found) != 1:
            raise errors.InvalidInvocationError(
                f"{self.op_name!r} makes {len(found)} assets, so it has no single key. Use keys."
            )
        return found[0].key

    def single_key(self) -> asset_keys.AssetKey:
        """Return the key of the only asset."""
        return self.key

    @property
    def keys(self) -> frozenset[asset_keys.AssetKey]:
        """The keys of the assets."""
        known = self._keys
        if known is None:
            known = self._keys = frozenset(spec.key for spec in self.specs)
        return known

    @property
    def check_specs(self) -> Sequence[asset_checks.AssetCheckSpec]:
        """The checks that it evaluates."""
        every = self.check_specs_by_output_name.values()
        if self._selected_checks is None:
            return tuple(every)
        return tuple(one for one in every if one.key in self._selected_checks)

    @property
    def check_keys(self) -> frozenset[asset_keys.AssetCheckKey]:
        """The keys of the checks."""
        return frozenset(one.key for one in self.check_specs)

    @property
    def check_key(self) -> asset_keys.AssetCheckKey:
        """The key of the only check."""
        found = self.check_specs
        if len(found) != 1:
            raise errors.InvalidInvocationError(
                f"{self.op_name!r} evaluates {len(found)} checks, so it has no single check key. "
                "Use check_keys."
            )
        return found[0].key

    @property
    def asset_and_check_keys(self) -> frozenset[asset_keys.AssetKey | asset_keys.AssetCheckKey]:
        """The keys of the assets and of the checks."""
        return self.keys | self.check_keys

    @functools.cached_property
    def specs_by_key(self) -> Mapping[asset_keys.AssetKey, spec_module.AssetSpec]:
        """What the assets are, by key."""
        return {spec.key: spec for spec in self.specs}

    @functools.cached_property
    def output_names_by_key(self) -> Mapping[asset_keys.AssetKey, str]:
        """The outputs by the assets that they are."""
        return {key: name for name, key in self.keys_by_output_name.items()}

    @property
    def op(self) -> ops.OpDefinition:
        """The op, where the assets are made by one.

        Raises:
            InvariantViolationError: They are made by a graph.
        """
        if isinstance(self.node_def, ops.OpDefinition):
            return self.node_def
        raise errors.InvariantViolationError(
            f"{self.op_name!r} is made by a graph of several ops. Use node_def."
        )

    @property
    def op_name(self) -> str:
        """The name that run configuration and steps use."""
        return self.node_def.name

    @property
    def partitions_def(self) -> Any:
        """The partitions of the assets, None where they are wholes."""
        for spec in self._every_spec:
            if spec.partitions_def is not None:
                return spec.partitions_def
        for check in self.check_specs_by_output_name.values():
            if check.partitions_def is not None:
                return check.partitions_def
        return None

    @property
    def is_materializable(self) -> bool:
        """Whether running it materializes assets."""
        return bool(self._every_spec) and (
            self.execution_type is AssetExecutionType.MATERIALIZATION
        )

    @property
    def is_observable(self) -> bool:
        """Whether running it observes assets."""
        return bool(self._every_spec) and self.execution_type is AssetExecutionType.OBSERVATION

    @property
    def is_executable(self) -> bool:
        """Whether it can be run: always."""
        return True

    @property
    def is_external(self) -> bool:
        """Whether the assets are made elsewhere: observed ones are."""
        return self.is_observable

    @property
    def dependency_keys(self) -> frozenset[asset_keys.AssetKey]:
        """The assets that these depend on."""
        return frozenset(dep.asset_key for spec in self.specs for dep in spec.deps)

    @property
    def needed_keys(self) -> frozenset[asset_keys.AssetKey]:
        """The assets of other definitions that have to come first, those of checks included."""
        if len(self._every_spec) == 1 and not self.check_specs_by_output_name:
            # By far the most: an asset depends on what it loads, and not on itself.
            return self.dependency_keys
        loaded = set(self.keys_by_input_name.values())
        for check in self.check_specs:
            loaded.add(check.asset_key)
            loaded.update(dep.asset_key for dep in check.additional_deps)
        return frozenset((self.dependency_keys | loaded) - self.keys)

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that its ops, inputs, outputs and hooks need."""
        needed = node.required_resource_keys(self.node_def)
        if not self.hook_defs:
            return needed
        return needed | {key for one in self.hook_defs for key in one.required_resource_keys}

    @property
    def resource_defs(self) -> Mapping[str, Any]:
        """Objects that this definition brings along for its own resource keys."""
        return self._resource_defs

    @property
    def source(self) -> sources.SourcePosition | None:
        """Where the function stands in the user's code."""
        return self._source

    @property
    def group_names_by_key(self) -> Mapping[asset_keys.AssetKey, str]:
        """The group of each asset."""
        return {one.key: one.group_name or spec_module.DEFAULT_GROUP_NAME for one in self.specs}

    @property
    def descriptions_by_key(self) -> Mapping[asset_keys.AssetKey, str]:
        """The description of each asset that has one."""
        return {one.key: one.description for one in self.specs if one.description}

    @property
    def metadata_by_key(self) -> Mapping[asset_keys.AssetKey, Mapping[str, Any]]:
        """What the user attached to each asset."""
        return {one.key: one.metadata for one in self.specs}

    @property
    def tags_by_key(self) -> Mapping[asset_keys.AssetKey, Mapping[str, str]]:
        """The labels of each asset."""
        return {one.key: one.tags for one in self.specs}

    @property
    def owners_by_key(self) -> Mapping[asset_keys.AssetKey, Sequence[str]]:
        """The owners of each asset."""
        return {one.key: one.owners for one in self.specs}

    @property
    def code_versions_by_key(self) -> Mapping[asset_keys.AssetKey, str | None]:
        """The version of the code of each asset."""
        return {one.key: one.code_version for one in self.specs}

    @property
    def automation_conditions_by_key(self) -> Mapping[asset_keys.AssetKey, Any]:
        """The automation condition of each asset that has one."""
        return {
            one.key: one.automation_condition
            for one in self.specs
            if one.automation_condition is not None
        }

    def get_asset_spec(self, key: asset_keys.AssetKey | None = None) -> spec_module.AssetSpec:
        """Return what an asset is; the only one where no key is given."""
        return self.specs_by_key[key if key is not None else self.key]

    def get_spec_for_check_key(
        self, asset_check_key: asset_keys.AssetCheckKey
    ) -> asset_checks.AssetCheckSpec:
        """Return what a check is."""
        return next(one for one in self.check_specs if one.key == asset_check_key)

    def get_op_def_for_asset_key(self, key: asset_keys.AssetKey) -> ops.OpDefinition | None:
        """Return the op whose output an asset is, None where it is not of this definition."""
        output = self.output_names_by_key.get(key)
        if output is None or isinstance(self.node_def, ops.OpDefinition):
            return None if output is None else self.op
        return self.node_def.op_of_output(output)

    def get_output_name_for_asset_key(self, key: asset_keys.AssetKey) -> str:
        """Return the output that is an asset."""
        return self.output_names_by_key[key]

    def get_output_name_for_asset_check_key(self, key: asset_keys.AssetCheckKey) -> str:
        """Return the output that evaluates a check."""
        return next(name for name, one in self.check_specs_by_output_name.items() if one.key == key)

    def get_partition_mapping(self, in_asset_key: asset_keys.AssetKey) -> Any:
        """Return which partitions of an upstream asset are needed, None where nobody said."""
        for spec in self._every_spec:
            for dep in spec.deps:
                if dep.asset_key == in_asset_key and dep.partition_mapping is not None:
                    return dep.partition_mapping
        for check in self.check_specs:
            for dep in check.additional_deps:
                if dep.asset_key == in_asset_key and dep.partition_mapping is not None:
                    return dep.partition_mapping
        return None

    def io_manager_key_of(self, key: asset_keys.AssetKey) -> str:
        """Return the resource key of the IO manager that stores and loads an asset."""
        if len(self._every_spec) == 1:
            spec: spec_module.AssetSpec | None = self._every_spec[0]
            output_name = next(iter(self.keys_by_output_name))
        else:
            spec = self.specs_by_key.get(key)
            output_name = self.output_names_by_key[key]
        told = spec.metadata.get(spec_module.IO_MANAGER_KEY_METADATA) if spec is not None else None
        if told is not None:
            return str(told.value)
        return self.node_def.output_named(output_name).io_manager_key

    get_io_manager_key_for_asset_key = io_manager_key_of

    def subset_for(
        self,
        selected_asset_keys: AbstractSet[asset_keys.AssetKey],
        selected_asset_check_keys: AbstractSet[asset_keys.AssetCheckKey] | None = None,
    ) -> "AssetsDefinition":
        """Return the definition for some of its assets and checks.

        Args:
            selected_asset_keys: The assets; what is not of this definition is passed over.
            selected_asset_check_keys: The checks; None means those of the selected assets.

        Raises:
            InvalidSubsetError: It can only be run as a whole.
        """
        chosen = self.keys & selected_asset_keys
        checks = (
            frozenset(one.key for one in self.check_specs if one.asset_key in chosen)
            if selected_asset_check_keys is None
            else self.check_keys & selected_asset_check_keys
        )
        if chosen == self.keys and checks == self.check_keys:
            return self
        if not self.can_subset:
            raise errors.InvalidSubsetError(
                f"{self.op_name!r} makes {asset_keys.in_words(self.keys)} at once, and only "
                f"{asset_keys.in_words(chosen) or 'none'} of them were selected. "
                "Select all of them, or give it can_subset=True."
            )
        return self._changed(_selected=chosen, _selected_checks=checks, is_subset=True)

    def map_asset_specs(
        self, fn: Callable[[spec_module.AssetSpec], spec_module.AssetSpec]
    ) -> "AssetsDefinition":
        """Return the same assets with other specs.

        Args:
            fn: Makes a new spec of a spec. It may not change the key, nor take dependencies away
                whose values the asset's function takes.

        Returns:
            The assets with their new specs.
        """
        mapped = [spec_module.mapped_spec(fn, spec) for spec in self._every_spec]
        loaded = set(self.keys_by_input_name.values()) - {one.key for one in mapped}
        if mapped and len(mapped) == 1:
            lost = loaded - {dep.asset_key for dep in mapped[0].deps}
            if lost:
                raise errors.InvalidDefinitionError(
                    f"The spec of {mapped[0].key.to_user_string()!r} lost its dependencies on "
                    f"{asset_keys.in_words(lost)}, whose values the function takes. Keep "
                    "them in deps."
                )
        return self._changed(_every_spec=tuple(mapped))

    def with_attributes(
        self,
        *,
        asset_key_replacements: Mapping[asset_keys.AssetKey, asset_keys.AssetKey] | None = None,
        group_names_by_key: Mapping[asset_keys.AssetKey, str] | None = None,
        tags_by_key: Mapping[asset_keys.AssetKey, Mapping[str, str]] | None = None,
        automation_condition: Any = None,
        backfill_policy: Any = None,
        hook_defs: AbstractSet[hooks.HookDefinition] | None = None,
        metadata_by_key: Mapping[asset_keys.AssetKey, Mapping[str, Any]] | None = None,
    ) -> "AssetsDefinition":
        """Return the assets with attributes replaced, keys included.

        Args:
            asset_key_replacements: New keys by old ones; of upstream assets too.
            group_names_by_key: Groups by old key.
            tags_by_key: Labels by old key.
            automation_condition: When the host is to materialize them by itself.
            backfill_policy: How many partitions one run of a backfill takes.
            hook_defs: What is called after their steps.
            metadata_by_key: Metadata by old key, added to what is there.
        """
        replace = asset_attributes.Replacements(
            new_keys=asset_key_replacements or {},
            group_names=group_names_by_key or {},
            tags=tags_by_key or {},
            metadata=metadata_by_key or {},
            automation_condition=automation_condition,
        )
        changes: dict[str, Any] = {
            "_every_spec": tuple(replace.in_spec(one) for one in self._every_spec),
            "keys_by_input_name": replace.in_values(self.keys_by_input_name),
            "keys_by_output_name": replace.in_values(self.keys_by_output_name),
            "check_specs_by_output_name": {
                name: replace.in_check(one) for name, one in self.check_specs_by_output_name.items()
            },
        }
        if backfill_policy is not None:
            changes["backfill_policy"] = backfill_policy
        if hook_defs is not None:
            changes["hook_defs"] = frozenset(hook_defs)
        return self._changed(**changes)

    def with_hooks(self, hook_defs: AbstractSet[hooks.HookDefinition]) -> "AssetsDefinition":
        """Return the assets with further hooks."""
        return self._changed(hook_defs=frozenset(self.hook_defs) | frozenset(hook_defs))

    def with_resources(self, resource_defs: Mapping[str, Any]) -> "AssetsDefinition":
        """Return the assets bringing along objects for their resource keys."""
        return self._changed(_resource_defs={**resource_defs, **self._resource_defs})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as tests do; inside a graph, stand there.

        Args:
            args: The context first where the function takes one, then the values of upstream
                assets.
            kwargs: The same by name, and config and resources.

        Returns:
            What the function returns: a value, a coroutine or a generator.

        Raises:
            InvalidInvocationError: The arguments do not fit.
        """
        if composition.is_composing():
            return self.node_def(*args, **kwargs)
        if not isinstance(self.node_def, ops.OpDefinition):
            return self.node_def.invoke_directly(args, kwargs)
        one = self.node_def
        callee = invocation.Callee(
            one.name,
            one.compute_fn,
            one.parameters,
            one.config_field,
            one,
            self._gives_values,
            self._context_builder,
        )
        return invocation.call(callee, self, args, kwargs)

    @property
    def _context_builder(self) -> str:
        return "build_asset_context"

    @property
    def _gives_values(self) -> bool:
        """Whether its function has to give something for every output."""
        return not self.stores_itself and self.is_materializable

    def _changed(self, **changes: Any) -> "AssetsDefinition":
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        for name in ("specs_by_key", "output_names_by_key"):
            copied.__dict__.pop(name, None)
        copied.__dict__.update(changes)
        copied._keys = None
        return copied

    def __repr__(self) -> str:
        return f"{type(self).__name__}({asset_keys.in_words(self.keys)})"


class AssetChecksDefinition(AssetsDefinition):
    """Checks and the op that evaluates them. Made by `asset_check` and its relatives."""

    def single_key(self) -> asset_keys.AssetKey:
        """Refuse to stand for an asset."""
        raise errors.InvalidDefinitionError(
            f"The check {self.op_name!r} stands for no asset. Name the asset that it looks at."
        )

    @property
    def name(self) -> str:
        """The name of the only check."""
        return self.check_key.name

    @property
    def asset_key(self) -> asset_keys.AssetKey:
        """The asset of the only check."""
        return self.check_key.asset_key

    @property
    def _context_builder(self) -> str:
        return "build_asset_check_context"

    def __repr__(self) -> str:
        listed = ", ".join(sorted(one.to_user_string() for one in self.check_keys))
        return f"AssetChecksDefinition({listed})"


def executable_and_external(
    assets: Iterable[Any],
) -> tuple[list[AssetsDefinition], list[spec_module.AssetSpec], list[Any]]:
    """Sort what was given as assets.

    Args:
        assets: Assets, bare specs, or neither.

    Returns:
        The assets, the bare specs, and what is neither.
    """
    executable: list[AssetsDefinition] = []
    external: list[spec_module.AssetSpec] = []
    other: list[Any] = []
    for item in assets:
        if isinstance(item, AssetsDefinition):
            executable.append(item)
        elif isinstance(item, spec_module.AssetSpec):
            external.append(item)
        else:
            other.append(item)
    return executable, external, other


DEFAULT_OUTPUT_NAME = ins_and_outs.DEFAULT_OUTPUT_NAME

"""IO managers: how values of assets and of outputs of ops are stored and loaded.

Called by the execution of steps; implemented by users and by `storing`. What they know of a value
stands in `io_contexts`.
"""

import abc
from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import annotations, keys, specs
from atoll._definitions.resources import io_manager_definitions
from atoll._execution import io_contexts
from atoll._partitions import partition_keys, static_partitions, subsets

OutputContext = io_contexts.OutputContext
InputContext = io_contexts.InputContext


class InputManager(abc.ABC):
    """Loads values for inputs. Subclass it, or decorate a function with `input_manager`."""

    @abc.abstractmethod
    def load_input(self, context: InputContext) -> Any:
        """Load a value.

        Args:
            context: Which value.

        Returns:
            The value.
        """


class IOManager(InputManager):
    """Stores and loads values of assets.

    Subclass it, and give it to `Definitions(resources={"io_manager": ...})`.
    """

    @abc.abstractmethod
    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Store a value.

        Args:
            context: What belongs to it.
            obj: The value.
        """


class InMemoryIOManager(IOManager):
    """Keeps values in memory, for tests. A value lives as long as the IO manager."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], Any] = {}

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Keep a value."""
        self.values[tuple(context.get_identifier())] = obj

    def load_input(self, context: InputContext) -> Any:
        """Return a kept value.

        Raises:
            ValueNotFoundError: There is none.
        """
        identifier = tuple(context.get_identifier())
        if identifier not in self.values:
            name = "/".join(identifier)
            raise errors.ValueNotFoundError(
                f"No value of {name!r} is kept in memory. Materialize it in the same run.", name
            )
        return self.values[identifier]


IOManagerDefinition = io_manager_definitions.IOManagerDefinition
mem_io_manager = IOManagerDefinition(InMemoryIOManager)


def build_output_context(
    step_key: str | None = None,
    name: str | None = None,
    definition_metadata: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    asset_key: keys.CoercibleToAssetKey | None = None,
    asset_spec: specs.AssetSpec | None = None,
    output_metadata: Mapping[str, Any] | None = None,
    mapping_key: str | None = None,
    config: Any = None,
    type: Any = None,
    version: str | None = None,
    resource_config: Mapping[str, Any] | None = None,
    op_def: Any = None,
    partition_key: str | None = None,
    asset_partitions_def: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> OutputContext:
    """Make the context with which a test lets an IO manager store a value.

    Args:
        step_key: The step that gives the value.
        name: The name of the output.
        definition_metadata: What the user attached to the definition.
        run_id: The run.
        resources: Resources by key.
        asset_key: The asset.
        asset_spec: What the asset is.
        output_metadata: What the user attached to the output.
        mapping_key: Which value of a dynamic output.
        config: The config of the output.
        type: The type of the output.
        version: The version of the code.
        resource_config: The config of the IO manager.
        op_def: The op that gives the value.
        partition_key: The partition to store.
        asset_partitions_def: All partitions of the asset.
        metadata: The older name of `definition_metadata`.
    """
    return OutputContext(
        step_key,
        name,
        mapping_key=mapping_key,
        config=config,
        type=type,
        version=version,
        resource_config=resource_config,
        op_def=op_def,
        partition_key=partition_key,
        asset_partitions_def=asset_partitions_def,
        asset_partitions_subset=_subset_of(asset_partitions_def, partition_key, None),
        run_id=run_id,
        definition_metadata=definition_metadata if metadata is None else metadata,
        asset_key=None if asset_key is None else keys.AssetKey.from_coercible(asset_key),
        asset_spec=asset_spec,
        output_metadata=output_metadata,
        resources=resources,
    )


def build_input_context(
    name: str | None = None,
    *,
    definition_metadata: Mapping[str, Any] | None = None,
    upstream_output: OutputContext | None = None,
    resources: Mapping[str, Any] | None = None,
    asset_key: keys.CoercibleToAssetKey | None = None,
    instance: Any = None,
    python_type: Any = annotations.UNKNOWN,
    config: Any = None,
    type: Any = None,
    op_def: Any = None,
    step_context: Any = None,
    resource_config: Mapping[str, Any] | None = None,
    partition_key: str | None = None,
    asset_partition_key_range: partition_keys.PartitionKeyRange | None = None,
    asset_partitions_def: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> InputContext:
    """Make the context with which a test lets an IO manager load a value.

    Args:
        name: The name of the parameter.
        definition_metadata: What the user attached to the input.
        upstream_output: The output that stored the value.
        resources: Resources by key.
        asset_key: The asset to load.
        instance: The instance.
        python_type: What to load it as.
        config: The config of the input.
        type: The type of the input.
        op_def: The op that takes the value.
        step_context: Refused: contexts of IO managers hold data only.
        resource_config: The config of the IO manager.
        partition_key: The partition to load.
        asset_partition_key_range: The partitions to load, from one to another.
        asset_partitions_def: All partitions of the asset.
        metadata: The older name of `definition_metadata`.
    """
    _refuse_step_context(step_context, "build_input_context")
    subset = _subset_of(asset_partitions_def, partition_key, asset_partition_key_range)
    return InputContext(
        config=config,
        type=type,
        op_def=op_def,
        resource_config=resource_config,
        partition_key=partition_key,
        asset_partitions_def=asset_partitions_def,
        asset_partitions_subset=subset,
        name=name,
        asset_key=None if asset_key is None else keys.AssetKey.from_coercible(asset_key),
        upstream_output=upstream_output,
        definition_metadata=definition_metadata if metadata is None else metadata,
        resources=resources,
        instance=instance,
        python_type=python_type,
    )


def _subset_of(
    partitions_def: Any,
    partition_key: str | None,
    key_range: partition_keys.PartitionKeyRange | None,
) -> subsets.PartitionsSubset | None:
    """Return the partitions that a test named; a key without its definition is one of its own."""
    if partition_key is None and key_range is None:
        return None
    if partitions_def is None:
        named = [partition_key] if partition_key is not None else list(key_range or ())
        partitions_def = static_partitions.StaticPartitionsDefinition(list(dict.fromkeys(named)))
    empty = partitions_def.empty_subset()
    found: subsets.PartitionsSubset = (
        empty.with_partition_key_range(key_range)
        if key_range is not None
        else empty.with_partition_keys([partition_key])
    )
    return found


def _refuse_step_context(step_context: Any, builder: str) -> None:
    if step_context is not None:
        raise errors.InvalidInvocationError(
            f"{builder} takes no step_context: contexts of IO managers hold data only. Give the "
            "single values by name."
        )

"""The contexts that IO managers get: what they know of the value that they store or load.

Made by the execution of steps, and by tests through the builders in `io_managers`. Data only; an IO
manager asks nothing of the run but what stands in them.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

from atoll import errors
from atoll._definitions import annotations, asset_events, keys, specs
from atoll._definitions import metadata as metadata_values
from atoll._execution import logs, step_partitions
from atoll._partitions import partition_keys, subsets, window_sequences

T = TypeVar("T")
StorageEvent: TypeAlias = asset_events.AssetMaterialization | asset_events.AssetObservation


class _OfPartitions:
    """What both contexts show of the partitions of the asset.

    Args:
        subset: The partitions that are stored or loaded; None where the asset has none.
        partitions_def: All partitions of the asset.
        partition_key: The partition of the run, None for none.
        builder: The function that makes such a context in tests, for errors.
    """

    def __init__(
        self,
        subset: subsets.PartitionsSubset | None,
        partitions_def: Any,
        partition_key: str | None,
        builder: str,
    ) -> None:
        self._subset = subset
        self._partitions_def = partitions_def
        self._partition_key = partition_key
        self._builder = builder

    @property
    def step_context(self) -> NoReturn:
        """Refused: contexts of IO managers hold data only.

        Raises:
            InvariantViolationError: Always.
        """
        raise errors.InvariantViolationError(
            "Contexts of IO managers have no step_context. Take what is needed by its own name: "
            "run_id, partition_key, op_def, resources, log."
        )

    @property
    def has_partition_key(self) -> bool:
        """Whether the run is for one partition."""
        return self._partition_key is not None

    @property
    def partition_key(self) -> str:
        """The partition of the run."""
        return _given(self._partition_key, "partition_key", self._builder)

    @property
    def has_asset_partitions(self) -> bool:
        """Whether partitions of the asset are stored or loaded, rather than a whole."""
        return self._subset is not None

    @property
    def has_asset_partitions_def(self) -> bool:
        """Whether the partitions of the asset are known."""
        return self._partitions_def is not None

    @property
    def asset_partitions_def(self) -> Any:
        """All partitions of the asset."""
        return _given(self._partitions_def, "asset_partitions_def", self._builder)

    @functools.cached_property
    def asset_partition_keys(self) -> Sequence[str]:
        """The partitions that are stored or loaded, in order."""
        subset = _given(self._subset, "asset_partitions_subset", self._builder)
        return list(subset.get_partition_keys())

    @property
    def asset_partition_key(self) -> str:
        """The only partition that is stored or loaded.

        Raises:
            InvariantViolationError: There are several.
        """
        found = self.asset_partition_keys
        if len(found) != 1:
            raise errors.InvariantViolationError(
                f"There are {len(found)} partitions: {partition_keys.listed(found)}. Use "
                "asset_partition_keys."
            )
        return found[0]

    @property
    def asset_partition_key_range(self) -> partition_keys.PartitionKeyRange:
        """The first and the last of the partitions that are stored or loaded."""
        subset = _given(self._subset, "asset_partitions_subset", self._builder)
        return step_partitions.range_of(subset, self.asset_partition_keys)

    @property
    def asset_partitions_time_window(self) -> window_sequences.TimeWindow:
        """The time that the partitions span that are stored or loaded."""
        subset = _given(self._subset, "asset_partitions_subset", self._builder)
        return step_partitions.window_of(
            self.asset_partitions_def, subset, self.asset_partition_keys
        )


class OutputContext(_OfPartitions):
    """What an IO manager knows when it stores a value.

    Args:
        step_key: The step that gave the value.
        name: The name of the output.
        job_name: The job of the run.
        run_id: The run.
        definition_metadata: What the user attached to the asset's definition.
        asset_key: The asset.
        asset_spec: What the asset is.
        output_metadata: What the user attached to the output.
        log_manager: The log of the step.
        resources: The resources of the run.
        location_name: The location that runs it; empty outside one.
        mapping_key: Which value of a dynamic output.
        config: The config of the output.
        type: The type of the output.
        op_def: The op that gave the value.
        version: The version of the code.
        resource_config: The config of the IO manager.
        partition_key: The partition of the run.
        asset_partitions_def: All partitions of the asset.
        asset_partitions_subset: The partitions that are stored.
    """

    def __init__(  # noqa: PLR0913 - the field's signature
        self,
        step_key: str | None = None,
        name: str | None = None,
        *,
        job_name: str | None = None,
        run_id: str | None = None,
        definition_metadata: Mapping[str, Any] | None = None,
        asset_key: keys.AssetKey | None = None,
        asset_spec: specs.AssetSpec | None = None,
        output_metadata: Mapping[str, Any] | None = None,
        log_manager: logs.LogManager | None = None,
        resources: Any = None,
        location_name: str = "",
        mapping_key: str | None = None,
        config: Any = None,
        type: Any = None,  # noqa: A002 - the field's word
        op_def: Any = None,
        version: str | None = None,
        resource_config: Mapping[str, Any] | None = None,
        partition_key: str | None = None,
        asset_partitions_def: Any = None,
        asset_partitions_subset: subsets.PartitionsSubset | None = None,
    ) -> None:
        super().__init__(
            asset_partitions_subset, asset_partitions_def, partition_key, "build_output_context"
        )
        self.mapping_key = mapping_key
        self.config = config
        self.type = type
        self.op_def = op_def
        self.version = version
        self.resource_config = resource_config
        self._step_key = step_key
        self._name = name
        self._job_name = job_name
        self._run_id = run_id
        self.definition_metadata = dict(definition_metadata or {})
        self._asset_key = asset_key
        self._asset_spec = asset_spec
        self.output_metadata = dict(output_metadata or {})
        self._log = log_manager
        self.resources = resources
        self.location_name = location_name
        self._added: dict[str, metadata_values.MetadataValue[Any]] = {}
        self._events: list[StorageEvent] = []

    @property
    def step_key(self) -> str:
        """The step that gave the value."""
        return _given(self._step_key, "step_key", "build_output_context")

    @property
    def name(self) -> str:
        """The name of the output."""
        return _given(self._name, "name", "build_output_context")

    @property
    def job_name(self) -> str:
        """The job of the run."""
        return _given(self._job_name, "job_name", "build_output_context")

    @property
    def run_id(self) -> str:
        """The run."""
        return _given(self._run_id, "run_id", "build_output_context")

    @property
    def has_run_id(self) -> bool:
        """Whether the value comes from a run."""
        return self._run_id is not None

    @property
    def has_asset_key(self) -> bool:
        """Whether the value belongs to an asset."""
        return self._asset_key is not None

    @property
    def asset_key(self) -> keys.AssetKey:
        """The asset."""
        return _given(self._asset_key, "asset_key", "build_output_context")

    @property
    def asset_spec(self) -> specs.AssetSpec:
        """What the asset is."""
        return _given(self._asset_spec, "asset_spec", "build_output_context")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the user attached to the asset's definition."""
        return self.definition_metadata

    @property
    def log(self) -> logs.LogManager:
        """The log of the step."""
        if self._log is None:
            self._log = logs.to_handler(None)
        return self._log

    def add_output_metadata(self, metadata: Mapping[str, metadata_values.RawMetadataValue]) -> None:
        """Attach metadata to the materialization."""
        self._added.update(metadata_values.normalize(metadata))

    def get_logged_metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what the IO manager attached so far."""
        return dict(self._added)

    def consume_logged_metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what the IO manager attached, and forget it."""
        added, self._added = self._added, {}
        return added

    def log_event(self, event: StorageEvent) -> None:
        """Tell of something that happened to an asset while the value was stored.

        Args:
            event: An `AssetMaterialization` or an `AssetObservation`.

        Raises:
            InvariantViolationError: It is neither.
        """
        self._events.append(checked_event(event))

    def get_logged_events(self) -> Sequence[StorageEvent]:
        """Return what the IO manager told so far."""
        return list(self._events)

    def consume_events(self) -> Iterator[StorageEvent]:
        """Yield what the IO manager told, and forget it."""
        told, self._events = self._events, []
        yield from told

    def get_asset_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, and the partition where there is one."""
        return _asset_identifier(self.asset_key, self)

    def get_run_scoped_output_identifier(self) -> Sequence[str]:
        """Return run, step and output, and which value of a dynamic output."""
        parts = [self.run_id, self.step_key, self.name]
        return parts if self.mapping_key is None else [*parts, self.mapping_key]

    def get_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, or run, step and output: the value's name."""
        if self._asset_key is not None:
            return self.get_asset_identifier()
        return self.get_run_scoped_output_identifier()


class InputContext(_OfPartitions):
    """What an IO manager knows when it loads a value.

    Args:
        name: The name of the parameter.
        job_name: The job of the run.
        run_id: The run.
        asset_key: The asset to load.
        upstream_output: The output that stored the value.
        definition_metadata: What the user attached to the input.
        python_type: What the parameter is annotated with; `UNKNOWN` where it is not.
        log_manager: The log of the step.
        resources: The resources of the run.
        location_name: The location that runs it; empty outside one.
        instance: The instance.
        config: The config of the input.
        type: The type of the input.
        op_def: The op that takes the value.
        resource_config: The config of the IO manager.
        partition_key: The partition of the run.
        asset_partitions_def: All partitions of the asset.
        asset_partitions_subset: The partitions that are loaded.
    """

    def __init__(  # noqa: PLR0913 - the field's signature
        self,
        *,
        name: str | None = None,
        job_name: str | None = None,
        run_id: str | None = None,
        asset_key: keys.AssetKey | None = None,
        upstream_output: OutputContext | None = None,
        definition_metadata: Mapping[str, Any] | None = None,
        python_type: Any = annotations.UNKNOWN,
        log_manager: logs.LogManager | None = None,
        resources: Any = None,
        location_name: str = "",
        instance: Any = None,
        config: Any = None,
        type: Any = None,  # noqa: A002 - the field's word
        op_def: Any = None,
        resource_config: Mapping[str, Any] | None = None,
        partition_key: str | None = None,
        asset_partitions_def: Any = None,
        asset_partitions_subset: subsets.PartitionsSubset | None = None,
    ) -> None:
        super().__init__(
            asset_partitions_subset, asset_partitions_def, partition_key, "build_input_context"
        )
        self.config = config
        self.type = type
        self.op_def = op_def
        self.resource_config = resource_config
        self._name = name
        self._job_name = job_name
        self._run_id = run_id
        self._asset_key = asset_key
        self.upstream_output = upstream_output
        self.definition_metadata = dict(definition_metadata or {})
        self.python_type = python_type
        self._log = log_manager
        self.resources = resources
        self.location_name = location_name
        self.instance = instance
        self._added: dict[str, metadata_values.MetadataValue[Any]] = {}
        self._observations: list[asset_events.AssetObservation] = []

    @property
    def has_input_name(self) -> bool:
        """Whether the value goes to a parameter."""
        return self._name is not None

    @property
    def name(self) -> str:
        """The name of the parameter."""
        return _given(self._name, "name", "build_input_context")

    @property
    def job_name(self) -> str:
        """The job of the run."""
        return _given(self._job_name, "job_name", "build_input_context")

    @property
    def run_id(self) -> str:
        """The run that loads."""
        return _given(self._run_id, "run_id", "build_input_context")

    @property
    def has_asset_key(self) -> bool:
        """Whether the value belongs to an asset."""
        return self._asset_key is not None

    @property
    def asset_key(self) -> keys.AssetKey:
        """The asset to load."""
        return _given(self._asset_key, "asset_key", "build_input_context")

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the user attached to the input."""
        return self.definition_metadata

    @property
    def log(self) -> logs.LogManager:
        """The log of the step."""
        if self._log is None:
            self._log = logs.to_handler(None)
        return self._log

    def add_input_metadata(
        self,
        metadata: Mapping[str, metadata_values.RawMetadataValue],
        description: str | None = None,
    ) -> None:
        """Attach metadata to the loading, and observe the asset that is loaded with it.

        Args:
            metadata: What was learned of the value.
            description: What the observation says; there is one for each partition that is loaded.
        """
        added = metadata_values.normalize(metadata)
        self._added.update(added)
        if self._asset_key is None:
            return
        partitions = self.asset_partition_keys if self.has_asset_partitions else [None]
        self._observations += [
            asset_events.AssetObservation(
                self._asset_key, description=description, metadata=added, partition=partition
            )
            for partition in partitions
        ]

    def get_observations(self) -> Sequence[asset_events.AssetObservation]:
        """Return the observations that the IO manager made so far."""
        return list(self._observations)

    def consume_events(self) -> Iterator[asset_events.AssetObservation]:
        """Yield the observations that the IO manager made, and forget them."""
        told, self._observations = self._observations, []
        yield from told

    def consume_logged_metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what the IO manager attached, and forget it."""
        added, self._added = self._added, {}
        return added

    def get_asset_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, and the partition where there is one."""
        return _asset_identifier(self.asset_key, self)

    def get_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, or of the upstream output: the value's name."""
        if self._asset_key is not None:
            return self.get_asset_identifier()
        upstream = _given(self.upstream_output, "upstream_output", "build_input_context")
        return upstream.get_identifier()


def checked_event(event: object) -> StorageEvent:
    """Return an event that an IO manager told after checking what it is.

    Raises:
        InvariantViolationError: It is no event of an asset.
    """
    if isinstance(event, (asset_events.AssetMaterialization, asset_events.AssetObservation)):
        return event
    raise errors.InvariantViolationError(
        f"An IO manager tells of AssetMaterializations and AssetObservations, got {event!r}. For "
        "anything else there is context.log."
    )


def _asset_identifier(key: keys.AssetKey, context: _OfPartitions) -> list[str]:
    if context.has_asset_partitions and len(context.asset_partition_keys) == 1:
        return [*key.path, context.asset_partition_keys[0]]
    return list(key.path)


def _given(value: T | None, name: str, builder: str) -> T:
    if value is None:
        raise errors.InvariantViolationError(
            f"The context has no {name}. In a test, give it to {builder}({name}=...)."
        )
    return value

"""The contexts that functions of ops, assets and checks receive.

Called by steps, and by tests through the builders in `direct_contexts`. A context shows what user
code may know and takes what it tells; what it knows of partitions stands in `partition_context`.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from atoll import errors
from atoll._definitions import (
    asset_checks,
    asset_events,
    assets,
    config_contract,
    data_versions,
    jobs,
    keys,
    runs,
)
from atoll._definitions import metadata as metadata_values
from atoll._definitions.nodes import ins_and_outs
from atoll._definitions.nodes import op as ops
from atoll._execution import attached_metadata, partition_context, step_partitions
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances

T = TypeVar("T")
UserEvent = (
    asset_events.AssetMaterialization
    | asset_events.AssetObservation
    | asset_events.ExpectationResult
    | asset_checks.AssetCheckEvaluation
)
ValueLoader = Callable[[keys.AssetKey, Any, str | None], Any]


@dataclasses.dataclass(frozen=True)
class StepSurroundings:
    """What a context shows of the run around a step.

    Attributes:
        run: The run.
        run_config: The plain run configuration in force.
        instance: The instance.
        log: The log of the step.
        resources: The resources of the step.
        load: Loads the value of an asset, of a partition of it where one is named.
        take_event: Takes an event that user code logs.
        op_config: The config of the step, validated; None where the op takes none.
        step_key: The step.
        job: The job, None in a direct call.
        op_def: The op, None until a test calls one with this context.
        assets_def: The assets or checks that the step is a part of, if any.
        partitions: What the step knows of partitions.
        retry_number: How often the step failed before, in this run.
        mapping_key: Which value of a dynamic output the step is mapped for, if any.
        provenance: Tells the provenance of an asset's newest materialization.
        close: Closes the resources of a direct call, if it is one.
    """

    run: runs.Run
    run_config: Mapping[str, Any]
    instance: instances.Instance
    log: logging.Logger
    resources: resource_objects.Resources
    load: ValueLoader
    take_event: Callable[[UserEvent], None]
    op_config: Any = None
    step_key: str = ""
    job: jobs.JobDefinition | None = None
    op_def: ops.OpDefinition | None = None
    assets_def: assets.AssetsDefinition | None = None
    partitions: step_partitions.StepPartitions = step_partitions.NONE
    retry_number: int = 0
    mapping_key: str | None = None
    provenance: Callable[[keys.AssetKey], data_versions.DataProvenance | None] | None = None
    close: Callable[[], None] | None = None


class OpExecutionContext(partition_context.PartitionContext):
    """What the function of an op knows of its run, and what it tells.

    Args:
        surroundings: The run around the step.
    """

    def __init__(self, surroundings: StepSurroundings) -> None:
        self._around = surroundings
        self._op_def = surroundings.op_def
        self._assets_def = surroundings.assets_def
        self._op_config = surroundings.op_config
        self._attached = attached_metadata.AttachedMetadata()
        self._data_versions: dict[keys.AssetKey, data_versions.DataVersion] = {}
        self._logged: list[UserEvent] = []

    @staticmethod
    def get() -> "OpExecutionContext":
        """Return the context of the step that runs here.

        Raises:
            InvariantViolationError: None runs here.
        """
        found = _current.get()
        if found is None:
            raise errors.InvariantViolationError(
                "No step runs here, so there is no context to get. Call it from within the "
                "function of an op or an asset."
            )
        return found

    @property
    def log(self) -> logging.Logger:
        """The log of the step; its messages become events of the run."""
        return self._around.log

    @property
    def run(self) -> runs.Run:
        """The run."""
        return self._around.run

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._around.run.run_id

    @property
    def job_name(self) -> str:
        """The job of the run."""
        return self._around.run.job_name

    @property
    def job_def(self) -> jobs.JobDefinition:
        """The job of the run."""
        return _known(self._around.job, "job")

    @property
    def location_name(self) -> str:
        """The location that runs it; empty outside one."""
        return self._around.run.location_name

    @property
    def run_tags(self) -> Mapping[str, str]:
        """The labels of the run."""
        return self._around.run.tags

    @property
    def run_config(self) -> Mapping[str, Any]:
        """The plain run configuration in force."""
        return self._around.run_config

    @property
    def op_config(self) -> Any:
        """The config of this op: validated plain values, or the config object of its class."""
        config = self._op_config
        if isinstance(config, config_contract.ConfigClass):
            return config.to_run_config()
        return {} if config is None or config is config_contract.NOT_GIVEN else config

    @property
    def op_config_given(self) -> Any:
        """The plain config that a test gave, `NOT_GIVEN` for none."""
        given = self._op_config
        return config_contract.NOT_GIVEN if given is None else given

    def settle_op_config(self, config: Any) -> None:
        """Take the validated form of the config that a test gave."""
        self._op_config = config

    @property
    def instance(self) -> instances.Instance:
        """Answers questions about assets and runs."""
        return self._around.instance

    @property
    def resources(self) -> resource_objects.Resources:
        """The required resources."""
        return self._around.resources

    @property
    def op_def(self) -> ops.OpDefinition:
        """The op that runs."""
        return _known(self._op_def, "op")

    @property
    def op(self) -> ops.OpDefinition:
        """The op that runs."""
        return self.op_def

    @property
    def op_handle(self) -> str:
        """The key of the step: the names of the graphs that the op stands in, and its own."""
        return self._around.step_key

    node_handle = op_handle

    @property
    def op_execution_context(self) -> "OpExecutionContext":
        """The context of the op: this one."""
        return self

    def get_op_execution_context(self) -> "OpExecutionContext":
        """Return the context of the op: this one."""
        return self

    @property
    def retry_number(self) -> int:
        """How often the step failed before, in this run."""
        return self._around.retry_number

    def get_mapping_key(self) -> str | None:
        """Return which value of a dynamic output the step is mapped for, None for none."""
        return self._around.mapping_key

    def describe_op(self) -> str:
        """Say which op runs, in words."""
        return f"op {self._around.step_key!r}"

    @property
    def has_assets_def(self) -> bool:
        """Whether the step computes assets or evaluates checks."""
        return self._assets_def is not None

    @property
    def assets_def(self) -> assets.AssetsDefinition:
        """The definition of the assets that are computed."""
        if self._assets_def is None:
            raise errors.InvalidInvocationError(
                "This context belongs to no asset yet. Call an asset with it: "
                "my_asset(build_asset_context())."
            )
        return self._assets_def

    @property
    def asset_key(self) -> keys.AssetKey:
        """The key of the asset that is computed."""
        return self.assets_def.key

    @property
    def is_subset(self) -> bool:
        """Whether only some of the assets and checks are asked for."""
        return self._assets_def is not None and self._assets_def.is_subset

    @property
    def selected_asset_keys(self) -> frozenset[keys.AssetKey]:
        """The assets that this step is to compute."""
        return self._assets_def.keys if self._assets_def is not None else frozenset()

    @property
    def selected_asset_check_keys(self) -> frozenset[keys.AssetCheckKey]:
        """The checks that this step is to evaluate."""
        return self._assets_def.check_keys if self._assets_def is not None else frozenset()

    @property
    def selected_output_names(self) -> frozenset[str]:
        """The outputs that this step is to give."""
        one = self._assets_def
        if one is None:
            return frozenset(each.name for each in self.op_def.output_definitions)
        of_assets = {name for name, key in one.keys_by_output_name.items() if key in one.keys}
        of_checks = {
            name
            for name, check in one.check_specs_by_output_name.items()
            if check.key in one.check_keys
        }
        return frozenset(of_assets | of_checks)

    def asset_key_for_output(
        self, output_name: str = asset_events.DEFAULT_OUTPUT_NAME
    ) -> keys.AssetKey:
        """Return the asset that an output is."""
        found = self.assets_def.keys_by_output_name
        if output_name not in found:
            raise errors.InvariantViolationError(
                f"{self.assets_def.op_name!r} has no output {output_name!r}; it has "
                f"{', '.join(found) or 'none'}."
            )
        return found[output_name]

    def output_for_asset_key(self, asset_key: keys.AssetKey) -> str:
        """Return the output that is an asset."""
        return self.assets_def.get_output_name_for_asset_key(asset_key)

    def asset_key_for_input(self, input_name: str) -> keys.AssetKey:
        """Return the asset whose value a parameter takes."""
        found = self.assets_def.keys_by_input_name.get(input_name)
        if found is None:
            raise errors.InvariantViolationError(
                f"{self.assets_def.op_name!r} has no input {input_name!r}; it has "
                f"{', '.join(self.assets_def.keys_by_input_name) or 'none'}."
            )
        return found

    def has_tag(self, key: str) -> bool:
        """Tell whether the run has the tag."""
        return self._around.run.has_tag(key)

    def get_tag(self, key: str) -> str | None:
        """Return a tag of the run, None where it has none of that name."""
        return self._around.run.get_tag(key)

    def add_output_metadata(
        self,
        metadata: metadata_values.RawMetadataMapping,
        output_name: str | None = None,
        mapping_key: str | None = None,
    ) -> None:
        """Attach metadata to an output, and to the materialization of the asset that it is.

        Args:
            metadata: What to attach; names that were there before are replaced.
            output_name: The output; the only one where not given.
            mapping_key: Which value of a dynamic output.
        """
        self._attached.to_output(self._output_named(output_name), mapping_key, metadata)

    def get_output_metadata(
        self, output_name: str, mapping_key: str | None = None
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an output so far."""
        return self._attached.of_output(output_name, mapping_key)

    def add_asset_metadata(
        self,
        metadata: metadata_values.RawMetadataMapping,
        asset_key: keys.CoercibleToAssetKey | None = None,
        partition_key: str | None = None,
    ) -> None:
        """Attach metadata to the materialization of an asset.

        Args:
            metadata: What to attach; names that were there before are replaced.
            asset_key: The asset; the only one where not given.
            partition_key: Only to this partition; to all where not given.
        """
        key = self.asset_key if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        if key not in self.assets_def.keys:
            raise errors.InvariantViolationError(
                f"{self.assets_def.op_name!r} does not materialize {key.to_user_string()!r}; "
                f"it materializes {keys.in_words(self.assets_def.keys)}."
            )
        self._attached.to_asset(key, partition_key, metadata)

    def get_asset_metadata(
        self, asset_key: keys.AssetKey, partition_key: str | None = None
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an asset, or a partition of it, so far."""
        return self._attached.of_asset(asset_key, partition_key)

    def set_data_version(
        self, asset_key: keys.AssetKey, data_version: data_versions.DataVersion
    ) -> None:
        """Say which version of the data an asset has after this step."""
        self._data_versions[asset_key] = data_version

    def get_data_version(self, asset_key: keys.AssetKey) -> data_versions.DataVersion | None:
        """Return the version that `set_data_version` said, None for none."""
        return self._data_versions.get(asset_key)

    def get_asset_provenance(self, asset_key: keys.AssetKey) -> data_versions.DataProvenance | None:
        """Return what the newest materialization of an asset was made of, None for none."""
        tell = self._around.provenance
        return None if tell is None else tell(asset_key)

    def load_asset_value(
        self,
        asset_key: keys.CoercibleToAssetKey,
        *,
        python_type: Any = None,
        partition_key: str | None = None,
    ) -> Any:
        """Load the stored value of an asset.

        Args:
            asset_key: The asset.
            python_type: What to load it as, such as `pandas.DataFrame`.
            partition_key: The partition; the whole asset where not given.

        Returns:
            The value.
        """
        key = keys.AssetKey.from_coercible(asset_key)
        return self._around.load(key, python_type, partition_key)

    def log_event(self, event: UserEvent) -> None:
        """Tell something about an asset, or whether an expectation holds."""
        if not isinstance(event, _USER_EVENTS):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvariantViolationError(
                f"log_event takes an AssetMaterialization, an AssetObservation, an "
                f"ExpectationResult or an AssetCheckEvaluation, got {event!r}."
            )
        self._logged.append(event)
        self._around.take_event(event)

    def has_events(self) -> bool:
        """Tell whether events were logged that nobody consumed."""
        return bool(self._logged)

    def consume_events(self) -> Sequence[UserEvent]:
        """Return the events that were logged, and forget them."""
        found, self._logged = self._logged, []
        return found

    def get_events(self) -> Sequence[UserEvent]:
        """Return the events that were logged, for tests."""
        return tuple(self._logged)

    @property
    def partitions_of_step(self) -> step_partitions.StepPartitions:
        """What the step knows of partitions."""
        return self._around.partitions

    def bind_to(self, definition: object) -> None:
        """Let the context belong to an op or asset that a test calls with it."""
        if isinstance(definition, assets.AssetsDefinition):
            self._assets_def = definition
            self._op_def = (
                definition.node_def if isinstance(definition.node_def, ops.OpDefinition) else None
            )
        elif isinstance(definition, ops.OpDefinition):
            self._op_def = definition

    def _output_named(self, name: str | None) -> str:
        if self._op_def is None:
            return name or ins_and_outs.DEFAULT_OUTPUT_NAME
        outputs = self._op_def.outputs_by_name
        if name is None and len(outputs) != 1:
            raise errors.InvariantViolationError(
                f"{self._op_def.name!r} has {len(outputs)} outputs. Give "
                "add_output_metadata(..., output_name=...)."
            )
        if name is not None and name not in outputs:
            raise errors.InvariantViolationError(
                f"{self._op_def.name!r} has no output {name!r}; it has {', '.join(outputs)}."
            )
        return name or next(iter(outputs))


class AssetExecutionContext(OpExecutionContext):
    """What the function of an asset knows of its run, and what it tells about its assets."""

    @staticmethod
    def get() -> "AssetExecutionContext":
        """Return the context of the asset that is computed here.

        Raises:
            InvariantViolationError: None is computed here.
        """
        found = OpExecutionContext.get()
        if not isinstance(found, AssetExecutionContext):
            raise errors.InvariantViolationError(
                "The step that runs here computes no asset. Use OpExecutionContext.get()."
            )
        return found


class AssetCheckExecutionContext(OpExecutionContext):
    """What the function of a check knows of its run, and what it tells."""

    @staticmethod
    def get() -> "AssetCheckExecutionContext":
        """Return the context of the check that is evaluated here.

        Raises:
            InvariantViolationError: None is evaluated here.
        """
        found = OpExecutionContext.get()
        if not isinstance(found, AssetCheckExecutionContext):
            raise errors.InvariantViolationError(
                "The step that runs here evaluates no check. Use OpExecutionContext.get()."
            )
        return found

    @property
    def check_specs(self) -> Sequence[asset_checks.AssetCheckSpec]:
        """The checks that are evaluated."""
        return self.assets_def.check_specs


def context_for(surroundings: StepSurroundings) -> OpExecutionContext:
    """Make the kind of context that a step needs."""
    one = surroundings.assets_def
    if one is None:
        return OpExecutionContext(surroundings)
    if isinstance(one, assets.AssetChecksDefinition):
        return AssetCheckExecutionContext(surroundings)
    return AssetExecutionContext(surroundings)


def current() -> OpExecutionContext | None:
    """Return the context of the step that runs here, None outside steps."""
    return _current.get()


@contextlib.contextmanager
def entered(context: OpExecutionContext) -> Generator[None]:
    """Let `OpExecutionContext.get()` return a context for as long as this lasts."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def _known(value: T | None, what: str) -> T:
    if value is None:
        raise errors.InvalidInvocationError(
            f"This context belongs to no {what}: it was made for a direct call."
        )
    return value


_current: ContextVar[OpExecutionContext | None] = ContextVar("atoll_context", default=None)
_USER_EVENTS = (
    asset_events.AssetMaterialization,
    asset_events.AssetObservation,
    asset_events.ExpectationResult,
    asset_checks.AssetCheckEvaluation,
)

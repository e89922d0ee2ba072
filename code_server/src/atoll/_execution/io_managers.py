"""IO managers: how values of assets are stored and loaded, and the contexts they get.

Called by the execution of steps; implemented by users and by `storing`. The contexts hold data; an
IO manager asks nothing of the run but what stands in them.
"""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from atoll._definitions import annotations, errors, keys, specs
from atoll._definitions import metadata as metadata_values
from atoll._execution import logs

T = TypeVar("T")


class OutputContext:
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
    ) -> None:
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

    def get_asset_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key."""
        return list(self.asset_key.path)

    def get_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, or run, step and output: the value's name."""
        if self._asset_key is not None:
            return self.get_asset_identifier()
        return [self.run_id, self.step_key, self.name]


class InputContext:
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
    ) -> None:
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

    def add_input_metadata(self, metadata: Mapping[str, metadata_values.RawMetadataValue]) -> None:
        """Attach metadata to the loading."""
        self._added.update(metadata_values.normalize(metadata))

    def consume_logged_metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what the IO manager attached, and forget it."""
        added, self._added = self._added, {}
        return added

    def get_asset_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key."""
        return list(self.asset_key.path)

    def get_identifier(self) -> Sequence[str]:
        """Return the parts of the asset's key, or of the upstream output: the value's name."""
        if self._asset_key is not None:
            return self.get_asset_identifier()
        upstream = _given(self.upstream_output, "upstream_output", "build_input_context")
        return upstream.get_identifier()


class IOManager(abc.ABC):
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

    @abc.abstractmethod
    def load_input(self, context: InputContext) -> Any:
        """Load a value.

        Args:
            context: Which value.

        Returns:
            The value.
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


class IOManagerDefinition:
    """Makes an IO manager anew for each run.

    Args:
        resource_fn: Makes the IO manager.
    """

    def __init__(self, resource_fn: Callable[[], IOManager]) -> None:
        self._make = resource_fn

    def for_run(self) -> IOManager:
        """Make the IO manager of one run."""
        return self._make()


mem_io_manager = IOManagerDefinition(InMemoryIOManager)


def build_output_context(  # noqa: PLR0913 - the field's signature
    step_key: str | None = None,
    name: str | None = None,
    definition_metadata: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    asset_key: keys.CoercibleToAssetKey | None = None,
    asset_spec: specs.AssetSpec | None = None,
    output_metadata: Mapping[str, Any] | None = None,
) -> OutputContext:
    """Make the context with which a test lets an IO manager store a value."""
    return OutputContext(
        step_key,
        name,
        run_id=run_id,
        definition_metadata=definition_metadata,
        asset_key=None if asset_key is None else keys.AssetKey.from_coercible(asset_key),
        asset_spec=asset_spec,
        output_metadata=output_metadata,
        resources=resources,
    )


def build_input_context(  # noqa: PLR0913 - the field's signature
    name: str | None = None,
    *,
    definition_metadata: Mapping[str, Any] | None = None,
    upstream_output: OutputContext | None = None,
    resources: Mapping[str, Any] | None = None,
    asset_key: keys.CoercibleToAssetKey | None = None,
    instance: Any = None,
    python_type: Any = annotations.UNKNOWN,
) -> InputContext:
    """Make the context with which a test lets an IO manager load a value."""
    return InputContext(
        name=name,
        asset_key=None if asset_key is None else keys.AssetKey.from_coercible(asset_key),
        upstream_output=upstream_output,
        definition_metadata=definition_metadata,
        resources=resources,
        instance=instance,
        python_type=python_type,
    )


def _given(value: T | None, name: str, builder: str) -> T:
    if value is None:
        raise errors.InvariantViolationError(
            f"The context has no {name}. In a test, give it to {builder}({name}=...)."
        )
    return value

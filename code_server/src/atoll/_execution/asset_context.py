"""The context that asset functions receive.

Called by steps, and by tests through `build_asset_context`. It shows what user code may know and
takes what it tells.
"""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import Any

from atoll._definitions import annotations, asset_events, assets, errors, keys, runs
from atoll._definitions import metadata as metadata_values
from atoll._execution import logs
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances

AssetEvent = asset_events.AssetMaterialization | asset_events.AssetObservation
ValueLoader = Callable[[keys.AssetKey, Any], Any]
DIRECT_RUN_ID = "EPHEMERAL"
DIRECT_JOB_NAME = "EPHEMERAL"


@dataclasses.dataclass(frozen=True)
class StepSurroundings:
    """What a context shows of the run around a step.

    Attributes:
        run: The run.
        run_config: The plain run configuration in force.
        instance: The instance.
        log: The log of the step.
        resources: The resources of the step.
        op_config: The plain config of the step, as given.
        selected_asset_keys: The assets that the step is to materialize.
        load: Loads the value of an asset.
        take_event: Takes an event that user code logs.
    """

    run: runs.Run
    run_config: Mapping[str, Any]
    instance: instances.Instance
    log: logging.Logger
    resources: resource_objects.Resources
    op_config: Mapping[str, Any]
    selected_asset_keys: frozenset[keys.AssetKey]
    load: ValueLoader
    take_event: Callable[[AssetEvent], None]


class AssetExecutionContext:
    """What an asset function knows of its run, and what it tells about its assets.

    Args:
        surroundings: The run around the step.
        assets_def: The assets that are materialized; None until a test calls one with this context.
    """

    def __init__(
        self, surroundings: StepSurroundings, assets_def: assets.AssetsDefinition | None = None
    ) -> None:
        self._around = surroundings
        self._assets_def = assets_def
        self._output_metadata: dict[str, dict[str, metadata_values.MetadataValue[Any]]] = {}
        self._asset_metadata: dict[
            keys.AssetKey, dict[str, metadata_values.MetadataValue[Any]]
        ] = {}

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
    def run_tags(self) -> Mapping[str, str]:
        """The labels of the run."""
        return self._around.run.tags

    @property
    def run_config(self) -> Mapping[str, Any]:
        """The plain run configuration in force."""
        return self._around.run_config

    @property
    def op_config(self) -> Mapping[str, Any]:
        """The plain config of this asset, as given."""
        return self._around.op_config

    @property
    def instance(self) -> instances.Instance:
        """Answers questions about other assets and runs."""
        return self._around.instance

    @property
    def resources(self) -> resource_objects.Resources:
        """The required resources."""
        return self._around.resources

    @property
    def assets_def(self) -> assets.AssetsDefinition:
        """The definition of the assets that are materialized."""
        if self._assets_def is None:
            raise errors.InvalidInvocationError(
                "This context belongs to no asset yet. Call an asset with it: "
                "my_asset(build_asset_context())."
            )
        return self._assets_def

    @property
    def has_assets_def(self) -> bool:
        """Whether the context belongs to an asset."""
        return self._assets_def is not None

    @property
    def asset_key(self) -> keys.AssetKey:
        """The key of the asset that is materialized."""
        return self.assets_def.key

    @property
    def selected_asset_keys(self) -> frozenset[keys.AssetKey]:
        """The assets that this step is to materialize."""
        if self._around.selected_asset_keys or self._assets_def is None:
            return self._around.selected_asset_keys
        return self._assets_def.keys

    @property
    def selected_output_names(self) -> frozenset[str]:
        """The outputs that this step is to give."""
        selected = self.selected_asset_keys
        outputs = self.assets_def.computation.outputs
        return frozenset(output.name for output in outputs if output.key in selected)

    def asset_key_for_output(
        self, output_name: str = asset_events.DEFAULT_OUTPUT_NAME
    ) -> keys.AssetKey:
        """Return the asset that an output materializes."""
        return self._output(output_name).key

    def asset_key_for_input(self, input_name: str) -> keys.AssetKey:
        """Return the asset whose value a parameter takes."""
        for one in self.assets_def.computation.inputs:
            if one.name == input_name:
                return one.key
        raise errors.InvariantViolationError(
            f"{self.assets_def.op_name!r} has no input {input_name!r}."
        )

    def has_tag(self, key: str) -> bool:
        """Tell whether the run has the tag."""
        return self._around.run.has_tag(key)

    def get_tag(self, key: str) -> str | None:
        """Return a tag of the run, None where it has none of that name."""
        return self._around.run.get_tag(key)

    def add_output_metadata(
        self, metadata: metadata_values.RawMetadataMapping, output_name: str | None = None
    ) -> None:
        """Attach metadata to an output and its materialization.

        Args:
            metadata: What to attach; names that were there before are replaced.
            output_name: The output; the only one where not given.
        """
        name = (
            self._default_output_name() if output_name is None else self._output(output_name).name
        )
        self._output_metadata.setdefault(name, {}).update(metadata_values.normalize(metadata))

    def get_output_metadata(
        self, output_name: str
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an output so far."""
        return dict(self._output_metadata.get(output_name, {}))

    def add_asset_metadata(
        self,
        metadata: metadata_values.RawMetadataMapping,
        asset_key: keys.CoercibleToAssetKey | None = None,
    ) -> None:
        """Attach metadata to the materialization of an asset.

        Args:
            metadata: What to attach; names that were there before are replaced.
            asset_key: The asset; the only one where not given.
        """
        key = self.asset_key if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        if key not in self.assets_def.keys:
            raise errors.InvariantViolationError(
                f"{self.assets_def.op_name!r} does not materialize {key.to_user_string()!r}; "
                f"it materializes {keys.in_words(self.assets_def.keys)}."
            )
        self._asset_metadata.setdefault(key, {}).update(metadata_values.normalize(metadata))

    def get_asset_metadata(
        self, asset_key: keys.AssetKey
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an asset so far."""
        return dict(self._asset_metadata.get(asset_key, {}))

    def load_asset_value(
        self, asset_key: keys.CoercibleToAssetKey, *, python_type: Any = annotations.UNKNOWN
    ) -> Any:
        """Load the stored value of an asset, also one that is no parameter.

        Args:
            asset_key: The asset.
            python_type: What to load it as, such as `pandas.DataFrame`.

        Returns:
            The value.
        """
        return self._around.load(keys.AssetKey.from_coercible(asset_key), python_type)

    def log_event(self, event: AssetEvent) -> None:
        """Record a materialization or an observation."""
        if not isinstance(
            event, (asset_events.AssetMaterialization, asset_events.AssetObservation)
        ):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvariantViolationError(
                "context.log_event takes an AssetMaterialization or an AssetObservation, got "
                f"{event!r}."
            )
        self._around.take_event(event)

    def bind_to(self, assets_def: assets.AssetsDefinition) -> None:
        """Let the context belong to an asset that a test calls with it."""
        self._assets_def = assets_def

    def _default_output_name(self) -> str:
        if self._assets_def is None:
            return asset_events.DEFAULT_OUTPUT_NAME
        outputs = self._assets_def.computation.outputs
        if len(outputs) != 1:
            raise errors.InvariantViolationError(
                f"{self._assets_def.op_name!r} has {len(outputs)} outputs. Give "
                "add_output_metadata(..., output_name=...)."
            )
        return outputs[0].name

    def _output(self, output_name: str) -> assets.AssetOutput:
        outputs = self.assets_def.computation.outputs_by_name
        if output_name not in outputs:
            raise errors.InvariantViolationError(
                f"{self.assets_def.op_name!r} has no output {output_name!r}; it has "
                f"{', '.join(outputs)}."
            )
        return outputs[output_name]


def build_asset_context(
    resources: Mapping[str, Any] | None = None,
    asset_config: Mapping[str, Any] | None = None,
    instance: instances.Instance | None = None,
    run_tags: Mapping[str, str] | None = None,
) -> AssetExecutionContext:
    """Make a context with which a test calls an asset directly.

    Args:
        resources: Objects by resource key.
        asset_config: The plain config of the asset.
        instance: The instance; an ephemeral one where not given.
        run_tags: The labels of the run.

    Returns:
        The context.
    """
    own_instance = instance if instance is not None else instances.Instance.ephemeral()
    surroundings = StepSurroundings(
        run=runs.Run(DIRECT_JOB_NAME, DIRECT_RUN_ID, tags=dict(run_tags or {})),
        run_config={},
        instance=own_instance,
        log=logs.to_handler(None),
        resources=resource_objects.Resources(resources or {}, "The context"),
        op_config=dict(asset_config or {}),
        selected_asset_keys=frozenset(),
        load=_no_values,
        take_event=own_instance.report_runless_asset_event,
    )
    return AssetExecutionContext(surroundings)


def _no_values(key: keys.AssetKey, python_type: Any) -> Any:
    del python_type
    raise errors.InvalidInvocationError(
        f"The value of {key.to_user_string()!r} cannot be loaded in a direct call. Use "
        "materialize, or pass it as an argument."
    )

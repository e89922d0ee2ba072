"""What all steps of a run share.

Made by `runs` for each run, and in each process that runs steps of it. It opens resources when a
step first needs them and closes them at the end.
"""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import config_contract, data_versions, events, keys, raised, runs, specs
from atoll._definitions import loggers as logger_definitions
from atoll._execution import events as event_sinks
from atoll._execution import (
    io_contexts,
    known_assets,
    logs,
    planning,
    resource_scope,
    step_partitions,
    storing,
)
from atoll._execution import slots as slot_gate
from atoll._instance import instance as instances

DEFAULT_IO_MANAGER_KEY = "io_manager"


@dataclasses.dataclass
class RunScope:
    """What all steps of a run share.

    Attributes:
        run: The run.
        plan: What it does.
        instance: The instance.
        emitter: Makes the events.
        objects: What users gave as resources, by key, IO managers included.
        foreign_specs: What the host told of assets of other locations, by key.
        told_assets: What the host told of the newest materializations of assets.
        captured: Where the values of outputs are kept for whoever asked; None where nobody needs
            them.
        memory: Where values of outputs that are no assets are kept, instead of the default IO
            manager; None where they are stored.
        slots: Where steps get slots of pools from; None where pools hold up nothing.
        retries: Whether steps that fail are tried again, as their policies say.
    """

    run: runs.Run
    plan: planning.Plan
    instance: instances.Instance
    emitter: event_sinks.Emitter
    objects: Mapping[str, Any]
    foreign_specs: Mapping[keys.AssetKey, specs.AssetSpec] = dataclasses.field(
        default_factory=dict[keys.AssetKey, specs.AssetSpec]
    )
    told_assets: known_assets.Told = known_assets.NOTHING
    captured: dict[tuple[str, str], Any] | None = None
    memory: dict[tuple[str, str, str | None], Any] | None = None
    slots: slot_gate.Source | None = None
    retries: bool = True
    made_versions: dict[keys.AssetKey, data_versions.DataVersion] = dataclasses.field(
        default_factory=dict[keys.AssetKey, data_versions.DataVersion]
    )

    @functools.cached_property
    def loggers(self) -> Sequence[logging.Logger]:
        """The loggers of the job that get what user code logs.

        Those that run configuration names; where it names none, all that need no config.
        """
        job, given = self.plan.job, self.plan.sections.loggers
        made: list[logging.Logger] = []
        for name, one in job.loggers.items():
            field = one.config_field
            if name not in given and (given or (field is not None and field.is_required)):
                continue
            config = given.get(name, config_contract.NOT_GIVEN)
            context = logger_definitions.InitLoggerContext(config, one, job, self.run.run_id)
            made.append(one.make(context, ("loggers", name, "config")))
        return made

    @functools.cached_property
    def newest(self) -> known_assets.KnownAssets:
        """Tells the newest materializations of assets."""
        return known_assets.KnownAssets(self.told_assets, self.instance, self.emitter.emit)

    @functools.cached_property
    def resources(self) -> resource_scope.Scope:
        """Makes resources ready."""
        around = resource_scope.Surroundings(
            instance=self.instance,
            run=self.run,
            log=logs.to_events(self.emitter, None, self.loggers),
            whose="The run",
            tell=self.emitter.emit,
            # Not a method: the scope holds this, and a circle would keep the instance alive.
            report=functools.partial(_report_closing, self.emitter),
        )
        config = self.plan.run_config.get("resources")
        return resource_scope.Scope(self.objects, config, around)

    def close(self) -> None:
        """Close what was opened. What that raises is reported and fails nothing."""
        opened: resource_scope.Scope | None = self.__dict__.pop("resources", None)
        if opened is not None:
            opened.close()

    def require(self, keys_needed: Iterable[str]) -> Mapping[str, Any]:
        """Make resources ready and return the objects that user code gets, by key."""
        return self.resources.require(keys_needed)

    def io_manager(self, key: str) -> Any:
        """Return an IO manager, made ready.

        Raises:
            UnknownResourceError: There is none.
        """
        one = self.objects.get(key)
        if type(one) is storing.FilesystemIOManager:
            # There is nothing to make ready.
            return one
        if one is None:
            raise errors.UnknownResourceError(
                f"There is no IO manager {key!r}. Give Definitions(resources={{{key!r}: ...}}).",
                key,
            )
        return self.require((key,))[key]

    def resource_config(self, key: str) -> Any:
        """Return the config that a resource was made ready with; None for none."""
        return self.resources.config_of(key) if "resources" in self.__dict__ else None

    def keeps_in_memory(self, manager_key: str) -> bool:
        """Tell whether values of an IO manager are kept in memory instead."""
        return self.memory is not None and manager_key == DEFAULT_IO_MANAGER_KEY

    def spec_of(self, key: keys.AssetKey) -> specs.AssetSpec | None:
        """Return what is known of an asset, here or by the host.

        What a bare spec here says counts more than what the owner of the asset says.
        """
        own = self.plan.graph.specs.get(key)
        foreign = self.foreign_specs.get(key)
        if foreign is None or self.plan.graph.has_executable(key):
            return own
        metadata = dict(foreign.metadata)
        stored_with = metadata.get(specs.IO_MANAGER_KEY_METADATA)
        if stored_with is not None and str(stored_with.value) not in self.objects:
            # The owner stores with what this location has not: then its own default loads.
            del metadata[specs.IO_MANAGER_KEY_METADATA]
        if own is None:
            return foreign.replace_attributes(metadata=metadata)
        return own.replace_attributes(
            partitions_def=own.partitions_def or foreign.partitions_def,
            metadata={**metadata, **own.metadata},
        )

    def partitions_for(self, step: planning.Step) -> step_partitions.StepPartitions:
        """Return what a step knows of partitions."""
        one = step.assets_def
        own = self.plan.job.partitions_def if one is None else one.partitions_def

        def upstream(key: keys.AssetKey) -> step_partitions.UpstreamAsset:
            spec = self.spec_of(key)
            return step_partitions.UpstreamAsset(
                None if spec is None else spec.partitions_def,
                None if one is None else one.get_partition_mapping(key),
            )

        return step_partitions.StepPartitions(self.run, own, upstream, self.instance)

    def output_context_of(self, key: keys.AssetKey) -> io_contexts.OutputContext:
        """Return the context of the output that stored an asset, for whoever loads it."""
        spec = self.spec_of(key)
        metadata = (
            {name: value.value for name, value in spec.metadata.items()} if spec is not None else {}
        )
        return io_contexts.OutputContext(
            keys.op_name_of(key),
            "result",
            definition_metadata=metadata,
            asset_key=key,
            asset_spec=spec,
            asset_partitions_def=None if spec is None else spec.partitions_def,
        )


def objects_of(
    layers: Iterable[Mapping[str, Any]], storage_dir: pathlib.Path | None
) -> dict[str, Any]:
    """Put the resources of a run together, the default IO manager included.

    Args:
        layers: Resources by key; later ones replace earlier ones.
        storage_dir: The base folder of the default IO manager; the location's own where None.
    """
    objects: dict[str, Any] = {DEFAULT_IO_MANAGER_KEY: storing.FilesystemIOManager(storage_dir)}
    for layer in layers:
        objects.update(layer)
    return objects


def _report_closing(emitter: event_sinks.Emitter, key: str, error: BaseException) -> None:
    emitter.emit(
        events.EventType.ENGINE_EVENT,
        f"The resource {key!r} could not be closed: {type(error).__name__}.",
        events.EngineEventData(failure=raised.describe(error)),
    )

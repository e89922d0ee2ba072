"""Loads the inputs of a step, checks their types, and tells of each by an event.

Called by `steps`. Where a value comes from was planned; how it is loaded is the business of the IO
manager that stored it, or of the input manager that the input names.
"""

import logging
from typing import Any

from atoll import errors
from atoll._definitions import annotations, events, io_config, keys
from atoll._definitions.nodes import ins_and_outs
from atoll._execution import (
    io_contexts,
    planning,
    resources,
    run_scope,
    step_partitions,
    step_sources,
    storage_calls,
    storage_config,
    type_checking,
)


class StepInputs:
    """The inputs of one step.

    Args:
        scope: What all steps share.
        step: The step.
        partitions: What the step knows of partitions.
        log: The log of the step.
    """

    def __init__(
        self,
        scope: run_scope.RunScope,
        step: planning.Step,
        partitions: step_partitions.StepPartitions,
        log: Any,
    ) -> None:
        self._scope = scope
        self._step = step
        self._partitions = partitions
        self._log = log

    def load(self) -> dict[str, Any]:
        """Load all inputs.

        Returns:
            The values by parameter; inputs of type Nothing have none.

        Raises:
            TypeCheckDidNotPass: A value is not of its type.
        """
        values: dict[str, Any] = {}
        for one in self._step.inputs:
            if one.definition.is_nothing:
                continue
            value = self._value(one.source, one.definition)
            self._check(one.definition, value)
            values[one.definition.name] = value
        return values

    def load_asset(self, key: keys.AssetKey, python_type: Any, partition_key: str | None) -> Any:
        """Load the value of an asset that user code asks for.

        Args:
            key: The asset.
            python_type: What to load it as; None for as it was stored.
            partition_key: The partition; None for those that the step needs.
        """
        wanted = annotations.UNKNOWN if python_type is None else python_type
        return self._from_asset(key, None, wanted, partition_key)

    def load_own_output(self, output_name: str, mapping_key: str | None) -> Any:
        """Load what this step gave, for whoever looks at the run after its end.

        Args:
            output_name: The output.
            mapping_key: Which value of a dynamic output.
        """
        for one in self._step.outputs:
            if one.definition.name == output_name and one.asset_key is not None:
                return self._from_asset(one.asset_key, None, annotations.UNKNOWN)
        source = step_sources.FromStep(self._step.key, output_name, mapping_key)
        manager_key = self._step.op.outputs_by_name[output_name].io_manager_key
        return self._load(manager_key, None, self._upstream(source, self._scope.run.run_id))

    def _value(self, source: step_sources.Source, definition: ins_and_outs.InputDefinition) -> Any:
        if isinstance(source, step_sources.FromStep):
            return self._from_step(source, definition)
        if isinstance(source, step_sources.FromAsset):
            return self._from_asset(source.asset_key, definition, definition.python_annotation)
        if isinstance(source, step_sources.FromSeveral):
            return [self._value(member, definition) for member in source.members]
        if isinstance(source, step_sources.FromEarlierRun):
            return self._from_earlier_run(source, definition)
        return self._from_outside(source, definition)

    def _from_outside(
        self, source: step_sources.Source, definition: ins_and_outs.InputDefinition
    ) -> Any:
        if isinstance(source, step_sources.FromValue):
            return source.value
        if isinstance(source, step_sources.FromConfig):
            return self._from_config(source, definition)
        if isinstance(source, step_sources.FromInputManager):
            return self._load(definition.input_manager_key or "", definition, None)
        raise errors.InvariantViolationError(
            f"The input {definition.name!r} of {self._step.key!r} was to be collected and is not."
        )

    def _from_config(
        self, source: step_sources.FromConfig, definition: ins_and_outs.InputDefinition
    ) -> Any:
        loader = definition.type.loader
        if loader is None:
            raise errors.InvalidConfigError(
                f"At {'/'.join(source.path)}: the type {definition.type.display_name} cannot be "
                f"loaded from config, got {source.plain!r}. Give it a loader.",
                source.path,
                source.plain,
            )
        whose = f"The type {definition.type.display_name!r}"
        needed = loader.required_resource_keys()
        context = type_checking.TypeLoaderContext(
            run_id=self._scope.run.run_id,
            log=self._log,
            resources=resources.required(self._scope.require(needed), needed, whose),
            job_def=self._scope.plan.job,
            op_def=self._step.op,
        )
        plain = loader.config_field.resolve(source.plain, source.path)
        return loader.construct_from_config_value(context, plain)

    def _from_step(
        self, source: step_sources.FromStep, definition: ins_and_outs.InputDefinition
    ) -> Any:
        scope = self._scope
        stored_by = storage_config.source_manager_key(scope.plan, definition, source)
        made_asset = self._asset_made_by(source)
        if made_asset is not None:
            # Stored as the asset that it is, not as a value between two steps.
            return self._from_asset(made_asset, definition, definition.python_annotation)
        place = (source.step_key, source.output_name, source.mapping_key)
        if scope.memory is not None and place in scope.memory and not definition.input_manager_key:
            return scope.memory[place]
        return self._load(stored_by, definition, self._upstream(source, scope.run.run_id))

    def _asset_made_by(self, source: step_sources.FromStep) -> keys.AssetKey | None:
        maker = self._scope.plan.maker_of(source.step_key)
        wanted = (one for one in maker.outputs if one.definition.name == source.output_name)
        return next(wanted).asset_key

    def _upstream(
        self, source: step_sources.FromStep | step_sources.FromEarlierRun, run_id: str
    ) -> io_contexts.OutputContext:
        """Return the context of the output that stored a value."""
        maker = self._scope.plan.maker_of(source.step_key)
        output = maker.op.outputs_by_name[source.output_name]
        return io_contexts.OutputContext(
            source.step_key,
            source.output_name,
            job_name=self._scope.run.job_name,
            run_id=run_id,
            definition_metadata=output.metadata,
            mapping_key=source.mapping_key,
            config=storage_config.output_config(
                maker, source.output_name, self._scope.objects, output.io_manager_key
            ),
            type=output.type,
            op_def=maker.op,
        )

    def _from_earlier_run(
        self, source: step_sources.FromEarlierRun, definition: ins_and_outs.InputDefinition
    ) -> Any:
        manager_key = storage_config.source_manager_key(self._scope.plan, definition, source)
        try:
            return self._load(manager_key, definition, self._upstream(source, source.run_id))
        except errors.ValueNotFoundError as error:
            raise errors.ValueNotFoundError(
                f"The output {source.output_name!r} of {source.step_key!r} is not stored for the "
                f"run {source.run_id}. Execute that step again too.",
                source.step_key,
            ) from error

    def _from_asset(
        self,
        key: keys.AssetKey,
        definition: ins_and_outs.InputDefinition | None,
        python_type: Any,
        partition_key: str | None = None,
    ) -> Any:
        scope = self._scope
        manager_key = definition.input_manager_key if definition is not None else None
        if manager_key is None:
            manager_key = storage_config.asset_manager_key(scope.plan, key, scope.spec_of(key))
        partitions_def = self._partitions.of_asset(key).partitions_def
        subset = None
        if partition_key is not None and partitions_def is not None:
            subset = partitions_def.empty_subset().with_partition_keys([partition_key])
        elif partitions_def is not None:
            subset = self._partitions.needed_of(key)
        return self._load(
            manager_key,
            definition,
            scope.output_context_of(key),
            asset_key=key,
            python_type=python_type,
            asset_partitions_def=partitions_def,
            asset_partitions_subset=subset,
        )

    def _load(
        self,
        manager_key: str,
        definition: ins_and_outs.InputDefinition | None,
        upstream: io_contexts.OutputContext | None,
        **about: Any,
    ) -> Any:
        scope = self._scope
        if definition is not None:
            field = io_config.input_field(scope.objects, manager_key)
            about["config"] = storage_config.input_config(self._step, definition.name, field)
        about.setdefault(
            "python_type",
            annotations.UNKNOWN if definition is None else definition.python_annotation,
        )
        manager = scope.io_manager(manager_key)
        if upstream is not None:
            upstream.resource_config = scope.resource_config(manager_key)
        context = io_contexts.InputContext(
            resource_config=scope.resource_config(manager_key),
            name=definition.name if definition is not None else None,
            job_name=scope.run.job_name,
            run_id=scope.run.run_id,
            upstream_output=upstream,
            definition_metadata=definition.metadata if definition is not None else None,
            log_manager=self._log,
            resources=resources.Resources(scope.require(()), "The run"),
            location_name=scope.run.location_name,
            instance=scope.instance,
            type=definition.type if definition is not None else None,
            op_def=self._step.op,
            partition_key=scope.run.partition_key,
            **about,
        )
        value = storage_calls.load(manager, context, manager_key, self._step.key)
        for observation in context.consume_events():
            scope.emitter.emit(
                events.EventType.ASSET_OBSERVATION,
                f"Observed {observation.asset_key.to_user_string()}.",
                events.AssetObservationData(observation),
                step_key=self._step.key,
            )
        if definition is not None:
            key: keys.AssetKey | None = about.get("asset_key")
            name = (
                key.to_user_string()
                if key is not None
                else (upstream.step_key if upstream is not None else "a value")
            )
            scope.emitter.emit(
                events.EventType.LOADED_INPUT,
                f"Loaded {name} for {definition.name}.",
                events.LoadedInputData(
                    definition.name, manager_key, key, context.consume_logged_metadata()
                ),
                step_key=self._step.key,
            )
        return value

    def _check(self, definition: ins_and_outs.InputDefinition, value: Any) -> None:
        kind = definition.type
        if kind.is_any:
            return
        subject = f"the input {definition.name!r} of {self._step.key!r}"
        context = check_context(self._scope, kind, self._log)
        told = type_checking.check_value(kind, value, context, subject)
        self._scope.emitter.emit(
            events.EventType.STEP_INPUT,
            f"Took input {definition.name}.",
            events.StepInputData(definition.name, type_check_data(kind, told)),
            step_key=self._step.key,
        )
        if not told.success:
            raise type_checking.did_not_pass(kind, told, subject)


def check_context(
    scope: run_scope.RunScope, kind: Any, log: logging.Logger
) -> type_checking.TypeCheckContext:
    """Make the context in which a type checks a value."""
    needed = kind.required_resource_keys
    return type_checking.TypeCheckContext(
        run_id=scope.run.run_id,
        log=log,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        resources=resources.required(
            scope.require(needed), needed, f"The type {kind.display_name}"
        ),
    )


def type_check_data(kind: Any, told: Any) -> events.TypeCheckData:
    """Return what a type said about a value, for an event."""
    return events.TypeCheckData(
        success=told.success,
        type_name=kind.display_name,
        description=told.description or "",
        metadata=told.metadata,
    )

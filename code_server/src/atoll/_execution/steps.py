"""Runs one step: loads its inputs, calls the user's function, stores what it gives.

Each of these is told by an event.

Called by `runs`. A step ends in success or in failure; what the user's code raises never leaves
this module.
"""

import contextlib
import dataclasses
import importlib
import time
from collections.abc import Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from atoll._definitions import (
    annotations,
    asset_events,
    asset_graph,
    assets,
    errors,
    events,
    keys,
    raised,
    runs,
)
from atoll._execution import asset_context, io_managers, logs, planning, resources
from atoll._execution import events as event_sinks
from atoll._instance import instance as instances

_NO_ASSET_VALUE = (asset_events.AssetMaterialization, asset_events.AssetObservation)


class RunCanceledError(BaseException):
    """Raised in the main thread to cancel the run that executes there.

    Not an `Exception`, so that user code which catches those does not catch this one.
    """


class StepFailedError(Exception):
    """A step failed; the failure is recorded already. The user's exception is `__cause__`."""


@dataclasses.dataclass(frozen=True)
class RunScope:
    """What all steps of a run share.

    Attributes:
        run: The run.
        plan: What it does.
        graph: The assets of the location.
        resources: The resources by key, IO managers included.
        instance: The instance.
        emitter: Makes the events.
        captured: Where the values of outputs are kept for whoever asked; None where nobody needs
            them.
    """

    run: runs.Run
    plan: planning.Plan
    graph: asset_graph.AssetGraph
    resources: Mapping[str, Any]
    instance: instances.Instance
    emitter: event_sinks.Emitter
    captured: dict[tuple[str, str], Any] | None = None

    def io_manager(self, key: str) -> Any:
        """Return an IO manager."""
        try:
            return self.resources[key]
        except KeyError:
            raise errors.UnknownResourceError(
                f"There is no IO manager {key!r}. Give Definitions(resources={{{key!r}: ...}}).",
                key,
            ) from None


class StepRun:
    """One execution of a step.

    Args:
        scope: What all steps share.
        step: The step.
    """

    def __init__(self, scope: RunScope, step: planning.Step) -> None:
        self._scope = scope
        self._step = step
        self._computation = step.assets_def.computation
        self._given: set[str] = set()
        self._log = logs.to_events(scope.emitter, step.key)
        self._context: asset_context.AssetExecutionContext | None = None

    def execute(self) -> frozenset[keys.AssetKey]:
        """Run the step to its end.

        Returns:
            The assets that it materialized.

        Raises:
            StepFailedError: It failed.
            RunCanceledError: The run was canceled meanwhile.
        """
        began = time.perf_counter()
        self._emit(events.EventType.STEP_START, f"Started step {self._step.key}.")
        try:
            materialized = self._work()
        # Everything, since user code may raise what is no Exception: SystemExit, CancelledError.
        except BaseException as error:
            self._fail(error, began)
            if isinstance(error, (RunCanceledError, KeyboardInterrupt)):
                raise
            raise StepFailedError(self._step.key) from error
        finally:
            # The context holds this object: let go of it, so that nothing waits for the collector.
            self._context = None
        took = events.StepSuccessData((time.perf_counter() - began) * 1000)
        self._emit(events.EventType.STEP_SUCCESS, f"Step {self._step.key} succeeded.", took)
        return materialized

    def _work(self) -> frozenset[keys.AssetKey]:
        arguments = self._arguments()
        returned = self._computation.function(**arguments)
        if _is(returned, GeneratorType):
            # Closed on every way out, so that the user's own clean-up has run before the step ends.
            with contextlib.closing(returned):
                for item in returned:
                    self._take(item)
        elif _is(returned, AsyncGeneratorType):
            _coroutines().drain(returned, self._take)
        else:
            value = _coroutines().run(returned) if _is(returned, CoroutineType) else returned
            self._take_returned(value)
        return self._check_complete()

    def _arguments(self) -> dict[str, Any]:
        computation = self._computation
        whose = f"The asset {self._step.key!r}"
        own = resources.required(self._scope.resources, computation.required_resource_keys, whose)
        arguments: dict[str, Any] = {}
        self._context = self._make_context(own)
        if computation.context_parameter is not None:
            arguments[computation.context_parameter] = self._context
        if computation.config_parameter is not None:
            arguments[computation.config_parameter] = self._step.config
        for one in computation.inputs:
            manager_key = one.input_manager_key or self._scope.graph.io_manager_key_of(one.key)
            arguments[one.name] = self._load(
                manager_key, one.key, computation.python_type_of(one), one
            )
            self._emit(
                events.EventType.LOADED_INPUT,
                f"Loaded {one.key.to_user_string()} for {one.name}.",
                events.LoadedInputData(one.name, manager_key, one.key),
            )
        return arguments

    def _make_context(self, own: resources.Resources) -> asset_context.AssetExecutionContext:
        scope = self._scope
        surroundings = asset_context.StepSurroundings(
            run=scope.run,
            run_config=scope.plan.run_config,
            instance=scope.instance,
            log=self._log,
            resources=own,
            op_config=self._step.op_config,
            selected_asset_keys=self._step.assets_def.keys & scope.plan.asset_keys,
            load=self._load_value,
            take_event=self._record,
        )
        return asset_context.AssetExecutionContext(surroundings, self._step.assets_def)

    def _load_value(self, key: keys.AssetKey, python_type: Any) -> Any:
        return self._load(self._scope.graph.io_manager_key_of(key), key, python_type, None)

    def _load(
        self,
        manager_key: str,
        key: keys.AssetKey,
        python_type: Any,
        asset_input: assets.AssetInput | None,
    ) -> Any:
        run = self._scope.run
        context = io_managers.InputContext(
            name=asset_input.name if asset_input is not None else None,
            job_name=run.job_name,
            run_id=run.run_id,
            asset_key=key,
            upstream_output=self._upstream_output(key),
            definition_metadata=asset_input.metadata if asset_input is not None else None,
            python_type=annotations.UNKNOWN if python_type is None else python_type,
            log_manager=self._log,
            resources=resources.Resources(self._scope.resources, "The run"),
            location_name=run.location_name,
            instance=self._scope.instance,
        )
        return self._scope.io_manager(manager_key).load_input(context)

    def _upstream_output(self, key: keys.AssetKey) -> io_managers.OutputContext:
        spec = self._scope.graph.specs.get(key)
        metadata = (
            {name: value.value for name, value in spec.metadata.items()} if spec is not None else {}
        )
        return io_managers.OutputContext(
            keys.op_name_of(key),
            asset_events.DEFAULT_OUTPUT_NAME,
            definition_metadata=metadata,
            asset_key=key,
            asset_spec=spec,
        )

    def _take_returned(self, value: Any) -> None:
        computation = self._computation
        if isinstance(value, (asset_events.Output, asset_events.MaterializeResult)):
            self._take(value)
            return
        if isinstance(value, _NO_ASSET_VALUE):
            raise errors.InvariantViolationError(
                f"{self._step.key!r} returned an {type(value).__name__}. Yield it, or return a "
                "MaterializeResult."
            )
        if computation.returns_nothing or computation.returns_result:
            if value is not None:
                told = "None" if computation.returns_nothing else "MaterializeResult"
                raise errors.InvariantViolationError(
                    f"{self._step.key!r} is annotated to return {told} but returned a "
                    f"{type(value).__name__}. "
                    "Correct the annotation to have the value stored."
                )
            self._give(computation.outputs[0], asset_events.MaterializeResult())
            return
        self._give(computation.outputs[0], asset_events.Output(value))

    def _take(self, item: Any) -> None:
        """Take what a generator yielded, or a function returned as a result."""
        if _is(item, asset_events.Output):
            self._give(self._output_by_name(item.output_name), item)
        elif _is(item, asset_events.MaterializeResult):
            self._give(self._output_by_key(item.asset_key), item)
        elif isinstance(item, _NO_ASSET_VALUE):
            self._record(item)
        else:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} yielded {item!r} of type {type(item).__name__}. "
                "Yield Output, MaterializeResult, AssetMaterialization or AssetObservation."
            )

    def _output_by_name(self, name: str) -> assets.AssetOutput:
        outputs = self._computation.outputs_by_name
        if name not in outputs:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave the output {name!r}, which it does not have; it has "
                f"{', '.join(outputs)}."
            )
        return outputs[name]

    def _output_by_key(self, key: keys.AssetKey | None) -> assets.AssetOutput:
        outputs = self._computation.outputs_by_key
        if key is None and len(outputs) == 1:
            return self._computation.outputs[0]
        if key is None or key not in outputs:
            told = "no asset" if key is None else repr(key.to_user_string())
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave a result for {told}; it materializes "
                f"{keys.in_words(outputs)}."
            )
        return outputs[key]

    def _give(
        self,
        output: assets.AssetOutput,
        result: "asset_events.Output[Any] | asset_events.MaterializeResult[Any]",
    ) -> None:
        """Store a value where there is one, and tell that the asset was materialized."""
        if output.name in self._given:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave the output {output.name!r} twice. Give it once."
            )
        self._given.add(output.name)
        context = self._context
        attached = dict(result.metadata)
        if context is not None:
            attached.update(context.get_output_metadata(output.name))
        name = output.key.to_user_string()
        self._emit(
            events.EventType.STEP_OUTPUT,
            f"Gave output {output.name}.",
            events.StepOutputData(output.name, dict(attached)),
        )
        stores = not isinstance(result.value, type(asset_events.NO_VALUE))
        by_manager = self._store(output, result.value, attached) if stores else {}
        if context is not None:
            attached.update(context.get_asset_metadata(output.key))
        spec = self._step.assets_def.specs_by_key[output.key]
        tags = dict(result.tags)
        if spec.code_version is not None:
            tags.setdefault(asset_events.CODE_VERSION_TAG, spec.code_version)
        materialization = asset_events.AssetMaterialization(
            output.key, metadata={**by_manager, **attached}, tags=tags
        )
        self._emit(
            events.EventType.ASSET_MATERIALIZATION,
            f"Materialized {name}.",
            events.StepMaterializationData(materialization),
        )
        if stores:
            self._emit(
                events.EventType.HANDLED_OUTPUT,
                f"Stored {name} by {output.io_manager_key}.",
                events.HandledOutputData(output.name, output.io_manager_key, by_manager),
            )

    def _store(
        self, output: assets.AssetOutput, value: Any, attached: Mapping[str, Any]
    ) -> dict[str, Any]:
        run = self._scope.run
        spec = self._step.assets_def.specs_by_key[output.key]
        context = io_managers.OutputContext(
            self._step.key,
            output.name,
            job_name=run.job_name,
            run_id=run.run_id,
            definition_metadata={name: one.value for name, one in spec.metadata.items()},
            asset_key=output.key,
            asset_spec=spec,
            output_metadata=attached,
            log_manager=self._log,
            resources=resources.Resources(self._scope.resources, "The run"),
            location_name=run.location_name,
        )
        self._scope.io_manager(output.io_manager_key).handle_output(context, value)
        if self._scope.captured is not None:
            self._scope.captured[self._step.key, output.name] = value
        return dict(context.consume_logged_metadata())

    def _check_complete(self) -> frozenset[keys.AssetKey]:
        for output in self._computation.outputs:
            if output.is_required and output.name not in self._given:
                raise errors.StepOutputNotFoundError(
                    f"{self._step.key!r} ended without a result for "
                    f"{output.key.to_user_string()!r}. Yield an Output or a "
                    "MaterializeResult, or give the asset output_required=False.",
                    self._step.key,
                    output.name,
                )
        outputs = self._computation.outputs_by_name
        return frozenset(outputs[name].key for name in self._given)

    def _record(self, event: asset_context.AssetEvent) -> None:
        told = instances.runless_event(event, 0.0)
        self._emit(told.event_type, told.message, told.event_specific_data)

    def _fail(self, error: BaseException, began: float) -> None:
        took_ms = (time.perf_counter() - began) * 1000
        data = events.StepFailureData(raised.user_failure(error), took_ms)
        reason = (
            "was canceled"
            if isinstance(error, RunCanceledError)
            else f"failed: {data.failure.message}"
        )
        self._emit(events.EventType.STEP_FAILURE, f"Step {self._step.key} {reason}.", data)

    def _emit(self, event_type: events.EventType, message: str, data: Any = None) -> None:
        self._scope.emitter.emit(event_type, message, data, step_key=self._step.key)


def _is(item: Any, kind: type[Any]) -> bool:
    return isinstance(item, kind)


def _coroutines() -> Any:
    # asyncio is dear to import, and only async assets need it.
    return importlib.import_module("atoll._execution.coroutines")

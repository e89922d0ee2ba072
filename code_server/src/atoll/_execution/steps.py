"""Runs one step: loads its inputs, calls the user's function, takes what it gives.

Each of these is told by an event.

Called by the executors. A step ends in success, in failure, or in the wish to be tried again; what
the user's code raises never leaves this module. How inputs are loaded stands in `step_inputs`, how
outputs are taken in `step_outputs`.
"""

import contextlib
import importlib
import time
from collections.abc import Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from atoll import errors
from atoll._definitions import (
    annotations,
    asset_checks,
    asset_events,
    assets,
    data_versions,
    events,
    failures,
    keys,
    raised,
)
from atoll._definitions.nodes import retries
from atoll._execution import (
    hook_calls,
    logs,
    op_context,
    planning,
    progress,
    resource_usage,
    resources,
    run_scope,
    step_inputs,
    step_outputs,
)

_RESULTS = (
    asset_events.Output,
    asset_events.MaterializeResult,
    asset_events.ObserveResult,
    asset_events.DynamicOutput,
    asset_checks.AssetCheckResult,
)
_NAMED = (asset_events.Output, asset_events.DynamicOutput)
# What user code did not raise: its next attempt would store the same values again.
_FINAL = (errors.TypeCheckDidNotPass, errors.AssetCheckFailedError)
_NO_RESULT = (asset_events.AssetMaterialization, asset_events.AssetObservation)


class RunCanceledError(BaseException):
    """Raised in the main thread to cancel the run that executes there.

    Not an `Exception`, so that user code which catches those does not catch this one.
    """


class StepFailedError(Exception):
    """A step failed; the failure is recorded already.

    Attributes:
        reason: What made it fail: the user's exception.
    """

    def __init__(self, step_key: str, reason: BaseException) -> None:
        super().__init__(step_key)
        self.reason = reason


class StepUpForRetryError(Exception):
    """A step failed and is to be tried again; that is recorded already.

    Attributes:
        seconds_to_wait: How long to wait before.
    """

    def __init__(self, seconds_to_wait: float) -> None:
        super().__init__()
        self.seconds_to_wait = seconds_to_wait


class StepRun:
    """One attempt at a step.

    Args:
        scope: What all steps share.
        step: The step.
        retry_number: How often it failed before, in this run.
    """

    def __init__(
        self, scope: run_scope.RunScope, step: planning.Step, retry_number: int = 0
    ) -> None:
        self._scope = scope
        self._step = step
        self._retry_number = retry_number
        self._log = logs.to_events(scope.emitter, step.key, scope.loggers)
        self._context: op_context.OpExecutionContext | None = None
        self._outputs: step_outputs.StepOutputs | None = None
        self._config: Any = None

    def execute(self) -> progress.Outcome:
        """Run the step to its end.

        Returns:
            What it gave.

        Raises:
            StepFailedError: It failed.
            StepUpForRetryError: It failed and is to be tried again.
            RunCanceledError: The run was canceled meanwhile.
        """
        began = time.perf_counter()
        usage = resource_usage.UsageMeter()
        again = self._retry_number > 0
        self._emit(
            events.EventType.STEP_RESTARTED if again else events.EventType.STEP_START,
            f"Started step {self._step.key}"
            + (f", attempt {self._retry_number + 1}." if again else "."),
        )
        try:
            self._work()
        # Everything, since user code may raise what is no Exception: SystemExit, CancelledError.
        except BaseException as error:
            self._end_badly(error, began, usage)
            raise
        else:
            took_ms = (time.perf_counter() - began) * 1000
            self._emit(
                events.EventType.STEP_SUCCESS,
                f"Step {self._step.key} succeeded.",
                events.StepSuccessData(took_ms, usage.used()),
            )
            self._call_hooks(None)
            given = self._outputs.given if self._outputs is not None else {}
            return progress.Outcome(
                succeeded=True, outputs={name: tuple(keys) for name, keys in given.items()}
            )
        finally:
            # The context holds this object: let go of it, so that nothing waits for the collector.
            self._context = self._outputs = None

    def _end_badly(
        self, error: BaseException, began: float, usage: resource_usage.UsageMeter
    ) -> None:
        """Tell of a failure, or of the wish to be tried again."""
        if isinstance(error, (RunCanceledError, KeyboardInterrupt)):
            self._fail(error, began, usage)
            return
        wait = self._wait_before_retry(error)
        if wait is not None:
            data = events.StepRetryData(
                raised.user_failure(_cause_of(error)), wait, self._retry_number + 1
            )
            self._emit(
                events.EventType.STEP_UP_FOR_RETRY,
                f"Step {self._step.key} failed and is tried again in {wait:g} s.",
                data,
            )
            raise StepUpForRetryError(wait) from error
        self._fail(error, began, usage)
        self._call_hooks(error)
        raise StepFailedError(self._step.key, _cause_of(error)) from error

    def _wait_before_retry(self, error: BaseException) -> float | None:
        """Return how long to wait before the next attempt, None where there is none."""
        policy = self._step.retry_policy if self._scope.retries else None
        if isinstance(error, retries.RetryRequested) and self._scope.retries:
            if self._retry_number >= error.max_retries:
                return None
            return float(error.seconds_to_wait or 0.0)
        if isinstance(error, failures.Failure) and not error.allow_retries:
            return None
        if isinstance(error, _FINAL) or not isinstance(error, Exception):
            return None
        if policy is None or self._retry_number >= policy.max_retries:
            return None
        return policy.calculate_delay(self._retry_number + 1)

    def _work(self) -> None:
        partitions = self._scope.partitions_for(self._step)
        if partitions.is_partitioned:
            # A partition that does not exist is told before anything of the user's is called.
            _ = partitions.subset
        self._config = self._step.config.resolve()
        own = self._own_resources()
        inputs = step_inputs.StepInputs(self._scope, self._step, partitions, self._log)
        context = self._make_context(own, inputs, partitions)
        self._context = context
        outputs = step_outputs.StepOutputs(self._scope, self._step, context, self._emit)
        self._outputs = outputs
        with op_context.entered(context):
            returned = self._step.op.compute_fn(**self._arguments(own, inputs.load()))
            self._take_all(returned, outputs)
        outputs.check_complete()
        if outputs.blocking_failures:
            listed = ", ".join(
                one.asset_check_key.to_user_string() for one in outputs.blocking_failures
            )
            raise errors.AssetCheckFailedError(
                f"The blocking checks {listed} did not pass, so what is downstream of the asset "
                "is left out. Look at what they found, mend the data, and run it again.",
                tuple(one.asset_check_key.to_user_string() for one in outputs.blocking_failures),
            )

    def _own_resources(self) -> Mapping[str, Any]:
        needed = self._step.op.required_resource_keys
        whose = f"The {self._kind} {self._step.key!r}"
        for key in needed:
            if key not in self._scope.objects:
                raise errors.UnknownResourceError(
                    f"{whose} requires the resource {key!r}, which nobody provides. Give "
                    "Definitions(resources=...).",
                    key,
                )
        return {key: self._scope.require(needed)[key] for key in needed}

    @property
    def _kind(self) -> str:
        one = self._step.assets_def
        if one is None:
            return "op"
        return "check" if isinstance(one, assets.AssetChecksDefinition) else "asset"

    def _arguments(self, own: Mapping[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        told = self._step.op.parameters
        arguments = inputs
        if told.context is not None:
            arguments[told.context] = self._context
        if told.config is not None:
            arguments[told.config] = self._config
        for parameter, key in told.resources.items():
            arguments[parameter] = own[key]
        return arguments

    def _make_context(
        self,
        own: Mapping[str, Any],
        inputs: step_inputs.StepInputs,
        partitions: Any,
    ) -> op_context.OpExecutionContext:
        scope, step = self._scope, self._step
        surroundings = op_context.StepSurroundings(
            run=scope.run,
            run_config=scope.plan.run_config,
            instance=scope.instance,
            log=self._log,
            resources=resources.Resources(own, f"The {self._kind} {step.key!r}"),
            load=inputs.load_asset,
            take_event=self._record,
            op_config=self._config,
            step_key=step.key,
            job=scope.plan.job,
            op_def=step.op,
            assets_def=step.assets_def,
            partitions=partitions,
            retry_number=self._retry_number,
            mapping_key=step.mapping_key,
            provenance=self._provenance,
        )
        return op_context.context_for(surroundings)

    def _provenance(self, key: keys.AssetKey) -> data_versions.DataProvenance | None:
        newest = (self._scope.newest.latest([key]) or {}).get(key)
        return None if newest is None else data_versions.DataProvenance.from_tags(newest.tags)

    def _take_all(self, returned: Any, outputs: step_outputs.StepOutputs) -> None:
        if isinstance(returned, GeneratorType):
            generator: Any = returned  # pyright: ignore[reportUnknownVariableType]
            # Closed on every way out, so that the user's own clean-up has run before the step ends.
            with contextlib.closing(generator):
                for item in generator:
                    outputs.take(item)
            self._complete_assets(outputs)
        elif isinstance(returned, AsyncGeneratorType):
            _coroutines().drain(returned, outputs.take)
            self._complete_assets(outputs)
        else:
            value: Any = returned
            if isinstance(returned, CoroutineType):
                value = _coroutines().run(returned)
            self._take_returned(value, outputs)

    def _complete_assets(self, outputs: step_outputs.StepOutputs) -> None:
        """Count assets as made whose function stores them itself and said nothing of them."""
        one = self._step.assets_def
        if one is None or not one.stores_itself:
            return
        for output in self._step.outputs:
            given = output.definition.name in outputs.given
            wanted = output.is_selected and output.definition.is_required
            if output.asset_key is not None and wanted and not given:
                outputs.give_asset(output)

    def _take_returned(self, value: Any, outputs: step_outputs.StepOutputs) -> None:
        if isinstance(value, _RESULTS):
            self._take_result(value, outputs)
            self._complete_assets(outputs)
            return
        if isinstance(value, _NO_RESULT):
            raise errors.InvariantViolationError(
                f"{self._step.key!r} returned an {type(value).__name__}. Yield it, or return a "
                "MaterializeResult."
            )
        one = self._step.assets_def
        if one is not None and one.execution_type is assets.AssetExecutionType.OBSERVATION:
            self._take_observed(value, outputs)
        elif self._is_one_for_each(value):
            self._take_values(value, outputs)
            self._complete_assets(outputs)
        elif isinstance(value, (list, tuple)) and value and _all_results(value):
            for item in value:  # pyright: ignore[reportUnknownVariableType]
                outputs.take(item)
            self._complete_assets(outputs)
        elif one is not None and (one.stores_itself or self._returns_no_value):
            self._take_nothing(value, outputs)
        else:
            self._take_values(value, outputs)

    def _is_one_for_each(self, value: Any) -> bool:
        """Tell whether a tuple holds an Output for each output, which need no names then."""
        wanted = [one for one in self._step.outputs if one.check is None]
        if not isinstance(value, tuple) or len(value) != len(wanted):  # pyright: ignore[reportUnknownArgumentType]
            return False
        return all(isinstance(item, _NAMED) for item in value)  # pyright: ignore[reportUnknownVariableType]

    def _take_result(self, value: Any, outputs: step_outputs.StepOutputs) -> None:
        """Take a result that is returned alone; without a name it is the only output."""
        wanted = [one for one in self._step.outputs if one.check is None]
        if len(wanted) == 1 and isinstance(value, _NAMED):
            self._take_value(wanted[0], value, outputs)
        else:
            outputs.take(value)

    @property
    def _returns_no_value(self) -> bool:
        returned = self._step.op.parameters.returns
        return annotations.is_none(returned) or annotations.names_class(
            returned, asset_events.MaterializeResult
        )

    def _take_nothing(self, value: Any, outputs: step_outputs.StepOutputs) -> None:
        if value is not None:
            returned = self._step.op.parameters.returns
            told = "None" if annotations.is_none(returned) else "MaterializeResult"
            if self._returns_no_value:
                raise errors.InvariantViolationError(
                    f"{self._step.key!r} is annotated to return {told} but returned a "
                    f"{type(value).__name__}. Correct the annotation to have the value stored."
                )
            raise errors.InvariantViolationError(
                f"{self._step.key!r} stores its assets itself, and returned {value!r}. Return "
                "MaterializeResults, or give it outs to have values stored."
            )
        for output in self._step.outputs:
            wanted = output.is_selected and output.definition.is_required
            if output.asset_key is not None and wanted:
                outputs.give_asset(output)

    def _take_observed(self, value: Any, outputs: step_outputs.StepOutputs) -> None:
        key = next((one.asset_key for one in self._step.outputs if one.asset_key), None)
        if key is None:
            return
        if isinstance(value, data_versions.DataVersionsByPartition):
            outputs.count_observed(key)
            for partition, version in value.data_versions_by_partition.items():
                outputs.observe(key, {}, {}, version, partition)
        elif value is None or isinstance(value, data_versions.DataVersion):
            outputs.take(asset_events.ObserveResult(asset_key=key, data_version=value))
        else:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} observes an asset and returned {value!r}. Return a "
                "DataVersion, a DataVersionsByPartition or an ObserveResult."
            )

    def _take_values(self, value: Any, outputs: step_outputs.StepOutputs) -> None:
        wanted = [one for one in self._step.outputs if one.check is None]
        if not wanted:
            if value is not None:
                of_checks = any(one.check is not None for one in self._step.outputs)
                what = "an AssetCheckResult" if of_checks else "None"
                raise errors.InvariantViolationError(
                    f"{self._step.key!r} returned {value!r}. Return {what}."
                )
            return
        if len(wanted) == 1:
            self._take_value(wanted[0], value, outputs)
            return
        if value is None and not any(one.definition.is_required for one in wanted):
            return
        if isinstance(value, dict) and value and _all_results(value.values()):  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            self._take_by_name(value, wanted, outputs)  # pyright: ignore[reportUnknownArgumentType]
            return
        members = value if isinstance(value, tuple) else None  # pyright: ignore[reportUnknownVariableType]
        if members is None or len(members) != len(wanted):  # pyright: ignore[reportUnknownArgumentType]
            raise errors.InvariantViolationError(
                f"{self._step.key!r} has the outputs {step_outputs.names_of(wanted)} and returned "
                f"{value!r}. Return a tuple with a value for each, in this order, or yield Outputs."
            )
        for output, member in zip(wanted, members, strict=True):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            self._take_value(output, member, outputs)

    def _take_value(
        self, output: planning.StepOutput, value: Any, outputs: step_outputs.StepOutputs
    ) -> None:
        own_name = output.definition.name
        if isinstance(value, _NAMED):
            # Who returns a result for an output need not name it.
            unnamed = value.output_name == asset_events.DEFAULT_OUTPUT_NAME
            outputs.take(value, own_name if unnamed else value.output_name)
        elif isinstance(value, _RESULTS):
            outputs.take(value)
        elif output.definition.is_dynamic and isinstance(value, list):
            for item in value:  # pyright: ignore[reportUnknownVariableType]
                self._take_value(output, item, outputs)
            outputs.given.setdefault(own_name, [])
        else:
            outputs.give_value(output.definition.name, value)

    def _take_by_name(
        self,
        results: Mapping[Any, Any],
        wanted: list[planning.StepOutput],
        outputs: step_outputs.StepOutputs,
    ) -> None:
        by_name = {one.definition.name: one for one in wanted}
        for name, result in results.items():
            if name not in by_name:
                raise errors.InvariantViolationError(
                    f"{self._step.key!r} returned a result under the name {name!r}; its outputs "
                    f"are {step_outputs.names_of(wanted)}. Use their names."
                )
            self._take_value(by_name[name], result, outputs)

    def _record(self, event: op_context.UserEvent) -> None:
        if self._outputs is not None:
            self._outputs.record(event)

    def _fail(self, error: BaseException, began: float, usage: resource_usage.UsageMeter) -> None:
        took_ms = (time.perf_counter() - began) * 1000
        data = events.StepFailureData(raised.user_failure(_cause_of(error)), took_ms, usage.used())
        reason = (
            "was canceled"
            if isinstance(error, RunCanceledError)
            else f"failed: {data.failure.message}".rstrip(".")
        )
        self._emit(events.EventType.STEP_FAILURE, f"Step {self._step.key} {reason}.", data)

    def _call_hooks(self, error: BaseException | None) -> None:
        if not self._step.hooks:
            return
        scope = self._scope
        kept = self._outputs.values if self._outputs is not None else {}
        values = {name: value for (_, name), value in kept.items()}
        metadata = (
            {}
            if self._context is None
            else {
                one.definition.name: self._context.get_output_metadata(one.definition.name)
                for one in self._step.outputs
            }
        )
        ended = hook_calls.EndedStep(
            job_name=scope.run.job_name,
            run_id=scope.run.run_id,
            step_key=self._step.key,
            op_def=self._step.op,
            op_config=self._context.op_config if self._context is not None else None,
            exception=error,
            output_values=values,
            output_metadata=metadata,
            log=self._log,
            instance=scope.instance,
        )
        for one in sorted(self._step.hooks, key=lambda each: each.name):
            needed = one.required_resource_keys
            own = resources.required(scope.require(needed), needed, f"The hook {one.name!r}")
            hook_calls.call(one, ended, own, scope.emitter)

    def _emit(self, event_type: events.EventType, message: str, data: Any = None) -> None:
        self._scope.emitter.emit(event_type, message, data, step_key=self._step.key)


def _cause_of(error: BaseException) -> BaseException:
    """Return what made a step fail: the cause of a requested retry where it has one."""
    if isinstance(error, retries.RetryRequested) and error.__cause__ is not None:
        return error.__cause__
    return error


def _all_results(items: Any) -> bool:
    return all(isinstance(item, _RESULTS) for item in items)


def _coroutines() -> Any:
    # asyncio is dear to import, and only async functions need it.
    return importlib.import_module("atoll._execution.coroutines")

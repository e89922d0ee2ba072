"""Takes what the function of a step gives: checks, stores and tells of it.

Called by `steps` for each thing that the function returns or yields. What was given so far decides
whether the step is complete at its end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import (
    asset_checks,
    asset_events,
    assets,
    data_versions,
    events,
    keys,
)
from atoll._execution import (
    io_contexts,
    op_context,
    planning,
    resources,
    run_scope,
    step_inputs,
    step_versions,
    storage_calls,
    storage_config,
    type_checking,
)
from atoll._instance import instance as instances

_LOGGED = (
    asset_events.AssetMaterialization,
    asset_events.AssetObservation,
    asset_events.ExpectationResult,
    asset_checks.AssetCheckEvaluation,
)
Emit = Callable[..., None]


class StepOutputs:
    """What one step gives.

    Args:
        scope: What all steps share.
        step: The step.
        context: The context that user code got.
        emit: Tells of something by an event of the step.
    """

    def __init__(
        self,
        scope: run_scope.RunScope,
        step: planning.Step,
        context: op_context.OpExecutionContext,
        emit: Emit,
    ) -> None:
        self._scope = scope
        self._step = step
        self._context = context
        self._emit = emit
        self._by_name = {one.definition.name: one for one in step.outputs}
        self._versioning = step_versions.StepVersions(scope, step)
        self.given: dict[str, list[str | None]] = {}
        # For hooks; others ask the run for what it kept.
        self.values: dict[tuple[str, str], Any] = {}
        self.blocking_failures: list[asset_checks.AssetCheckEvaluation] = []

    @property
    def _assets_def(self) -> assets.AssetsDefinition | None:
        return self._step.assets_def

    def take(self, item: Any, output_name: str | None = None) -> None:
        """Take what a generator yielded, or a function returned as a result.

        Args:
            item: What was given.
            output_name: The output that it is for, where the item does not say.

        Raises:
            InvariantViolationError: It is nothing that a step can give.
        """
        if isinstance(item, asset_events.Output):
            given: asset_events.Output[Any] = item  # pyright: ignore[reportUnknownVariableType]
            self._give_value(self._named(output_name or given.output_name), given.value, given)
        elif isinstance(item, asset_events.DynamicOutput):
            one: asset_events.DynamicOutput[Any] = item  # pyright: ignore[reportUnknownVariableType]
            self._give_dynamic(self._named(output_name or one.output_name), one)
        elif isinstance(item, asset_events.MaterializeResult):
            result: asset_events.MaterializeResult[Any] = item  # pyright: ignore[reportUnknownVariableType]
            self._give_result(result)
        elif isinstance(item, asset_events.ObserveResult):
            self._give_observation(item)
        elif isinstance(item, asset_checks.AssetCheckResult):
            self._give_check(item, None)
        elif isinstance(item, _LOGGED):
            self.record(item)
        else:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} yielded {item!r} of type {type(item).__name__}. Yield Output, "
                "DynamicOutput, MaterializeResult, ObserveResult, AssetCheckResult, or an event "
                "such as AssetMaterialization."
            )

    def record(self, event: Any) -> None:
        """Tell of something that user code logged."""
        if isinstance(event, asset_events.ExpectationResult):
            words = "holds" if event.success else "does not hold"
            self._emit(
                events.EventType.STEP_EXPECTATION_RESULT,
                f"The expectation {event.label or 'without a label'} {words}.",
                events.StepExpectationResultData(event),
            )
        elif isinstance(event, asset_checks.AssetCheckEvaluation):
            self._tell_check(event)
        else:
            told = instances.runless_event(event, 0.0)
            self._emit(told.event_type, told.message, told.event_specific_data)

    def give_asset(self, output: planning.StepOutput) -> None:
        """Count an asset as materialized whose function gave nothing for it."""
        key = output.asset_key
        if key is not None:
            self._give_result(asset_events.MaterializeResult(asset_key=key))

    def give_value(self, output_name: str, value: Any) -> None:
        """Take the value of an output."""
        self._give_value(self._named(output_name), value, None)

    def check_complete(self) -> None:
        """Check that everything was given that has to be.

        Raises:
            StepOutputNotFoundError: Something is missing.
        """
        for output in self._step.outputs:
            name = output.definition.name
            if name in self.given or not output.is_selected:
                continue
            if output.definition.is_dynamic:
                self.given[name] = []
                continue
            if (
                output.asset_key is None
                and output.check is None
                and output.definition.type.is_nothing
            ):
                self.give_value(name, None)
                continue
            if output.check is not None:
                raise errors.StepOutputNotFoundError(
                    f"{self._step.key!r} ended without a result of the check "
                    f"{output.check.key.to_user_string()!r}. Yield an AssetCheckResult, or give "
                    "MaterializeResult(check_results=[...]).",
                    self._step.key,
                    name,
                )
            if output.definition.is_required:
                what = (
                    f"a result for {output.asset_key.to_user_string()!r}"
                    if output.asset_key is not None
                    else f"its output {name!r}"
                )
                remedy = (
                    "Yield an Output or a MaterializeResult, or give the asset "
                    "output_required=False."
                    if output.asset_key is not None
                    else "Yield an Output for it, or give it Out(is_required=False)."
                )
                raise errors.StepOutputNotFoundError(
                    f"{self._step.key!r} ended without {what}. {remedy}", self._step.key, name
                )

    def _named(self, name: str) -> planning.StepOutput:
        if name not in self._by_name:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave the output {name!r}, which it does not have; it has "
                f"{', '.join(self._by_name) or 'none'}."
            )
        return self._by_name[name]

    def _of_asset(self, key: keys.AssetKey | None) -> planning.StepOutput:
        of_assets = [one for one in self._step.outputs if one.asset_key is not None]
        if key is None and len(of_assets) == 1:
            return of_assets[0]
        for one in of_assets:
            if one.asset_key == key:
                return one
        told = "no asset" if key is None else repr(key.to_user_string())
        made = keys.in_words(one.asset_key for one in of_assets if one.asset_key is not None)
        raise errors.InvariantViolationError(
            f"{self._step.key!r} gave a result for {told}; it materializes {made or 'nothing'}."
        )

    def _count(self, output: planning.StepOutput, mapping_key: str | None = None) -> None:
        name = output.definition.name
        given = self.given.setdefault(name, [])
        if mapping_key in given:
            what = f"the output {name!r}" + (f" for {mapping_key!r}" if mapping_key else "")
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave {what} twice. Give it once."
            )
        given.append(mapping_key)

    def _give_dynamic(
        self, output: planning.StepOutput, item: "asset_events.DynamicOutput[Any]"
    ) -> None:
        if not output.definition.is_dynamic:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} yielded a DynamicOutput for {output.definition.name!r}, which "
                "is not dynamic. Give the op out=DynamicOut()."
            )
        self._count(output, item.mapping_key)
        self._check_and_tell(output, item.value, item.metadata, item.mapping_key)
        by_manager = self._store(output, item.value, dict(item.metadata), item.mapping_key)
        self._tell_stored(output, by_manager)

    def _give_value(self, output: planning.StepOutput, value: Any, item: Any) -> None:
        if output.check is not None:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave a value for the check "
                f"{output.check.key.to_user_string()!r}. Give an AssetCheckResult."
            )
        if output.definition.is_dynamic:
            raise errors.InvariantViolationError(
                f"{self._step.key!r} gave one value for the dynamic output "
                f"{output.definition.name!r}. Yield DynamicOutput(value, mapping_key=...)."
            )
        self._count(output)
        metadata = dict(item.metadata) if item is not None else {}
        self._check_and_tell(output, value, metadata, None)
        attached = self._attached(output, metadata)
        by_manager = self._store(output, value, attached, None)
        if output.asset_key is not None:
            version = item.data_version if item is not None else None
            tags: Mapping[str, str] = item.tags if item is not None else {}
            told = {**(by_manager or {}), **attached}
            self._tell_asset(output.asset_key, told, tags, version)
        self._tell_stored(output, by_manager)

    def _give_result(self, item: "asset_events.MaterializeResult[Any]") -> None:
        output = self._of_asset(item.asset_key)
        key = output.asset_key
        if key is None:
            return
        self._count(output)
        attached = self._attached(output, dict(item.metadata))
        stores = not isinstance(item.value, type(asset_events.NO_VALUE))
        if stores:
            self._check_and_tell(output, item.value, attached, None)
        else:
            self._tell_output(output, attached, None, None)
        by_manager = self._store(output, item.value, attached, None) if stores else None
        self._tell_asset(key, {**(by_manager or {}), **attached}, item.tags, item.data_version)
        self._tell_stored(output, by_manager)
        for result in item.check_results:
            self._give_check(result, key)

    def _give_observation(self, item: asset_events.ObserveResult) -> None:
        output = self._of_asset(item.asset_key)
        key = output.asset_key
        if key is None:
            return
        self._count(output)
        self.observe(key, item.metadata, item.tags, item.data_version)
        for result in item.check_results:
            self._give_check(result, key)

    def observe(
        self,
        key: keys.AssetKey,
        metadata: Mapping[str, Any],
        tags: Mapping[str, str],
        version: data_versions.DataVersion | None,
        partition: str | None = None,
    ) -> None:
        """Tell of an observation of an asset."""
        told = dict(tags)
        if version is not None:
            told[asset_events.DATA_VERSION_TAG] = version.value
        for each in self._partitions() if partition is None else [partition]:
            attached = {**metadata, **self._context.get_asset_metadata(key, each)}
            observation = asset_events.AssetObservation(
                key, metadata=attached, partition=each, tags=told
            )
            self._emit(
                events.EventType.ASSET_OBSERVATION,
                f"Observed {key.to_user_string()}.",
                events.AssetObservationData(observation),
            )

    def count_observed(self, key: keys.AssetKey) -> None:
        """Count an asset as observed."""
        self._count(self._of_asset(key))

    def _give_check(
        self, item: asset_checks.AssetCheckResult, asset_key: keys.AssetKey | None
    ) -> None:
        output = self._of_check(item, asset_key)
        check = output.check
        if check is None:
            return
        self._count(output)
        partitions = self._partitions() if check.partitions_def is not None else [None]
        for partition in partitions:
            evaluation = asset_checks.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=item.passed,
                metadata=item.metadata,
                target_materialization_data=self._target(check.asset_key),
                severity=item.severity,
                description=item.description,
                blocking=check.blocking,
                partition=partition,
            )
            self._tell_check(evaluation)
            if evaluation.stops_downstream:
                self.blocking_failures.append(evaluation)

    def _of_check(
        self, item: asset_checks.AssetCheckResult, asset_key: keys.AssetKey | None
    ) -> planning.StepOutput:
        wanted = item.asset_key or asset_key
        found = [
            one
            for one in self._step.outputs
            if one.check is not None
            and (wanted is None or one.check.asset_key == wanted)
            and (item.check_name is None or one.check.name == item.check_name)
        ]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(
            sorted(
                one.check.key.to_user_string()
                for one in self._step.outputs
                if one.check is not None
            )
        )
        said = ":".join(
            part for part in (wanted and wanted.to_user_string(), item.check_name) if part
        )
        problem = "fits none" if not found else "fits several"
        raise errors.InvariantViolationError(
            f"{self._step.key!r} gave an AssetCheckResult for {said or 'no check by name'}, which "
            f"{problem} of its checks: {listed or 'none'}. Give asset_key and check_name."
        )

    def _target(
        self, key: keys.AssetKey
    ) -> asset_checks.AssetCheckEvaluationTargetMaterializationData | None:
        if key in self._scope.made_versions and not self._scope.instance.is_ephemeral:
            # Materialized by this very run: its position in the log is not known yet.
            return asset_checks.AssetCheckEvaluationTargetMaterializationData(
                0, self._scope.run.run_id, 0.0
            )
        newest = (self._scope.newest.latest([key]) or {}).get(key)
        if newest is None:
            return None
        return asset_checks.AssetCheckEvaluationTargetMaterializationData(
            newest.storage_id, newest.run_id, newest.timestamp
        )

    def _tell_check(self, evaluation: asset_checks.AssetCheckEvaluation) -> None:
        words = "passed" if evaluation.passed else f"did not pass ({evaluation.severity.value})"
        self._emit(
            events.EventType.ASSET_CHECK_EVALUATION,
            f"The check {evaluation.asset_check_key.to_user_string()} {words}.",
            events.AssetCheckEvaluationData(evaluation),
        )

    def _attached(self, output: planning.StepOutput, metadata: dict[str, Any]) -> dict[str, Any]:
        metadata.update(self._context.get_output_metadata(output.definition.name))
        return metadata

    def _check_and_tell(
        self,
        output: planning.StepOutput,
        value: Any,
        metadata: Mapping[str, Any],
        mapping_key: str | None,
    ) -> None:
        kind = output.definition.type
        if kind.is_any:
            self._tell_output(output, metadata, mapping_key, None)
            return
        subject = f"the output {output.definition.name!r} of {self._step.key!r}"
        context = step_inputs.check_context(self._scope, kind, self._context.log)
        told = type_checking.check_value(kind, value, context, subject)
        data = step_inputs.type_check_data(kind, told)
        self._tell_output(output, metadata, mapping_key, data)
        if not told.success:
            raise type_checking.did_not_pass(kind, told, subject)

    def _tell_output(
        self,
        output: planning.StepOutput,
        metadata: Mapping[str, Any],
        mapping_key: str | None,
        check: events.TypeCheckData | None,
    ) -> None:
        name = output.definition.name
        attached = {**metadata, **self._context.get_output_metadata(name, mapping_key)}
        which = f" for {mapping_key}" if mapping_key is not None else ""
        self._emit(
            events.EventType.STEP_OUTPUT,
            f"Gave output {name}{which}.",
            events.StepOutputData(name, attached, mapping_key, check),
        )

    def _store(
        self,
        output: planning.StepOutput,
        value: Any,
        attached: Mapping[str, Any],
        mapping_key: str | None,
    ) -> dict[str, Any] | None:
        """Store a value; return what the IO manager attached, None where none was called."""
        scope, step = self._scope, self._step
        name = output.definition.name
        if step.hooks:
            _capture(self.values, (step.key, name), value, mapping_key)
        if scope.captured is not None:
            _capture(scope.captured, (step.key, name), value, mapping_key)
        if output.definition.type.is_nothing:
            return None
        manager_key = storage_config.output_manager_key(step, output)
        if output.asset_key is None and scope.keeps_in_memory(manager_key):
            memory = scope.memory if scope.memory is not None else {}
            memory[step.key, name, mapping_key] = value
            return None
        manager = scope.io_manager(manager_key)
        context = self._output_context(output, attached, mapping_key, manager_key)
        storage_calls.store(manager, context, value, manager_key)
        for event in context.consume_events():
            self.record(event)
        return dict(context.consume_logged_metadata())

    def _output_context(
        self,
        output: planning.StepOutput,
        attached: Mapping[str, Any],
        mapping_key: str | None,
        manager_key: str,
    ) -> io_contexts.OutputContext:
        scope, step = self._scope, self._step
        one, key = self._assets_def, output.asset_key
        spec = one.specs_by_key.get(key) if one is not None and key is not None else None
        metadata: Mapping[str, Any] = (
            {name: each.value for name, each in spec.metadata.items()}
            if spec is not None
            else output.definition.metadata
        )
        partitions = self._context.partitions_of_step
        of_asset = key is not None and spec is not None and spec.partitions_def is not None
        return io_contexts.OutputContext(
            step.key,
            output.definition.name,
            job_name=scope.run.job_name,
            run_id=scope.run.run_id,
            definition_metadata=metadata,
            asset_key=key,
            asset_spec=spec,
            output_metadata=attached,
            log_manager=self._context.log,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            resources=resources.Resources(scope.require(()), "The run"),
            location_name=scope.run.location_name,
            mapping_key=mapping_key,
            config=storage_config.output_config(
                step, output.definition.name, scope.objects, manager_key
            ),
            resource_config=scope.resource_config(manager_key),
            type=output.definition.type,
            op_def=step.op,
            version=output.definition.code_version or step.op.code_version,
            partition_key=scope.run.partition_key,
            asset_partitions_def=partitions.partitions_def if of_asset else None,
            asset_partitions_subset=(
                partitions.subset if of_asset and partitions.is_partitioned else None
            ),
        )

    def _tell_stored(
        self, output: planning.StepOutput, by_manager: Mapping[str, Any] | None
    ) -> None:
        if by_manager is None:
            return
        key = output.asset_key
        name = key.to_user_string() if key is not None else output.definition.name
        manager_key = storage_config.output_manager_key(self._step, output)
        self._emit(
            events.EventType.HANDLED_OUTPUT,
            f"Stored {name} by {manager_key}.",
            events.HandledOutputData(output.definition.name, manager_key, by_manager),
        )

    def _partitions(self) -> Sequence[str | None]:
        partitions = self._context.partitions_of_step
        return partitions.keys if partitions.is_partitioned else [None]

    def _tell_asset(
        self,
        key: keys.AssetKey,
        metadata: Mapping[str, Any],
        tags: Mapping[str, str],
        version: data_versions.DataVersion | None,
    ) -> None:
        told = version or self._context.get_data_version(key)
        if self._is_observed:
            self.observe(key, metadata, tags, told)
            return
        every = {**self._versioning.tags_for(key, told), **tags}
        one = self._assets_def
        spec = one.specs_by_key.get(key) if one is not None else None
        partitions = (
            self._partitions() if spec is not None and spec.partitions_def is not None else [None]
        )
        for partition in partitions:
            attached = {**metadata, **self._context.get_asset_metadata(key, partition)}
            materialization = asset_events.AssetMaterialization(
                key, metadata=attached, partition=partition, tags=every
            )
            which = f", partition {partition}" if partition is not None else ""
            self._emit(
                events.EventType.ASSET_MATERIALIZATION,
                f"Materialized {key.to_user_string()}{which}.",
                events.StepMaterializationData(materialization),
            )

    @property
    def _is_observed(self) -> bool:
        one = self._assets_def
        return one is not None and one.execution_type is assets.AssetExecutionType.OBSERVATION


def _capture(
    captured: dict[tuple[str, str], Any],
    place: tuple[str, str],
    value: Any,
    mapping_key: str | None,
) -> None:
    if mapping_key is None:
        captured[place] = value
    else:
        captured.setdefault(place, {})[mapping_key] = value


def names_of(outputs: Iterable[planning.StepOutput]) -> str:
    """Return the names of outputs as text, for messages."""
    return ", ".join(one.definition.name for one in outputs) or "none"

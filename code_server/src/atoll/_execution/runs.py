"""Runs a whole run, and tells everything by events.

Called by the run worker of a location and by `materialization`. States of a run here:

```
(planned) --RUN_START--> running --all steps ended well--> RUN_SUCCESS
                            |------ a step failed -------> RUN_FAILURE   (others still run)
                            |------ RunCanceledError ----> RUN_CANCELED  (after the user's clean-up)
```
"""

import dataclasses
import os
import platform
from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import definitions, events, failures, jobs, keys, raised, runs, specs
from atoll._execution import (
    earlier_runs,
    executors,
    flattening,
    known_assets,
    planning,
    progress,
    run_scope,
    slots,
    step_boundary,
    steps,
)
from atoll._execution import events as event_sinks
from atoll._instance import instance as instances
from atoll._partitions import contexts

StepBoundary = step_boundary.StepBoundary
RunCanceledError = steps.RunCanceledError


def execute_run(  # noqa: PLR0913 - one call of the run worker, by name
    defs: definitions.Definitions,
    run: runs.Run,
    sink: event_sinks.Sink,
    instance: instances.Instance,
    *,
    boundary: StepBoundary | None = None,
    start: events.RunStartData | None = None,
    foreign_specs: Mapping[keys.AssetKey, specs.AssetSpec] | None = None,
    told_assets: known_assets.Told = known_assets.NOTHING,
    slot_source: slots.Source | None = None,
) -> bool:
    """Run a run to its end. What user code raises becomes events and is never raised here.

    Args:
        defs: The definitions of the location.
        run: The run.
        sink: Takes the events, in order. The last one ends the run.
        instance: Answers what user code asks.
        boundary: What is around each step, for instance to capture its output.
        start: Who runs it; this process where not given.
        foreign_specs: What the host told of assets of other locations, by key.
        told_assets: What the host told of the newest materializations of assets.
        slot_source: Where steps get slots of pools from.

    Returns:
        Whether the run succeeded.

    Raises:
        KeyboardInterrupt: The user interrupted; the run has ended as canceled.
    """
    execution = RunExecution(
        run,
        sink,
        instance,
        defs=defs,
        foreign_specs=foreign_specs,
        told_assets=told_assets,
        forks=True,
        slot_source=slot_source,
    )
    return execution.execute(boundary=boundary, start=start)


class RunExecution:
    """One execution of a run.

    Args:
        run: The run.
        sink: Takes the events.
        instance: Answers what user code asks.
        defs: The definitions of the location, where the job is looked up in them.
        job: The job, where it stands by itself.
        captured: Where the values of outputs are kept; None where nobody needs them.
        keeps_in_memory: Whether values that are no assets stay in memory.
        resources: Objects that replace those of the definitions, by resource key.
        foreign_specs: What the host told of assets of other locations, by key.
        told_assets: What the host told of the newest materializations of assets.
        forks: Whether steps may run in processes of their own, as their executor says.
        slot_source: Where steps get slots of pools from; None where pools hold up nothing.
    """

    def __init__(  # noqa: PLR0913 - two callers, by name
        self,
        run: runs.Run,
        sink: event_sinks.Sink,
        instance: instances.Instance,
        *,
        defs: definitions.Definitions | None = None,
        job: jobs.JobDefinition | None = None,
        captured: dict[tuple[str, str], Any] | None = None,
        keeps_in_memory: bool = False,
        resources: Mapping[str, Any] | None = None,
        foreign_specs: Mapping[keys.AssetKey, specs.AssetSpec] | None = None,
        told_assets: known_assets.Told = known_assets.NOTHING,
        forks: bool = False,
        slot_source: slots.Source | None = None,
    ) -> None:
        self._defs = defs
        self._job = job
        self._run = run
        self._instance = instance
        self._emitter = event_sinks.Emitter(sink, run)
        self._captured = captured
        self._keeps_in_memory = keeps_in_memory
        self._resources = dict(resources or {})
        self._foreign_specs = dict(foreign_specs or {})
        self._told_assets = told_assets
        self._forks = forks
        self._slot_source = slot_source
        self.first_error: BaseException | None = None
        self.first_failure: failures.FailureInfo | None = None
        self.failed: tuple[str, ...] = ()
        self.plan: planning.Plan | None = None

    def execute(
        self,
        *,
        boundary: StepBoundary | None = None,
        start: events.RunStartData | None = None,
    ) -> bool:
        """Run to the end.

        Args:
            boundary: What is around each step.
            start: Who runs it; this process where not given.

        Returns:
            Whether the run succeeded.
        """
        try:
            who = (
                start
                if start is not None
                else events.RunStartData(pid=os.getpid(), hostname=platform.node())
            )
            self._emitter.emit(events.EventType.RUN_START, f"Started {self._run.job_name}.", who)
            with contexts.partition_loading_context(dynamic_partitions_store=self._instance):
                return self._execute(boundary or StepBoundary())
        except RunCanceledError:
            self._emitter.emit(events.EventType.RUN_CANCELED, "The run was canceled.")
            return False
        except KeyboardInterrupt:
            self._emitter.emit(events.EventType.RUN_CANCELED, "The run was interrupted.")
            raise

    def scope_for_reading(self) -> run_scope.RunScope:
        """Return what values of the run can be loaded with, once it was planned.

        Raises:
            InvariantViolationError: It could not be planned.
        """
        if self.plan is None:
            raise errors.InvariantViolationError(
                f"The run {self._run.run_id} was not planned, so that it has no values."
            )
        scope = self._scope(self.plan)
        scope.emitter = event_sinks.Emitter(event_sinks.ListSink(), self._run)
        return scope

    def _execute(self, boundary: StepBoundary) -> bool:
        try:
            scope = self._scope(self._planned())
            earlier = earlier_runs.of_run(self._instance, self._run)
            state = progress.Progress(scope.plan, earlier)
            execution = executors.execution_for(scope, state, boundary, forks=self._forks)
        except Exception as error:  # noqa: BLE001 - boundary: what cannot be planned is recorded as the run's failure
            self.first_error = error
            self._fail(str(error), raised.user_failure(error))
            return False
        try:
            self._tell_planned(scope.plan)
            execution.run()
        finally:
            scope.close()
        self.first_error = execution.first_error
        self.first_failure = execution.first_failure
        self.failed = tuple(execution.failed)
        if not execution.failed:
            self._emitter.emit(events.EventType.RUN_SUCCESS, f"{self._run.job_name} succeeded.")
            return True
        message = f"Steps failed: {', '.join(execution.failed)}."
        cause = self.first_failure
        self._fail(message, failures.FailureInfo("atoll.StepsFailed", message, cause=cause))
        return False

    def _planned(self) -> planning.Plan:
        job = self._job
        if job is None:
            if self._defs is None:
                raise ValueError("a run needs its definitions or its job")
            job = self._defs.get_job_def(self._run.job_name)
        self.plan = flattening.plan(self._defs or job.definitions, job, self._run)
        if self._run.is_resume_retry and self._run.step_keys_to_execute is None:
            self.plan = self._resumed(job, self.plan)
        return self.plan

    def _resumed(self, job: jobs.JobDefinition, plan: planning.Plan) -> planning.Plan:
        """Plan what the earlier run did not bring to a good end."""
        if self._run.parent_run_id is None:
            return plan
        earlier = earlier_runs.of_row(self._instance, self._run.parent_run_id)
        keys_left = tuple(earlier_runs.unfinished(plan, earlier))
        self._run = dataclasses.replace(self._run, step_keys_to_execute=keys_left)
        return flattening.plan(self._defs or job.definitions, job, self._run)

    def _tell_planned(self, plan: planning.Plan) -> None:
        for step in plan.steps:
            for output in step.outputs:
                if not output.is_selected:
                    continue
                if output.asset_key is not None and _is_materialized(step):
                    self._emitter.emit(
                        events.EventType.ASSET_MATERIALIZATION_PLANNED,
                        f"Going to materialize {output.asset_key.to_user_string()}.",
                        events.AssetMaterializationPlannedData(
                            output.asset_key, self._run.partition_key
                        ),
                    )
                if output.check is not None:
                    self._emitter.emit(
                        events.EventType.ASSET_CHECK_EVALUATION_PLANNED,
                        f"Going to evaluate the check {output.check.key.to_user_string()}.",
                        events.AssetCheckEvaluationPlannedData(output.check.key),
                    )

    def _fail(self, message: str, failure: failures.FailureInfo) -> None:
        self._emitter.emit(events.EventType.RUN_FAILURE, message, events.RunFailureData(failure))

    def _scope(self, plan: planning.Plan) -> run_scope.RunScope:
        brought = [dict(one.resource_defs) for one in plan.graph.every_def if one.resource_defs]
        layers = [plan.job.resources, *brought, plan.job.resource_defs, self._resources]
        # Where users say who stores, their IO manager does, whatever it is.
        is_default = not any(run_scope.DEFAULT_IO_MANAGER_KEY in layer for layer in layers)
        return run_scope.RunScope(
            run=self._run,
            plan=plan,
            instance=self._instance,
            emitter=self._emitter,
            objects=run_scope.objects_of(layers, self._instance.storage_dir),
            foreign_specs=self._foreign_specs,
            told_assets=self._told_assets,
            captured=self._captured,
            memory={} if self._keeps_in_memory and is_default else None,
            slots=self._slot_source,
        )


def _is_materialized(step: planning.Step) -> bool:
    return step.assets_def is not None and step.assets_def.is_materializable

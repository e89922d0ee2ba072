"""Runs a whole run in this process, and tells everything by events.

Called by the run worker of a location and by `materialize`. States of a run here:

```
(planned) --RUN_START--> running --all steps ended well--> RUN_SUCCESS
                            |------ a step failed -------> RUN_FAILURE   (others still run)
                            |------ RunCanceledError ----> RUN_CANCELED  (after the user's clean-up)
```
"""

import contextlib
import os
import pathlib
import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from atoll._definitions import definitions, events, failures, keys, raised, runs
from atoll._execution import events as event_sinks
from atoll._execution import planning, steps, storing
from atoll._instance import instance as instances

StepBoundary = Callable[[str | None], "contextlib.AbstractContextManager[None]"]
RunCanceledError = steps.RunCanceledError


def execute_run(
    defs: definitions.Definitions,
    run: runs.Run,
    sink: event_sinks.Sink,
    instance: instances.Instance,
    *,
    step_boundary: StepBoundary | None = None,
    start: events.RunStartData | None = None,
) -> bool:
    """Run a run to its end. What user code raises becomes events and is never raised here.

    Args:
        defs: The definitions of the location.
        run: The run.
        sink: Takes the events, in order. The last one ends the run.
        instance: Answers what user code asks.
        step_boundary: Wraps each step, for instance to capture its output; it gets the key of the
            step.
        start: Who runs it; this process where not given.

    Returns:
        Whether the run succeeded.

    Raises:
        KeyboardInterrupt: The user interrupted; the run has ended as canceled.
    """
    execution = RunExecution(defs, run, sink, instance)
    return execution.execute(step_boundary=step_boundary, start=start)


class RunExecution:
    """One execution of a run.

    Args:
        defs: The definitions of the location.
        run: The run.
        sink: Takes the events.
        instance: Answers what user code asks.
        captured: Where the values of outputs are kept; None where nobody needs them.
        resources: Objects that replace those of the definitions, by resource key.
    """

    def __init__(
        self,
        defs: definitions.Definitions,
        run: runs.Run,
        sink: event_sinks.Sink,
        instance: instances.Instance,
        *,
        captured: dict[tuple[str, str], Any] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> None:
        self._defs = defs
        self._run = run
        self._instance = instance
        self._emitter = event_sinks.Emitter(sink, run)
        self._captured = captured
        self._resources = dict(resources or {})
        self.first_error: BaseException | None = None

    def execute(
        self,
        *,
        step_boundary: StepBoundary | None = None,
        start: events.RunStartData | None = None,
    ) -> bool:
        """Run to the end.

        Args:
            step_boundary: Wraps each step.
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
            return self._execute(step_boundary)
        except RunCanceledError:
            self._emitter.emit(events.EventType.RUN_CANCELED, "The run was canceled.")
            return False
        except KeyboardInterrupt:
            self._emitter.emit(events.EventType.RUN_CANCELED, "The run was interrupted.")
            raise

    def _execute(self, step_boundary: StepBoundary | None) -> bool:
        try:
            plan = planning.plan(self._defs, self._run)
            scope = self._scope(plan)
        except Exception as error:  # noqa: BLE001 - boundary: what cannot be planned is recorded as the run's failure
            self.first_error = error
            self._fail(str(error), raised.user_failure(error))
            return False
        for key in sorted(plan.asset_keys):
            self._emitter.emit(
                events.EventType.ASSET_MATERIALIZATION_PLANNED,
                f"Going to materialize {key.to_user_string()}.",
                events.AssetMaterializationPlannedData(key),
            )
        failed = self._run_steps(plan, scope, step_boundary or _no_boundary)
        if not failed:
            self._emitter.emit(events.EventType.RUN_SUCCESS, f"{self._run.job_name} succeeded.")
            return True
        message = f"Steps failed: {', '.join(failed)}."
        cause = raised.describe(self.first_error) if self.first_error is not None else None
        self._fail(message, failures.FailureInfo("atoll.StepsFailed", message, cause=cause))
        return False

    def _run_steps(
        self, plan: planning.Plan, scope: steps.RunScope, boundary: StepBoundary
    ) -> list[str]:
        materialized: set[keys.AssetKey] = set()
        failed: list[str] = []
        for step in plan.steps:
            missing = {
                maker for key, maker in step.upstream_keys.items() if key not in materialized
            }
            if missing:
                self._skip(step.key, sorted(missing))
                continue
            try:
                with boundary(step.key):
                    materialized |= steps.StepRun(scope, step).execute()
            except steps.StepFailedError as error:
                failed.append(step.key)
                self.first_error = self.first_error or error.__cause__
        return failed

    def _skip(self, step_key: str, upstream: list[str]) -> None:
        self._emitter.emit(
            events.EventType.STEP_SKIPPED,
            f"Left out {step_key}, because {', '.join(upstream)} gave no output.",
            events.StepSkippedData(tuple(upstream)),
            step_key=step_key,
        )

    def _fail(self, message: str, failure: failures.FailureInfo) -> None:
        self._emitter.emit(events.EventType.RUN_FAILURE, message, events.RunFailureData(failure))

    def _scope(self, plan: planning.Plan) -> steps.RunScope:
        own = (dict(one.resource_defs) for one in plan.job.graph.assets_defs if one.resource_defs)
        objects = run_resources(
            [self._defs.resources, *own, self._resources], self._instance.storage_dir
        )
        return steps.RunScope(
            run=self._run,
            plan=plan,
            graph=plan.job.graph,
            resources=objects,
            instance=self._instance,
            emitter=self._emitter,
            captured=self._captured,
        )


def run_resources(
    layers: Iterable[Mapping[str, Any]], storage_dir: pathlib.Path | None
) -> dict[str, Any]:
    """Put the resources of a run together, the default IO manager included.

    Args:
        layers: Resources by key; later ones replace earlier ones.
        storage_dir: The base folder of the default IO manager; the location's own where None.

    Returns:
        The resources by key, made for this run where they are made anew for each.
    """
    objects: dict[str, Any] = {"io_manager": storing.FilesystemIOManager(storage_dir)}
    for layer in layers:
        objects.update(layer)
    for key, one in objects.items():
        make = getattr(one, "for_run", None)
        if callable(make):
            objects[key] = make()
    return objects


def _no_boundary(step_key: str | None) -> "contextlib.AbstractContextManager[None]":
    del step_key
    return contextlib.nullcontext()

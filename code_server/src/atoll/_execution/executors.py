"""Which executor runs the steps of a run.

Called by `runs`. The definitions that users give jobs stand in `_definitions.executors`.
"""

import importlib
from typing import Any, Protocol

from atoll import errors
from atoll._definitions import events, executors, failures
from atoll._execution import (
    fork_hazards,
    in_process_executor,
    io_managers,
    progress,
    run_scope,
    step_boundary,
)


class Execution(Protocol):
    """One execution of a plan.

    Attributes:
        failed: The steps that failed, in order.
        first_error: What the first of them raised, where that is known in this process.
        first_failure: The same as data; None where nothing failed.
    """

    failed: list[str]
    first_error: BaseException | None

    @property
    def first_failure(self) -> failures.FailureInfo | None:
        """Why the first step failed that did."""
        ...

    def run(self) -> None:
        """Run until nothing is left to do."""
        ...


def execution_for(
    scope: run_scope.RunScope,
    state: progress.Progress,
    boundary: step_boundary.StepBoundary,
    *,
    forks: bool,
) -> Execution:
    """Return the execution that a job's executor asks for.

    Args:
        scope: What all steps share.
        state: How far the run has come.
        boundary: What is around each step.
        forks: Whether the executor of the job decides; otherwise steps run in this process.

    Raises:
        InvalidConfigError: The config of the executor does not fit.
        UnmetExecutorRequirementsError: Values would be lost between processes.
    """
    if forks:
        job = scope.plan.job
        definition = executors.definition_of(job.executor_def)
        made = definition.make(job, scope.plan.sections.execution, scope.instance)
        scope.retries = made.retries
        if isinstance(made, executors.MultiprocessExecutor):
            _refuse_memory(scope)
            hazard = fork_hazards.hazard()
            if not hazard:
                forked: Any = importlib.import_module("atoll._execution.forked_executor")
                execution: Execution = forked.ForkedExecution(scope, state, boundary, made)
                return execution
            scope.emitter.emit(
                events.EventType.ENGINE_EVENT,
                "Warning: the steps run one after the other in the process of the run, though the "
                f"executor {definition.name!r} asks for processes. Forking is unsafe: {hazard}.",
                events.EngineEventData(),
            )
    return in_process_executor.InProcessExecution(scope, state, boundary)


def _refuse_memory(scope: run_scope.RunScope) -> None:
    for step in scope.plan.steps:
        for output in step.outputs:
            key = output.definition.io_manager_key
            one = scope.objects.get(key)
            if isinstance(one, io_managers.InMemoryIOManager) or one is io_managers.mem_io_manager:
                raise errors.UnmetExecutorRequirementsError(
                    f"The IO manager {key!r} of the step {step.key!r} keeps values in memory, "
                    "which the processes of a multiprocess executor do not share. Use an IO "
                    "manager that stores them, or in_process_executor."
                )

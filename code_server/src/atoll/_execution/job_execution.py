"""Running a job from a script, as its executor says, and running it again in part.

Called by users: `execute_job`, `reconstructable`, `ReexecutionOptions`. Values of ops are stored by
their IO managers, so that a later run can begin where an earlier one failed.
"""

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import events, in_process, jobs, keys, op_selection, runs
from atoll._definitions import run_config as run_configs
from atoll._execution import (
    earlier_runs,
    flattening,
    logs,
    materialization,
    planning,
    run_scope,
    step_inputs,
)
from atoll._instance import instance as instances


class ReconstructableJob:
    """A job, or a function that makes one, for `execute_job`.

    Args:
        make: Gives the job.
    """

    def __init__(self, make: Callable[[], jobs.JobDefinition]) -> None:
        self._make = make

    def get_definition(self) -> jobs.JobDefinition:
        """Return the job.

        Raises:
            InvariantViolationError: What gives it gives no job.
        """
        return _checked(self._make())


def reconstructable(target: Any) -> ReconstructableJob:
    """Wrap a job for `execute_job`.

    Processes of steps are forked, so that any job will do, also one that was made in a function.

    Args:
        target: The job, or a function without parameters that returns it.

    Raises:
        InvariantViolationError: It is neither.
    """
    if inspect.isroutine(target):
        return ReconstructableJob(target)
    job = _checked(target)
    return ReconstructableJob(lambda: job)


def _checked(made: Any) -> jobs.JobDefinition:
    if isinstance(made, jobs.JobDefinition):
        return made
    raise errors.InvariantViolationError(
        f"A job is needed to be run, got {made!r}. Give a job, or a function that returns one; a "
        "graph becomes one by to_job(), and define_asset_job gives a job that "
        "Definitions.resolve_job_def completes."
    )


def build_reconstructable_job(
    reconstructor_module_name: str,
    reconstructor_function_name: str,
    reconstructable_args: Sequence[Any] | None = None,
    reconstructable_kwargs: Mapping[str, Any] | None = None,
    reconstructor_working_directory: str | None = None,
) -> ReconstructableJob:
    """Wrap a job that a function of a module makes.

    Args:
        reconstructor_module_name: The module.
        reconstructor_function_name: The function.
        reconstructable_args: What the function gets.
        reconstructable_kwargs: What the function gets by name.
        reconstructor_working_directory: Where the module is looked for, too.
    """

    def make() -> jobs.JobDefinition:
        folder = reconstructor_working_directory
        if folder is not None and folder not in sys.path:
            sys.path.insert(0, folder)
        module = importlib.import_module(reconstructor_module_name)
        function: Callable[..., Any] = getattr(module, reconstructor_function_name)
        made: Any = function(*(reconstructable_args or ()), **(reconstructable_kwargs or {}))
        return made.get_definition() if isinstance(made, ReconstructableJob) else _checked(made)

    return ReconstructableJob(make)


class ReexecutionOptions(records.Record):
    """Which run is executed again, and which of its steps.

    Attributes:
        parent_run_id: The run.
        step_selection: Keys of steps, with the signs of op selections: `["*a", "b+"]`; none at all
            mean every step.
    """

    parent_run_id: str
    step_selection: Sequence[str] = ()
    # Also the steps that an interrupted run never began, of which no event tells.
    resumes: bool = False

    def __init__(
        self, parent_run_id: str, step_selection: Sequence[str] = (), *, resumes: bool = False
    ) -> None:
        super().__init__(parent_run_id, tuple(step_selection), resumes)

    @staticmethod
    def from_failure(run_id: str, instance: instances.Instance) -> "ReexecutionOptions":
        """Return what goes on where a run failed: its failed steps, and what was left out.

        Args:
            run_id: The run.
            instance: The instance that knows it.

        Raises:
            RunNotFoundError: There is no such run.
            InvariantViolationError: It has not failed.
        """
        run = _run(instance, run_id)
        if not run.is_failure_or_canceled:
            raise errors.InvariantViolationError(
                f"The run {run_id} is {run.status.value}: only a run that failed or was canceled "
                "can be gone on with from its failure. Give ReexecutionOptions a step_selection."
            )
        told = earlier_runs.outcomes_of(instance, run_id)
        left = [key for key, outcome in told.items() if not outcome.succeeded]
        return ReexecutionOptions(run_id, left, resumes=True)


class JobExecutionResult(in_process.ExecuteInProcessResult):
    """What became of a run of `execute_job`. Used in a `with` statement where values are asked for.

    Values that stayed in memory are there; others are loaded by the IO managers that stored them.
    """

    def __init__(self, executed: materialization.Executed) -> None:
        super().__init__(**executed.told())
        self._executed = executed
        self._scope: run_scope.RunScope | None = None

    def __repr__(self) -> str:
        return (
            f"JobExecutionResult(run_id={self.run_id!r}, job_name={self.run.job_name!r}, "
            f"success={self.success})"
        )

    def __enter__(self) -> "JobExecutionResult":  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the resources that loading values needed. May be repeated."""
        if self._scope is not None:
            self._scope.close()
            self._scope = None

    def output_for_node(self, node_str: str, output_name: str = "result") -> Any:
        """Return the value that a step gave; of a mapped or dynamic one, values by mapping key.

        Args:
            node_str: The step.
            output_name: The output.

        Raises:
            StepOutputNotFoundError: The step gave no such value in this run.
        """
        with contextlib.suppress(errors.StepOutputNotFoundError):
            return super().output_for_node(node_str, output_name)
        copies = {
            key: key.removeprefix(f"{node_str}[").removesuffix("]")
            for key, _ in self._given
            if key.startswith(f"{node_str}[")
        }
        if copies and (node_str, output_name) not in self._given:
            return {name: self.output_for_node(key, output_name) for key, name in copies.items()}
        mapping_keys = self._given.get((node_str, output_name))
        if mapping_keys is None:
            return super().output_for_node(node_str, output_name)
        if mapping_keys == [None]:
            return self._load(node_str, output_name, None)
        return {one: self._load(node_str, output_name, one) for one in mapping_keys}

    @property
    def _given(self) -> dict[tuple[str, str], list[str | None]]:
        """The outputs that steps gave, with their mapping keys."""
        found: dict[tuple[str, str], list[str | None]] = {}
        for event in self.filter_events(events.EventType.STEP_OUTPUT):
            data = event.event_specific_data
            if event.step_key is not None:
                found.setdefault((event.step_key, data.output_name), []).append(data.mapping_key)
        return found

    def _load(self, step_key: str, output_name: str, mapping_key: str | None) -> Any:
        if self._scope is None:
            self._scope = self._executed.attempt.scope_for_reading()
        scope = self._scope
        step = scope.plan.maker_of(step_key).as_copy(step_key)
        inputs = step_inputs.StepInputs(
            scope, step, scope.partitions_for(step), logs.to_events(scope.emitter, None)
        )
        return inputs.load_own_output(output_name, mapping_key)


def execute_job(  # noqa: PLR0913, PLR0917 - the field's signature
    job: ReconstructableJob | jobs.JobDefinition,
    instance: instances.Instance,
    run_config: run_configs.CoercibleToRunConfig | None = None,
    tags: Mapping[str, str] | None = None,
    raise_on_error: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    op_selection: Sequence[str] | None = None,
    reexecution_options: ReexecutionOptions | None = None,
    asset_selection: Sequence[keys.AssetKey] | None = None,
) -> JobExecutionResult:
    """Run a job to its end, as its executor says, and record it in an instance.

    What a step writes into an ephemeral instance from a process of its own is seen by that step
    only.

    Args:
        job: The job, or what `reconstructable` returns.
        instance: Records the run; for a run again, it knows the earlier one.
        run_config: The run configuration; that of the earlier run, or the job's own, where not
            given.
        tags: Labels of the run, beside the job's.
        raise_on_error: Whether a failure of user code is raised; otherwise the result tells of it.
        op_selection: Only these of the ops.
        reexecution_options: Which run is executed again, and which of its steps.
        asset_selection: Only these assets of the job.

    Returns:
        What became of the run.

    Raises:
        RunNotFoundError: There is no run to be executed again.
        InvalidSubsetError: A selection names what is not there.
    """
    made = job.get_definition() if isinstance(job, ReconstructableJob) else job
    execution: dict[str, Any] = {
        "run_config": run_configs.to_plain(run_config),
        "tags": dict(tags or {}),
        "op_selection": op_selection,
        "asset_selection": asset_selection,
    }
    if reexecution_options is not None:
        execution = _again(made, instance, execution, reexecution_options)
    executed = materialization.EXECUTOR.execute(
        made,
        in_process.JobExecution(
            instance=instance,
            raise_on_error=raise_on_error,
            keeps_values=True,
            **execution,
        ),
        forks=True,
    )
    return JobExecutionResult(executed)


def _again(
    job: jobs.JobDefinition,
    instance: instances.Instance,
    given: dict[str, Any],
    options: ReexecutionOptions,
) -> dict[str, Any]:
    """Complete what was given by what the earlier run was for."""
    parent = _run(instance, options.parent_run_id)
    root = parent.root_run_id or parent.run_id
    tags = {runs.PARENT_RUN_TAG: parent.run_id, runs.ROOT_RUN_TAG: root, **given["tags"]}
    if options.resumes:
        tags[runs.RESUME_RETRY_TAG] = "true"
    chosen = given["asset_selection"]
    if chosen is None and parent.asset_selection is not None:
        chosen = sorted(parent.asset_selection)
    completed: dict[str, Any] = {
        "run_config": given["run_config"] or parent.run_config,
        "tags": tags,
        "op_selection": given["op_selection"] or parent.op_selection,
        "asset_selection": chosen,
        "check_selection": parent.asset_check_selection,
        "partition_key": parent.partition_key,
        "parent_run_id": parent.run_id,
        "root_run_id": root,
    }
    if options.step_selection or options.resumes:
        whole = materialization.run_of(job, in_process.JobExecution(**completed))
        plan = flattening.plan(job.definitions, job, whole)
        completed["step_keys"] = _step_keys(plan, instance, options)
    return completed


def _step_keys(
    plan: planning.Plan, instance: instances.Instance, options: ReexecutionOptions
) -> Sequence[str]:
    if options.resumes:
        earlier = earlier_runs.of_row(instance, options.parent_run_id)
        return earlier_runs.unfinished(plan, earlier)
    known = {one.key for one in plan.steps}
    # Copies of mapped steps are no names of the plan: they stand for themselves.
    copies = [
        one
        for one in options.step_selection
        if "[" in one and one.partition("[")[0] in known and one.endswith("]")
    ]
    clauses = [one for one in options.step_selection if one not in copies]
    if not clauses:
        return copies
    upstream = {one.key: sorted(one.upstream_keys & known) for one in plan.steps}
    return [*op_selection.resolve(clauses, upstream), *copies]


def _run(instance: instances.Instance, run_id: str) -> runs.Run:
    found = instance.get_run_by_id(run_id)
    if found is None:
        raise errors.RunNotFoundError(
            f"There is no run {run_id} in this instance to be executed again.", run_id
        )
    return found

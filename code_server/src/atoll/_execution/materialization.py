"""Materializing assets here and now: `materialize`, `materialize_to_memory`, and jobs in process.

Called by users in scripts and tests. Importing this module makes it the executor of
`_definitions.in_process`.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import assets as asset_definitions
from atoll._definitions import definitions as all_definitions
from atoll._definitions import events, in_process, jobs, runs, specs
from atoll._definitions import run_config as run_configs
from atoll._definitions.nodes import node
from atoll._execution import asset_values, io_managers, logs
from atoll._execution import events as event_sinks
from atoll._execution import runs as run_execution
from atoll._instance import instance as instances

_user_logger = logging.getLogger(logs.CONTEXT_LOGGER_NAME)

MaterializableAssets = Sequence[asset_definitions.AssetsDefinition | specs.AssetSpec]


def materialize(
    assets: MaterializableAssets,
    run_config: run_configs.CoercibleToRunConfig | None = None,
    instance: instances.Instance | None = None,
    resources: Mapping[str, Any] | None = None,
    partition_key: str | None = None,
    raise_on_error: bool = True,  # noqa: FBT001, FBT002 - the field's signature
    tags: Mapping[str, str] | None = None,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
) -> in_process.ExecuteInProcessResult:
    """Materialize assets here and now.

    Args:
        assets: The assets; bare specs stand for assets that were materialized before.
        run_config: The run configuration.
        instance: Records what happens and keeps the values; an ephemeral one where not given.
        resources: Objects by resource key.
        partition_key: The partition that the run is for.
        raise_on_error: Whether a failure of user code is raised; otherwise the result tells of it.
        tags: Labels of the run.
        selection: Only these of the assets; values of the others are loaded as they are stored.

    Returns:
        What became of the run.

    Raises:
        InvalidDefinitionError: The assets do not fit together.
    """
    defs = all_definitions.Definitions(assets=assets, resources=resources)
    defs.validate_loadable()
    if selection is None:
        job = defs.get_job_def(jobs.ASSET_JOB_NAME)
    else:
        job = defs.resolve_job(jobs.define_asset_job("materialize", selection))
    return EXECUTOR.execute_job(
        job,
        in_process.JobExecution(
            run_config=run_configs.to_plain(run_config),
            instance=instance,
            raise_on_error=raise_on_error,
            partition_key=partition_key,
            tags=tags or {},
            keeps_values=True,
        ),
    )


def materialize_to_memory(
    assets: MaterializableAssets,
    run_config: run_configs.CoercibleToRunConfig | None = None,
    instance: instances.Instance | None = None,
    resources: Mapping[str, Any] | None = None,
    partition_key: str | None = None,
    raise_on_error: bool = True,  # noqa: FBT001, FBT002 - the field's signature
    tags: Mapping[str, str] | None = None,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
) -> in_process.ExecuteInProcessResult:
    """Materialize assets here and now, and keep their values in memory only.

    Args:
        assets: The assets.
        run_config: The run configuration.
        instance: Records what happens; an ephemeral one where not given.
        resources: Objects by resource key; IO managers among them are refused.
        partition_key: The partition that the run is for.
        raise_on_error: Whether a failure of user code is raised; otherwise the result tells of it.
        tags: Labels of the run.
        selection: Only these of the assets.

    Returns:
        What became of the run.

    Raises:
        InvariantViolationError: An IO manager was given.
    """
    for key, one in (resources or {}).items():
        if isinstance(one, (io_managers.IOManager, io_managers.IOManagerDefinition)):
            raise errors.InvariantViolationError(
                f"materialize_to_memory keeps values in memory, but the resource {key!r} is an IO "
                "manager. Use materialize."
            )
    memory = io_managers.InMemoryIOManager()
    named = {"io_manager"}
    for one in all_definitions.Definitions(assets=assets).assets:
        if isinstance(one, asset_definitions.AssetsDefinition):
            named |= {
                output.io_manager_key
                for inner in node.ops_in(one.node_def)
                for output in inner.output_definitions
            }
    return materialize(
        assets,
        run_config,
        instance,
        {**(resources or {}), **dict.fromkeys(named, memory)},
        partition_key=partition_key,
        raise_on_error=raise_on_error,
        tags=tags,
        selection=selection,
    )


class InProcessExecutor:
    """Runs jobs and loads values in this process."""

    def execute_job(
        self, job: jobs.JobDefinition, execution: in_process.JobExecution
    ) -> in_process.ExecuteInProcessResult:
        """Run a job to its end.

        Args:
            job: The job.
            execution: How it is to run.

        Returns:
            What became of the run.
        """
        executed = self.execute(job, execution)
        return in_process.ExecuteInProcessResult(**executed.told())

    def execute(
        self, job: jobs.JobDefinition, execution: in_process.JobExecution, *, forks: bool = False
    ) -> "Executed":
        """Run a job to its end.

        Args:
            job: The job.
            execution: How it is to run.
            forks: Whether the executor of the job decides how steps are run.

        Returns:
            What became of the run, and what its values can be loaded with.

        Raises:
            ExecutionStepExecutionError: A step failed in a process of its own, and failures are to
                be raised.
        """
        instance: instances.Instance = (
            execution.instance if execution.instance is not None else instances.Instance.ephemeral()
        )
        if execution.input_values:
            job = job.with_input_values(execution.input_values)
        run = run_of(job, execution)
        backend = instances.recording_backend(instance.backend)
        sink = _SpokenSink(backend)
        captured: dict[tuple[str, str], Any] = {}
        if backend is not None:
            backend.record_run(run)
        attempt = run_execution.RunExecution(
            run,
            sink,
            instance,
            job=job,
            captured=captured,
            keeps_in_memory=not execution.keeps_values,
            resources=execution.resources,
            forks=forks,
        )
        succeeded = attempt.execute()
        status = runs.RunStatus.SUCCESS if succeeded else runs.RunStatus.FAILURE
        run = dataclasses.replace(run, status=status)
        if backend is not None:
            backend.record_run(run)
        if execution.raise_on_error:
            _raise_failure(attempt)
        return Executed(job, run, sink.events, captured, attempt)

    def asset_value_loader(
        self, definitions: all_definitions.Definitions, instance: Any
    ) -> asset_values.AssetValueLoader:
        """Return what loads stored values of assets.

        Args:
            definitions: The definitions that know the assets.
            instance: The instance whose storage to read; the location's own where None.
        """
        return asset_values.AssetValueLoader(definitions, instance=instance)


@dataclasses.dataclass(frozen=True, slots=True)
class Executed:
    """A run that has ended.

    Attributes:
        job: The job.
        run: The run in its final state.
        events: Its events in order.
        captured: The values that its steps gave, where they ran in this process.
        attempt: Its execution.
    """

    job: jobs.JobDefinition
    run: runs.Run
    events: Sequence[events.Event]
    captured: Mapping[tuple[str, str], Any]
    attempt: run_execution.RunExecution

    def told(self) -> dict[str, Any]:
        """Return what a result is made of."""
        plan = self.attempt.plan
        return {
            "run": self.run,
            "event_list": self.events,
            "outputs": self.captured,
            "step_keys": {}
            if plan is None
            else {key: (one.step_key, one.output_name) for key, one in plan.makers.items()},
            "graph_outputs": {} if plan is None else plan.graph_outputs,
            "job": self.job,
        }


def _raise_failure(attempt: run_execution.RunExecution) -> None:
    if attempt.first_error is not None:
        raise _of_user(attempt.first_error)
    if attempt.first_failure is not None:
        step_key = attempt.failed[0]
        raise errors.ExecutionStepExecutionError(
            f"The step {step_key!r} failed in a process of its own:\n"
            f"{attempt.first_failure.to_string()}",
            step_key,
        )


def run_of(job: jobs.JobDefinition, execution: in_process.JobExecution) -> runs.Run:
    """Return the run that an execution asks for.

    Args:
        job: The job.
        execution: How it is to run.
    """
    chosen, checks = execution.asset_selection, execution.check_selection
    partition = execution.partition_key
    tags = {**job.run_tags, **job.config.tags_of(partition), **execution.tags}
    if partition is not None:
        tags[runs.PARTITION_TAG] = partition
    steps = execution.step_keys
    return runs.Run(
        job.name,
        execution.run_id or runs.make_run_id(),
        run_config=execution.run_config,
        asset_selection=None if chosen is None else frozenset(chosen),
        asset_check_selection=None if checks is None else frozenset(checks),
        op_selection=None if execution.op_selection is None else tuple(execution.op_selection),
        step_keys_to_execute=None if steps is None else tuple(steps),
        status=runs.RunStatus.STARTED,
        tags=tags,
        parent_run_id=execution.parent_run_id,
        root_run_id=execution.root_run_id,
        partition_key=partition,
    )


def _of_user(error: BaseException) -> BaseException:
    """Return what is raised to the caller: what an IO manager raised, with a note of which one."""
    wrapped = (errors.ExecutionLoadInputError, errors.ExecutionHandleOutputError)
    if isinstance(error, wrapped) and error.__cause__ is not None:
        error.__cause__.add_note(str(error))
        return error.__cause__
    return error


class _SpokenSink(event_sinks.ListSink):
    """Also hands what is logged on to `logging`, where scripts and notebooks look for it."""

    def emit(self, event: events.Event) -> None:
        """Take one event."""
        super().emit(event)
        data = event.event_specific_data
        if isinstance(data, events.LogMessageData):
            about = f"{event.step_key}: " if event.step_key else ""
            _user_logger.log(data.level, "%s%s", about, event.message)


EXECUTOR = InProcessExecutor()
in_process.register(EXECUTOR)

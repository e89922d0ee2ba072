"""Materializing assets here and now: `materialize`, `materialize_to_memory`, and jobs in process.

Called by users in scripts and tests. Importing this module makes it the executor of
`_definitions.in_process`.
"""

import dataclasses
import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import assets as asset_definitions
from atoll._definitions import definitions as all_definitions
from atoll._definitions import errors, events, in_process, jobs, keys, runs, specs
from atoll._definitions import run_config as run_configs
from atoll._execution import events as event_sinks
from atoll._execution import io_managers, logs
from atoll._execution import runs as run_execution
from atoll._instance import instance as instances

_user_logger = logging.getLogger(logs.CONTEXT_LOGGER_NAME)

MaterializableAssets = Sequence[asset_definitions.AssetsDefinition | specs.AssetSpec]


def materialize(  # noqa: PLR0913 - the field's signature
    assets: MaterializableAssets,
    run_config: run_configs.CoercibleToRunConfig | None = None,
    instance: instances.Instance | None = None,
    resources: Mapping[str, Any] | None = None,
    *,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
) -> in_process.ExecuteInProcessResult:
    """Materialize assets here and now.

    Args:
        assets: The assets; bare specs stand for assets that were materialized before.
        run_config: The run configuration.
        instance: Records what happens and keeps the values; an ephemeral one where not given.
        resources: Objects by resource key.
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
    chosen: set[keys.AssetKey] | None = None
    if selection is not None:
        chosen = asset_selections.AssetSelection.from_coercible(selection).resolve(assets)
    return EXECUTOR.execute_job(
        defs,
        in_process.JobExecution(
            job_name=jobs.ASSET_JOB_NAME,
            run_config=run_configs.to_plain(run_config),
            instance=instance,
            raise_on_error=raise_on_error,
            asset_selection=None if chosen is None else sorted(chosen),
            run_id=None,
            tags=tags or {},
            resources={},
        ),
    )


def materialize_to_memory(  # noqa: PLR0913 - the field's signature
    assets: MaterializableAssets,
    run_config: run_configs.CoercibleToRunConfig | None = None,
    instance: instances.Instance | None = None,
    resources: Mapping[str, Any] | None = None,
    *,
    raise_on_error: bool = True,
    tags: Mapping[str, str] | None = None,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
) -> in_process.ExecuteInProcessResult:
    """Materialize assets here and now, and keep their values in memory only.

    Args:
        assets: The assets.
        run_config: The run configuration.
        instance: Records what happens; an ephemeral one where not given.
        resources: Objects by resource key; IO managers among them are refused.
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
            named |= {output.io_manager_key for output in one.computation.outputs}
    return materialize(
        assets,
        run_config,
        instance,
        {**(resources or {}), **dict.fromkeys(named, memory)},
        raise_on_error=raise_on_error,
        tags=tags,
        selection=selection,
    )


class InProcessExecutor:
    """Runs jobs and loads values in this process."""

    def execute_job(
        self, definitions: all_definitions.Definitions, execution: in_process.JobExecution
    ) -> in_process.ExecuteInProcessResult:
        """Run a job to its end.

        Args:
            definitions: The definitions that hold the job.
            execution: What is to run.

        Returns:
            What became of the run.
        """
        instance: instances.Instance = (
            execution.instance if execution.instance is not None else instances.Instance.ephemeral()
        )
        job = definitions.get_job_def(execution.job_name)
        chosen = execution.asset_selection
        run = runs.Run(
            job.name,
            execution.run_id or str(uuid.uuid4()),
            run_config=execution.run_config,
            asset_selection=None if chosen is None else frozenset(chosen),
            status=runs.RunStatus.STARTED,
            tags={**job.run_tags, **execution.tags},
        )
        backend = instances.recording_backend(instance.backend)
        sink = _SpokenSink(backend)
        captured: dict[tuple[str, str], Any] = {}
        if backend is not None:
            backend.record_run(run)
        attempt = run_execution.RunExecution(
            definitions, run, sink, instance, captured=captured, resources=execution.resources
        )
        succeeded = attempt.execute()
        status = runs.RunStatus.SUCCESS if succeeded else runs.RunStatus.FAILURE
        run = dataclasses.replace(run, status=status)
        if backend is not None:
            backend.record_run(run)
        if execution.raise_on_error and attempt.first_error is not None:
            raise attempt.first_error
        return in_process.ExecuteInProcessResult(
            run=run,
            event_list=sink.events,
            outputs=captured,
            step_keys={
                output.key: (one.op_name, output.name)
                for one in job.graph.assets_defs
                for output in one.computation.outputs
            },
        )

    def load_asset_value(
        self,
        definitions: all_definitions.Definitions,
        asset_key: keys.AssetKey,
        python_type: Any,
        instance: Any,
    ) -> Any:
        """Load the stored value of an asset.

        Args:
            definitions: The definitions that know the asset.
            asset_key: The asset.
            python_type: What to load it as, None for as it was stored.
            instance: The instance whose storage to read; the location's own where None.

        Returns:
            The value.
        """
        graph = definitions.graph
        one = graph.get(asset_key)
        own: Mapping[str, Any] = one.resource_defs if one is not None else {}
        storage = None if instance is None else instance.storage_dir
        objects = run_execution.run_resources([definitions.resources, own], storage)
        manager = objects[graph.io_manager_key_of(asset_key)]
        context = io_managers.build_input_context(asset_key=asset_key, instance=instance)
        if python_type is not None:
            context.python_type = python_type
        return manager.load_input(context)


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

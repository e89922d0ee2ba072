"""Jobs: graphs of ops, or selections of assets and checks, that run together with configuration.

Called by users through `job`, `GraphDefinition.to_job` and `define_asset_job`, and by everything
that launches runs. `UnresolvedAssetJobDefinition` is a selection as the user wrote it;
`JobDefinition` is a job that can be planned.
"""

import functools
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from atoll import _records as records
from atoll import errors
from atoll._definitions import (
    asset_events,
    asset_graph,
    config_contract,
    in_process,
    job_config,
    job_contents,
    job_partitions,
    job_selection,
    keys,
    kinds,
    run_requests,
    sources,
)
from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import metadata as metadata_values
from atoll._definitions import run_config as run_configs
from atoll._definitions.nodes import graph as graphs
from atoll._definitions.nodes import hooks as hook_definitions
from atoll._definitions.nodes import node, retries

ASSET_JOB_NAME = "__ASSET_JOB"


class AssetLayer(records.Record):
    """What a job means among the assets of its location.

    Attributes:
        graph: The assets and checks of the location.
        asset_keys: The assets that a run of the job computes or observes.
        check_keys: The checks that a run of the job evaluates.
        implicit: Whether Atoll made the job to materialize any selection of assets.
    """

    graph: asset_graph.AssetGraph
    asset_keys: frozenset[keys.AssetKey]
    check_keys: frozenset[keys.AssetCheckKey] = frozenset()
    implicit: bool = False


class JobDefinition(job_contents.JobContents, job_partitions.PartitionedJob):
    """A job that can be planned and run.

    Args:
        graph_def: The graph that it runs; None for a job of assets.
        resource_defs: Resources by key, before those of the `Definitions`.
        executor_def: How the steps are run.
        logger_defs: Loggers by name.
        name: The name; the graph's where not given.
        config: Run configuration where a launch gives none, a config mapping, or a partitioned
            config.
        description: What it does.
        partitions_def: The partitions that runs are for.
        tags: Labels of the job, and of its runs unless `run_tags` is given.
        run_tags: Labels of the runs alone.
        metadata: What to attach to the definition.
        hook_defs: What is called after each step.
        op_retry_policy: When failed steps are tried again that have no policy of their own.
        op_selection: Only these of the ops.
        input_values: Values of the graph's inputs.
        owners: Who answers for the job.
        automation_condition: When the host is to run it by itself.
        asset_layer: What a job of assets means among the assets of its location.
        source: Where the definition stands in the user's code.

    Raises:
        InvalidDefinitionError: Something of it cannot be.
    """

    def __init__(
        self,
        *,
        graph_def: graphs.GraphDefinition | None,
        resource_defs: Mapping[str, Any] | None = None,
        executor_def: Any = None,
        logger_defs: Mapping[str, Any] | None = None,
        name: str | None = None,
        config: Any = None,
        description: str | None = None,
        partitions_def: Any = None,
        tags: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        hook_defs: AbstractSet[hook_definitions.HookDefinition] | None = None,
        op_retry_policy: retries.RetryPolicy | None = None,
        op_selection: Sequence[str] | None = None,
        input_values: Mapping[str, Any] | None = None,
        owners: Sequence[str] | None = None,
        automation_condition: Any = None,
        asset_layer: AssetLayer | None = None,
        source: sources.SourcePosition | None = None,
    ) -> None:
        self.name = name if name is not None else (graph_def.name if graph_def else "")
        whose = f"of the job {self.name!r}"
        by_key = "resources by key"
        kinds.check(resource_defs, Mapping, f"The resource_defs {whose}", by_key)
        kinds.check(logger_defs, Mapping, f"The logger_defs {whose}", "loggers by name")
        kinds.check_each(
            hook_defs,
            hook_definitions.HookDefinition,
            f"The hooks {whose}",
            "functions decorated with @success_hook or @failure_hook",
        )
        kinds.check(
            op_retry_policy, retries.RetryPolicy, f"The op_retry_policy {whose}", "a RetryPolicy"
        )
        self.graph_def = graph_def
        self.asset_layer = asset_layer
        self.resource_defs = dict(resource_defs or {})
        self.executor_def = executor_def
        self.loggers = dict(logger_defs or {})
        self.config = job_config.JobConfig.of(config)
        self.description = description
        self.partitions_def = self.config.partitions_def_or(partitions_def)
        self.tags: Mapping[str, str] = asset_events.checked_tags(tags)
        self._run_tags = None if run_tags is None else asset_events.checked_tags(run_tags)
        self.metadata = metadata_values.normalize(metadata)
        self.hook_defs = frozenset(hook_defs or ()) | frozenset(
            graph_def.hook_defs if graph_def else ()
        )
        self.op_retry_policy = op_retry_policy
        self.op_selection = None if op_selection is None else tuple(op_selection)
        self.input_values = dict(input_values or {})
        self.owners = tuple(owners or ())
        self.automation_condition = automation_condition
        self.source = source if source is not None else sources.of_caller()
        self._definitions: Any = None
        if graph_def is not None:
            job_selection.check_inputs(self.name, graph_def, self.input_values)

    @property
    def run_tags(self) -> Mapping[str, str]:
        """Labels that runs of the job get."""
        return self.tags if self._run_tags is None else self._run_tags

    @property
    def has_separately_defined_run_tags(self) -> bool:
        """Whether `run_tags` were given, so that `tags` do not reach the runs."""
        return self._run_tags is not None

    @property
    def implicit(self) -> bool:
        """Whether Atoll made the job to materialize any selection of assets."""
        return self.asset_layer is not None and self.asset_layer.implicit

    @property
    def is_asset_job(self) -> bool:
        """Whether the job is a selection of assets and checks."""
        return self.asset_layer is not None

    @property
    def asset_keys(self) -> frozenset[keys.AssetKey]:
        """The assets that a run of the job computes or observes."""
        return self.asset_layer.asset_keys if self.asset_layer is not None else frozenset()

    @property
    def check_keys(self) -> frozenset[keys.AssetCheckKey]:
        """The checks that a run of the job evaluates."""
        return self.asset_layer.check_keys if self.asset_layer is not None else frozenset()

    @property
    def graph(self) -> graphs.GraphDefinition:
        """The graph that it runs.

        Raises:
            InvariantViolationError: It is a job of assets.
        """
        if self.graph_def is None:
            raise errors.InvariantViolationError(
                f"The job {self.name!r} is a selection of assets and runs no graph. Use asset_keys."
            )
        return self.graph_def

    @property
    def run_config(self) -> dict[str, Any] | None:
        """The run configuration where a launch gives none; None where the job has none."""
        return self.config.default

    @property
    def top_level_nodes(self) -> Sequence[tuple[str, node.NodeDefinition]]:
        """The ops and graphs that run configuration addresses, by name."""
        return self._top_level_nodes

    @functools.cached_property
    def _top_level_nodes(self) -> Sequence[tuple[str, node.NodeDefinition]]:
        if self.graph_def is not None:
            return [(one.name, one.definition) for one in self.graph_def.nodes]
        layer = self.asset_layer
        if layer is None:
            return []
        chosen = layer.graph.definitions_of(sorted(layer.asset_keys), sorted(layer.check_keys))
        return [(one.op_name, one.node_def) for one in chosen]

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that its steps and hooks need, IO managers included."""
        return self._required_resource_keys

    @functools.cached_property
    def _required_resource_keys(self) -> frozenset[str]:
        found = {key for one in self.hook_defs for key in one.required_resource_keys}
        for _, definition in self.top_level_nodes:
            found |= node.required_resource_keys(definition)
        return frozenset(found)

    @property
    def definitions(self) -> Any:
        """The definitions that it belongs to, None for a job by itself."""
        return self._definitions

    def of_definitions(self, definitions: object) -> "JobDefinition":
        """Return the job as belonging to definitions, whose resources its runs may use."""
        if self._definitions is definitions:
            return self
        return self._copied(_definitions=definitions)

    @property
    def resources(self) -> Mapping[str, Any]:
        """The resources by key: those of the definitions, replaced by the job's own."""
        shared: Mapping[str, Any] = getattr(self._definitions, "resources", {})
        return {**shared, **self.resource_defs}

    @functools.cached_property
    def run_config_schema(self) -> config_contract.JsonSchema:
        """The JSON Schema of the run configuration."""
        return job_config.schema(self)

    def with_hooks(
        self, hook_defs: AbstractSet[hook_definitions.HookDefinition]
    ) -> "JobDefinition":
        """Return the job with further hooks."""
        return self._copied(hook_defs=self.hook_defs | frozenset(hook_defs))

    def with_executor_def(self, executor_def: Any) -> "JobDefinition":
        """Return the job with another executor."""
        return self._copied(executor_def=executor_def)

    def with_logger_defs(self, logger_defs: Mapping[str, Any]) -> "JobDefinition":
        """Return the job with other loggers."""
        return self._copied(loggers=dict(logger_defs))

    def with_top_level_resources(self, resource_defs: Mapping[str, Any]) -> "JobDefinition":
        """Return the job with further resources, which do not replace its own."""
        return self._copied(resource_defs={**resource_defs, **self.resource_defs})

    def with_metadata(self, metadata: metadata_values.RawMetadataMapping | None) -> "JobDefinition":
        """Return the job with other metadata."""
        return self._copied(metadata=metadata_values.normalize(metadata))

    def with_input_values(self, input_values: Mapping[str, Any]) -> "JobDefinition":
        """Return the job with values for inputs of its graph."""
        changed = self._copied(input_values={**self.input_values, **input_values})
        if changed.graph_def is not None:
            job_selection.check_inputs(self.name, changed.graph_def, changed.input_values)
        return changed

    def get_subset(
        self,
        *,
        op_selection: Sequence[str] | None = None,
        asset_selection: AbstractSet[keys.AssetKey] | None = None,
        asset_check_selection: AbstractSet[keys.AssetCheckKey] | None = None,
    ) -> "JobDefinition":
        """Return the job with only some of its ops, assets or checks.

        Args:
            op_selection: Op selection strings, such as `"*my_op"`.
            asset_selection: Assets of the job.
            asset_check_selection: Checks of the job.

        Raises:
            InvalidSubsetError: One of them is not of the job.
        """
        if op_selection is not None:
            return self._copied(op_selection=tuple(op_selection))
        if asset_selection is None and asset_check_selection is None:
            return self
        layer = job_selection.narrowed(self, asset_selection, asset_check_selection)
        return self._copied(asset_layer=layer)

    def execute_in_process(
        self,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        instance: Any = None,
        partition_key: str | None = None,
        raise_on_error: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        op_selection: Sequence[str] | None = None,
        asset_selection: Sequence[keys.AssetKey] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> in_process.ExecuteInProcessResult:
        """Run the job here and now, as tests do.

        Args:
            run_config: The run configuration; the job's own where not given.
            instance: The `Instance` to record in; an ephemeral one where not given.
            partition_key: The partition that the run is for.
            raise_on_error: Whether a failure of user code is raised; otherwise the result tells of
                it.
            op_selection: Only these of the ops.
            asset_selection: Only these assets of the job.
            run_id: The id of the run; made up where not given.
            input_values: Values of the graph's inputs.
            tags: Labels of the run, beside the job's.
            resources: Objects that replace those of the definitions, by resource key.

        Returns:
            What became of the run.
        """
        return in_process.executor().execute_job(
            self,
            in_process.JobExecution(
                run_config=run_configs.to_plain(run_config),
                instance=instance,
                raise_on_error=raise_on_error,
                asset_selection=asset_selection,
                op_selection=op_selection,
                partition_key=partition_key,
                run_id=run_id,
                tags=tags or {},
                resources=resources or {},
                input_values=input_values or {},
            ),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to be called."""
        del args, kwargs
        raise errors.InvalidInvocationError(
            f"The job {self.name!r} was called. Run it with execute_in_process()."
        )

    def _copied(self, **changes: Any) -> "JobDefinition":
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        for name in ("_top_level_nodes", "_required_resource_keys", "run_config_schema"):
            copied.__dict__.pop(name, None)
        copied.__dict__.update(changes)
        return copied

    def __repr__(self) -> str:
        return f"JobDefinition({self.name!r})"


class UnresolvedAssetJobDefinition:
    """A selection of assets as the user wrote it. Made by `define_asset_job`.

    Attributes:
        name: The name of the job.
        selection: The assets that it means.
        partitions_def: The partitions that runs are for; told from the assets where None.
        source: Where the definition stands in the user's code.
    """

    def __init__(
        self,
        name: str,
        *,
        selection: asset_selections.AssetSelection,
        partitions_def: Any = None,
        source: sources.SourcePosition | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.selection = selection
        self.partitions_def = partitions_def
        self.source = source
        self._options = options
        self.automation_condition = options.get("automation_condition")
        # What cannot be is told where it stands, not when the job is resolved.
        self._job = JobDefinition(graph_def=None, name=name, source=source, **options)

    @property
    def config(self) -> Any:
        """The run configuration where a launch gives none, or what makes it."""
        return self._options.get("config")

    @property
    def own_partitions(self) -> job_partitions.PartitionedJob:
        """The job as far as its partitions go without knowing its assets."""
        known = self._job.with_metadata(None)
        known.partitions_def = self.partitions_def or known.partitions_def
        return known

    def run_request_for_partition(
        self, partition_key: str, **options: Any
    ) -> run_requests.RunRequest:
        """Return the request for a run of a partition.

        Args:
            partition_key: The partition.
            options: As `JobDefinition.run_request_for_partition` takes them.

        Raises:
            InvariantViolationError: The job was defined without `partitions_def`.
            UnknownPartitionError: It has no such partition.
        """
        return self.own_partitions.run_request_for_partition(partition_key, **options)

    @property
    def description(self) -> str | None:
        """What the job does."""
        return self._job.description

    @property
    def tags(self) -> Mapping[str, str]:
        """Labels of the job, and of its runs unless `run_tags` is given."""
        return self._job.tags

    @property
    def run_tags(self) -> Mapping[str, str]:
        """Labels of the runs."""
        return self._job.run_tags

    @property
    def hook_defs(self) -> frozenset[hook_definitions.HookDefinition]:
        """What is called after each step."""
        return self._job.hook_defs

    def with_hooks(
        self, hook_defs: AbstractSet[hook_definitions.HookDefinition]
    ) -> "UnresolvedAssetJobDefinition":
        """Return the job with further hooks."""
        options = {**self._options, "hook_defs": self.hook_defs | frozenset(hook_defs)}
        return UnresolvedAssetJobDefinition(
            self.name,
            selection=self.selection,
            partitions_def=self.partitions_def,
            source=self.source,
            **options,
        )

    def resolve(self, graph: asset_graph.AssetGraph, *, implicit: bool = False) -> JobDefinition:
        """Return what the job means among the assets of a location.

        Args:
            graph: The assets.
            implicit: Whether Atoll made the job.

        Raises:
            InvalidSubsetError: The job selects what is not there.
        """
        chosen = job_selection.resolve(self.name, self.selection, graph, implicit=implicit)
        layer = AssetLayer(graph, chosen.assets, chosen.checks, implicit)
        made = JobDefinition(
            graph_def=None, name=self.name, asset_layer=layer, source=self.source, **self._options
        )
        partitions = self.partitions_def or made.partitions_def
        if partitions is None and not implicit:
            partitions = job_selection.partitions_of(self.name, layer.graph, chosen)
        made.partitions_def = partitions
        return made

    def __repr__(self) -> str:
        return f"UnresolvedAssetJobDefinition({self.name!r})"


def define_asset_job(
    name: str,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
    config: Any = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    partitions_def: Any = None,
    executor_def: Any = None,
    hooks: AbstractSet[hook_definitions.HookDefinition] | None = None,
    op_retry_policy: retries.RetryPolicy | None = None,
    owners: Sequence[str] | None = None,
    automation_condition: Any = None,
) -> UnresolvedAssetJobDefinition:
    """Define a job that materializes assets.

    Args:
        name: The name of the job, unique in the location.
        selection: The assets and checks; everything that can be materialized where not given.
        config: The run configuration where a launch gives none, a config mapping, or a
            partitioned config.
        description: What the job does.
        tags: Labels of the job, and of its runs unless `run_tags` is given.
        run_tags: Labels of the runs alone.
        metadata: What to attach to the definition.
        partitions_def: The partitions that runs are for; told from the assets where not given.
        executor_def: How the steps are run.
        hooks: What is called after each step.
        op_retry_policy: When failed steps are tried again that have no policy of their own.
        owners: Who answers for the job.
        automation_condition: When the host is to run it by itself.

    Returns:
        The job.

    Raises:
        InvalidDefinitionError: The name or the selection cannot be used.

    Example:
        `nightly = define_asset_job("nightly", selection=["orders", "customers"])`
    """
    check_job_name(name)
    chosen = (
        asset_selections.AssetSelection.all()
        if selection is None
        else asset_selections.AssetSelection.from_coercible(selection)
    )
    return UnresolvedAssetJobDefinition(
        name,
        selection=chosen,
        partitions_def=partitions_def,
        source=sources.of_caller(),
        config=config,
        description=description,
        tags=tags,
        run_tags=run_tags,
        metadata=metadata,
        executor_def=executor_def,
        hook_defs=hooks,
        op_retry_policy=op_retry_policy,
        owners=owners,
        automation_condition=automation_condition,
    )


def check_job_name(name: object) -> None:
    """Check the name of a job.

    Raises:
        InvalidDefinitionError: Slashes lead to other locations; two underscores are for the jobs
            that Atoll makes.
    """
    if isinstance(name, str) and name and "/" not in name and not name.startswith("__"):
        return
    raise errors.InvalidDefinitionError(
        "The name of a job is a string without slashes that does not begin with two "
        f"underscores, got {name!r}."
    )


def implicit_job(graph: asset_graph.AssetGraph) -> JobDefinition:
    """Make the job that materializes any selection of the location's assets."""
    every = UnresolvedAssetJobDefinition(
        ASSET_JOB_NAME, selection=asset_selections.AssetSelection.all()
    )
    return every.resolve(graph, implicit=True)


def _make(**options: Any) -> JobDefinition:
    check_job_name(options.get("name"))
    return JobDefinition(**options)


in_process.register_job_maker(_make)


class HasJobs(Protocol):
    """What knows jobs by name: the definitions."""

    def get_job_def(self, name: str) -> JobDefinition:
        """Return a job."""
        ...


def config_schema(definitions: HasJobs, job_name: str) -> config_contract.JsonSchema:
    """Return the JSON Schema of a job's run configuration.

    Args:
        definitions: The definitions that hold the job.
        job_name: The job.
    """
    return definitions.get_job_def(job_name).run_config_schema


def default_config(definitions: HasJobs, job_name: str) -> dict[str, Any] | None:
    """Return the run configuration that a job uses where a launch gives none.

    Args:
        definitions: The definitions that hold the job.
        job_name: The job.

    Returns:
        The plain run configuration, None where the job has none of its own.
    """
    return definitions.get_job_def(job_name).run_config

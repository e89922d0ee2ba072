"""Jobs: selections of assets that run together, with configuration.

Called by users through `define_asset_job`, and by everything that launches runs.
`UnresolvedAssetJobDefinition` is what the user wrote; `JobDefinition` is what it means among the
assets of the location.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from atoll._definitions import (
    asset_events,
    asset_graph,
    config_contract,
    errors,
    in_process,
    keys,
    sources,
)
from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import metadata as metadata_values
from atoll._definitions import run_config as run_configs

ASSET_JOB_NAME = "__ASSET_JOB"
_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class UnresolvedAssetJobDefinition:
    """A job as the user wrote it. Made by `define_asset_job`.

    Attributes:
        name: The name of the job.
        selection: The assets that it means.
        config: The run configuration where a launch gives none; None where the job has none of its
            own.
        description: What the job does.
        tags: Labels of the job, and of its runs unless `run_tags` is given.
        run_tags: Labels of the runs alone; None where not given.
        metadata: What the user attached.
        owners: Who answers for the job.
        source: Where the definition stands in the user's code.
    """

    def __init__(
        self,
        name: str,
        *,
        selection: asset_selections.AssetSelection,
        config: dict[str, Any] | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_tags: Mapping[str, str] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        owners: Sequence[str] | None = None,
        source: sources.SourcePosition | None = None,
    ) -> None:
        self.name = name
        self.selection = selection
        self.config = config
        self.description = description
        self.tags = asset_events.checked_tags(tags)
        self.run_tags = None if run_tags is None else asset_events.checked_tags(run_tags)
        self.metadata = metadata_values.normalize(metadata)
        self.owners = tuple(owners or ())
        self.source = source

    def __repr__(self) -> str:
        return f"UnresolvedAssetJobDefinition({self.name!r})"


def define_asset_job(  # noqa: PLR0917 - the field's signature
    name: str,
    selection: asset_selections.CoercibleToAssetSelection | None = None,
    config: run_configs.CoercibleToRunConfig | None = None,
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    owners: Sequence[str] | None = None,
) -> UnresolvedAssetJobDefinition:
    """Define a job that materializes assets.

    Args:
        name: The name of the job, unique in the location.
        selection: The assets; everything that can be materialized where not given.
        config: The run configuration where a launch gives none.
        description: What the job does.
        tags: Labels of the job, and of its runs unless `run_tags` is given.
        run_tags: Labels of the runs alone.
        metadata: What to attach to the definition.
        owners: Who answers for the job.

    Returns:
        The job.

    Raises:
        InvalidDefinitionError: The name or the selection cannot be used.
    """
    if not _is_name(name):
        raise errors.InvalidDefinitionError(
            "The name of a job is a string without slashes that does not begin with two "
            f"underscores, got {name!r}."
        )
    chosen = (
        asset_selections.AssetSelection.all()
        if selection is None
        else asset_selections.AssetSelection.from_coercible(selection)
    )
    return UnresolvedAssetJobDefinition(
        name,
        selection=chosen,
        config=None if config is None else run_configs.to_plain(config),
        description=description,
        tags=tags,
        run_tags=run_tags,
        metadata=metadata,
        owners=owners,
        source=sources.of_caller(),
    )


def _is_name(name: object) -> bool:
    if not isinstance(name, str) or not name:
        return False
    # Slashes lead to other locations; two underscores are for the jobs that Atoll makes.
    return "/" not in name and not name.startswith("__")


class JobDefinition:
    """A job among the assets of its location.

    Args:
        unresolved: The job as the user wrote it.
        graph: The assets of the location.
        definitions: The definitions that the job belongs to; runs take their resources from there.
        implicit: Whether Atoll made the job to materialize any selection of assets.

    Raises:
        InvalidSubsetError: The job selects what is not there.
    """

    def __init__(
        self,
        unresolved: UnresolvedAssetJobDefinition,
        graph: asset_graph.AssetGraph,
        definitions: object,
        *,
        implicit: bool = False,
    ) -> None:
        self._unresolved = unresolved
        self._graph = graph
        self._definitions = definitions
        self.implicit = implicit
        selected = unresolved.selection.resolve_specs(graph.specs)
        self.asset_keys = frozenset(key for key in selected if graph.has_executable(key))
        external = selected - self.asset_keys
        if external and not self.asset_keys:
            raise errors.InvalidSubsetError(
                f"The job {self.name!r} selects {keys.in_words(external)}, which this location "
                "cannot materialize. "
                "Select assets that have a function here."
            )

    @property
    def name(self) -> str:
        """The name of the job."""
        return self._unresolved.name

    @property
    def description(self) -> str | None:
        """What the job does."""
        return self._unresolved.description

    @property
    def tags(self) -> Mapping[str, str]:
        """Labels of the job."""
        return self._unresolved.tags

    @property
    def run_tags(self) -> Mapping[str, str]:
        """Labels that runs of the job get."""
        given = self._unresolved.run_tags
        return self._unresolved.tags if given is None else given

    @property
    def has_separately_defined_run_tags(self) -> bool:
        """Whether `run_tags` were given, so that `tags` do not reach the runs."""
        return self._unresolved.run_tags is not None

    @property
    def metadata(self) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """What the user attached."""
        return self._unresolved.metadata

    @property
    def owners(self) -> Sequence[str]:
        """Who answers for the job."""
        return self._unresolved.owners

    @property
    def run_config(self) -> dict[str, Any] | None:
        """The run configuration where a launch gives none; None where the job has none."""
        return self._unresolved.config

    @property
    def source(self) -> sources.SourcePosition | None:
        """Where the definition stands in the user's code."""
        return self._unresolved.source

    @property
    def graph(self) -> asset_graph.AssetGraph:
        """The assets of the location."""
        return self._graph

    @functools.cached_property
    def run_config_schema(self) -> config_contract.JsonSchema:
        """The JSON Schema of the run configuration."""
        return _run_config_schema(self._graph, self.asset_keys)

    def execute_in_process(
        self,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        instance: Any = None,
        *,
        raise_on_error: bool = True,
        asset_selection: Sequence[keys.AssetKey] | None = None,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> in_process.ExecuteInProcessResult:
        """Run the job here and now, as tests do.

        Args:
            run_config: The run configuration; the job's own where not given.
            instance: The `Instance` to record in; an ephemeral one where not given.
            raise_on_error: Whether a failure of user code is raised; otherwise the result tells of
                it.
            asset_selection: Only these assets of the job.
            run_id: The id of the run; made up where not given.
            tags: Labels of the run, beside the job's.
            resources: Objects that replace those of the definitions, by resource key.

        Returns:
            What became of the run.
        """
        return in_process.executor().execute_job(
            self._definitions,
            in_process.JobExecution(
                job_name=self.name,
                run_config=run_configs.to_plain(run_config),
                instance=instance,
                raise_on_error=raise_on_error,
                asset_selection=asset_selection,
                run_id=run_id,
                tags=tags or {},
                resources=resources or {},
            ),
        )

    def __repr__(self) -> str:
        return f"JobDefinition({self.name!r})"


def implicit_job(graph: asset_graph.AssetGraph, definitions: object) -> JobDefinition:
    """Make the job that materializes any selection of the location's assets."""
    every = asset_selections.AssetSelection.all()
    unresolved = UnresolvedAssetJobDefinition(ASSET_JOB_NAME, selection=every)
    if not graph.executable_specs:
        unresolved.selection = asset_selections.AssetSelection.keys()
    return JobDefinition(unresolved, graph, definitions, implicit=True)


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

    Returns:
        The schema.
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


def _run_config_schema(
    graph: asset_graph.AssetGraph, selected: frozenset[keys.AssetKey]
) -> config_contract.JsonSchema:
    # Few of many assets are configured, so that sorting only these takes no time.
    with_config = sorted(key for key in selected if _config_class_of(graph, key) is not None)
    configured = [
        (one.op_name, one.computation.config_class)
        for one in graph.definitions_of(with_config)
        if one.computation.config_class is not None
    ]
    ops: dict[str, config_contract.JsonSchema] = {}
    shared: dict[str, config_contract.JsonSchema] = {}
    if configured:
        classes = [config_class for _, config_class in configured]
        schemas, shared = classes[0].json_schemas(classes)
        for (op_name, _), schema in zip(configured, schemas, strict=True):
            ops[op_name] = _closed({"config": schema}, _needs_value(schema, shared))
    needed = [name for name, schema in ops.items() if "required" in schema]
    properties = {
        "ops": _closed(ops, needed),
        "resources": _closed({}),
        "execution": _closed({}),
        "loggers": _closed({}),
    }
    described = {"$schema": _SCHEMA_DIALECT, **_closed(properties, ["ops"] if needed else [])}
    if shared:
        described["$defs"] = shared
    return described


def _config_class_of(
    graph: asset_graph.AssetGraph, key: keys.AssetKey
) -> type[config_contract.ConfigClass] | None:
    one = graph.get(key)
    return None if one is None else one.computation.config_class


def _closed(
    properties: Mapping[str, config_contract.JsonSchema], required: Sequence[str] = ()
) -> config_contract.JsonSchema:
    described: config_contract.JsonSchema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required:
        described["required"] = list(required)
    return described


def _needs_value(
    schema: config_contract.JsonSchema, shared: Mapping[str, config_contract.JsonSchema]
) -> list[str]:
    """Tell whether the config has to be given: whether any of its own keys is required."""
    target = schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = shared[reference.removeprefix("#/$defs/")]
    return ["config"] if target.get("required") else []

"""What run configuration says for a job: its schema, and its values checked.

Called when a run is planned, when definitions are checked, and when a location describes its jobs.
The configuration that a job brings along is held to the same rules as the one that a launch brings.

Run configuration has the sections `ops`, `resources`, `execution` and `loggers`. The entry of an op
is
`{"config": ..., "inputs": ..., "outputs": ...}`, where inputs and outputs take what their IO
managers ask for; that of a graph `{"ops": {...}, "inputs": ...}`, or
`{"config": ...}` where the graph has a config mapping.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from atoll import _records as records
from atoll import errors
from atoll._definitions import config_contract, executors, io_config
from atoll._definitions import run_config as run_configs
from atoll._definitions.nodes import graph as graphs
from atoll._definitions.nodes import node, op
from atoll._definitions.resources import definition as resource_definitions

_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NO_ENTRY: Mapping[str, Any] = {}
Handle = tuple[str, ...]


class Configured(Protocol):
    """A job as far as its configuration goes."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def config(self) -> "JobConfig":
        """What the job brings along."""
        ...

    @property
    def top_level_nodes(self) -> Sequence[tuple[str, node.NodeDefinition]]:
        """The ops and graphs that run configuration addresses, by name."""
        ...

    @property
    def resources(self) -> Mapping[str, Any]:
        """The resources by key."""
        ...

    @property
    def required_resource_keys(self) -> frozenset[str]:
        """The resources that its steps need."""
        ...

    @property
    def executor_def(self) -> Any:
        """How the steps are run."""
        ...

    @property
    def loggers(self) -> Mapping[str, Any]:
        """Loggers by name."""
        ...


class JobConfig(records.Record):
    """What a job brings along as configuration.

    Attributes:
        default: The run configuration where a launch gives none.
        mapping: Makes run configuration of simpler config, if given.
        partitioned: Makes run configuration of a partition, if given.
    """

    default: dict[str, Any] | None = None
    mapping: Any = None
    partitioned: Any = None

    @staticmethod
    def of(given: Any) -> "JobConfig":
        """Tell what a user gave as the config of a job.

        Raises:
            InvalidDefinitionError: It is neither configuration nor makes any.
        """
        if given is None:
            return JobConfig()
        if callable(getattr(given, "get_run_config_for_partition_key", None)):
            return JobConfig(partitioned=given)
        if callable(getattr(given, "resolve_from_unvalidated_config", None)):
            return JobConfig(mapping=given)
        try:
            return JobConfig(default=run_configs.to_plain(given))
        except errors.InvalidConfigError as error:
            raise errors.InvalidDefinitionError(
                f"The config of a job is a RunConfig, a dict, a config mapping or a partitioned "
                f"config, got {given!r}."
            ) from error

    def partitions_def_or(self, partitions_def: Any) -> Any:
        """Return the partitions of a job: those of its partitioned config, or the given ones."""
        if self.partitioned is None:
            return partitions_def
        own = self.partitioned.partitions_def
        if partitions_def is not None and partitions_def != own:
            raise errors.InvalidDefinitionError(
                f"The job has the partitions {partitions_def!r}, and its partitioned config has "
                f"{own!r}. Leave partitions_def out."
            )
        return own

    def in_force(self, given: Mapping[str, Any], partition_key: str | None) -> Mapping[str, Any]:
        """Return the run configuration that a run gets.

        Args:
            given: What the launch gave; empty for nothing.
            partition_key: The partition of the run, None for none.
        """
        if self.mapping is not None:
            return run_configs.to_plain(self.mapping.resolve_from_unvalidated_config(dict(given)))
        if given:
            return given
        if self.partitioned is not None and partition_key is not None:
            made = self.partitioned.get_run_config_for_partition_key(partition_key)
            return run_configs.to_plain(made)
        return self.default or {}

    def tags_of(self, partition_key: str | None) -> Mapping[str, str]:
        """Return the labels that a run for a partition gets from the partitioned config."""
        if self.partitioned is None or partition_key is None:
            return {}
        found: Mapping[str, str] = self.partitioned.get_tags_for_partition_key(partition_key)
        return found


class OpConfig(records.Record):
    """What run configuration says for one op.

    Attributes:
        handle: The names of the graphs it stands in, and its own.
        definition: The op.
        plain: The plain config; `NOT_GIVEN` where nothing is said.
        inputs: Plain config of its inputs, by name.
        outputs: Plain config of its outputs, by name.
    """

    handle: Handle
    definition: op.OpDefinition
    plain: Any
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] = _NO_ENTRY

    @property
    def path(self) -> tuple[str, ...]:
        """Where in the run configuration the config stands."""
        return (*path_of(self.handle), "config")

    def of_input(self, name: str) -> tuple[Any, tuple[str, ...]]:
        """Return the plain config of an input and where it stands; `NOT_GIVEN` for none."""
        path = (*path_of(self.handle), "inputs", name)
        return self.inputs.get(name, config_contract.NOT_GIVEN), path

    def of_output(self, name: str) -> tuple[Any, tuple[str, ...]]:
        """Return the plain config of an output and where it stands; `NOT_GIVEN` for none."""
        path = (*path_of(self.handle), "outputs", name)
        return self.outputs.get(name, config_contract.NOT_GIVEN), path

    def resolve(self) -> Any:
        """Return what user code gets as config.

        Raises:
            InvalidConfigError: The plain config does not fit.
        """
        field = self.definition.config_field
        return None if field is None else field.resolve(self.plain, self.path)


class Sections(records.Record):
    """Run configuration taken apart.

    Attributes:
        ops: What it says for each op, by handle.
        graph_inputs: Plain config of the inputs of graphs, by handle; the job's own at `()`.
        resources: Plain config of resources by key; `NOT_GIVEN` is left out.
        execution: Plain config of the executor.
        loggers: Plain config of loggers by name.
    """

    ops: Mapping[Handle, OpConfig]
    graph_inputs: Mapping[Handle, Mapping[str, Any]]
    resources: Mapping[str, Any]
    execution: Any
    loggers: Mapping[str, Any]


def path_of(handle: Handle) -> tuple[str, ...]:
    """Return where in the run configuration the entry of a node stands."""
    return tuple(part for name in handle for part in ("ops", name))


def check(job: Configured, config: Mapping[str, Any]) -> None:
    """Check run configuration for a job, without reading the environment.

    Args:
        job: The job.
        config: The plain run configuration.

    Raises:
        InvalidConfigError: It does not fit.
    """
    taken = take_apart(job, config)
    # What is there and wrong is told before what is missing.
    in_turn = sorted(taken.ops.values(), key=lambda one: one.plain is config_contract.NOT_GIVEN)
    for one in in_turn:
        if one.definition.config_field is not None:
            one.definition.config_field.check(one.plain, one.path)
    for key, plain in taken.resources.items():
        field = resource_field(job.resources[key])
        if field is not None:
            field.check(plain, ("resources", key, "config"))
    for name, plain in taken.loggers.items():
        job.loggers[name].config_field.check(plain, ("loggers", name, "config"))


def take_apart(
    job: Configured, config: Mapping[str, Any], selected: frozenset[str] | None = None
) -> Sections:
    """Check the shape of run configuration and take it apart.

    Args:
        job: The job.
        config: The plain run configuration.
        selected: The top-level nodes that run; None means all. Of the others nothing is asked.

    Returns:
        What it says for each op and resource. Values are not validated yet.

    Raises:
        InvalidConfigError: A section, an op, an input or a resource is unknown.
    """
    for section, value in config.items():
        if section not in (*run_configs.SECTIONS, "inputs"):
            raise errors.InvalidConfigError(
                f"Run configuration has no section {section!r}; it has "
                f"{', '.join(sorted(run_configs.SECTIONS))}.",
                (section,),
                value,
            )
    entries = _mapping(config.get("ops"), ("ops",), "config by op name")
    nodes = dict(job.top_level_nodes)
    _refuse_unknown(entries, nodes, ("ops",), f"The job {job.name!r} has no op")
    ops: dict[Handle, OpConfig] = {}
    graph_inputs: dict[Handle, Mapping[str, Any]] = {
        (): _mapping(config.get("inputs"), ("inputs",), "values by input name")
    }
    for name, definition in nodes.items():
        if selected is None or name in selected or name in entries:
            _take_node(definition, (name,), entries.get(name), ops, graph_inputs)
    return Sections(
        ops,
        graph_inputs,
        _resources(job, config),
        _execution(job, config),
        _loggers(job, config),
    )


def _take_node(
    definition: node.NodeDefinition,
    handle: Handle,
    given: Any,
    ops: dict[Handle, OpConfig],
    graph_inputs: dict[Handle, Mapping[str, Any]],
) -> None:
    path = path_of(handle)
    entry = _mapping(given, path, "{'config': {...}}")
    inputs = _mapping(entry.get("inputs"), (*path, "inputs"), "values by input name")
    known = {one.name for one in definition.input_definitions}
    _refuse_unknown(inputs, known, (*path, "inputs"), f"{handle[-1]!r} has no input")
    if isinstance(definition, graphs.GraphDefinition):
        graph_inputs[handle] = inputs
        inner = _inner_entries(definition, handle, entry)
        _refuse_unknown(
            inner, definition.nodes_by_name, (*path, "ops"), f"{handle[-1]!r} has no op"
        )
        for one in definition.nodes:
            _take_node(one.definition, (*handle, one.name), inner.get(one.name), ops, graph_inputs)
        return
    if set(entry) - {"config", "inputs", "outputs"}:
        raise errors.InvalidConfigError(
            f"At {'/'.join(path)}: expected {{'config': {{...}}}}, got {given!r}.", path, given
        )
    if not isinstance(definition, op.OpDefinition):
        return
    plain = entry.get("config", config_contract.NOT_GIVEN)
    if definition.config_field is None:
        if plain not in (config_contract.NOT_GIVEN, None, {}):
            raise errors.InvalidConfigError(
                f"At {'/'.join(path)}/config: {handle[-1]!r} takes no config, got {plain!r}. "
                "Give its function a parameter 'config' annotated with a Config class.",
                (*path, "config"),
                plain,
            )
        plain = config_contract.NOT_GIVEN
    outputs = _mapping(entry.get("outputs"), (*path, "outputs"), "config by output name")
    made = {one.name for one in definition.output_definitions}
    _refuse_unknown(outputs, made, (*path, "outputs"), f"{handle[-1]!r} has no output")
    ops[handle] = OpConfig(handle, definition, plain, inputs, outputs)


def _inner_entries(
    definition: graphs.GraphDefinition, handle: Handle, entry: Mapping[str, Any]
) -> Mapping[str, Any]:
    path = path_of(handle)
    mapping = definition.config_mapping
    allowed = {"inputs", "outputs"} | ({"ops"} if mapping is None else {"config"})
    unknown = set(entry) - allowed
    if unknown:
        told = "config" if mapping is not None else "ops, by name"
        raise errors.InvalidConfigError(
            f"At {'/'.join(path)}: the graph {handle[-1]!r} takes {told}; got "
            f"{', '.join(map(repr, sorted(unknown)))}.",
            path,
            dict(entry),
        )
    if mapping is None:
        return _mapping(entry.get("ops"), (*path, "ops"), "config by op name")
    if not callable(getattr(mapping, "resolve_from_unvalidated_config", None)):
        # Plain config that the graph was given for its ops.
        return run_configs.to_plain(mapping)
    made = mapping.resolve_from_unvalidated_config(entry.get("config", {}), (*path, "config"))
    plain = run_configs.to_plain(made)
    return _mapping(plain.get("ops", plain), (*path, "config"), "config by op name")


def _resources(job: Configured, config: Mapping[str, Any]) -> Mapping[str, Any]:
    entries = _mapping(config.get("resources"), ("resources",), "config by resource key")
    found: dict[str, Any] = {}
    for key, entry in entries.items():
        path = ("resources", key)
        if key not in job.resources:
            raise errors.InvalidConfigError(
                f"At resources/{key}: there is no resource {key!r}; there are "
                f"{', '.join(sorted(job.resources)) or 'none'}.",
                path,
                entry,
            )
        taken = _mapping(entry, path, "{'config': {...}}")
        if set(taken) - {"config"}:
            raise errors.InvalidConfigError(
                f"At resources/{key}: expected {{'config': {{...}}}}, got {entry!r}.", path, entry
            )
        if "config" in taken:
            found[key] = taken["config"]
    return found


def _execution(job: Configured, config: Mapping[str, Any]) -> Any:
    entry = _mapping(config.get("execution"), ("execution",), "{'config': {...}}")
    if not entry:
        return config_contract.NOT_GIVEN
    field = executors.definition_of(job.executor_def).config_field
    if set(entry) - {"config"} or (field is None and entry.get("config")):
        raise errors.InvalidConfigError(
            f"At execution: the executor of the job {job.name!r} takes "
            f"{'no config' if field is None else repr('config')}, got {dict(entry)!r}.",
            ("execution",),
            dict(entry),
        )
    plain = entry.get("config", config_contract.NOT_GIVEN)
    if field is not None:
        field.check(plain, ("execution", "config"))
    return plain


def _loggers(job: Configured, config: Mapping[str, Any]) -> Mapping[str, Any]:
    entries = _mapping(config.get("loggers"), ("loggers",), "config by logger name")
    _refuse_unknown(entries, job.loggers, ("loggers",), f"The job {job.name!r} has no logger")
    return {
        name: _mapping(entry, ("loggers", name), "{'config': {...}}").get(
            "config", config_contract.NOT_GIVEN
        )
        for name, entry in entries.items()
    }


def _mapping(value: Any, path: tuple[str, ...], expected: str) -> Mapping[str, Any]:
    if value is None:
        return _NO_ENTRY
    if isinstance(value, Mapping):
        return value  # pyright: ignore[reportUnknownVariableType]
    raise errors.InvalidConfigError(
        f"At {'/'.join(path)}: expected {expected}, got {value!r}.", path, value
    )


def _refuse_unknown(
    entries: Mapping[str, Any], known: Any, path: tuple[str, ...], complaint: str
) -> None:
    for name, value in entries.items():
        if name not in known:
            raise errors.InvalidConfigError(
                f"At {'/'.join((*path, name))}: {complaint} {name!r}; it has "
                f"{', '.join(sorted(known)) or 'none'}.",
                (*path, name),
                value,
            )


def schema(job: Configured) -> config_contract.JsonSchema:
    """Return the JSON Schema of a job's run configuration.

    Args:
        job: The job.
    """
    shared: dict[str, config_contract.JsonSchema] = {}
    mapping = job.config.mapping
    if mapping is not None:
        field = mapping.config_field
        described: config_contract.JsonSchema = (
            {"type": "object"} if field is None else dict(field.json_schema(shared))
        )
    else:
        described = _sections_schema(job, shared)
    described = {"$schema": _SCHEMA_DIALECT, **described}
    if shared:
        described["$defs"] = shared
    return described


def _sections_schema(
    job: Configured, shared: dict[str, config_contract.JsonSchema]
) -> config_contract.JsonSchema:
    # Inputs of assets are assets: nothing of them comes from run configuration.
    about = _About(
        job.resources,
        loads_inputs=getattr(job, "graph_def", None) is not None,
        configures_inputs=io_config.any_inputs(job.resources),
    )
    ops = _nodes_schema(job.top_level_nodes, shared, about)
    required = ["ops"] if ops.get("required") else []
    resources = {key: _entry_schema(field, shared) for key, field in _resource_fields(job)}
    needed = sorted(key for key, one in resources.items() if "required" in one)
    executor = executors.definition_of(job.executor_def).config_field
    sections: dict[str, Any] = {
        "ops": ops,
        "resources": _closed(resources, needed),
        "execution": _closed({}) if executor is None else _entry_schema(executor, shared),
        "loggers": _closed({name: {"type": "object"} for name in job.loggers}),
    }
    if any(True for _ in _inputs_of(job)):
        sections["inputs"] = {"type": "object"}
    return _closed(sections, [*required, *(["resources"] if needed else [])])


def _inputs_of(job: Configured) -> Iterator[Any]:
    graph = getattr(job, "graph_def", None)
    if graph is not None:
        yield from graph.input_definitions


def _resource_fields(job: Configured) -> Iterator[tuple[str, config_contract.ConfigField]]:
    for key, definition in sorted(job.resources.items()):
        field = resource_field(definition)
        if field is not None:
            yield key, field


def resource_field(definition: Any) -> config_contract.ConfigField | None:
    """Return what config a resource takes, None where it takes none."""
    if isinstance(definition, resource_definitions.ResourceDefinition):
        return definition.config_field
    made = resource_definitions.coerce(definition)
    # A plain value is wrapped, and takes no config.
    return None if type(made) is resource_definitions.ResourceDefinition else made.config_field


class _About(records.Record):
    """What the description of a node depends on beside the node."""

    resources: Mapping[str, Any]
    loads_inputs: bool
    configures_inputs: bool


def _nodes_schema(
    nodes: Sequence[tuple[str, node.NodeDefinition]],
    shared: dict[str, config_contract.JsonSchema],
    about: _About,
) -> config_contract.JsonSchema:
    described: dict[str, config_contract.JsonSchema] = {}
    for name, definition in nodes:
        one = _node_schema(definition, shared, about)
        if one is not None:
            described[name] = one
    return _closed(described, [name for name, one in described.items() if "required" in one])


def _node_schema(
    definition: node.NodeDefinition,
    shared: dict[str, config_contract.JsonSchema],
    about: _About,
) -> config_contract.JsonSchema | None:
    """Describe the entry of a node; None where there is nothing to configure."""
    loadable = about.loads_inputs and definition.has_loadable_inputs
    # Which IO manager loads an input is told by the plan: here it is only told that one may ask.
    configurable = about.configures_inputs and bool(definition.input_definitions)
    further = {"inputs": {"type": "object"}} if loadable or configurable else {}
    if isinstance(definition, graphs.GraphDefinition):
        field = definition.config_field
        if field is not None:
            return _entry_schema(field, shared, further)
        if definition.config_mapping is not None:
            return None
        inner = _nodes_schema(
            [(one.name, one.definition) for one in definition.nodes], shared, about
        )
        if not inner["properties"] and not further:
            return None
        return _closed({"ops": inner, **further}, ["ops"] if "required" in inner else [])
    further |= _outputs_schema(definition, shared, about)
    field = getattr(definition, "config_field", None)
    if field is None:
        return _closed(further) if further else None
    return _entry_schema(field, shared, further)


def _outputs_schema(
    definition: node.NodeDefinition,
    shared: dict[str, config_contract.JsonSchema],
    about: _About,
) -> dict[str, config_contract.JsonSchema]:
    described: dict[str, config_contract.JsonSchema] = {}
    for one in definition.output_definitions:
        field = io_config.output_field(about.resources, one.io_manager_key)
        if field is not None:
            described[one.name] = field.json_schema(shared)
    # An asset may name another IO manager than its op does, so further outputs are no error here.
    return {"outputs": {"type": "object", "properties": described}} if described else {}


def _entry_schema(
    field: config_contract.ConfigField,
    shared: dict[str, config_contract.JsonSchema],
    further: Mapping[str, Any] = _NO_ENTRY,
) -> config_contract.JsonSchema:
    return _closed(
        {"config": field.json_schema(shared), **further}, ["config"] if field.is_required else []
    )


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


def validate_run_config(job_def: Configured, run_config: Any = None) -> dict[str, Any]:
    """Check run configuration for a job without running it, as tests do.

    Args:
        job_def: The job.
        run_config: The run configuration; the job's own where not given.

    Returns:
        The run configuration in force, with all its sections.

    Raises:
        InvalidConfigError: It does not fit, or something is missing.
    """
    config = job_def.config.in_force(run_configs.to_plain(run_config), None)
    check(job_def, config)
    given: Mapping[str, Any] = config.get("resources") or {}
    for key, field in _resource_fields(job_def):
        if key in job_def.required_resource_keys and key not in given:
            field.check(config_contract.NOT_GIVEN, ("resources", key, "config"))
    return {**{section: {} for section in run_configs.SECTIONS}, **config}

"""Graphs: ops, and other graphs, whose outputs become each other's inputs.

Made by the `graph` decorator or from explicit dependencies. Checks that everything fits together;
what a graph does as part of a run is told by the planning.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import errors
from atoll._definitions import asset_events, config_contract, in_process, kinds
from atoll._definitions import config_mapping as config_mappings
from atoll._definitions.nodes import bindings, composition, hooks, ins_and_outs, node, retries
from atoll._definitions.nodes import op as ops

ExplicitDependencies = Mapping[str | node.NodeInvocation, Mapping[str, bindings.Dependency]]


class GraphDefinition(node.NodeDefinition):
    """Nodes whose outputs become each other's inputs.

    Args:
        name: The name.
        description: What it does.
        node_defs: The ops and graphs in it.
        dependencies: Which outputs their inputs take, by node and input.
        input_mappings: Which inputs of nodes the inputs of the graph go to.
        output_mappings: Which outputs of nodes are outputs of the graph.
        config: A config mapping, which makes the config of the nodes from the config of the graph.
        tags: Labels.
    """

    def __init__(
        self,
        name: str,
        *,
        description: str | None = None,
        node_defs: Sequence[node.NodeDefinition] | None = None,
        dependencies: ExplicitDependencies | None = None,
        input_mappings: Sequence[bindings.InputMapping] | None = None,
        output_mappings: Sequence[bindings.OutputMapping] | None = None,
        config: Any = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.name = ins_and_outs.checked_name(name, "a graph")
        self.description = description
        self.tags = asset_events.checked_tags(tags)
        self.hook_defs: AbstractSet[hooks.HookDefinition] = frozenset()
        self.config_mapping = config
        whose = f"The node_defs of the graph {name!r}"
        kinds.check_each(node_defs, node.NodeDefinition, whose, "ops and graphs")
        nodes = _explicit_nodes(name, node_defs or (), dependencies or {})
        self.nodes_by_name: Mapping[str, node.Node] = nodes
        self.bindings = _explicit_bindings(dependencies or {}, input_mappings or ())
        self._inputs = _explicit_inputs(input_mappings or (), nodes)
        self.outputs = {
            one.graph_output_name: bindings.OutputRef(
                one.mapped_node_name, one.mapped_node_output_name
            )
            for one in output_mappings or ()
        }
        self._check()

    @staticmethod
    def composed(
        name: str,
        made: composition.Composition,
        inputs: Sequence[ins_and_outs.InputDefinition],
        outputs: Mapping[str, bindings.OutputRef],
        *,
        description: str | None = None,
        config: Any = None,
        tags: Mapping[str, str] | None = None,
    ) -> "GraphDefinition":
        """Make a graph of what a composition recorded.

        Args:
            name: The name.
            made: The composition.
            inputs: The inputs of the graph.
            outputs: Where its outputs come from.
            description: What it does.
            config: A config mapping.
            tags: Labels.
        """
        graph = GraphDefinition(name, description=description, config=config, tags=tags)
        graph.nodes_by_name = {
            node_name: _node(node_name, definition, made.decorations.get(node_name))
            for node_name, definition in made.nodes.items()
        }
        graph.bindings = dict(made.bindings)
        graph._inputs = tuple(inputs)
        graph.outputs = dict(outputs)
        graph._check()
        return graph

    @property
    def input_definitions(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        return self._inputs

    @property
    def output_definitions(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        return self._own_outputs

    @functools.cached_property
    def _own_outputs(self) -> Sequence[ins_and_outs.OutputDefinition]:
        return tuple(self._output(name, ref) for name, ref in self.outputs.items())

    @property
    def nodes(self) -> Sequence[node.Node]:
        """The nodes in the order in which they were made."""
        return tuple(self.nodes_by_name.values())

    @property
    def node_defs(self) -> Sequence[node.NodeDefinition]:
        """The ops and graphs in it, each once."""
        return list({id(one.definition): one.definition for one in self.nodes}.values())

    @property
    def node_dict(self) -> Mapping[str, node.Node]:
        """The nodes by name."""
        return self.nodes_by_name

    @property
    def config_field(self) -> config_contract.ConfigField | None:
        """What config the graph itself takes, where it has a config mapping."""
        mapping = self.config_mapping
        return None if mapping is None else mapping.config_field

    @property
    def config_schema(self) -> config_contract.ConfigField | None:
        """What config the graph itself takes, where it has a config mapping."""
        return self.config_field

    def node_named(self, name: str) -> node.Node:
        """Return a node by name.

        Raises:
            InvariantViolationError: There is none of that name.
        """
        if name not in self.nodes_by_name:
            raise errors.InvariantViolationError(
                f"The graph {self.name!r} has no node {name!r}; it has "
                f"{', '.join(self.nodes_by_name) or 'none'}."
            )
        return self.nodes_by_name[name]

    def has_node_named(self, name: str) -> bool:
        """Tell whether there is a node of that name."""
        return name in self.nodes_by_name

    def op_of_output(self, output_name: str) -> ops.OpDefinition:
        """Return the op, of an inner graph maybe, that an output comes from."""
        ref = self.outputs[output_name]
        inner = self.node_named(ref.node_name).definition
        if isinstance(inner, GraphDefinition):
            return inner.op_of_output(ref.output_name)
        found: ops.OpDefinition = inner  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        return found

    @property
    def pools(self) -> frozenset[str]:
        """The pools of its ops, those of inner graphs included."""
        found: set[str] = set()
        for one in self.nodes_by_name.values():
            inner: Any = one.definition
            found |= inner.pools
        return frozenset(found)

    def node_names(self) -> Sequence[str]:
        """The names of the nodes."""
        return tuple(self.nodes_by_name)

    def upstream_of(self, node_name: str) -> list[str]:
        """Return the nodes whose outputs a node takes."""
        found: list[str] = []
        for (name, _), binding in self.bindings.items():
            if name == node_name:
                found += [ref.node_name for ref in _output_refs(binding)]
        return list(dict.fromkeys(found))

    def alias(self, name: str) -> node.PendingNodeInvocation:
        """Return this to be called in a graph under another name."""
        return super().alias(name)

    def copy_with(self, **changes: Any) -> "GraphDefinition":
        """Return a copy with attributes replaced."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.__dict__.update(changes)
        copied.__dict__.pop("output_definitions", None)
        return copied

    def copy_for_configured(
        self, name: str | None, description: str | None, config_schema: Any
    ) -> "GraphDefinition":
        """Return the graph that `configured` makes of this one; it takes a config mapping."""
        if self.config_mapping is None:
            raise errors.InvalidDefinitionError(
                f"The graph {self.name!r} has no config mapping, so it cannot be configured. Give "
                "it config=."
            )
        mapping = config_mappings.ConfigMapping(self.config_mapping.config_fn, config_schema)
        return self.copy_with(
            name=name or self.name,
            description=description or self.description,
            config_mapping=mapping,
        )

    def configured(
        self,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> "GraphDefinition":
        """Return the graph with its config given in code.

        Args:
            config_or_config_fn: The config, or a function that makes it of other config.
            name: The name of what is made; the function's where not given.
            config_schema: What that function takes.
            description: What it does; as before where not given.

        Raises:
            InvalidDefinitionError: The name or the config schema is missing or too much.
            InvalidConfigError: The config does not fit.

        Example:
            `report_daily = report.configured({"days": 1}, name="report_daily")`
        """
        own_name = name or getattr(config_or_config_fn, "__name__", None)
        return config_mappings.configure(
            self, config_or_config_fn, own_name, config_schema, description
        )

    def to_job(
        self,
        name: str | None = None,
        description: str | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        config: Any = None,
        tags: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        logger_defs: Mapping[str, Any] | None = None,
        executor_def: Any = None,
        hooks: AbstractSet[hooks.HookDefinition] | None = None,
        op_retry_policy: retries.RetryPolicy | None = None,
        op_selection: Sequence[str] | None = None,
        partitions_def: Any = None,
        input_values: Mapping[str, Any] | None = None,
        run_tags: Mapping[str, Any] | None = None,
        owners: Sequence[str] | None = None,
        automation_condition: Any = None,
    ) -> Any:
        """Make a job that runs the graph.

        Args:
            name: The name of the job; the graph's where not given.
            description: What it does.
            resource_defs: Resources by key.
            config: Run configuration, a config mapping or a partitioned config.
            tags: Labels of the job, and of its runs unless `run_tags` is given.
            metadata: What to attach to the definition.
            logger_defs: Loggers by name.
            executor_def: How the steps are run.
            hooks: What is called after each step.
            op_retry_policy: When failed steps are tried again that have no policy of their own.
            op_selection: Only these of the ops.
            partitions_def: The partitions that runs are for.
            input_values: Values of the graph's inputs.
            run_tags: Labels of the runs alone.
            owners: Who answers for the job.
            automation_condition: When the host is to run it by itself.

        Returns:
            The `JobDefinition`.

        Example:
            `nightly = my_graph.to_job(resource_defs={"warehouse": Warehouse()})`
        """
        return in_process.job_maker()(
            graph_def=self,
            name=name or self.name,
            description=description or self.description,
            resource_defs=resource_defs,
            config=config,
            tags=tags,
            metadata=metadata,
            logger_defs=logger_defs,
            executor_def=executor_def,
            hook_defs=hooks,
            op_retry_policy=op_retry_policy,
            op_selection=op_selection,
            partitions_def=partitions_def,
            input_values=input_values,
            run_tags=run_tags,
            owners=owners,
            automation_condition=automation_condition,
        )

    def execute_in_process(
        self,
        run_config: Any = None,
        instance: Any = None,
        resources: Mapping[str, Any] | None = None,
        raise_on_error: bool = True,  # noqa: FBT001, FBT002 - the field's signature
        op_selection: Sequence[str] | None = None,
        run_id: str | None = None,
        input_values: Mapping[str, Any] | None = None,
    ) -> in_process.ExecuteInProcessResult:
        """Run the graph here and now, as tests do.

        Args:
            run_config: The run configuration.
            instance: The `Instance` to record in; an ephemeral one where not given.
            resources: Resources by key.
            raise_on_error: Whether a failure of user code is raised.
            op_selection: Only these of the ops.
            run_id: The id of the run; made up where not given.
            input_values: Values of the graph's inputs.

        Returns:
            What became of the run.
        """
        job = self.to_job(resource_defs=resources, input_values=input_values)
        result: in_process.ExecuteInProcessResult = job.execute_in_process(
            run_config=run_config,
            instance=instance,
            raise_on_error=raise_on_error,
            op_selection=op_selection,
            run_id=run_id,
        )
        return result

    def with_hooks_of(self, hook_defs: AbstractSet[hooks.HookDefinition]) -> "GraphDefinition":
        """Return the graph with further hooks on everything in it."""
        return self.copy_with(hook_defs=frozenset(self.hook_defs) | frozenset(hook_defs))

    def __repr__(self) -> str:
        return f"GraphDefinition({self.name!r})"

    def _output(self, name: str, ref: bindings.OutputRef) -> ins_and_outs.OutputDefinition:
        inner = self.nodes_by_name[ref.node_name].definition.output_named(ref.output_name)
        given = inner.given
        return ins_and_outs.OutputDefinition(name, inner.annotation, inner.function, given)

    def _check(self) -> None:
        for (node_name, input_name), binding in self.bindings.items():
            self.node_for(node_name).definition.input_named(input_name)
            for ref in _output_refs(binding):
                self.node_for(ref.node_name).definition.output_named(ref.output_name)
        for ref in self.outputs.values():
            self.node_for(ref.node_name).definition.output_named(ref.output_name)
        self.in_order()

    def node_for(self, name: str) -> node.Node:
        """Return a node that a dependency names.

        Raises:
            InvalidDefinitionError: There is none of that name.
        """
        if name not in self.nodes_by_name:
            raise errors.InvalidDefinitionError(
                f"The dependencies of the graph {self.name!r} name the node {name!r}, which it "
                f"does not have; it has {', '.join(self.nodes_by_name) or 'none'}."
            )
        return self.nodes_by_name[name]

    def in_order(self) -> list[node.Node]:
        """Return the nodes so that each comes after those it depends on.

        Raises:
            InvalidDefinitionError: They depend on each other in a circle.
        """
        upstream: dict[str, set[str]] = {name: set() for name in self.nodes_by_name}
        for (node_name, _), binding in self.bindings.items():
            upstream[node_name].update(ref.node_name for ref in _output_refs(binding))
        ordered: list[node.Node] = []
        done: set[str] = set()
        stack: list[tuple[str, bool]] = [(name, False) for name in reversed(upstream)]
        open_names: dict[str, None] = {}
        while stack:
            name, leaving = stack.pop()
            if leaving:
                open_names.pop(name)
                done.add(name)
                ordered.append(self.nodes_by_name[name])
            elif name not in done:
                if name in open_names:
                    path = [*list(open_names)[list(open_names).index(name) :], name]
                    raise errors.InvalidDefinitionError(
                        f"The nodes of the graph {self.name!r} depend on each other in a circle: "
                        f"{' -> '.join(reversed(path))}. Take one of the dependencies away."
                    )
                open_names[name] = None
                stack.append((name, True))
                stack += [(one, False) for one in sorted(upstream[name]) if one not in done]
        return ordered


def _output_refs(binding: bindings.Binding) -> Iterable[bindings.OutputRef]:
    if isinstance(binding, bindings.OutputRef):
        yield binding
    elif isinstance(binding, bindings.FanIn):
        for member in binding.members:
            yield from _output_refs(member)


def _node(name: str, definition: Any, decorations: composition.Decorations | None) -> node.Node:
    if decorations is None:
        return node.Node(name, definition)
    return node.Node(
        name, definition, decorations.tags, decorations.hook_defs, decorations.retry_policy
    )


def _explicit_nodes(
    graph_name: str,
    node_defs: Sequence[node.NodeDefinition],
    dependencies: ExplicitDependencies,
) -> dict[str, node.Node]:
    by_name = {one.name: one for one in node_defs}
    found: dict[str, node.Node] = {}
    for key in dependencies:
        invoked = node.NodeInvocation(key) if isinstance(key, str) else key
        if invoked.name not in by_name:
            raise errors.InvalidDefinitionError(
                f"The dependencies of the graph {graph_name!r} name {invoked.name!r}, which is not "
                f"among its node_defs: {', '.join(by_name) or 'none'}."
            )
        name = invoked.alias or invoked.name
        found[name] = node.Node(
            name,
            by_name[invoked.name],
            dict(invoked.tags or {}),
            frozenset(invoked.hook_defs or ()),
            invoked.retry_policy,
        )
    used = {one.definition.name for one in found.values()}
    for one in node_defs:
        if one.name not in used:
            found[one.name] = node.Node(one.name, one)
    return found


def _explicit_bindings(
    dependencies: ExplicitDependencies, input_mappings: Sequence[bindings.InputMapping]
) -> dict[tuple[str, str], bindings.Binding]:
    found: dict[tuple[str, str], bindings.Binding] = {}
    for key, by_input in dependencies.items():
        name = key if isinstance(key, str) else key.alias or key.name
        for input_name, dependency in by_input.items():
            found[name, input_name] = dependency.binding()
    for mapping in input_mappings:
        place = (mapping.mapped_node_name, mapping.mapped_node_input_name)
        ref = bindings.GraphInputRef(mapping.graph_input_name)
        if mapping.fan_in_index is None:
            found[place] = ref
            continue
        known = found.get(place, bindings.FanIn(()))
        members = list(known.members) if isinstance(known, bindings.FanIn) else [known]
        members.insert(mapping.fan_in_index, ref)
        found[place] = bindings.FanIn(tuple(members))
    return found


def _explicit_inputs(
    input_mappings: Sequence[bindings.InputMapping], nodes: Mapping[str, node.Node]
) -> tuple[ins_and_outs.InputDefinition, ...]:
    found: dict[str, ins_and_outs.InputDefinition] = {}
    for mapping in input_mappings:
        if mapping.mapped_node_name in nodes and mapping.graph_input_name not in found:
            inner = nodes[mapping.mapped_node_name].definition.input_named(
                mapping.mapped_node_input_name
            )
            found[mapping.graph_input_name] = ins_and_outs.InputDefinition(
                mapping.graph_input_name, inner.annotation, inner.function, inner.given
            )
    return tuple(found.values())

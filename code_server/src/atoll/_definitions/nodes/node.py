"""What ops and graphs have in common, and their invocations.

Called by the composition of graphs. A node definition stands in a graph under a name, possibly an
alias, with tags, hooks and a retry policy of its own there: that is a `Node`. Before it is called
inside a graph function, it is a `PendingNodeInvocation`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar, cast

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_events, config_mapping, in_process
from atoll._definitions.nodes import composition, hooks, ins_and_outs, retries

D = TypeVar("D", bound="NodeDefinition")
_NO_HOOKS: frozenset[hooks.HookDefinition] = frozenset()


class NodeDefinition:
    """The root of ops and graphs.

    Attributes:
        name: The name; the default name of the node in a graph.
        description: What it does.
        tags: Labels.
        hook_defs: What is called after its steps.
    """

    name: str
    description: str | None
    tags: Mapping[str, str]
    hook_defs: AbstractSet[hooks.HookDefinition]

    @property
    def input_definitions(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        raise NotImplementedError

    @property
    def output_definitions(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        raise NotImplementedError

    @property
    def positional_inputs(self) -> Sequence[str]:
        """The inputs that positional arguments go to: Nothing inputs stand behind all others."""
        ordered = sorted(self.input_definitions, key=lambda one: one.is_nothing)
        return [one.name for one in ordered]

    @property
    def has_loadable_inputs(self) -> bool:
        """Whether run configuration can give an input its value."""
        return any(
            not one.is_nothing and one.type.loader is not None for one in self.input_definitions
        )

    def input_named(self, name: str) -> ins_and_outs.InputDefinition:
        """Return an input by name.

        Raises:
            InvalidDefinitionError: There is none of that name.
        """
        for one in self.input_definitions:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.input_definitions) or "none"
        raise errors.InvalidDefinitionError(f"{self.name!r} has no input {name!r}; it has {names}.")

    def output_named(self, name: str) -> ins_and_outs.OutputDefinition:
        """Return an output by name.

        Raises:
            InvalidDefinitionError: There is none of that name.
        """
        for one in self.output_definitions:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.output_definitions) or "none"
        raise errors.InvalidDefinitionError(
            f"{self.name!r} has no output {name!r}; it has {names}."
        )

    @property
    def input_defs(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        return self.input_definitions

    @property
    def output_defs(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        return self.output_definitions

    @property
    def input_dict(self) -> Mapping[str, ins_and_outs.InputDefinition]:
        """The inputs by name."""
        return {one.name: one for one in self.input_definitions}

    @property
    def output_dict(self) -> Mapping[str, ins_and_outs.OutputDefinition]:
        """The outputs by name."""
        return {one.name: one for one in self.output_definitions}

    def has_input(self, name: str) -> bool:
        """Tell whether there is an input of that name."""
        return name in self.input_dict

    def has_output(self, name: str) -> bool:
        """Tell whether there is an output of that name."""
        return name in self.output_dict

    def input_def_named(self, name: str) -> ins_and_outs.InputDefinition:
        """Return an input by name."""
        return self.input_named(name)

    def output_def_named(self, name: str) -> ins_and_outs.OutputDefinition:
        """Return an output by name."""
        return self.output_named(name)

    def configured(  # noqa: PYI019 - Self is not in Python 3.10
        self: D,
        config_or_config_fn: Any,
        name: str | None = None,
        config_schema: Any = None,
        description: str | None = None,
    ) -> D:
        """Return this with its config given in code, under another name.

        Args:
            config_or_config_fn: The plain config, or a function that makes it of simpler config.
            name: The name of what is made.
            config_schema: What the function takes.
            description: What it does.
        """
        # Each kind of node has what configuring it takes; the root does not say so.
        configurable = cast("Any", self)
        made: D = config_mapping.configure(
            configurable, config_or_config_fn, name, config_schema, description
        )
        return made

    def alias(self, name: str) -> "PendingNodeInvocation":
        """Return this to be called in a graph under another name."""
        return PendingNodeInvocation(self, alias=ins_and_outs.checked_name(name, "a node"))

    def tag(self, tags: Mapping[str, str] | None) -> "PendingNodeInvocation":
        """Return this to be called in a graph with further tags."""
        return PendingNodeInvocation(self, tags=asset_events.checked_tags(tags))

    def with_hooks(self, hook_defs: AbstractSet[hooks.HookDefinition]) -> "PendingNodeInvocation":
        """Return this to be called in a graph with hooks."""
        return PendingNodeInvocation(self, hook_defs=frozenset(hook_defs))

    def with_retry_policy(self, retry_policy: retries.RetryPolicy) -> "PendingNodeInvocation":
        """Return this to be called in a graph with a retry policy."""
        return PendingNodeInvocation(self, retry_policy=retry_policy)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Stand in the graph that is being composed; outside one, be called as tests do."""
        if composition.is_composing():
            return PendingNodeInvocation(self)(*args, **kwargs)
        return self.invoke_directly(args, kwargs)

    def invoke_directly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call it outside a graph, as tests do.

        Args:
            args: Positional arguments.
            kwargs: Arguments by name.

        Raises:
            InvalidInvocationError: It cannot be called, or the arguments do not fit.
        """
        raise errors.InvalidInvocationError(
            f"{self.name!r} was called outside a graph. Call graphs inside a function decorated "
            "with @graph or @job, or run them with execute_in_process()."
        )


class Node(records.Record):
    """A node of a graph: an op or a graph under a name.

    Attributes:
        name: The name in the graph.
        definition: The op or graph.
        tags: Labels given at this place.
        hook_defs: Hooks given at this place.
        retry_policy: The retry policy given at this place.
    """

    name: str
    definition: NodeDefinition
    tags: Mapping[str, str] = {}
    hook_defs: frozenset[hooks.HookDefinition] = _NO_HOOKS
    retry_policy: retries.RetryPolicy | None = None


class NodeInvocation(records.Record):
    """Names a node in an explicit dependency dict.

    Attributes:
        name: The name of the op or graph.
        alias: Its name in the graph, where another is wanted.
        tags: Labels.
        hook_defs: Hooks.
        retry_policy: The retry policy.
    """

    name: str
    alias: str | None = None
    tags: Mapping[str, str] | None = None
    hook_defs: AbstractSet[hooks.HookDefinition] | None = None
    retry_policy: retries.RetryPolicy | None = None


class PendingNodeInvocation:
    """An op or graph about to be called in a graph, with what the place adds.

    Args:
        node_def: The op or graph.
        alias: Its name in the graph.
        tags: Further labels.
        hook_defs: Hooks.
        retry_policy: The retry policy.
    """

    def __init__(
        self,
        node_def: NodeDefinition,
        *,
        alias: str | None = None,
        tags: Mapping[str, str] | None = None,
        hook_defs: frozenset[hooks.HookDefinition] = _NO_HOOKS,
        retry_policy: retries.RetryPolicy | None = None,
    ) -> None:
        self.node_def = node_def
        self.given_alias = alias
        self.tags = dict(tags or {})
        self.hook_defs = hook_defs
        self.retry_policy = retry_policy

    def alias(self, name: str) -> "PendingNodeInvocation":
        """Return this under another name."""
        return self._with(alias=ins_and_outs.checked_name(name, "a node"))

    def tag(self, tags: Mapping[str, str] | None) -> "PendingNodeInvocation":
        """Return this with further tags."""
        return self._with(tags={**self.tags, **asset_events.checked_tags(tags)})

    def with_hooks(self, hook_defs: AbstractSet[hooks.HookDefinition]) -> "PendingNodeInvocation":
        """Return this with further hooks."""
        return self._with(hook_defs=self.hook_defs | frozenset(hook_defs))

    def with_retry_policy(self, retry_policy: retries.RetryPolicy) -> "PendingNodeInvocation":
        """Return this with a retry policy."""
        return self._with(retry_policy=retry_policy)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Stand in the graph that is being composed; outside one, be called as tests do."""
        if not composition.is_composing():
            return self.node_def.invoke_directly(args, kwargs)
        made = composition.current().add_node(self.node_def, self.given_alias, args, kwargs)
        composition.current().decorate(
            made.node_name,
            composition.Decorations(self.tags, self.hook_defs, self.retry_policy),
        )
        return made.value

    def to_job(self, name: str | None = None, **options: Any) -> Any:
        """Make a job of this graph, or of a graph with only this op.

        Args:
            name: The name of the job; the alias where not given.
            options: As `GraphDefinition.to_job` takes them.
        """
        return self._as_graph().to_job(name or self.given_alias, **options)

    def execute_in_process(self, **options: Any) -> in_process.ExecuteInProcessResult:
        """Run this graph here and now, as `GraphDefinition.execute_in_process` does."""
        result: in_process.ExecuteInProcessResult = self._as_graph().execute_in_process(**options)
        return result

    def _as_graph(self) -> Any:
        own: Any = self.node_def
        if not hasattr(own, "to_job"):
            raise errors.InvalidInvocationError(
                f"{own.name!r} is an op. Put it into a graph or a job to run it."
            )
        changed = own
        if self.tags or self.hook_defs:
            changed = own.copy_with(
                tags={**own.tags, **self.tags}, hook_defs=frozenset(own.hook_defs) | self.hook_defs
            )
        return changed

    def _with(self, **changes: Any) -> "PendingNodeInvocation":
        options: dict[str, Any] = {
            "alias": self.given_alias,
            "tags": self.tags,
            "hook_defs": self.hook_defs,
            "retry_policy": self.retry_policy,
        }
        return PendingNodeInvocation(self.node_def, **{**options, **changes})


def function_name(function: Callable[..., Any]) -> str:
    """Return the name that a definition made of a function gets."""
    return str(getattr(function, "__name__", type(function).__name__))


def ops_in(definition: NodeDefinition) -> Iterator[Any]:
    """Yield every op of an op or graph, those of inner graphs included."""
    inner = getattr(definition, "nodes", None)
    if inner is None:
        yield definition
        return
    for one in inner:
        yield from ops_in(one.definition)


def required_resource_keys(definition: NodeDefinition) -> frozenset[str]:
    """Return the resources that the ops of an op or graph need, IO managers included."""
    if not hasattr(definition, "nodes") and not definition.hook_defs:
        one: Any = definition
        return one.required_resource_keys | one.storage_resource_keys  # type: ignore[no-any-return]
    found: set[str] = set()
    for one in ops_in(definition):
        found |= one.required_resource_keys | one.storage_resource_keys
        found |= {key for hook in one.hook_defs for key in hook.required_resource_keys}
    return frozenset(found)

"""Composing graphs: what a call of an op means inside a function decorated with `@graph`.

Called by ops, graphs and assets when they are called, and by the graph decorators. While a graph
function runs, calls of nodes record themselves here and give handles of their outputs; handles
that are passed on become bindings.
"""

import collections
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, Protocol, cast

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys
from atoll._definitions.nodes import bindings, ins_and_outs


class Composable(Protocol):
    """What composition needs to know of a node definition."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def input_definitions(self) -> Sequence[ins_and_outs.InputDefinition]:
        """The inputs in order."""
        ...

    @property
    def output_definitions(self) -> Sequence[ins_and_outs.OutputDefinition]:
        """The outputs in order."""
        ...

    @property
    def positional_inputs(self) -> Sequence[str]:
        """The inputs that positional arguments go to."""
        ...


class OutputHandle:
    """Stands for the value of an output while a graph is composed.

    Args:
        node_name: The node.
        output_name: Its output.
        of: What the node is, for errors.
        mapped: Whether the node is mapped over a dynamic output.
    """

    def __init__(self, node_name: str, output_name: str, of: str, *, mapped: bool = False) -> None:
        self.node_name = node_name
        self.output_name = output_name
        self.of = of
        self.mapped = mapped

    def collect(self) -> bindings.OutputRef:
        """Take the values of all copies of a mapped node together, as a list."""
        if not self.mapped:
            raise errors.InvalidDefinitionError(
                f"The output {self.output_name!r} of {self.of!r} is not dynamic, so there is "
                "nothing to collect. Use the output itself."
            )
        return bindings.OutputRef(self.node_name, self.output_name, collected=True)

    def map(self, function: Callable[..., Any]) -> Any:
        """Refuse to map over an output that is not dynamic."""
        del function
        raise errors.InvalidDefinitionError(
            f"The output {self.output_name!r} of {self.of!r} is not dynamic, so it cannot be "
            "mapped over. Give the op out=DynamicOut()."
        )

    def binding(self) -> bindings.Binding:
        """Return where an input gets this value."""
        return bindings.OutputRef(self.node_name, self.output_name)

    def __iter__(self) -> Iterator[Any]:
        raise errors.InvalidDefinitionError(
            f"{self.of!r} has one output here, {self.output_name!r}, which cannot be unpacked "
            "while the graph is composed. Give the op several outputs, or a DynamicOut."
        )

    def __getitem__(self, index: Any) -> Any:
        raise errors.InvalidDefinitionError(
            f"The output {self.output_name!r} of {self.of!r} cannot be indexed with {index!r}: "
            "values exist only in a run. Index it inside an op."
        )

    def _compared(self, other: object = None) -> NoReturn:
        del other
        raise errors.InvalidDefinitionError(
            f"The output {self.output_name!r} of {self.of!r} cannot decide what the graph is: "
            "values exist only in a run. Compare it inside an op, and branch by optional outputs."
        )

    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _compared


class DynamicOutputHandle:
    """Stands for a dynamic output while a graph is composed: map over it, or collect it.

    Args:
        node_name: The node.
        output_name: Its output.
        of: What the node is, for errors.
    """

    def __init__(self, node_name: str, output_name: str, of: str) -> None:
        self.node_name = node_name
        self.output_name = output_name
        self.of = of

    def map(self, function: Callable[[Any], Any]) -> Any:
        """Call nodes once for each value.

        Args:
            function: Calls nodes with the handle of one value, and returns handles or nothing.

        Returns:
            What the function returned, to be collected or mapped further.
        """
        one = OutputHandle(self.node_name, self.output_name, self.of, mapped=True)
        with current().mapping(self.of):
            returned = function(one)
        if returned is None or isinstance(returned, (OutputHandle, DynamicOutputHandle)):
            return _Mapped(returned) if isinstance(returned, OutputHandle) else returned
        if isinstance(returned, tuple):
            given: tuple[Any, ...] = returned  # pyright: ignore[reportUnknownVariableType]
            wrapped: list[Any] = [_Mapped(m) if isinstance(m, OutputHandle) else m for m in given]
            kind: Any = type(given)
            return kind(*wrapped) if hasattr(given, "_fields") else tuple(wrapped)
        raise errors.InvalidDefinitionError(
            f"The function mapped over {self.of!r} returned {returned!r}. Return the output of a "
            "node, several as a tuple, or nothing."
        )

    def collect(self) -> bindings.OutputRef:
        """Take all values together, as a list."""
        return bindings.OutputRef(self.node_name, self.output_name, collected=True)

    def binding(self) -> bindings.Binding:
        """Refuse to be passed on without map or collect."""
        raise errors.InvalidDefinitionError(
            f"The output {self.output_name!r} of {self.of!r} is dynamic. Call .map(...) on it for "
            "each value, or .collect() for a list of all."
        )

    def __iter__(self) -> Iterator[Any]:
        self.binding()
        return iter(())


class _Mapped(OutputHandle):
    """The output of a node that is mapped over a dynamic output."""

    def __init__(self, handle: OutputHandle) -> None:
        super().__init__(handle.node_name, handle.output_name, handle.of, mapped=True)

    def map(self, function: Callable[[Any], Any]) -> Any:
        """Call further nodes once for each value."""
        with current().mapping(self.of):
            returned = function(self)
        return _Mapped(returned) if isinstance(returned, OutputHandle) else returned


class GraphInputHandle:
    """Stands for an input of the graph while it is composed."""

    def __init__(self, input_name: str) -> None:
        self.input_name = input_name

    def __repr__(self) -> str:
        return f"the input {self.input_name!r} of the graph"

    def binding(self) -> bindings.Binding:
        """Return where an input gets this value."""
        return bindings.GraphInputRef(self.input_name)


class HasAssetValue(Protocol):
    """What may be passed to a node to give it the value of an asset."""

    def single_key(self) -> keys.AssetKey:
        """Return the key of the asset."""
        ...


class Decorations(records.Record):
    """What a call adds to a node: labels, hooks, a retry policy."""

    tags: Mapping[str, str]
    hook_defs: frozenset[Any]
    retry_policy: Any


class Made(records.Record):
    """A node that was just added to a graph: its name there, and what its call gives."""

    node_name: str
    value: Any


class Composition:
    """The nodes and bindings of one graph while it is composed.

    Args:
        graph_name: The graph, for errors.
    """

    def __init__(self, graph_name: str) -> None:
        self.graph_name = graph_name
        self.nodes: dict[str, Composable] = {}
        self.decorations: dict[str, Decorations] = {}
        self.bindings: dict[tuple[str, str], bindings.Binding] = {}
        self._taken: collections.Counter[str] = collections.Counter()
        self._mapping: list[str] = []
        self._mapped: set[str] = set()

    def mapping(self, over: str) -> "_Mapping":
        """Return a context in which calls stand in a map."""
        return _Mapping(self._mapping, over)

    def add_node(
        self,
        definition: Composable,
        alias: str | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Made:
        """Add a node.

        Args:
            definition: The op or graph.
            alias: Its name in the graph.
            args: What it was called with, by position.
            kwargs: What it was called with, by name.

        Returns:
            The node's name and what the call gives.

        Raises:
            InvalidDefinitionError: The name is taken, or an argument is no output or input.
        """
        node_name = self._name_for(definition, alias)
        given = self._by_name(definition, node_name, args, kwargs)
        self.nodes[node_name] = definition
        mapped = False
        for input_name, value in given.items():
            binding = self._binding(node_name, input_name, value)
            self.bindings[node_name, input_name] = binding
            mapped = mapped or self._is_mapped(value)
        if mapped:
            self._mapped.add(node_name)
        return Made(node_name, self._value(definition, node_name, mapped=mapped))

    def decorate(self, node_name: str, decorations: Decorations) -> None:
        """Attach what a call adds to a node."""
        self.decorations[node_name] = decorations

    def _name_for(self, definition: Composable, alias: str | None) -> str:
        name = alias or definition.name
        if alias is not None and alias in self.nodes:
            raise errors.InvalidDefinitionError(
                f"The graph {self.graph_name!r} has two nodes called {alias!r}. Give one of them "
                "another alias."
            )
        while name in self.nodes:
            self._taken[definition.name] += 1
            name = f"{definition.name}_{self._taken[definition.name] + 1}"
        return name

    def _by_name(
        self,
        definition: Composable,
        node_name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> dict[str, Any]:
        names = definition.positional_inputs
        if len(args) > len(names):
            raise errors.InvalidDefinitionError(
                f"In the graph {self.graph_name!r}, {node_name!r} is given {len(args)} values by "
                f"position, but it takes {len(names)}: {', '.join(names) or 'none'}. Give "
                "it that many, or add inputs to it."
            )
        given = dict(zip(names, args, strict=False))
        known = {one.name for one in definition.input_definitions}
        for name, value in kwargs.items():
            if name not in known:
                raise errors.InvalidDefinitionError(
                    f"In the graph {self.graph_name!r}, {node_name!r} is given the input {name!r}, "
                    f"which it does not have; it has {', '.join(sorted(known)) or 'none'}."
                )
            if name in given:
                raise errors.InvalidDefinitionError(
                    f"In the graph {self.graph_name!r}, {node_name!r} is given the input {name!r} "
                    "twice. Give it once."
                )
            given[name] = value
        return given

    def _binding(self, node_name: str, input_name: str, value: Any) -> bindings.Binding:
        made = binding_of(value)
        called = getattr(value, "input_definitions", None)
        if made is None and called is not None:
            raise errors.InvalidDefinitionError(
                f"In the graph {self.graph_name!r}, the input {input_name!r} of {node_name!r} is "
                f"given {value!r} itself. Call it, {getattr(value, 'name', 'it')}(), to pass on "
                "what it gives."
            )
        if made is None:
            raise errors.InvalidDefinitionError(
                f"In the graph {self.graph_name!r}, the input {input_name!r} of {node_name!r} is "
                f"given {value!r} of type {type(value).__name__}. Values exist only in a run: pass "
                "the output of a node or an input of the graph, or use config for constants."
            )
        return made

    def _is_mapped(self, value: Any) -> bool:
        if isinstance(value, OutputHandle):
            return value.mapped or value.node_name in self._mapped
        if isinstance(value, (list, tuple)):
            return any(map(self._is_mapped, cast("Sequence[Any]", value)))
        return False

    def _value(self, definition: Composable, node_name: str, *, mapped: bool) -> Any:
        outputs = definition.output_definitions
        handles = [self._handle(definition, node_name, one, mapped=mapped) for one in outputs]
        if len(handles) == 1:
            return handles[0]
        if not handles:
            return None
        names = [one.name for one in outputs]
        kind = collections.namedtuple(f"_{definition.name}_outputs", names)  # type: ignore[misc]  # noqa: PYI024
        return kind(*handles)

    def _handle(
        self,
        definition: Composable,
        node_name: str,
        output: ins_and_outs.OutputDefinition,
        *,
        mapped: bool,
    ) -> OutputHandle | DynamicOutputHandle:
        if output.is_dynamic:
            if mapped:
                raise errors.InvalidDefinitionError(
                    f"In the graph {self.graph_name!r}, {node_name!r} has a dynamic output and is "
                    f"itself mapped over another. Collect {', '.join(self._mapping) or 'that'} "
                    "first."
                )
            return DynamicOutputHandle(node_name, output.name, definition.name)
        return OutputHandle(node_name, output.name, definition.name, mapped=mapped)


class _Mapping:
    def __init__(self, stack: list[str], over: str) -> None:
        self._stack = stack
        self._over = over

    def __enter__(self) -> None:
        self._stack.append(self._over)

    def __exit__(self, *_: object) -> None:
        self._stack.pop()


def binding_of(value: Any) -> bindings.Binding | None:
    """Return where an input that is given this value gets it, None where it is no such thing."""
    if isinstance(value, (OutputHandle, DynamicOutputHandle, GraphInputHandle)):
        return value.binding()
    if isinstance(value, bindings.OutputRef):
        return value
    if isinstance(value, (list, tuple)):
        members = [binding_of(member) for member in cast("Sequence[Any]", value)]
        if any(member is None for member in members):
            return None
        return bindings.FanIn(tuple(member for member in members if member is not None))
    if isinstance(value, keys.AssetKey):
        return bindings.AssetRef(value)
    single = getattr(value, "single_key", None)
    return bindings.AssetRef(single()) if single is not None else None


# Graph functions run to their end in the thread that imports the user's code.
_frames: list[Composition] = []


def is_composing() -> bool:
    """Tell whether a graph is being composed."""
    return bool(_frames)


def current() -> Composition:
    """Return the graph that is being composed."""
    return _frames[-1]


class composing:  # noqa: N801 - used as a statement
    """Compose a graph: what is called inside stands in it."""

    def __init__(self, graph_name: str) -> None:
        self._composition = Composition(graph_name)

    def __enter__(self) -> Composition:
        _frames.append(self._composition)
        return self._composition

    def __exit__(self, *_: object) -> None:
        _frames.pop()

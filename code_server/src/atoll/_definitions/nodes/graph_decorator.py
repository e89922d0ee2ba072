"""The `graph` decorator: makes a graph of a function that calls ops and graphs.

Called by users, and by `job` and the graph-asset decorators, which make a graph first.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, overload

from atoll import errors
from atoll._definitions import annotations
from atoll._definitions.nodes import bindings, composition, ins_and_outs, node
from atoll._definitions.nodes import graph as graphs

GraphFunction = Callable[..., Any]
CoercibleToGraphOuts = ins_and_outs.GraphOut | Mapping[str, ins_and_outs.GraphOut]


@overload
def graph(compose_fn: GraphFunction, /) -> graphs.GraphDefinition: ...
@overload
def graph(
    *,
    name: str | None = None,
    description: str | None = None,
    input_defs: Any = None,
    output_defs: Any = None,
    ins: Mapping[str, ins_and_outs.GraphIn] | None = None,
    out: CoercibleToGraphOuts | None = None,
    tags: Mapping[str, str] | None = None,
    config: Any = None,
) -> Callable[[GraphFunction], graphs.GraphDefinition]: ...
def graph(
    compose_fn: GraphFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    input_defs: Any = None,
    output_defs: Any = None,
    ins: Mapping[str, ins_and_outs.GraphIn] | None = None,
    out: CoercibleToGraphOuts | None = None,
    tags: Mapping[str, str] | None = None,
    config: Any = None,
) -> graphs.GraphDefinition | Callable[[GraphFunction], graphs.GraphDefinition]:
    """Make a graph of a function that calls ops and other graphs.

    The function runs once, now; its parameters are the inputs of the graph, and what it returns is
    its output: the output of a node, or several by name.

    Args:
        compose_fn: The function, where the decorator is used without parentheses.
        name: The name; the function's where not given.
        description: What it does; the function's docstring where not given.
        input_defs: Refused: the older way to describe inputs.
        output_defs: Refused: the older way to describe outputs.
        ins: Descriptions of the inputs.
        out: Descriptions of the outputs; several by name.
        tags: Labels.
        config: A config mapping, or plain config for the ops in it.

    Returns:
        The graph, or a decorator that makes it.

    Raises:
        InvalidDefinitionError: What the function calls does not fit together.

    Example:
        ```
        @graph
        def add_two(number):
            return add_one(add_one(number))
        ```
    """
    if input_defs is not None or output_defs is not None:
        raise errors.UnsupportedParameterError(
            "graph does not take input_defs and output_defs. Describe inputs with ins= and outputs "
            "with out=.",
            "input_defs",
        )

    def decorate(function: GraphFunction) -> graphs.GraphDefinition:
        return compose(
            function,
            name or node.function_name(function),
            description=description,
            out=out,
            tags=tags,
            config=config,
        )

    return decorate(compose_fn) if compose_fn is not None else decorate


def compose(
    function: GraphFunction,
    name: str,
    *,
    description: str | None = None,
    out: CoercibleToGraphOuts | None = None,
    tags: Mapping[str, str] | None = None,
    config: Any = None,
    outputs_max: int | None = None,
) -> graphs.GraphDefinition:
    """Run a graph function and make a graph of what it called.

    Args:
        function: The function.
        name: The name of the graph.
        description: What it does.
        out: Descriptions of the outputs.
        tags: Labels.
        config: A config mapping.
        outputs_max: How many outputs may be returned; None for any number.

    Raises:
        InvalidDefinitionError: What the function calls does not fit together.
    """
    inputs = _inputs(function, name)
    with composition.composing(name) as made:
        arguments = {one.name: composition.GraphInputHandle(one.name) for one in inputs}
        returned = function(**arguments)
    outputs = {} if outputs_max == 0 else _outputs(name, returned, out)
    _check_inputs_are_used(name, inputs, made)
    return graphs.GraphDefinition.composed(
        name,
        made,
        _typed(inputs, made),
        outputs,
        description=description or annotations.docstring(function),
        config=config,
        tags=tags,
    )


def _inputs(function: GraphFunction, name: str) -> list[ins_and_outs.InputDefinition]:
    found: list[ins_and_outs.InputDefinition] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise errors.InvalidDefinitionError(
                f"The function of the graph {name!r} has the parameter {parameter}. Name its "
                "inputs."
            )
        default = (
            ins_and_outs.NO_DEFAULT if parameter.default is parameter.empty else parameter.default
        )
        found.append(
            ins_and_outs.InputDefinition(
                parameter.name, parameter.annotation, function, default=default
            )
        )
    return found


def _check_inputs_are_used(
    name: str, inputs: Iterable[ins_and_outs.InputDefinition], made: composition.Composition
) -> None:
    used = {one for binding in made.bindings.values() for one in _graph_inputs_of(binding)}
    for one in inputs:
        if one.name not in used:
            raise errors.InvalidDefinitionError(
                f"The graph {name!r} passes its input {one.name!r} to no node. Pass it to one, or "
                "take the parameter away."
            )


def _graph_inputs_of(binding: bindings.Binding) -> Iterator[str]:
    if isinstance(binding, bindings.GraphInputRef):
        yield binding.input_name
    elif isinstance(binding, bindings.FanIn):
        for member in binding.members:
            yield from _graph_inputs_of(member)


def _typed(
    inputs: Iterable[ins_and_outs.InputDefinition], made: composition.Composition
) -> list[ins_and_outs.InputDefinition]:
    """Let inputs without an annotation be typed as the input that they go to."""
    typed: list[ins_and_outs.InputDefinition] = []
    for one in inputs:
        taker = next(
            (
                made.nodes[node_name]
                for (node_name, input_name), binding in made.bindings.items()
                if binding == bindings.GraphInputRef(one.name) and input_name
            ),
            None,
        )
        if one.annotation is not annotations.UNKNOWN or taker is None:
            typed.append(one)
            continue
        place = next(
            input_name
            for (node_name, input_name), binding in made.bindings.items()
            if binding == bindings.GraphInputRef(one.name) and made.nodes[node_name] is taker
        )
        inner = next(i for i in taker.input_definitions if i.name == place)
        default = one.default if one.has_default else inner.default
        typed.append(
            ins_and_outs.InputDefinition(
                one.name, inner.annotation, inner.function, inner.given, default
            )
        )
    return typed


def _outputs(
    name: str, returned: Any, out: CoercibleToGraphOuts | None
) -> dict[str, bindings.OutputRef]:
    if returned is None:
        return {}
    names = list(out) if isinstance(out, Mapping) else [ins_and_outs.DEFAULT_OUTPUT_NAME]
    if isinstance(returned, Mapping):
        by_name: dict[str, Any] = dict(returned)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        if isinstance(out, Mapping) and set(by_name) != set(out):
            raise errors.InvalidDefinitionError(
                f"The graph {name!r} declares the outputs {', '.join(out)} and returned "
                f"{', '.join(by_name) or 'none'}. Return exactly those."
            )
        return {key: _output_ref(name, key, value) for key, value in by_name.items()}
    if isinstance(returned, tuple):
        members: tuple[Any, ...] = returned  # pyright: ignore[reportUnknownVariableType]
        own_names: Any = getattr(returned, "_fields", None)  # pyright: ignore[reportUnknownArgumentType]
        chosen = names if isinstance(out, Mapping) else list(own_names or ())
        if len(chosen) != len(members):
            raise errors.InvalidDefinitionError(
                f"The graph {name!r} returned {len(members)} outputs as a tuple and declares "
                f"{len(chosen)}. Give @graph(out={{'name': GraphOut(), ...}}) in the same order, "
                "or return a dict."
            )
        return {
            key: _output_ref(name, key, value) for key, value in zip(chosen, members, strict=True)
        }
    if len(names) != 1:
        raise errors.InvalidDefinitionError(
            f"The graph {name!r} declares the outputs {', '.join(names)} and returned one value. "
            "Return a dict with those names."
        )
    return {names[0]: _output_ref(name, names[0], returned)}


def _output_ref(graph_name: str, output_name: str, value: Any) -> bindings.OutputRef:
    if isinstance(value, composition.DynamicOutputHandle):
        return bindings.OutputRef(value.node_name, value.output_name)
    if isinstance(value, bindings.OutputRef):
        raise errors.InvalidDefinitionError(
            f"The graph {graph_name!r} returned what it collected as its output {output_name!r}. "
            "Return the output as it is, and collect it where the graph is called; or pass the "
            "list to an op that returns it."
        )
    if isinstance(value, composition.OutputHandle):
        return bindings.OutputRef(value.node_name, value.output_name)
    raise errors.InvalidDefinitionError(
        f"The graph {graph_name!r} returned {value!r} as its output {output_name!r}. Return the "
        "output of a node that it calls."
    )

"""Ops, graphs, resources and types as messages of the snapshot.

Called by `snapshot`. Definitions are described once each, under their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from google.protobuf import duration_pb2

from atoll._definitions import config_contract
from atoll._definitions import types as value_types
from atoll._definitions.nodes import bindings, graph, ins_and_outs, node, op, retries
from atoll._definitions.resources import definition as resource_definitions
from atoll._wire import keys, metadata, texts
from atoll.definitions.v1 import nodes_pb2, values_pb2

_NANOS = 1_000_000_000


class Nodes:
    """Collects the ops, graphs and types that a location uses."""

    def __init__(self) -> None:
        self._ops: dict[str, op.OpDefinition] = {}
        self._graphs: dict[str, graph.GraphDefinition] = {}
        self._types: dict[str, value_types.Type] = {}

    def add(self, definition: node.NodeDefinition) -> None:
        """Take an op or a graph, and everything in it, into account."""
        if isinstance(definition, graph.GraphDefinition):
            if definition.name not in self._graphs:
                self._graphs[definition.name] = definition
                for one in definition.nodes:
                    self.add(one.definition)
        elif isinstance(definition, op.OpDefinition):
            self._ops.setdefault(definition.name, definition)

    def ops(self) -> list[nodes_pb2.OpDefinition]:
        """Return the ops, sorted by name."""
        return [self._op(self._ops[name]) for name in sorted(self._ops)]

    def graphs(self) -> list[nodes_pb2.GraphDefinition]:
        """Return the graphs, sorted by name."""
        return [self._graph(self._graphs[name]) for name in sorted(self._graphs)]

    def types(self) -> list[nodes_pb2.TypeDefinition]:
        """Return the types that ops and graphs use, sorted by key; ask for those first."""
        return [_type(self._types[key]) for key in sorted(self._types)]

    def _op(self, one: op.OpDefinition) -> nodes_pb2.OpDefinition:
        return nodes_pb2.OpDefinition(
            name=texts.valid(one.name),
            description=texts.valid(one.description or ""),
            inputs=[self._input(each) for each in one.input_definitions],
            outputs=[self._output(each) for each in one.output_definitions],
            tags=_tags(one.tags),
            config_schema=schema_of(one.config_field),
            resource_keys=sorted(texts.valid(key) for key in one.required_resource_keys),
            code_version=texts.valid(one.code_version or ""),
            pool=texts.valid(one.pool or ""),
            retry_policy=None if one.retry_policy is None else _retry_policy(one.retry_policy),
        )

    def _graph(self, one: graph.GraphDefinition) -> nodes_pb2.GraphDefinition:
        return nodes_pb2.GraphDefinition(
            name=texts.valid(one.name),
            description=texts.valid(one.description or ""),
            nodes=[_node(one, each) for each in one.in_order()],
            inputs=[self._input(each) for each in one.input_definitions],
            outputs=[
                nodes_pb2.GraphOutput(
                    definition=self._output(each), source=_source(one.outputs[each.name])
                )
                for each in one.output_definitions
            ],
            tags=_tags(one.tags),
        )

    def _input(self, one: ins_and_outs.InputDefinition) -> nodes_pb2.InputDefinition:
        return nodes_pb2.InputDefinition(
            name=texts.valid(one.name),
            description=texts.valid(one.description or ""),
            type_key=self._type_key(one.type),
            has_default=one.has_default,
        )

    def _output(self, one: ins_and_outs.OutputDefinition) -> nodes_pb2.OutputDefinition:
        return nodes_pb2.OutputDefinition(
            name=texts.valid(one.name),
            description=texts.valid(one.description or ""),
            type_key=self._type_key(one.type),
            required=one.is_required,
            dynamic=one.is_dynamic,
            io_manager_key=texts.valid(one.io_manager_key),
        )

    def _type_key(self, kind: value_types.Type) -> str:
        if kind.key not in self._types:
            self._types[kind.key] = kind
            for inner in kind.inner_types:
                self._type_key(inner)
        return texts.valid(kind.key)


def resources(objects: Mapping[str, Any]) -> Iterable[nodes_pb2.ResourceDefinition]:
    """Return the messages of resources, sorted by key.

    Args:
        objects: What users gave as resources, by key.
    """
    for key in sorted(objects):
        made = resource_definitions.coerce(objects[key])
        kind = type(cast("object", objects[key]))
        yield nodes_pb2.ResourceDefinition(
            key=texts.valid(key),
            description=texts.valid(made.description or ""),
            type_name=texts.valid(f"{kind.__module__}.{kind.__qualname__}"),
            config_schema=schema_of(made.config_field),
            resource_keys=sorted(texts.valid(one) for one in made.required_resource_keys),
        )


def schema_of(field: config_contract.ConfigField | None) -> values_pb2.UserData | None:
    """Return the JSON Schema of config by itself, None where nothing is taken."""
    if field is None:
        return None
    shared: dict[str, config_contract.JsonSchema] = {}
    described = dict(field.json_schema(shared))
    if shared:
        described["$defs"] = shared
    return texts.to_json(described, texts.JSON_SCHEMA)


def _node(made: graph.GraphDefinition, one: node.Node) -> nodes_pb2.Node:
    inputs: list[nodes_pb2.NodeInput] = []
    for given in one.definition.input_definitions:
        bound = made.bindings.get((one.name, given.name))
        if bound is not None:
            message = nodes_pb2.NodeInput(name=texts.valid(given.name))
            _fill(message, bound)
            inputs.append(message)
    return nodes_pb2.Node(
        name=texts.valid(one.name),
        definition_name=texts.valid(one.definition.name),
        tags=_tags(one.tags),
        inputs=inputs,
    )


def _fill(message: nodes_pb2.NodeInput, bound: bindings.Binding) -> None:
    if isinstance(bound, bindings.OutputRef):
        message.sources.append(_source(bound))
    elif isinstance(bound, bindings.GraphInputRef):
        message.graph_input_name = texts.valid(bound.input_name)
    elif isinstance(bound, bindings.AssetRef):
        message.asset_key.CopyFrom(keys.to_message(bound.asset_key))
    else:
        for member in bound.members:
            _fill(message, member)


def _source(ref: bindings.OutputRef) -> nodes_pb2.NodeOutput:
    return nodes_pb2.NodeOutput(
        node_name=texts.valid(ref.node_name),
        output_name=texts.valid(ref.output_name),
        collected=ref.collected,
    )


def _retry_policy(policy: retries.RetryPolicy) -> nodes_pb2.RetryPolicy:
    message = nodes_pb2.RetryPolicy(
        max_retries=policy.max_retries,
        backoff=policy.backoff.value if policy.backoff is not None else "",
        jitter=policy.jitter.value if policy.jitter is not None else "",
    )
    if policy.delay is not None:
        nanos = round(policy.delay * _NANOS)
        message.delay.CopyFrom(duration_pb2.Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS))
    return message


def _type(kind: value_types.Type) -> nodes_pb2.TypeDefinition:
    message = nodes_pb2.TypeDefinition(
        key=texts.valid(kind.key),
        display_name=texts.valid(kind.display_name),
        description=texts.valid(kind.description or ""),
        inner_type_keys=[texts.valid(inner.key) for inner in kind.inner_types],
    )
    metadata.fill(message.metadata, kind.metadata)
    return message


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {texts.valid(name): texts.valid(value) for name, value in tags.items()}

"""Definitions in words for people: partitions, and the ops of graphs.

Called by the commands that show assets, checks and jobs.
"""

from collections.abc import Mapping

from atoll import errors
from atoll._partition_messages import definitions as messages
from atoll._partitions import definitions, dynamic_partitions, multi_partitions
from atoll.client import documents
from atoll.definitions.v1 import nodes_pb2, partitions_pb2

_DEPTH_MAX = 20


def partitions(message: partitions_pb2.PartitionsDefinition) -> str:
    """Return which partitions there are: what kind, how many, the first and the last."""
    try:
        return _told(messages.from_message(message))
    except errors.Error as error:
        return f"cannot be told: {error}"


def _told(partitions_def: definitions.PartitionsDefinition) -> str:
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        if partitions_def.name is None:
            return "dynamic, told by a function of the location"
        return f"dynamic: atoll partitions list {partitions_def.name}"
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        parts = [
            f"{each.name}: {_told(each.partitions_def)}" for each in partitions_def.partitions_defs
        ]
        return "\n".join(["multi", *parts])
    kind = type(partitions_def).__name__.removesuffix("PartitionsDefinition")
    words = {"TimeWindow": "time window"}.get(kind, kind.lower())
    count = partitions_def.get_num_partitions()
    if not count:
        return f"{words}, none yet"
    first = partitions_def.get_first_partition_key()
    last = partitions_def.get_last_partition_key()
    return f"{words}, {count} from {first} to {last}" if count > 1 else f"{words}, 1: {first}"


def graph(
    name: str, graphs: Mapping[str, nodes_pb2.GraphDefinition], *, depth: int = 0
) -> list[str]:
    """Return the nodes of a graph, one a line with what it takes; inner graphs are indented."""
    made = graphs.get(name)
    if made is None or depth > _DEPTH_MAX:
        return []
    lines: list[str] = []
    for node in made.nodes:
        taken = [_source(each) for each in node.inputs]
        named = (
            node.name
            if node.name == node.definition_name
            else f"{node.name} ({node.definition_name})"
        )
        told = f" <- {', '.join(one for one in taken if one)}" if any(taken) else ""
        lines.append(f"{'  ' * depth}{named}{told}")
        lines += graph(node.definition_name, graphs, depth=depth + 1)
    return lines


def _source(given: nodes_pb2.NodeInput) -> str:
    if given.HasField("asset_key"):
        return documents.format_asset_key(given.asset_key)
    if given.graph_input_name:
        return f"input {given.graph_input_name}"
    names = [
        one.node_name + ("" if one.output_name == "result" else f".{one.output_name}")
        for one in given.sources
    ]
    return f"[{', '.join(names)}]" if len(names) > 1 else "".join(names)

"""Where an input of a node in a graph gets its value.

Made by the composition of graphs and by the explicit dependency dicts of users; read when a run is
planned. Data only.
"""

from collections.abc import Sequence
from typing import TypeAlias

from atoll import _records as records
from atoll._definitions import keys
from atoll._definitions.nodes import ins_and_outs


class OutputRef(records.Record):
    """An output of another node of the same graph.

    Attributes:
        node_name: The node.
        output_name: Its output.
        collected: Whether all values of a dynamic output are taken together, as a list.
    """

    node_name: str
    output_name: str = ins_and_outs.DEFAULT_OUTPUT_NAME
    collected: bool = False


class GraphInputRef(records.Record):
    """An input of the graph itself."""

    input_name: str


class AssetRef(records.Record):
    """The value of an asset."""

    asset_key: keys.AssetKey


class FanIn(records.Record):
    """Several values as a list, in order."""

    members: Sequence["Binding"]


Binding: TypeAlias = OutputRef | GraphInputRef | AssetRef | FanIn


class DependencyDefinition(records.Record):
    """Says in an explicit dependency dict which output an input takes.

    Attributes:
        node: The node, by name.
        output: Its output.
        description: What the dependency is for.
    """

    node: str
    output: str = ins_and_outs.DEFAULT_OUTPUT_NAME
    description: str | None = None

    def binding(self) -> Binding:
        """Return where the value comes from."""
        return OutputRef(self.node, self.output)

    def is_fan_in(self) -> bool:
        """Tell whether several outputs are taken together."""
        return False


class DynamicCollectDependencyDefinition(records.Record):
    """Says in an explicit dependency dict that all values of a dynamic output are taken together.

    Attributes:
        node_name: The node, by name.
        output_name: Its dynamic output, or the output of a node that is mapped over one.
    """

    node_name: str
    output_name: str = ins_and_outs.DEFAULT_OUTPUT_NAME

    def binding(self) -> Binding:
        """Return where the value comes from."""
        return OutputRef(self.node_name, self.output_name, collected=True)

    def is_fan_in(self) -> bool:
        """Tell whether several outputs are taken together."""
        return True


class MappedInputPlaceholder:
    """Stands in a `MultiDependencyDefinition` for the member that an input mapping gives."""


class MultiDependencyDefinition:
    """Says in an explicit dependency dict that an input takes several outputs, as a list.

    Args:
        dependencies: The outputs, in order.
    """

    def __init__(
        self, dependencies: Sequence[DependencyDefinition | type[MappedInputPlaceholder]]
    ) -> None:
        self.dependencies = tuple(dependencies)

    def binding(self) -> Binding:
        """Return where the values come from."""
        return FanIn(tuple(one.binding() for one in self.dependencies if isinstance(one, _DEFINED)))

    def get_node_dependencies(self) -> list[DependencyDefinition]:
        """Return the outputs that are taken."""
        return [one for one in self.dependencies if isinstance(one, DependencyDefinition)]

    def is_fan_in(self) -> bool:
        """Tell whether several outputs are taken together."""
        return True


_DEFINED = (DependencyDefinition,)
Dependency: TypeAlias = (
    DependencyDefinition | MultiDependencyDefinition | DynamicCollectDependencyDefinition
)


class InputMapping(records.Record):
    """Says which input of a node an input of the graph goes to.

    Attributes:
        graph_input_name: The input of the graph.
        mapped_node_name: The node.
        mapped_node_input_name: Its input.
        fan_in_index: Which member of a fan-in it is; None where it is the whole value.
        graph_input_description: What the input is.
        type: The type of the values.
    """

    graph_input_name: str
    mapped_node_name: str
    mapped_node_input_name: str
    fan_in_index: int | None = None
    graph_input_description: str | None = None
    type: object = None


class OutputMapping(records.Record):
    """Says which output of a node is an output of the graph.

    Attributes:
        graph_output_name: The output of the graph.
        mapped_node_name: The node.
        mapped_node_output_name: Its output.
        graph_output_description: What the output is.
        type: The type of the values.
        from_dynamic_mapping: Whether the node is mapped over a dynamic output.
    """

    graph_output_name: str
    mapped_node_name: str
    mapped_node_output_name: str = ins_and_outs.DEFAULT_OUTPUT_NAME
    graph_output_description: str | None = None
    type: object = None
    from_dynamic_mapping: bool = False

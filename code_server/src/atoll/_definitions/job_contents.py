"""What is in a job: its nodes, and the configs that it is made with.

The base of `jobs.JobDefinition`; nobody else calls it.
"""

from collections.abc import Sequence
from typing import Any

from atoll import errors
from atoll._definitions import job_config
from atoll._definitions.nodes import graph as graphs
from atoll._definitions.nodes import node


class JobContents:
    """Questions about the nodes and the configs of a job."""

    name: str
    graph_def: graphs.GraphDefinition | None
    config: job_config.JobConfig

    @property
    def nodes(self) -> Sequence[node.Node]:
        """The ops and graphs in it; none in a job of assets."""
        return self.graph_def.nodes if self.graph_def is not None else ()

    def has_node_named(self, name: str) -> bool:
        """Tell whether there is an op or graph of that name."""
        return any(one.name == name for one in self.nodes)

    def get_node_named(self, name: str) -> node.Node:
        """Return an op or graph by name.

        Raises:
            InvariantViolationError: There is none of that name.
        """
        for one in self.nodes:
            if one.name == name:
                return one
        names = ", ".join(one.name for one in self.nodes) or "none"
        raise errors.InvariantViolationError(
            f"The job {self.name!r} has no node {name!r}; it has {names}."
        )

    def node_def_named(self, name: str) -> node.NodeDefinition:
        """Return the definition of a node by its name."""
        return self.get_node_named(name).definition

    @property
    def config_mapping(self) -> Any:
        """What makes run configuration of simpler config, None where nothing does."""
        return self.config.mapping

    @property
    def partitioned_config(self) -> Any:
        """What makes run configuration of a partition, None where nothing does."""
        return self.config.partitioned

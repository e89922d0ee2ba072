"""Slices of the asset graph of all locations, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import graph_pb2
from atoll.client import graph as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2


class Graph:
    """Shows slices of the graph."""

    def __init__(self, portal: portals.Portal, inner: original.Graph) -> None:
        self._portal = portal
        self._inner = inner

    def nodes(
        self,
        selection: str = "",
        *,
        location_name: str = "",
        group_names: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[graph_pb2.GraphNode]:
        """Yield the assets of a slice with their edges, by key. What is given all has to hold.

        Args:
            selection: A selection of assets, as text; empty means all.
            location_name: Only those of this location; empty means all.
            group_names: Only those of these groups; none means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.nodes(
                selection, location_name=location_name, group_names=group_names, limit=limit
            )
        )

    def lineage(
        self,
        keys: Sequence[values_pb2.AssetKey],
        direction: graph_pb2.LineageDirection.ValueType = graph_pb2.LINEAGE_DIRECTION_BOTH,
        *,
        depth: int = 0,
    ) -> graph_pb2.GetLineageResponse:
        """Return what lies up and down from assets, in all locations, the nearest first.

        Args:
            keys: The assets.
            direction: Which way.
            depth: How many steps at the most; 0 means all.
        """
        return self._portal.run(self._inner.lineage(keys, direction, depth=depth))

    def groups(
        self, *, location_name: str = "", limit: int | None = None
    ) -> Iterator[graph_pb2.AssetGroup]:
        """Yield the groups of assets of each location, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.groups(location_name=location_name, limit=limit)
        )

"""Slices of the asset graph: what a selection means, and what lies up and down from assets.

Called by the servicers of the graph and of assets. Deciding is pure; `Slices` keeps what was made
of the newest graph, and makes it in a thread, since a large graph takes a while to go through.
"""

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from atoll.api.v1 import graph_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import errors
from atoll_host.api import selecting
from atoll_host.locations import definitions
from atoll_host.locations import graph as graphs
from atoll_host.locations import registry as registries

Path = tuple[str, ...]

PAGE_SIZE_DEFAULT = 1_000
PAGE_SIZE_MAX = 10_000
LINEAGE_MAX = 10_000
"""An answer about lineage holds no more assets than this."""

_REMEMBERED_MAX = 16


class Locations(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...

    def graph(self) -> graphs.AssetGraph:
        """Return the asset graph of all locations."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which assets a slice has; what is given all has to hold.

    Attributes:
        selection: The text of a selection; empty means all.
        location_name: A location that defines the assets or depends on them; empty means all.
        group_names: Groups; empty means all.
    """

    selection: str = ""
    location_name: str = ""
    group_names: tuple[str, ...] = ()


class Prepared:
    """One asset graph, gone through once. Nothing in it changes; what is asked is remembered.

    Args:
        graph: The graph.
        locations: What each location defines.
    """

    def __init__(
        self, graph: graphs.AssetGraph, locations: Mapping[str, definitions.Definitions]
    ) -> None:
        self.graph = graph
        self.nodes: dict[Path, graphs.AssetNode] = {
            path: node for path in graph.keys if (node := graph.node(path)) is not None
        }
        self.assets = selecting.MeshAssets(graph, self.nodes, locations)
        self._slices: dict[Wanted, Sequence[Path]] = {}

    @functools.cached_property
    def messages(self) -> Mapping[Path, graph_pb2.GraphNode]:
        """The assets as messages."""
        return {
            path: _message(node, len(self.graph.checks_of(path)))
            for path, node in self.nodes.items()
        }

    def slice_of(self, wanted: Wanted) -> Sequence[Path]:
        """Return the assets of a slice, sorted by key.

        Raises:
            errors.InvalidRequest: The selection means nothing here.
        """
        found = self._slices.get(wanted)
        if found is None:
            found = self._sliced(wanted)
            if len(self._slices) >= _REMEMBERED_MAX:
                self._slices.clear()
            self._slices[wanted] = found
        return found

    def _sliced(self, wanted: Wanted) -> Sequence[Path]:
        paths: Iterable[Path] = self.graph.keys
        if wanted.selection:
            paths = sorted(selecting.chosen(wanted.selection, self.assets))
        if wanted.location_name:
            known = set(self.graph.keys_of(wanted.location_name))
            paths = [path for path in paths if path in known]
        if wanted.group_names:
            names = set(wanted.group_names)
            paths = [path for path in paths if self.nodes[path].definition.group_name in names]
        return tuple(paths)

    def upstream(self, path: Path) -> Sequence[Path]:
        """Return the assets that an asset depends on."""
        return self.nodes[path].upstream

    def downstream(self, path: Path) -> Sequence[Path]:
        """Return the assets that depend on an asset."""
        return self.nodes[path].downstream

    def lineage_nodes(
        self, starts: Sequence[Path], ways: Sequence[Callable[[Path], Iterable[Path]]], depth: int
    ) -> tuple[list[graph_pb2.GraphNode], bool]:
        """Return the assets of a lineage as messages, and whether some had to be left out."""
        reached = lineage(starts, ways, depth)
        nodes: list[graph_pb2.GraphNode] = []
        for distance, path in reached[:LINEAGE_MAX]:
            node = graph_pb2.GraphNode()
            node.CopyFrom(self.messages[path])
            node.distance = distance
            nodes.append(node)
        return nodes, len(reached) > LINEAGE_MAX


class Slices:
    """Keeps what was made of the newest graph.

    Args:
        locations: The definitions of all locations.
    """

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._prepared: Prepared | None = None
        self._preparing = asyncio.Lock()

    async def prepared(self) -> Prepared:
        """Return what was made of the graph as it is now."""
        async with self._preparing:
            graph = self._locations.graph()
            prepared = self._prepared
            if prepared is None or prepared.graph is not graph:
                defined = {
                    name: view.definitions
                    for name, view in self._locations.locations().items()
                    if view.definitions is not None
                }
                prepared = await asyncio.to_thread(_prepare, graph, defined)
                self._prepared = prepared
            return prepared

    async def slice_of(self, wanted: Wanted) -> tuple[Prepared, Sequence[Path]]:
        """Return the assets of a slice, sorted by key, and the graph that they are of.

        Raises:
            errors.InvalidRequest: The selection means nothing here.
        """
        prepared = await self.prepared()
        return prepared, await asyncio.to_thread(prepared.slice_of, wanted)


def lineage(
    starts: Sequence[Path], ways: Sequence[Callable[[Path], Iterable[Path]]], depth: int
) -> list[tuple[int, Path]]:
    """Return what lies within some steps of assets, these included, with the distance.

    Args:
        starts: The assets.
        ways: The neighbours of an asset, for each way to walk. A walk keeps to its way.
        depth: How many steps at the most; 0 means all.

    Returns:
        Distances and assets, by distance and key.
    """
    distances = dict.fromkeys(starts, 0)
    for neighbours in ways:
        frontier, seen, distance = list(dict.fromkeys(starts)), set(starts), 0
        while frontier and not (depth and distance >= depth):
            distance += 1
            following: list[Path] = []
            for path in frontier:
                for neighbour in neighbours(path):
                    if neighbour not in seen:
                        seen.add(neighbour)
                        following.append(neighbour)
                        distances[neighbour] = min(distances.get(neighbour, distance), distance)
            frontier = following
    return sorted((distance, path) for path, distance in distances.items())


def checked_depth(depth: int) -> int:
    """Return how many steps to go.

    Raises:
        errors.InvalidRequest: The number is negative.
    """
    if depth < 0:
        raise errors.InvalidRequest(
            f"depth is {depth}; it must not be negative. 0 means all steps.", field="depth"
        )
    return depth


def groups(locations: Mapping[str, definitions.Definitions]) -> dict[tuple[str, str], int]:
    """Return how many assets each group of each location has, by location and name, sorted."""
    counts: dict[tuple[str, str], int] = {}
    for name, defined in locations.items():
        for asset in defined.assets.values():
            key = (name, asset.group_name)
            counts[key] = counts.get(key, 0) + 1
    return dict(sorted(counts.items()))


def _prepare(
    graph: graphs.AssetGraph, locations: Mapping[str, definitions.Definitions]
) -> Prepared:
    prepared = Prepared(graph, locations)
    # Made here and not where it is first asked for: that is on the event loop.
    _ = prepared.messages
    return prepared


def _message(node: graphs.AssetNode, check_count: int) -> graph_pb2.GraphNode:
    definition = node.definition
    return graph_pb2.GraphNode(
        asset_key=values_pb2.AssetKey(path=node.key),
        owner_location_name=node.owner,
        location_names=node.locations,
        group_name=definition.group_name,
        kinds=definition.kinds,
        owners=definition.owners,
        upstream_keys=[values_pb2.AssetKey(path=path) for path in node.upstream],
        is_partitioned=definition.HasField("partitions"),
        is_observable=definition.observable,
        check_count=check_count,
    )

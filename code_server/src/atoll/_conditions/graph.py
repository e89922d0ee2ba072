"""The graph that conditions are evaluated over: assets, checks and jobs of all locations.

Made by the host of the snapshots of locations, and by `evaluate_automation_conditions` of
definitions. Immutable: whoever learns of other definitions makes another.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Iterable, Mapping, Sequence

from atoll._conditions import conditions, entities
from atoll._partitions import definitions, mappings


def _nothing_upstream() -> Mapping[entities.Entity, mappings.PartitionMapping | None]:
    return {}


def _no_tags() -> Mapping[str, str]:
    return {}


@dataclasses.dataclass(frozen=True)
class Node:
    """An asset, a check or a job, as conditions see it.

    Attributes:
        entity: Its name.
        condition: When it is to be executed by itself; None makes it no target.
        partitions_def: Its partitions; None for none.
        upstream: Of an asset, the assets that it depends on; of a check, its asset and the further
            ones; of a job, its assets. Each with the mapping that is written, None for the one that
            goes by itself.
        location: The location that executes it, or defines it where none can execute it.
        code_version: The version of its code, None or empty where not given.
        materializable: Whether a run can materialize the asset.
        blocking: Whether the check is one that stops what is downstream.
        unit: All that a run can have only together with it, itself included; empty if it stands
            alone.
        group_name: The group of an asset.
        tags: The labels of an asset.
        owners: Who answers for an asset.
        kinds: What an asset is made of or with.
    """

    entity: entities.Entity
    condition: conditions.Condition | None = None
    partitions_def: definitions.PartitionsDefinition | None = None
    upstream: Mapping[entities.Entity, mappings.PartitionMapping | None] = dataclasses.field(
        default_factory=_nothing_upstream
    )
    location: str = ""
    code_version: str | None = None
    materializable: bool = True
    blocking: bool = False
    unit: frozenset[entities.Entity] = frozenset()
    group_name: str = "default"
    tags: Mapping[str, str] = dataclasses.field(default_factory=_no_tags)
    owners: Sequence[str] = ()
    kinds: frozenset[str] = frozenset()


class Graph:
    """Nodes by name, with what is downstream, and an order in which nothing comes too early.

    Args:
        nodes: The nodes. What one depends on may be missing; it then counts as an asset without
            partitions that nobody makes.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.entity: node for node in nodes}
        self._downstream: dict[entities.Entity, list[entities.Entity]] = {}
        self._checks: dict[entities.Entity, list[entities.Entity]] = {}
        for entity in sorted(self._nodes):
            for upstream in self._nodes[entity].upstream:
                self._downstream.setdefault(upstream, []).append(entity)
            if entity.kind == entities.CHECK:
                self._checks.setdefault(entities.asset(entity.path), []).append(entity)
        self._ranks = {entity: rank for rank, entity in enumerate(_ordered(self._nodes))}

    @property
    def nodes(self) -> Mapping[entities.Entity, Node]:
        """All nodes by name."""
        return self._nodes

    def node(self, entity: entities.Entity) -> Node:
        """Return a node; for something unknown, one that has nothing but its name.

        Args:
            entity: Its name.
        """
        return self._nodes.get(entity) or Node(entity, materializable=False)

    def downstream(self, entity: entities.Entity) -> Sequence[entities.Entity]:
        """Return the assets, checks and jobs that have something directly upstream, sorted.

        Args:
            entity: What they have upstream.
        """
        return self._downstream.get(entity, ())

    def checks(self, asset: entities.Entity) -> Sequence[entities.Entity]:
        """Return the checks of an asset, sorted.

        Args:
            asset: The asset.
        """
        return self._checks.get(asset, ())

    def rank(self, entity: entities.Entity) -> int:
        """Return the place of a node in the order of evaluation; -1 for something unknown.

        What is upstream comes first, what is executed together stands side by side, and the checks
        of an asset come before what depends on it where that is possible.
        """
        return self._ranks.get(entity, -1)

    def depends_on(self, entity: entities.Entity, upstream: entities.Entity) -> bool:
        """Tell whether something has another directly upstream.

        Args:
            entity: The one.
            upstream: The other.
        """
        node = self._nodes.get(entity)
        return node is not None and upstream in node.upstream


def _ordered(nodes: Mapping[entities.Entity, Node]) -> list[entities.Entity]:
    """Return the nodes, upstream first, units together. A circle is broken at its first name."""
    heads = {entity: min(node.unit, default=entity) for entity, node in nodes.items()}
    members: dict[entities.Entity, list[entities.Entity]] = {}
    for entity in sorted(nodes):
        members.setdefault(heads[entity], []).append(entity)
    after: dict[entities.Entity, set[entities.Entity]] = {}
    waiting = dict.fromkeys(members, 0)
    for entity, node in nodes.items():
        head = heads[entity]
        for upstream in node.upstream:
            other = heads.get(upstream)
            if other is None or other == head or head in after.setdefault(other, set()):
                continue
            after[other].add(head)
            waiting[head] += 1
    order: list[entities.Entity] = []
    for head in _by_dependency(waiting, after):
        some = members[head]
        order += some if len(some) == 1 else _within(some, nodes)
    return order


def _within(
    some: Sequence[entities.Entity], nodes: Mapping[entities.Entity, Node]
) -> list[entities.Entity]:
    after: dict[entities.Entity, set[entities.Entity]] = {}
    waiting = dict.fromkeys(some, 0)
    for entity in some:
        for upstream in nodes[entity].upstream:
            if upstream in waiting and upstream != entity:
                after.setdefault(upstream, set()).add(entity)
                waiting[entity] += 1
    return _by_dependency(waiting, after)


def _by_dependency(
    waiting: dict[entities.Entity, int], after: Mapping[entities.Entity, set[entities.Entity]]
) -> list[entities.Entity]:
    ready = [(_urgency(entity), entity) for entity, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    left = sorted(waiting, reverse=True)
    done: set[entities.Entity] = set()
    order: list[entities.Entity] = []
    while len(order) < len(waiting):
        if ready:
            _, entity = heapq.heappop(ready)
        else:
            entity = left.pop()
        if entity in done:
            continue
        done.add(entity)
        order.append(entity)
        for following in after.get(entity, ()):
            waiting[following] -= 1
            if waiting[following] == 0:
                heapq.heappush(ready, (_urgency(following), following))
    return order


def _urgency(entity: entities.Entity) -> int:
    """Checks first: what is downstream of their asset may ask for them."""
    return 0 if entity.kind == entities.CHECK else 1


def without_condition(node: Node) -> Node:
    """Return a node that is no target.

    Args:
        node: The node.
    """
    return dataclasses.replace(node, condition=None)

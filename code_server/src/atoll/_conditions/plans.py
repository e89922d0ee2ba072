"""What there is to evaluate in a graph: targets, what each reads, and when time moves it.

Made by whoever evaluates whenever the graph is another one. Making one reads no facts. Immutable
but for what it remembers of its own work.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from atoll._conditions import (
    compiling,
    conditions,
    entities,
    graph,
    moments,
    operands,
    selecting,
)

_Entities = frozenset[entities.Entity]


class Plan:
    """The targets of a graph and what they read.

    Args:
        known: The graph. Its nodes with a condition are the targets.
    """

    def __init__(self, known: graph.Graph) -> None:
        self.graph = known
        self._selector = selecting.Selector(known)
        self._trees: dict[entities.Entity, compiling.Compiled] = {}
        by_object: dict[int, compiling.Compiled] = {}
        by_content: dict[str, compiling.Compiled] = {}
        for entity, node in known.nodes.items():
            if node.condition is None:
                continue
            tree = by_object.get(id(node.condition))
            if tree is None:
                tree = compiling.compiled(node.condition)
                tree = by_object[id(node.condition)] = by_content.setdefault(tree.full, tree)
            self._trees[entity] = tree
        self._reads: dict[entities.Entity, _Entities] = {}
        self._unknown: dict[entities.Entity, _Entities] = {}
        self._crons: dict[entities.Entity, frozenset[tuple[str, str]]] = {}
        self._dependencies: dict[tuple[int, entities.Entity], Sequence[entities.Entity]] = {}
        self._readers: dict[entities.Entity, list[entities.Entity]] = {}
        for target in self._trees:
            reading = _Reading(self, target)
            self._reads[target] = frozenset(reading.entities)
            self._crons[target] = frozenset(reading.crons)
            if reading.unknown:
                self._unknown[target] = frozenset(reading.unknown)
            for entity in reading.entities:
                self._readers.setdefault(entity, []).append(target)

    @property
    def targets(self) -> Collection[entities.Entity]:
        """Everything that has a condition."""
        return self._trees.keys()

    def tree(self, target: entities.Entity) -> compiling.Compiled:
        """Return the condition of a target.

        Args:
            target: The target.
        """
        return self._trees[target]

    def reads(self, target: entities.Entity) -> _Entities:
        """Return everything whose facts the condition of a target looks at.

        Args:
            target: The target.
        """
        return self._reads[target]

    @property
    def unknown(self) -> Mapping[entities.Entity, _Entities]:
        """The assets that conditions ask for by key and that nobody has, by target.

        Such a part of a condition is as if the asset had no partitions and was never executed.
        """
        return self._unknown

    def readers(self, entity: entities.Entity) -> Sequence[entities.Entity]:
        """Return the targets whose conditions look at the facts of something.

        Args:
            entity: The asset, check or job.
        """
        return self._readers.get(entity, ())

    def with_dynamic_partitions(self, name: str) -> Sequence[entities.Entity]:
        """Return what has dynamic partitions of a name, also as a dimension of its partitions.

        Args:
            name: The name that an instance keeps them under.
        """
        return self._dynamic.get(name, ())

    @functools.cached_property
    def _dynamic(self) -> Mapping[str, Sequence[entities.Entity]]:
        found: dict[str, list[entities.Entity]] = {}
        for entity, node in self.graph.nodes.items():
            for name in moments.dynamic_names(node.partitions_def):
                found.setdefault(name, []).append(entity)
        return found

    def next_boundary(self, target: entities.Entity, now: float) -> float:
        """Return when time alone may change what a condition comes to; infinity for never.

        Args:
            target: The target.
            now: The moment, in seconds since 1970.
        """
        ticks = (moments.next_tick(*cron, now) for cron in self._crons[target])
        partitioned = {
            id(found): found
            for entity in (target, *self._reads[target])
            if (found := self.graph.node(entity).partitions_def) is not None
        }
        changes = (moments.next_change(found, now) for found in partitioned.values())
        return min((*ticks, *changes), default=math.inf)

    def dependencies(
        self, operator: conditions.Selecting, entity: entities.Entity
    ) -> Sequence[entities.Entity]:
        """Return the dependencies, or checks, of something that an operator looks at, sorted.

        Args:
            operator: The operator.
            entity: What has them.
        """
        found = self._dependencies.get((id(operator), entity))
        if found is None:
            found = self._resolved(operator, entity)
            self._dependencies[id(operator), entity] = found
        return found

    def job_roots(self, job: entities.Entity) -> Sequence[entities.Entity]:
        """Return the assets of a job that depend on none of its others, sorted.

        Args:
            job: The job; anything else has none.
        """
        if job.kind != entities.JOB:
            return ()
        own = {one for one in self.graph.node(job).upstream if one.kind == entities.ASSET}
        return sorted(one for one in own if not own & self.graph.node(one).upstream.keys())

    def downstream_conditions(
        self, asset: entities.Entity
    ) -> Sequence[tuple[compiling.Compiled, Sequence[entities.Entity]]]:
        """Return the conditions of all that is downstream of an asset, with whose they are.

        Args:
            asset: The asset.
        """
        found: dict[str, list[entities.Entity]] = {}
        seen = {asset}
        waiting = [asset]
        while waiting:
            for entity in self.graph.downstream(waiting.pop()):
                if entity in seen or entity.kind != entities.ASSET:
                    continue
                seen.add(entity)
                waiting.append(entity)
                if entity in self._trees:
                    found.setdefault(self._trees[entity].full, []).append(entity)
        several = [sorted(some) for some in found.values()]
        return [(self._trees[some[0]], some) for some in sorted(several)]

    def differences(self, earlier: Plan) -> set[entities.Entity]:
        """Return the targets that another plan knows otherwise, or not at all.

        Args:
            earlier: The other plan, which was used before.
        """
        changed = {
            entity
            for entity, node in self.graph.nodes.items()
            if earlier.graph.nodes.get(entity) != node
        }
        changed.update(earlier.graph.nodes.keys() - self.graph.nodes.keys())
        return {
            target
            for target in self._trees
            if target in changed
            or target not in earlier._trees
            or self._reads[target] != earlier._reads[target]
            or not changed.isdisjoint(self._reads[target])
        }

    def _resolved(
        self, operator: conditions.Selecting, entity: entities.Entity
    ) -> Sequence[entities.Entity]:
        known = self.graph
        if isinstance(operator, conditions.SelectingChecks):
            found: Iterable[entities.Entity] = known.checks(entity)
            if operator.blocking_only:
                found = (check for check in found if known.node(check).blocking)
        else:
            found = (one for one in known.node(entity).upstream if one.kind == entities.ASSET)
        chosen = set(found)
        if operator.allow is not None:
            chosen &= self._selector.resolve(operator.allow)
        if operator.ignore is not None:
            chosen -= self._selector.resolve(operator.ignore)
        return sorted(chosen)


class _Reading:
    """Collects what one condition looks at."""

    def __init__(self, plan: Plan, target: entities.Entity) -> None:
        self._plan = plan
        self._open: list[str] = []
        self._seen: set[tuple[str, entities.Entity]] = set()
        self.entities: set[entities.Entity] = set()
        self.crons: set[tuple[str, str]] = set()
        self.unknown: set[entities.Entity] = set()
        self._look_at(target)
        self._walk(plan.tree(target), target)

    def _walk(self, node: compiling.Compiled, entity: entities.Entity) -> None:
        condition = node.condition
        if isinstance(condition, conditions.AnyDownstream):
            for tree, _ in self._plan.downstream_conditions(entity):
                if tree.full not in self._open and (tree.full, entity) not in self._seen:
                    self._open.append(tree.full)
                    self._seen.add((tree.full, entity))
                    self._walk(tree, entity)
                    self._open.pop()
            return
        if isinstance(condition, operands.CronTickPassed):
            self.crons.add((condition.cron_schedule, condition.cron_timezone))
            return
        asked = self._asked(condition, entity)
        for one in asked:
            self._look_at(one)
            for child in node.children:
                if child.looks_on:
                    self._walk(child, one)

    def _look_at(self, entity: entities.Entity) -> None:
        self.entities.add(entity)
        if entity.kind == entities.CHECK:
            # Whether a check has a result hangs on when its asset was materialized.
            self.entities.add(entities.asset(entity.path))

    def _asked(
        self, condition: conditions.Condition, entity: entities.Entity
    ) -> Sequence[entities.Entity]:
        if isinstance(condition, conditions.Selecting):
            return self._plan.dependencies(condition, entity)
        if isinstance(condition, conditions.AnyJobRoots | conditions.AllJobRoots):
            return self._plan.job_roots(entity)
        if isinstance(condition, conditions.AssetMatches):
            asset = entities.asset(condition.path)
            if asset not in self._plan.graph.nodes:
                self.unknown.add(asset)
            return (asset,)
        return (entity,)


NO_PLAN = Plan(graph.Graph(()))
"""A plan of nothing, to begin with."""

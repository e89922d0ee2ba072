"""Resolves selections against the graph of all locations.

Called by plans, once for each selection: which dependencies and checks an operator looks at. A key
that is not there selects nothing; what names nothing at all is found where definitions are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from atoll._conditions import entities, graph, selections

_Found = frozenset[entities.Entity]


class Selector:
    """Resolves selections, each once.

    Args:
        known: The graph.
    """

    def __init__(self, known: graph.Graph) -> None:
        self._graph = known
        self._assets = [entity for entity in known.nodes if entity.kind == entities.ASSET]
        self._found: dict[selections.Selection, _Found] = {}

    def resolve(self, selection: selections.Selection) -> _Found:
        """Return the assets and checks that a selection means.

        Args:
            selection: The selection.
        """
        found = self._found.get(selection)
        if found is None:
            found = self._found[selection] = _KINDS[type(selection)](self, selection)
        return found

    def everything(self, selection: selections.Everything) -> _Found:
        """Resolve a selection of all assets."""
        return self._matching(lambda _: True, include_sources=selection.include_sources)

    def keys(self, selection: selections.Keys) -> _Found:
        """Resolve a selection by keys."""
        return self._with_checks(map(entities.asset, selection.paths))

    def pattern(self, selection: selections.KeyPattern) -> _Found:
        """Resolve a selection by a pattern of keys."""
        return self._matching(lambda node: _fits(str(node.entity), selection.pieces))

    def prefixes(self, selection: selections.KeyPrefixes) -> _Found:
        """Resolve a selection by prefixes of keys."""
        return self._matching(
            lambda node: any(
                node.entity.path[: len(prefix)] == prefix for prefix in selection.prefixes
            ),
            include_sources=selection.include_sources,
        )

    def substring(self, selection: selections.KeySubstring) -> _Found:
        """Resolve a selection by a text in keys."""
        return self._matching(
            lambda node: selection.text in str(node.entity),
            include_sources=selection.include_sources,
        )

    def groups(self, selection: selections.Groups) -> _Found:
        """Resolve a selection by groups."""
        return self._matching(
            lambda node: node.group_name in selection.names,
            include_sources=selection.include_sources,
        )

    def tag(self, selection: selections.Tag) -> _Found:
        """Resolve a selection by a tag."""
        return self._matching(
            lambda node: node.tags.get(selection.key) == selection.value,
            include_sources=selection.include_sources,
        )

    def owner(self, selection: selections.Owner) -> _Found:
        """Resolve a selection by an owner."""
        wanted = selection.owner
        return self._matching(
            lambda node: wanted in node.owners if wanted is not None else not node.owners
        )

    def kind(self, selection: selections.Kind) -> _Found:
        """Resolve a selection by a kind."""
        wanted = selection.kind
        return self._matching(
            lambda node: wanted in node.kinds if wanted is not None else not node.kinds,
            include_sources=selection.include_sources,
        )

    def location(self, selection: selections.Location) -> _Found:
        """Resolve a selection by a code location."""
        return self._matching(lambda node: node.location == selection.name)

    def checks(self, selection: selections.Checks) -> _Found:
        """Resolve a selection of checks."""
        return frozenset(entities.check(path, name) for path, name in selection.keys)

    def all_checks(self, selection: selections.AllChecks) -> _Found:
        """Resolve a selection of all checks."""
        del selection
        return frozenset(entity for entity in self._graph.nodes if entity.kind == entities.CHECK)

    def traversal(self, selection: selections.Traversal) -> _Found:
        """Resolve a selection along dependencies: what is made elsewhere is only walked through."""
        start = self._assets_of(selection.child)
        upstream = selection.direction == selections.UPSTREAM
        reached = self._reach(start, self._upstream if upstream else self._downstream, selection)
        return self._with_checks(
            start | {one for one in reached if self._graph.node(one).materializable}
        )

    def applied(self, selection: selections.Applied) -> _Found:
        """Resolve a function of a selection."""
        found = self._assets_of(selection.child)
        function = selection.function
        if function == "checks_for_assets":
            return frozenset(check for entity in found for check in self._graph.checks(entity))
        if function == "materializable":
            found = {entity for entity in found if self._graph.node(entity).materializable}
        elif function == "roots":
            found = found - self._reach(found, self._downstream)
        elif function == "sinks":
            found = found - self._reach(found, self._upstream)
        elif function == "upstream_source_assets":
            above = {one for entity in found for one in self._upstream(entity)}
            found = {one for one in above if not self._graph.node(one).materializable}
        elif function == "required_multi_asset_neighbors":
            units = [self._graph.node(entity).unit for entity in found]
            found = found | {one for unit in units for one in unit if _is_asset(one)}
        return self._with_checks(found)

    def either(self, selection: selections.Either) -> _Found:
        """Resolve alternatives."""
        return frozenset(one for part in selection.operands for one in self.resolve(part))

    def both(self, selection: selections.Both) -> _Found:
        """Resolve what several selections have in common."""
        found = [self.resolve(operand) for operand in selection.operands]
        return found[0].intersection(*found[1:]) if found else frozenset()

    def without(self, selection: selections.Without) -> _Found:
        """Resolve a difference."""
        return self.resolve(selection.left) - self.resolve(selection.right)

    def _matching(
        self, fits: Callable[[graph.Node], bool], *, include_sources: bool = True
    ) -> _Found:
        nodes = map(self._graph.node, self._assets)
        return self._with_checks(
            node.entity for node in nodes if (include_sources or node.materializable) and fits(node)
        )

    def _assets_of(self, selection: selections.Selection) -> set[entities.Entity]:
        return {entity for entity in self.resolve(selection) if _is_asset(entity)}

    def _upstream(self, entity: entities.Entity) -> Iterable[entities.Entity]:
        return filter(_is_asset, self._graph.node(entity).upstream)

    def _downstream(self, entity: entities.Entity) -> Iterable[entities.Entity]:
        return filter(_is_asset, self._graph.downstream(entity))

    def _reach(
        self,
        start: set[entities.Entity],
        step: Callable[[entities.Entity], Iterable[entities.Entity]],
        limit: selections.Traversal | None = None,
    ) -> set[entities.Entity]:
        """Return what some steps from a start lead to; of the start, what is led to as well."""
        reached: set[entities.Entity] = set()
        frontier = start
        steps = 0
        while frontier and (limit is None or limit.depth is None or steps < limit.depth):
            found = {one for entity in frontier for one in step(entity) if one != entity}
            frontier = found - reached
            reached |= found
            steps += 1
        return reached

    def _with_checks(self, assets: Iterable[entities.Entity]) -> _Found:
        found = set(assets)
        for entity in tuple(found):
            found.update(self._graph.checks(entity))
        return frozenset(found)


def _is_asset(entity: entities.Entity) -> bool:
    return entity.kind == entities.ASSET


def _fits(text: str, pieces: tuple[str, ...]) -> bool:
    first, *middle, last = pieces if len(pieces) > 1 else (*pieces, "")
    if len(pieces) == 1:
        return text == first
    if not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for piece in middle:
        place = text.find(piece, place, end)
        if place < 0:
            return False
        place += len(piece)
    return place <= end


_KINDS: dict[type[selections.Selection], Callable[[Selector, Any], _Found]] = {
    selections.Everything: Selector.everything,
    selections.Keys: Selector.keys,
    selections.KeyPattern: Selector.pattern,
    selections.KeyPrefixes: Selector.prefixes,
    selections.KeySubstring: Selector.substring,
    selections.Groups: Selector.groups,
    selections.Tag: Selector.tag,
    selections.Owner: Selector.owner,
    selections.Kind: Selector.kind,
    selections.Location: Selector.location,
    selections.Checks: Selector.checks,
    selections.AllChecks: Selector.all_checks,
    selections.Traversal: Selector.traversal,
    selections.Applied: Selector.applied,
    selections.Either: Selector.either,
    selections.Both: Selector.both,
    selections.Without: Selector.without,
}

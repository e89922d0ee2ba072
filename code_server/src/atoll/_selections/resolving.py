"""Which assets and checks an expression means in a graph.

Called by `AssetSelection` and by whoever plans what a run holds. Every part of an expression takes
time in proportion to the graph at most, however large the selection is.
"""

from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import _keys as asset_keys
from atoll import errors
from atoll._selections import expressions
from atoll._selections import graph as graphs

_Keys = AbstractSet[asset_keys.AssetKey]
_CheckKeys = AbstractSet[asset_keys.AssetCheckKey]
_NO_KEYS: frozenset[asset_keys.AssetKey] = frozenset()


def resolve(
    expression: expressions.Expression,
    graph: graphs.SelectableGraph,
    *,
    allow_missing: bool = False,
) -> set[asset_keys.AssetKey]:
    """Return the assets that an expression means.

    Args:
        expression: The expression.
        graph: What to choose from.
        allow_missing: Whether keys that are not there are passed over.

    Returns:
        The keys.

    Raises:
        InvalidSubsetError: A key is not there.
        InvalidAssetSelectionError: It asks for what is not known here.
    """
    return set(_Resolver(graph, allow_missing=allow_missing).assets(expression))


def resolve_checks(
    expression: expressions.Expression,
    graph: graphs.SelectableGraph,
    *,
    allow_missing: bool = False,
) -> set[asset_keys.AssetCheckKey]:
    """Return the checks that an expression means: those it names, and those of its assets.

    Args:
        expression: The expression.
        graph: What to choose from.
        allow_missing: Whether keys that are not there are passed over.

    Returns:
        The keys of the checks.

    Raises:
        InvalidSubsetError: A key is not there.
        InvalidAssetSelectionError: It asks for what is not known here.
    """
    return set(_Resolver(graph, allow_missing=allow_missing).checks(expression))


def refuse_partial_units(
    graph: graphs.SelectableGraph,
    selected: Collection[asset_keys.AssetKey],
    selected_checks: Collection[asset_keys.AssetCheckKey] | None = None,
) -> None:
    """Refuse to take only a part of what a function can only make as a whole.

    Args:
        graph: The assets.
        selected: The assets that are to be executed.
        selected_checks: The checks that are; not looked at where None.

    Raises:
        InvalidSubsetError: Something is missing; all of it is named.
    """
    chosen, chosen_checks = set(selected), set(selected_checks or ())
    told: dict[int, str] = {}
    whole: set[int] = set()
    for key in sorted(chosen | {check.asset_key for check in chosen_checks}):
        unit = graph.unit_of(key)
        if unit is None or id(unit) in whole or id(unit) in told:
            continue
        taken = [asset.to_user_string() for asset in sorted(unit.keys & chosen)]
        missing = [asset.to_user_string() for asset in sorted(unit.keys - chosen)]
        if selected_checks is not None:
            taken += [f"check {one.to_user_string()}" for one in unit.check_keys & chosen_checks]
            checks = sorted(unit.check_keys - chosen_checks)
            missing += [f"check {one.to_user_string()}" for one in checks]
        if taken and missing:
            told[id(unit)] = f"{', '.join(taken)} without {', '.join(missing)}"
        else:
            whole.add(id(unit))
    if told:
        raise errors.InvalidSubsetError(
            f"The selection takes {'; '.join(told.values())}, which one function makes together. "
            "Select all of them, for example by required_multi_asset_neighbors(), or define the "
            "function with can_subset=True."
        )


class _Resolver:
    """Resolves the parts of one expression, each once."""

    def __init__(self, graph: graphs.SelectableGraph, *, allow_missing: bool) -> None:
        self._graph = graph
        self._allow_missing = allow_missing
        # By identity: expressions that share a part share the object.
        self._known: dict[int, _Keys] = {}

    def assets(self, expression: expressions.Expression) -> _Keys:
        known = self._known.get(id(expression))
        if known is None:
            known = _ASSETS_OF[type(expression)](self, expression)
            self._known[id(expression)] = known
        return known

    def checks(self, expression: expressions.Expression) -> _CheckKeys:
        of_its_own = _CHECKS_OF.get(type(expression))
        if of_its_own is not None:
            return of_its_own(self, expression)
        return self._checks_of(self.assets(expression))

    def _checks_of(self, selected: _Keys) -> _CheckKeys:
        by_asset = self._graph.check_keys_by_asset
        if len(by_asset) < len(selected):
            return {key for asset, some in by_asset.items() if asset in selected for key in some}
        return {key for asset in selected for key in by_asset.get(asset, ())}

    def _base(self, *, include_sources: bool) -> _Keys:
        return self._graph.assets.keys() if include_sources else self._graph.offered

    # Combinations.

    def either(self, expression: expressions.Either) -> _Keys:
        return set[asset_keys.AssetKey]().union(*map(self.assets, expression.operands))

    def either_checks(self, expression: expressions.Either) -> _CheckKeys:
        return set[asset_keys.AssetCheckKey]().union(*map(self.checks, expression.operands))

    def both(self, expression: expressions.Both) -> _Keys:
        first, *others = map(self.assets, expression.operands)
        return set(first).intersection(*others)

    def both_checks(self, expression: expressions.Both) -> _CheckKeys:
        first, *others = map(self.checks, expression.operands)
        return set(first).intersection(*others)

    def without(self, expression: expressions.Without) -> _Keys:
        return self.assets(expression.left) - self.assets(expression.right)

    def without_checks(self, expression: expressions.Without) -> _CheckKeys:
        return self.checks(expression.left) - self.checks(expression.right)

    def traversal(self, expression: expressions.Traversal) -> _Keys:
        start = self.assets(expression.child)
        upstream = expression.direction is expressions.Direction.UPSTREAM
        step = self._graph.upstream_of if upstream else self._graph.downstream_of
        # Assets that are made elsewhere are walked through, and chosen only where named.
        return start | (graphs.reach(start, step, expression.depth) & self._graph.offered)

    def applied(self, expression: expressions.Applied) -> _Keys:
        graph, child = self._graph, self.assets(expression.child)
        function = expression.function
        if function is expressions.Function.ROOTS:
            return child - graphs.reach(child, graph.downstream_of, None)
        if function is expressions.Function.SINKS:
            return child - graphs.reach(child, graph.upstream_of, None)
        if function is expressions.Function.MATERIALIZABLE:
            return {key for key in child if graph.is_materializable(key)}
        if function is expressions.Function.UPSTREAM_SOURCES:
            parents = {parent for key in child for parent in graph.upstream_of(key)}
            return {
                key for key in parents if key in graph.assets and not graph.is_materializable(key)
            }
        if function is expressions.Function.REQUIRED_NEIGHBORS:
            units = [unit for key in child if (unit := graph.unit_of(key)) is not None]
            return set(child).union(*(unit.keys for unit in units))
        return _NO_KEYS

    def applied_checks(self, expression: expressions.Applied) -> _CheckKeys:
        if expression.function is expressions.Function.CHECKS_FOR:
            return self._checks_of(self.assets(expression.child))
        return self._checks_of(self.assets(expression))

    # What holds no other expression.

    def everything(self, expression: expressions.Everything) -> _Keys:
        return self._base(include_sources=expression.include_sources)

    def keys(self, expression: expressions.Keys) -> _Keys:
        known = self._graph.assets
        missing = [key for key in expression.keys if key not in known]
        if missing and not self._allow_missing:
            raise errors.InvalidSubsetError(
                f"The selection names {asset_keys.in_words(missing)}, which the definitions do not "
                f"hold. They hold {asset_keys.in_words(known) or 'no assets'}."
            )
        return set(expression.keys).difference(missing)

    def key_pattern(self, expression: expressions.KeyPattern) -> _Keys:
        pieces = expression.pieces
        return {key for key in self._graph.assets if _looks_like(key.to_user_string(), pieces)}

    def key_prefixes(self, expression: expressions.KeyPrefixes) -> _Keys:
        return {
            key
            for key in self._base(include_sources=expression.include_sources)
            if any(key.has_prefix(prefix) for prefix in expression.prefixes)
        }

    def key_substring(self, expression: expressions.KeySubstring) -> _Keys:
        return {
            key
            for key in self._base(include_sources=expression.include_sources)
            if expression.text in key.to_user_string()
        }

    def groups(self, expression: expressions.Groups) -> _Keys:
        by_group = self._graph.keys_by_group
        found = _NO_KEYS.union(*(by_group.get(name, ()) for name in expression.names))
        return found & self._base(include_sources=expression.include_sources)

    def tag(self, expression: expressions.Tag) -> _Keys:
        found = self._graph.keys_by_tag.get((expression.key, expression.value), _NO_KEYS)
        return found & self._base(include_sources=expression.include_sources)

    def kind(self, expression: expressions.Kind) -> _Keys:
        found = self._graph.keys_by_kind.get(expression.kind, _NO_KEYS)
        return found & self._base(include_sources=expression.include_sources)

    def owner(self, expression: expressions.Owner) -> _Keys:
        return self._graph.keys_by_owner.get(expression.owner, _NO_KEYS)

    def host_attribute(self, expression: expressions.HostAttribute) -> _Keys:
        return self._graph.matching(expression.field, expression.value, expression.detail)

    def no_assets(self, _expression: expressions.Expression) -> _Keys:
        return _NO_KEYS

    def check_keys(self, expression: expressions.CheckKeys) -> _CheckKeys:
        known = self._graph.check_keys
        missing = [key for key in expression.keys if key not in known]
        if missing and not self._allow_missing:
            there = ", ".join(repr(key.to_user_string()) for key in sorted(known))
            raise errors.InvalidSubsetError(
                "The selection names the asset checks "
                f"{', '.join(repr(key.to_user_string()) for key in missing)}, which the "
                f"definitions do not hold. They hold {there or 'no asset checks'}."
            )
        return set(expression.keys).difference(missing)

    def all_checks(self, _expression: expressions.AllChecks) -> _CheckKeys:
        return self._graph.check_keys


def _looks_like(text: str, pieces: Sequence[str]) -> bool:
    """Tell whether a text is made of pieces, in order, with anything between them.

    Takes time in proportion to the text, whatever the pieces are: those who ask are not trusted.
    """
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    end = len(text) - len(last)
    if not text.startswith(first) or not text.endswith(last) or end < len(first):
        return False
    position = len(first)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


_ASSETS_OF: dict[type[expressions.Expression], Callable[[_Resolver, Any], _Keys]] = {
    expressions.AllChecks: _Resolver.no_assets,
    expressions.Applied: _Resolver.applied,
    expressions.Both: _Resolver.both,
    expressions.CheckKeys: _Resolver.no_assets,
    expressions.Either: _Resolver.either,
    expressions.Everything: _Resolver.everything,
    expressions.Groups: _Resolver.groups,
    expressions.HostAttribute: _Resolver.host_attribute,
    expressions.KeyPattern: _Resolver.key_pattern,
    expressions.KeyPrefixes: _Resolver.key_prefixes,
    expressions.KeySubstring: _Resolver.key_substring,
    expressions.Keys: _Resolver.keys,
    expressions.Kind: _Resolver.kind,
    expressions.Owner: _Resolver.owner,
    expressions.Tag: _Resolver.tag,
    expressions.Traversal: _Resolver.traversal,
    expressions.Without: _Resolver.without,
}

# What names checks otherwise than by the assets that it selects.
_CHECKS_OF: dict[type[expressions.Expression], Callable[[_Resolver, Any], _CheckKeys]] = {
    expressions.AllChecks: _Resolver.all_checks,
    expressions.Applied: _Resolver.applied_checks,
    expressions.Both: _Resolver.both_checks,
    expressions.CheckKeys: _Resolver.check_keys,
    expressions.Either: _Resolver.either_checks,
    expressions.Without: _Resolver.without_checks,
}

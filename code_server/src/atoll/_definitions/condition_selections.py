"""Selections of assets as the data that conditions hold.

Called by `allow` and `ignore` of automation conditions. The host resolves them against the assets
of all locations, so a selection may name what this location does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atoll import errors
from atoll._conditions import selections
from atoll._definitions import asset_selection
from atoll._selections import expressions


def of(selection: asset_selection.CoercibleToAssetSelection) -> selections.Selection:
    """Return a selection as data.

    Args:
        selection: The selection, or what stands for one.

    Raises:
        InvalidDefinitionError: It asks for what conditions cannot look at.
    """
    return _of(asset_selection.AssetSelection.from_coercible(selection).expression)


def _of(expression: expressions.Expression) -> selections.Selection:
    return _KINDS[type(expression)](expression)


def _all(operands: tuple[expressions.Expression, ...]) -> tuple[selections.Selection, ...]:
    return tuple(map(_of, operands))


def _host_attribute(expression: expressions.HostAttribute) -> selections.Selection:
    if expression.field == "code_location" and expression.value is not None:
        return selections.Location(expression.value)
    raise errors.InvalidDefinitionError(
        f"An automation condition cannot choose dependencies by {expression.field!r}: it changes "
        "while the condition is in use. Choose by key, group, tag, owner, kind or code_location."
    )


_KINDS: dict[type[expressions.Expression], Callable[[Any], selections.Selection]] = {
    expressions.Everything: lambda one: selections.Everything(one.include_sources),
    expressions.Keys: lambda one: selections.Keys(tuple(tuple(key.path) for key in one.keys)),
    expressions.KeyPattern: lambda one: selections.KeyPattern(one.pieces),
    expressions.KeyPrefixes: lambda one: selections.KeyPrefixes(
        tuple(tuple(map(str, prefix)) for prefix in one.prefixes), one.include_sources
    ),
    expressions.KeySubstring: lambda one: selections.KeySubstring(one.text, one.include_sources),
    expressions.Groups: lambda one: selections.Groups(tuple(one.names), one.include_sources),
    expressions.Tag: lambda one: selections.Tag(one.key, one.value, one.include_sources),
    expressions.Owner: lambda one: selections.Owner(one.owner),
    expressions.Kind: lambda one: selections.Kind(one.kind, one.include_sources),
    expressions.HostAttribute: _host_attribute,
    expressions.CheckKeys: lambda one: selections.Checks(
        tuple((tuple(key.asset_key.path), key.name) for key in one.keys)
    ),
    expressions.AllChecks: lambda _: selections.AllChecks(),
    expressions.Traversal: lambda one: selections.Traversal(
        one.direction.value, _of(one.child), one.depth
    ),
    expressions.Applied: lambda one: selections.Applied(one.function.value, _of(one.child)),
    expressions.Either: lambda one: selections.Either(_all(one.operands)),
    expressions.Both: lambda one: selections.Both(_all(one.operands)),
    expressions.Without: lambda one: selections.Without(_of(one.left), _of(one.right)),
}

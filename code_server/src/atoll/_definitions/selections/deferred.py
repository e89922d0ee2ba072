"""Reading, writing and resolving selections, loaded when first asked for.

Called by `AssetSelection`. Most code that defines assets imports `atoll` in a process that reads no
selection, and should not pay for it: the modules that do the work are imported by name.
"""

import importlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from atoll import _selections
from atoll._definitions import keys as asset_keys
from atoll._definitions import specs
from atoll._selections import expressions
from atoll._selections import graph as graphs

_OF_DEFINITIONS = "spec_graph"


class HasSelectable(Protocol):
    """The asset graph of a location, which keeps what is chosen from."""

    @property
    def selectable(self) -> graphs.SelectableGraph:
        """What selections choose from."""
        ...


SelectableAssets: TypeAlias = graphs.SelectableGraph | HasSelectable | Iterable[Any]


def parse(text: str, *, include_sources: bool = False) -> expressions.Expression:
    """Read a selection; see `parsing.parse`."""
    parsed: expressions.Expression = _module("parsing").parse(text, include_sources=include_sources)
    return parsed


def write(expression: expressions.Expression) -> str:
    """Write a selection; see `writing.write`."""
    return str(_module("writing").write(expression))


def write_operand(expression: expressions.Expression) -> str:
    """Write a selection as a part of another; see `writing.write_operand`."""
    return str(_module("writing").write_operand(expression))


def needs_parentheses(expression: expressions.Expression) -> bool:
    """Tell whether a part needs parentheses; see `writing.needs_parentheses`."""
    return bool(_module("writing").needs_parentheses(expression))


def resolve(
    expression: expressions.Expression,
    all_assets: SelectableAssets,
    *,
    allow_missing: bool = False,
) -> set[asset_keys.AssetKey]:
    """Return the assets that are meant in a graph, or among definitions."""
    chosen: set[asset_keys.AssetKey] = _module("resolving").resolve(
        expression, graph_of(all_assets), allow_missing=allow_missing
    )
    return chosen


def resolve_checks(
    expression: expressions.Expression,
    all_assets: SelectableAssets,
    *,
    allow_missing: bool = False,
) -> set[asset_keys.AssetCheckKey]:
    """Return the checks that are meant in a graph, or among definitions."""
    chosen: set[asset_keys.AssetCheckKey] = _module("resolving").resolve_checks(
        expression, graph_of(all_assets), allow_missing=allow_missing
    )
    return chosen


def resolve_specs(
    expression: expressions.Expression, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
) -> set[asset_keys.AssetKey]:
    """Return the assets that are meant where only specs are known."""
    return resolve(expression, _module(_OF_DEFINITIONS).SpecGraph(known))


def refuse_partial_units(
    graph: graphs.SelectableGraph,
    selected: Collection[asset_keys.AssetKey],
    selected_checks: Collection[asset_keys.AssetCheckKey] | None = None,
) -> None:
    """Refuse part of what is made as a whole; see `resolving.refuse_partial_units`."""
    _module("resolving").refuse_partial_units(graph, selected, selected_checks)


def graph_of(
    all_assets: SelectableAssets, asset_checks: Iterable[Any] = ()
) -> graphs.SelectableGraph:
    """Return what to choose from: a graph as it is, or one of definitions.

    Args:
        all_assets: A graph, or assets and bare specs.
        asset_checks: What evaluates checks apart from these assets.

    Returns:
        The graph. Whoever resolves several selections makes it once.
    """
    if isinstance(all_assets, graphs.SelectableGraph):
        return all_assets
    own = getattr(all_assets, "selectable", None)
    if isinstance(own, graphs.SelectableGraph):
        return own
    made: graphs.SelectableGraph = _module(_OF_DEFINITIONS).of_definitions(all_assets, asset_checks)
    return made


def _module(name: str) -> Any:
    package = __package__ if name == _OF_DEFINITIONS else _selections.__name__
    return importlib.import_module(f"{package}.{name}")

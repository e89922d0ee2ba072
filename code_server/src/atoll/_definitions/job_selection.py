"""What of a location a job means: its assets and checks, and whether its graph has all its inputs.

Called by jobs when they are made and narrowed. Pure.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_graph, asset_selection, keys
from atoll._definitions.nodes import graph
from atoll._definitions.selections import deferred


class Selected(records.Record):
    """The assets and checks that a job means."""

    assets: frozenset[keys.AssetKey]
    checks: frozenset[keys.AssetCheckKey]


class HasLayer(Protocol):
    """A job of assets."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    @property
    def asset_layer(self) -> Any:
        """What it means among the assets of its location."""
        ...


def resolve(
    job_name: str,
    selection: asset_selection.AssetSelection,
    known: asset_graph.AssetGraph,
    *,
    implicit: bool,
) -> Selected:
    """Return the assets and checks that a selection means.

    Args:
        job_name: The job, for errors.
        selection: The selection.
        known: The assets and checks of the location.
        implicit: Whether the job is the one that takes any selection.

    Raises:
        InvalidSubsetError: It selects what is not there, or nothing that can be run here.
    """
    if implicit:
        return Selected(frozenset(known.executable_specs), frozenset(known.check_specs))
    selected = selection.resolve(known.selectable)
    checks = frozenset(selection.resolve_checks(known.selectable))
    chosen = frozenset(key for key in selected if known.has_executable(key))
    external = selected - chosen
    if external and not chosen and not checks:
        raise errors.InvalidSubsetError(
            f"The job {job_name!r} selects {keys.in_words(external)}, which this location cannot "
            "materialize. Select assets that have a function here."
        )
    _refuse_parts(job_name, known, chosen, checks)
    return Selected(chosen, checks)


def _refuse_parts(
    job_name: str,
    known: asset_graph.AssetGraph,
    chosen: frozenset[keys.AssetKey],
    checks: frozenset[keys.AssetCheckKey],
) -> None:
    """Refuse a part of what can only be made or evaluated as a whole."""
    try:
        deferred.refuse_partial_units(known.selectable, chosen, checks)
    except errors.InvalidSubsetError as error:
        raise errors.InvalidSubsetError(f"The job {job_name!r} cannot be run. {error}") from None
    for one in known.definitions_of((), sorted(checks)):
        missing = one.check_keys - checks
        if missing and not one.can_subset and not one.keys:
            raise errors.InvalidSubsetError(
                f"The job {job_name!r} selects {_checks_in_words(one.check_keys & checks)} without "
                f"{_checks_in_words(missing)}, and {one.op_name!r} evaluates them at once. Select "
                "all of them, for example by checks_for_assets(), or give it can_subset=True."
            )


def _checks_in_words(checks: AbstractSet[keys.AssetCheckKey]) -> str:
    return ", ".join(sorted(repr(one.to_user_string()) for one in checks))


def partitions_of(job_name: str, known: asset_graph.AssetGraph, chosen: Selected) -> Any:
    """Return the partitions that the selected assets share, None where they have none.

    Args:
        job_name: The job, for errors.
        known: The assets of the location.
        chosen: What the job means.
    """
    del job_name
    found: list[Any] = []
    for one in known.definitions_of(sorted(chosen.assets), sorted(chosen.checks)):
        partitions = one.partitions_def
        if partitions is not None and partitions not in found:
            found.append(partitions)
    # Several kinds of partitions cannot be one job's; each run then takes assets of one of them.
    return found[0] if len(found) == 1 else None


def narrowed(
    job: HasLayer,
    asset_selection: AbstractSet[keys.AssetKey] | None,
    check_selection: AbstractSet[keys.AssetCheckKey] | None,
) -> Any:
    """Return what a job of assets means with only some of them.

    Args:
        job: The job.
        asset_selection: The assets; None leaves them to the checks.
        check_selection: The checks; None means those of the selected assets.

    Raises:
        InvalidSubsetError: One of them is not of the job.
    """
    layer = job.asset_layer
    if layer is None:
        raise errors.InvalidSubsetError(
            f"The job {job.name!r} runs a graph of ops and has no assets to select. Use "
            "op_selection."
        )
    chosen = frozenset(asset_selection or ())
    foreign = chosen - layer.asset_keys
    if foreign:
        raise errors.InvalidSubsetError(
            f"The run selects {keys.in_words(foreign)}, which the job {job.name!r} does not "
            f"materialize. It materializes {keys.in_words(layer.asset_keys) or 'nothing'}."
        )
    if check_selection is None:
        checks = _checks_along(layer, chosen)
    else:
        checks = frozenset(check_selection)
        unknown = checks - layer.check_keys
        if unknown:
            raise errors.InvalidSubsetError(
                f"The run selects the checks {_checks_in_words(unknown)}, which the job "
                f"{job.name!r} does not evaluate."
            )
    _refuse_parts(job.name, layer.graph, chosen, checks)
    return type(layer)(layer.graph, chosen, checks, layer.implicit)


def _checks_along(layer: Any, chosen: frozenset[keys.AssetKey]) -> frozenset[keys.AssetCheckKey]:
    """Return the checks that come along with assets, and those that one function evaluates too."""
    wanted = [
        check
        for key in chosen
        for check in layer.graph.checks_of.get(key, ())
        if check in layer.check_keys
    ]
    found = set(wanted)
    for one in layer.graph.definitions_of((), sorted(wanted)):
        if not one.can_subset and not one.keys:
            found |= one.check_keys
    return frozenset(found)


def check_inputs(
    job_name: str, made: graph.GraphDefinition, input_values: Mapping[str, Any]
) -> None:
    """Check that every input of a job's graph gets a value from somewhere.

    Args:
        job_name: The job, for errors.
        made: The graph.
        input_values: Values of the graph's inputs.

    Raises:
        InvalidDefinitionError: A value is given for no input, or nothing can give an input one.
    """
    names = {one.name for one in made.input_definitions}
    unknown = set(input_values) - names
    if unknown:
        raise errors.InvalidDefinitionError(
            f"The job {job_name!r} is given values for {', '.join(sorted(unknown))}, which its "
            f"graph does not take; it takes {', '.join(sorted(names)) or 'nothing'}."
        )
    for one in made.input_definitions:
        if one.name in input_values or one.has_default or one.is_nothing:
            continue
        if one.asset_key is None and one.type.loader is None:
            raise errors.InvalidDefinitionError(
                f"Nothing gives the input {one.name!r} of the job {job_name!r} a value: it has no "
                f"default, and its type {one.type.display_name} cannot be loaded from config. Give "
                "input_values, or take the input away."
            )
    _check_nodes(job_name, made, "")


def _check_nodes(job_name: str, made: graph.GraphDefinition, prefix: str) -> None:
    for one in made.nodes:
        inner = one.definition
        for given in inner.input_definitions:
            bound = made.bindings.get((one.name, given.name))
            if bound is not None:
                continue
            if given.has_default or given.is_nothing or given.asset_key is not None:
                continue
            if given.type.loader is None:
                raise errors.InvalidDefinitionError(
                    f"Nothing gives the input {given.name!r} of {prefix}{one.name!r} in the job "
                    f"{job_name!r} a value: no output is passed to it, it has no default, and its "
                    f"type {given.type.display_name} cannot be loaded from config."
                )
        if isinstance(inner, graph.GraphDefinition):
            _check_nodes(job_name, inner, f"{one.name}.")

"""The assets and checks of one location and how they depend on each other.

Called by definitions, jobs and the planning of runs. Built once from what the user gave; it takes
the first of two definitions with the same key and leaves complaints to `problems`.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import asset_checks, assets, keys
from atoll._definitions import specs as spec_module
from atoll._definitions.selections import deferred
from atoll._selections import graph as selectable_graphs


class AssetGraph:
    """An index over assets and checks.

    Args:
        executable: The assets that can be computed or observed here.
        external: The bare specs of assets that are made elsewhere.
        checks: The checks that are defined apart from assets.
    """

    def __init__(
        self,
        executable: Iterable[assets.AssetsDefinition],
        external: Iterable[spec_module.AssetSpec],
        checks: Iterable[assets.AssetsDefinition] = (),
    ) -> None:
        everything = (*executable, *checks)
        self.assets_defs = tuple(one for one in everything if one.every_spec)
        self.checks_defs = tuple(one for one in everything if not one.every_spec)
        self._by_key: dict[keys.AssetKey, assets.AssetsDefinition] = {}
        self._by_check: dict[keys.AssetCheckKey, assets.AssetsDefinition] = {}
        self.executable_specs: dict[keys.AssetKey, spec_module.AssetSpec] = {}
        self.external_specs: dict[keys.AssetKey, spec_module.AssetSpec] = {}
        self.check_specs: dict[keys.AssetCheckKey, asset_checks.AssetCheckSpec] = {}
        for one in everything:
            for spec in one.specs:
                self._by_key.setdefault(spec.key, one)
                self.executable_specs.setdefault(spec.key, spec)
            for check in one.check_specs:
                self._by_check.setdefault(check.key, one)
                self.check_specs.setdefault(check.key, check)
        for spec in external:
            if spec.key not in self.executable_specs:
                self.external_specs.setdefault(spec.key, spec)

    @property
    def every_def(self) -> Sequence[assets.AssetsDefinition]:
        """All definitions: assets, then checks."""
        return (*self.assets_defs, *self.checks_defs)

    @functools.cached_property
    def specs(self) -> Mapping[keys.AssetKey, spec_module.AssetSpec]:
        """All assets that the location knows something about, by key."""
        return {**self.executable_specs, **self.external_specs}

    @functools.cached_property
    def selectable(self) -> selectable_graphs.SelectableGraph:
        """What selections choose from, made once: jobs, sensors and schedules share it."""
        external = self.external_specs.values()
        return deferred.graph_of((*self.assets_defs, *external), self.checks_defs)

    @functools.cached_property
    def checks_of(self) -> Mapping[keys.AssetKey, Sequence[keys.AssetCheckKey]]:
        """The checks of each asset that has some."""
        found: dict[keys.AssetKey, list[keys.AssetCheckKey]] = {}
        for key in self.check_specs:
            found.setdefault(key.asset_key, []).append(key)
        return found

    @functools.cached_property
    def materializable_keys(self) -> frozenset[keys.AssetKey]:
        """The assets that a run can materialize here."""
        return frozenset(key for key, one in self._by_key.items() if one.is_materializable)

    def has_executable(self, key: keys.AssetKey) -> bool:
        """Tell whether the asset can be computed or observed here."""
        return key in self._by_key

    def get(self, key: keys.AssetKey) -> assets.AssetsDefinition | None:
        """Return the definition that computes the asset, None where it is not made here."""
        return self._by_key.get(key)

    def get_check(self, key: keys.AssetCheckKey) -> assets.AssetsDefinition | None:
        """Return the definition that evaluates the check, None where there is none."""
        return self._by_check.get(key)

    def definitions_of(
        self,
        selected: Iterable[keys.AssetKey],
        checks: Iterable[keys.AssetCheckKey] = (),
    ) -> list[assets.AssetsDefinition]:
        """Return the definitions of these assets and checks, each once.

        Raises:
            InvalidSubsetError: One of them is not defined here.
        """
        found: dict[int, assets.AssetsDefinition] = {}
        for key in selected:
            one = self._by_key.get(key)
            if one is None:
                raise errors.InvalidSubsetError(
                    f"The asset {key.to_user_string()!r} cannot be materialized here: "
                    f"the location defines {keys.in_words(self._by_key) or 'no assets'}."
                )
            found[id(one)] = one
        for check in checks:
            checked = self._by_check.get(check)
            if checked is None:
                raise errors.InvalidSubsetError(
                    f"The check {check.to_user_string()!r} cannot be evaluated here: the location "
                    "defines no such check."
                )
            found[id(checked)] = checked
        return list(found.values())

    def io_manager_key_of(self, key: keys.AssetKey) -> str:
        """Return the resource key of the IO manager that loads the value of an asset."""
        one = self._by_key.get(key)
        if one is not None:
            return one.io_manager_key_of(key)
        spec = self.external_specs.get(key)
        told = spec.metadata.get(spec_module.IO_MANAGER_KEY_METADATA) if spec is not None else None
        return str(told.value) if told is not None else assets.DEFAULT_IO_MANAGER_KEY

    def partitions_def_of(self, key: keys.AssetKey) -> Any:
        """Return the partitions of an asset, None for none and for what is not known here."""
        spec = self.specs.get(key)
        return spec.partitions_def if spec is not None else None


def in_order(definitions: Sequence[assets.AssetsDefinition]) -> list[assets.AssetsDefinition]:
    """Sort definitions so that each comes after those it depends on.

    Args:
        definitions: The definitions.

    Returns:
        The same definitions, sorted.

    Raises:
        InvalidDefinitionError: They depend on each other in a circle.
    """
    ordered, circle = sorted_or_circle(definitions)
    if circle:
        raise errors.InvalidDefinitionError(circle_in_words(circle))
    return ordered


def circle_in_words(circle: Sequence[assets.AssetsDefinition]) -> str:
    """Say that assets depend on each other in a circle."""
    names = " -> ".join(one.op_name for one in (*circle, circle[0]))
    return (
        f"The assets depend on each other in a circle: {names}. Take one of the dependencies away."
    )


def sorted_or_circle(
    definitions: Sequence[assets.AssetsDefinition],
) -> tuple[list[assets.AssetsDefinition], list[assets.AssetsDefinition]]:
    """Sort definitions by dependency, or find a circle.

    Args:
        definitions: The definitions.

    Returns:
        All of them sorted and nothing, or some of them and a circle, in the direction of the data.
    """
    makers = {key: index for index, one in enumerate(definitions) for key in one.keys}
    blocking = _blocking_checks(definitions)
    upstream: list[set[int]] = []
    downstream: list[list[int]] = [[] for _ in definitions]
    for index, one in enumerate(definitions):
        needed = {makers[key] for key in one.needed_keys if key in makers}
        needed.update(*(blocking.get(key, ()) for key in one.dependency_keys))
        needed.discard(index)
        upstream.append(needed)
        for maker in needed:
            downstream[maker].append(index)
    waiting = [len(needed) for needed in upstream]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    for index in ready:  # grows while it is walked
        order.append(index)
        for dependent in downstream[index]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                ready.append(dependent)
    ordered = [definitions[index] for index in order]
    if len(order) == len(definitions):
        return ordered, []
    return ordered, [definitions[index] for index in _circle(upstream, set(order))]


def _blocking_checks(
    definitions: Sequence[assets.AssetsDefinition],
) -> dict[keys.AssetKey, list[int]]:
    """Return, by asset, the definitions of checks that hold back what is downstream of it."""
    found: dict[keys.AssetKey, list[int]] = {}
    for index, one in enumerate(definitions):
        if one.check_specs_by_output_name:
            for check in one.check_specs:
                if check.blocking and check.asset_key not in one.keys:
                    found.setdefault(check.asset_key, []).append(index)
    return found


def _circle(upstream: Sequence[set[int]], done: set[int]) -> list[int]:
    """Walk upstream among the nodes that never became ready until one repeats."""
    node = next(index for index in range(len(upstream)) if index not in done)
    path: list[int] = []
    while node not in path:
        path.append(node)
        node = min(upstream[node] - done)
    return path[path.index(node) :][::-1]

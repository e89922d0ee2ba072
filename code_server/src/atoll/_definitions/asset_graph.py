"""The assets of one location and how they depend on each other.

Called by definitions, jobs and the planning of runs. Built once from what the user gave; it takes
the first of two definitions with the same key and leaves complaints to `problems`.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence

from atoll._definitions import assets, errors, keys, specs


class AssetGraph:
    """An index over assets.

    Args:
        executable: The assets that can be materialized here.
        external: The bare specs of assets that are made elsewhere.
    """

    def __init__(
        self, executable: Iterable[assets.AssetsDefinition], external: Iterable[specs.AssetSpec]
    ) -> None:
        self.assets_defs: tuple[assets.AssetsDefinition, ...] = tuple(executable)
        self._by_key: dict[keys.AssetKey, assets.AssetsDefinition] = {}
        self.executable_specs: dict[keys.AssetKey, specs.AssetSpec] = {}
        self.external_specs: dict[keys.AssetKey, specs.AssetSpec] = {}
        for one in self.assets_defs:
            for spec in one.specs:
                self._by_key.setdefault(spec.key, one)
                self.executable_specs.setdefault(spec.key, spec)
        for spec in external:
            if spec.key not in self.executable_specs:
                self.external_specs.setdefault(spec.key, spec)

    @functools.cached_property
    def specs(self) -> Mapping[keys.AssetKey, specs.AssetSpec]:
        """All assets that the location knows something about, by key."""
        return {**self.executable_specs, **self.external_specs}

    def has_executable(self, key: keys.AssetKey) -> bool:
        """Tell whether the asset can be materialized here."""
        return key in self._by_key

    def get(self, key: keys.AssetKey) -> assets.AssetsDefinition | None:
        """Return the definition that materializes the asset, None where it is not made here."""
        return self._by_key.get(key)

    def definitions_of(self, selected: Iterable[keys.AssetKey]) -> list[assets.AssetsDefinition]:
        """Return the definitions that materialize these assets, each once."""
        found: dict[int, assets.AssetsDefinition] = {}
        for key in selected:
            one = self._by_key.get(key)
            if one is None:
                raise errors.InvalidSubsetError(
                    f"The asset {key.to_user_string()!r} cannot be materialized here: "
                    f"the location defines {keys.in_words(self._by_key) or 'no assets'}."
                )
            found[id(one)] = one
        return list(found.values())

    def io_manager_key_of(self, key: keys.AssetKey) -> str:
        """Return the resource key of the IO manager that loads the value of an asset."""
        one = self._by_key.get(key)
        if one is not None:
            return one.computation.outputs_by_key[key].io_manager_key
        spec = self.external_specs.get(key)
        told = spec.metadata.get(specs.IO_MANAGER_KEY_METADATA) if spec is not None else None
        return str(told.value) if told is not None else assets.DEFAULT_IO_MANAGER_KEY


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
    upstream: list[set[int]] = []
    downstream: list[list[int]] = [[] for _ in definitions]
    for index, one in enumerate(definitions):
        needed = {makers[key] for key in one.dependency_keys if key in makers} - {index}
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


def _circle(upstream: Sequence[set[int]], done: set[int]) -> list[int]:
    """Walk upstream among the nodes that never became ready until one repeats."""
    node = next(index for index in range(len(upstream)) if index not in done)
    path: list[int] = []
    while node not in path:
        path.append(node)
        node = min(upstream[node] - done)
    return path[path.index(node) :][::-1]

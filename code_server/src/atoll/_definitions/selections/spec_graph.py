"""Definitions as a graph that selections choose from.

Called by `AssetSelection` and by whoever holds the assets of a location; make one and keep it. It
asks assets for what they may have (checks, observability, whether they can be split) by attribute,
so that it fits every class of assets.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll._definitions import keys as asset_keys
from atoll._definitions import specs
from atoll._selections import graph as graphs


class SpecGraph(graphs.SelectableGraph):
    """Specs by key and what executes them.

    Args:
        specs_by_key: All assets.
        makers: The definition that executes an asset, by key: the others are made elsewhere. None
            where that is not known, so that every asset counts as one that can be materialized.
        checks: The checks by the assets that they look at.
        location_name: The location that holds the assets, where it is known.
    """

    def __init__(
        self,
        specs_by_key: Mapping[asset_keys.AssetKey, specs.AssetSpec],
        makers: Mapping[asset_keys.AssetKey, Any] | None = None,
        checks: Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]] | None = None,
        location_name: str | None = None,
    ) -> None:
        self._specs = specs_by_key
        self._makers = makers
        self._checks = checks or {}
        self._location_name = location_name

    @property
    def assets(self) -> Mapping[asset_keys.AssetKey, specs.AssetSpec]:
        """All assets by key."""
        return self._specs

    @property
    def check_keys_by_asset(
        self,
    ) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]]:
        """The checks by the assets that they look at."""
        return self._checks

    @functools.cached_property
    def offered(self) -> AbstractSet[asset_keys.AssetKey]:
        """The assets that a selection without sources chooses from."""
        if self._makers is None:
            return self._specs.keys()
        return {key for key in self._specs if self.is_materializable(key)}

    def upstream_of(self, key: asset_keys.AssetKey) -> Iterable[asset_keys.AssetKey]:
        """Return the assets that an asset depends on."""
        spec = self._specs.get(key)
        return [dep.asset_key for dep in spec.deps] if spec is not None else ()

    def is_materializable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether an asset can be materialized."""
        if self._makers is None:
            return key in self._specs
        maker = self._makers.get(key)
        return maker is not None and bool(getattr(maker, "is_materializable", True))

    def is_observable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether an asset can be observed."""
        maker = (self._makers or {}).get(key)
        return maker is not None and bool(getattr(maker, "is_observable", False))

    def unit_of(self, key: asset_keys.AssetKey) -> graphs.ExecutionUnit | None:
        """Return what a run has to have together with an asset, None where it stands alone."""
        maker = (self._makers or {}).get(key)
        if maker is None:
            return None
        known = self._units.get(id(maker))
        if known is None:
            known = self._units[id(maker)] = _unit_of(maker)
        return known[0]

    def location_name_of(self, key: asset_keys.AssetKey) -> str | None:
        """Return the location that holds the assets, where it is known."""
        return self._location_name if key in self._specs else None

    @functools.cached_property
    def _units(self) -> dict[int, tuple[graphs.ExecutionUnit | None]]:
        return {}


def of_definitions(
    assets: Iterable[Any],
    asset_checks: Iterable[Any] = (),
    *,
    location_name: str | None = None,
) -> SpecGraph:
    """Make a graph of assets, bare specs and checks.

    Args:
        assets: Assets and bare specs. Of two with the same key, the one that can be executed
            counts, then the first.
        asset_checks: What evaluates checks apart from assets.
        location_name: The location that holds them, where it is known.

    Returns:
        The graph. Assets that are only depended on or checked are in it as well, as made elsewhere.
    """
    found: dict[asset_keys.AssetKey, specs.AssetSpec] = {}
    makers: dict[asset_keys.AssetKey, Any] = {}
    external: list[specs.AssetSpec] = []
    evaluating = list(asset_checks)
    for one in assets:
        if isinstance(one, specs.AssetSpec):
            external.append(one)
            continue
        evaluating.append(one)
        if not getattr(one, "is_executable", True):
            external += one.specs
            continue
        for spec in one.specs:
            if spec.key not in found:
                found[spec.key] = spec
                makers[spec.key] = one
    for spec in external:
        found.setdefault(spec.key, spec)
    checks = _checks_by_asset(evaluating)
    # What depends on an asset of another location, or checks one, may know only its key.
    named = [dep.asset_key for spec in found.values() for dep in spec.deps]
    for key in (*named, *checks):
        if key not in found:
            found[key] = specs.AssetSpec(key)
    return SpecGraph(found, makers, checks, location_name)


def _checks_by_asset(
    evaluating: Iterable[Any],
) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]]:
    by_asset: dict[asset_keys.AssetKey, list[asset_keys.AssetCheckKey]] = {}
    for key in dict.fromkeys(key for one in evaluating for key in check_keys_of(one)):
        by_asset.setdefault(key.asset_key, []).append(key)
    return by_asset


def check_keys_of(definition: Any) -> Iterable[asset_keys.AssetCheckKey]:
    """Return the checks that assets or checks evaluate; nothing for what knows of none."""
    return getattr(definition, "check_keys", ())


def _unit_of(maker: Any) -> tuple[graphs.ExecutionUnit | None]:
    keys = [spec.key for spec in maker.specs]
    checks = list(check_keys_of(maker))
    if bool(getattr(maker, "can_subset", False)) or len(keys) + len(checks) < 2:  # noqa: PLR2004
        return (None,)
    return (graphs.ExecutionUnit(keys, checks),)

"""Putting assets under other keys, together with what depends on them.

Called by what loads assets and checks with a key prefix.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import specs

Replacements = Mapping[asset_keys.AssetKey, asset_keys.AssetKey]


def prefixed(
    assets: Iterable[Any],
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
) -> list[Any]:
    """Put parts before the keys of assets.

    Dependencies among the given assets follow; those on others stay as they are.

    Args:
        assets: Assets and bare specs.
        key_prefix: The parts for what is executed here.
        source_key_prefix: The parts for bare specs, which are made elsewhere.

    Returns:
        The assets under their new keys, in the same order.
    """
    given = list(assets)
    replacements = _replacements(given, key_prefix, source_key_prefix)
    return [rekeyed(one, replacements) for one in given] if replacements else given


def rekeyed(definition: Any, replacements: Replacements) -> Any:
    """Put a definition under other keys.

    Args:
        definition: A bare spec, an asset, or what evaluates checks.
        replacements: The new keys by the old ones, of the assets themselves and of what they depend
            on; others stay as they are.

    Returns:
        The definition under its new keys.

    Raises:
        UnsupportedParameterError: Its keys cannot be changed.
    """
    if isinstance(definition, specs.AssetSpec):
        return definition.replace_attributes(
            key=replacements.get(definition.key, definition.key),
            deps=[_redirected(dep, replacements) for dep in definition.deps],
        )
    return with_attributes(definition, asset_key_replacements=replacements)


def with_attributes(definition: Any, **attributes: Any) -> Any:
    """Return a definition with some attributes replaced.

    Args:
        definition: An asset, or what evaluates checks.
        attributes: The new values by name.

    Returns:
        The changed definition.

    Raises:
        UnsupportedParameterError: The definition has no such attributes.
    """
    replace = getattr(definition, "with_attributes", None)
    if replace is None:
        name = next(iter(attributes))
        raise errors.UnsupportedParameterError(
            f"{type(definition).__name__} cannot take {', '.join(attributes)} afterwards: give it "
            "where the asset is defined.",
            name,
        )
    return replace(**attributes)


def _replacements(
    assets: Sequence[Any],
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None,
) -> dict[asset_keys.AssetKey, asset_keys.AssetKey]:
    found: dict[asset_keys.AssetKey, asset_keys.AssetKey] = {}
    for one in assets:
        external = isinstance(one, specs.AssetSpec)
        prefix = source_key_prefix if external else key_prefix
        if prefix is not None:
            own = [one.key] if external else one.keys
            found.update({key: key.with_prefix(prefix) for key in own})
    return found


def _redirected(dep: specs.AssetDep, replacements: Replacements) -> specs.AssetDep:
    new_key = replacements.get(dep.asset_key)
    if new_key is None:
        return dep
    # Copied, so that whatever else the dependency carries stays with it.
    moved = copy.copy(dep)
    object.__setattr__(moved, "asset_key", new_key)
    return moved

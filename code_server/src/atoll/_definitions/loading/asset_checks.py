"""`load_asset_checks_from_...`: the asset checks of modules and packages.

Called by users. Checks inside of assets come with their assets.
"""

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import problems
from atoll._definitions.loading import assets, kinds, prefixing
from atoll._definitions.loading import modules as python_modules


def load_asset_checks_from_modules(
    modules: Iterable[ModuleType],
    asset_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
) -> list[Any]:
    """Return the asset checks that modules define, also those in lists.

    Args:
        modules: The modules, imported.
        asset_key_prefix: Parts to put before the keys of the assets that they look at.

    Returns:
        The checks, in the order in which they stand in the modules.

    Raises:
        InvalidDefinitionError: Different checks of an asset have the same name; all are told.
    """
    found = kinds.found_among(
        value for one in python_modules.listed(modules) for value in python_modules.values_of(one)
    ).asset_checks
    assets.raise_all(list(_repeated(found)))
    if asset_key_prefix is None:
        return list(found)
    return [_prefixed(one, asset_key_prefix) for one in found]


def load_asset_checks_from_current_module(
    asset_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
) -> list[Any]:
    """Return the asset checks that the calling module has defined so far.

    Takes the same as `load_asset_checks_from_modules`.
    """
    return load_asset_checks_from_modules([python_modules.of_caller()], asset_key_prefix)


def load_asset_checks_from_package_module(
    package_module: ModuleType,
    asset_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
) -> list[Any]:
    """Return the asset checks of a package and of every module below it, which are imported.

    Takes the package, and otherwise the same as `load_asset_checks_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    return load_asset_checks_from_modules(
        python_modules.of_package(package_module), asset_key_prefix
    )


def load_asset_checks_from_package_name(
    package_name: str,
    asset_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
) -> list[Any]:
    """Return the asset checks of a package and of every module below it, which are imported.

    Takes the name of the package, and otherwise the same as `load_asset_checks_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    return load_asset_checks_from_modules(
        python_modules.of_package_name(package_name), asset_key_prefix
    )


def _prefixed(one: Any, prefix: asset_keys.CoercibleToAssetKeyPrefix) -> Any:
    looked_at = {key.asset_key for key in one.check_keys}
    return prefixing.rekeyed(one, {key: key.with_prefix(prefix) for key in looked_at})


def _repeated(found: Iterable[Any]) -> Iterable[errors.Problem]:
    by_key: dict[asset_keys.AssetCheckKey, list[Any]] = {}
    for one in found:
        for key in one.check_keys:
            by_key.setdefault(key, []).append(one)
    for key, same in by_key.items():
        if len(same) > 1:
            yield problems.placed(
                f"The asset check {key.to_user_string()!r} is defined {len(same)} times. Rename or "
                "take away all but one.",
                getattr(same[-1], "source", None),
            )

"""`load_assets_from_...`: the assets of modules and packages.

Called by users. What can be said once for all assets of a place is said here.
"""

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import problems, sources, specs
from atoll._definitions.loading import kinds, prefixing
from atoll._definitions.loading import modules as python_modules


class _Options(records.Record):
    """What is said about all assets that are loaded."""

    group_name: str | None
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None
    automation_condition: Any
    freshness_policy: Any
    backfill_policy: Any
    owners: Sequence[str] | None
    include_specs: bool


def load_assets_from_modules(
    modules: Iterable[ModuleType],
    group_name: str | None = None,
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    *,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
    freshness_policy: Any = None,
    owners: Sequence[str] | None = None,
) -> list[Any]:
    """Return the assets that modules define, also those in lists.

    Args:
        modules: The modules, imported.
        group_name: The group of all of them. None of them may name another.
        key_prefix: Parts to put before the keys of the assets; dependencies among the loaded
            assets follow.
        automation_condition: When the host is to materialize them by itself.
        backfill_policy: How backfills cut the partitions of all of them into runs.
        source_key_prefix: Parts to put before the keys of bare specs.
        include_specs: Whether bare specs, of assets made elsewhere, are loaded too.
        freshness_policy: How fresh they are to be.
        owners: Who answers for those that name nobody.

    Returns:
        The assets, in the order in which they stand in the modules.

    Raises:
        InvalidDefinitionError: Different assets have the same key, or name another group; all of
            these are told.
    """
    options = _Options(
        group_name=group_name,
        key_prefix=key_prefix,
        source_key_prefix=source_key_prefix,
        automation_condition=automation_condition,
        freshness_policy=freshness_policy,
        backfill_policy=backfill_policy,
        owners=owners,
        include_specs=include_specs,
    )
    return _load(python_modules.listed(modules), options)


def load_assets_from_current_module(
    group_name: str | None = None,
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    *,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
    freshness_policy: Any = None,
    owners: Sequence[str] | None = None,
) -> list[Any]:
    """Return the assets that the calling module has defined so far.

    Takes the same as `load_assets_from_modules`.
    """
    return load_assets_from_modules(
        [python_modules.of_caller()],
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
        freshness_policy=freshness_policy,
        owners=owners,
    )


def load_assets_from_package_module(
    package_module: ModuleType,
    group_name: str | None = None,
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    *,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
    freshness_policy: Any = None,
    owners: Sequence[str] | None = None,
) -> list[Any]:
    """Return the assets of a package and of every module below it, which are imported.

    Takes the package, and otherwise the same as `load_assets_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    return load_assets_from_modules(
        python_modules.of_package(package_module),
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
        freshness_policy=freshness_policy,
        owners=owners,
    )


def load_assets_from_package_name(
    package_name: str,
    group_name: str | None = None,
    key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    *,
    automation_condition: Any = None,
    backfill_policy: Any = None,
    source_key_prefix: asset_keys.CoercibleToAssetKeyPrefix | None = None,
    include_specs: bool = False,
    freshness_policy: Any = None,
    owners: Sequence[str] | None = None,
) -> list[Any]:
    """Return the assets of a package and of every module below it, which are imported.

    Takes the name of the package, and otherwise the same as `load_assets_from_modules`.

    Raises:
        ModuleImportError: Some of the modules cannot be imported; all of them are told.
    """
    return load_assets_from_modules(
        python_modules.of_package_name(package_name),
        group_name,
        key_prefix,
        automation_condition=automation_condition,
        backfill_policy=backfill_policy,
        source_key_prefix=source_key_prefix,
        include_specs=include_specs,
        freshness_policy=freshness_policy,
        owners=owners,
    )


def _load(places: Sequence[ModuleType], options: _Options) -> list[Any]:
    found = kinds.found_among(value for one in places for value in python_modules.values_of(one))
    # Bare specs keep their place among the assets where they are wanted.
    chosen = {id(one) for one in (*found.assets, *(found.specs if options.include_specs else ()))}
    loaded = {
        id(value): value
        for one in places
        for value in python_modules.values_of(one)
        if id(value) in chosen
    }
    assets = list(loaded.values())
    raise_all([*_repeated(places, assets), *_in_other_groups(assets, options.group_name)])
    changed = prefixing.prefixed(assets, options.key_prefix, options.source_key_prefix)
    return [_with_options(one, options) for one in changed]


def _repeated(places: Sequence[ModuleType], assets: Sequence[Any]) -> Iterable[errors.Problem]:
    by_key: dict[asset_keys.AssetKey, list[Any]] = {}
    for one in assets:
        for spec in specs_of(one):
            by_key.setdefault(spec.key, []).append(one)
    names = {
        id(value): one.__name__
        for one in reversed(places)
        for value in python_modules.values_of(one)
    }
    for key, same in by_key.items():
        if len(same) > 1:
            told = ", ".join(f"in {names[id(one)]}{_at(one.source)}" for one in same)
            yield problems.placed(
                f"The asset {key.to_user_string()!r} is defined {len(same)} times: {told}. Keep "
                "one of them.",
                same[-1].source,
            )


def _in_other_groups(assets: Sequence[Any], group_name: str | None) -> Iterable[errors.Problem]:
    if group_name is None:
        return
    for one in assets:
        for spec in specs_of(one):
            if spec.group_name not in (None, group_name):
                yield problems.placed(
                    f"The asset {spec.key.to_user_string()!r} is in the group {spec.group_name!r}, "
                    f"but is loaded into the group {group_name!r}. Take one of them away.",
                    one.source,
                )


def _with_options(one: Any, options: _Options) -> Any:
    given = {
        "group_name": options.group_name,
        "automation_condition": options.automation_condition,
        "freshness_policy": options.freshness_policy,
    }
    replaced = {name: value for name, value in given.items() if value is not None}

    def changed(spec: specs.AssetSpec) -> specs.AssetSpec:
        own: dict[str, Any] = dict(replaced)
        if options.owners is not None and not spec.owners:
            own["owners"] = options.owners
        return spec.replace_attributes(**own) if own else spec

    if replaced or options.owners is not None:
        one = specs.map_asset_specs(changed, [one])[0]
    if options.backfill_policy is not None and not isinstance(one, specs.AssetSpec):
        one = prefixing.with_attributes(one, backfill_policy=options.backfill_policy)
    return one


def specs_of(one: Any) -> Sequence[specs.AssetSpec]:
    """Return the specs of an asset, or the bare spec itself."""
    return (one,) if isinstance(one, specs.AssetSpec) else one.specs


def raise_all(found: Sequence[errors.Problem]) -> None:
    """Tell everything that is wrong at once.

    Args:
        found: What is wrong; nothing happens where there is nothing.

    Raises:
        InvalidDefinitionError: There is something.
    """
    if not found:
        return
    if len(found) == 1:
        raise errors.InvalidDefinitionError(str(found[0]), found)
    listed = "\n".join(f"  {problem}" for problem in found)
    raise errors.InvalidDefinitionError(f"There are {len(found)} problems:\n{listed}", found)


def _at(source: sources.SourcePosition | None) -> str:
    return f" ({source.file}:{source.line})" if source is not None else ""

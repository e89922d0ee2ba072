"""Selections of assets: which assets a job or a sensor means.

Called by jobs, sensors and `materialize`. A selection says what it means only when resolved against
known assets.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from atoll._definitions import assets as asset_definitions
from atoll._definitions import errors, records, specs
from atoll._definitions import keys as asset_keys

_QUALIFIED = re.compile(r"^(key|group):(.+)$")
_LATER_SYNTAX = re.compile(r"[+*()]|\s(and|or|not)\s|^not\s|,")


class AssetSelection(records.Record):
    """Says which assets are meant. Selections combine with `|`, `&` and `-`."""

    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        """Return the assets that are meant.

        Args:
            known: All assets to choose from, by key.

        Returns:
            Their keys.

        Raises:
            InvalidSubsetError: The selection names an asset that is not there.
        """
        raise NotImplementedError

    def resolve(
        self, all_assets: Iterable[asset_definitions.AssetsDefinition | specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        """Return the assets that are meant among the given ones."""
        executable, external, _ = asset_definitions.executable_and_external(all_assets)
        known = {spec.key: spec for one in executable for spec in one.specs}
        return self.resolve_specs({**{spec.key: spec for spec in external}, **known})

    @staticmethod
    def all() -> "AssetSelection":
        """Select everything that can be materialized."""
        return _All()

    @staticmethod
    def keys(*asset_keys: asset_keys.CoercibleToAssetKey) -> "AssetSelection":
        """Select assets by key. A string may join the parts by slashes."""
        return _Keys(tuple(_key(one) for one in asset_keys))

    @staticmethod
    def assets(*assets_defs: specs.HasKey | asset_keys.CoercibleToAssetKey) -> "AssetSelection":
        """Select these assets."""
        return _Keys(tuple(key for one in assets_defs for key in _keys_of(one)))

    @staticmethod
    def groups(*group_strs: str) -> "AssetSelection":
        """Select the assets of these groups. An unknown group selects nothing."""
        return _Groups(group_strs)

    @staticmethod
    def from_string(string: str) -> "AssetSelection":
        """Read a selection: `*`, a key (`a/b`, `key:a/b`) or a group (`group:name`).

        Raises:
            InvalidSubsetError: It is none of these.
        """
        text = string.strip()
        if text == "*":
            return _All()
        match = _QUALIFIED.match(text)
        kind, value = (match[1], match[2].strip()) if match else ("key", text)
        if value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
            value = value[1:-1]
        elif not value or _LATER_SYNTAX.search(value) or ":" in value:
            raise errors.InvalidSubsetError(
                f"The selection {string!r} cannot be read. Write '*', a key such as 'a/b' or "
                "'key:a/b', "
                "or a group such as 'group:name'."
            )
        return (
            _Groups((value,))
            if kind == "group"
            else _Keys((asset_keys.AssetKey.from_user_string(value),))
        )

    @staticmethod
    def from_coercible(selection: "CoercibleToAssetSelection") -> "AssetSelection":
        """Make a selection of what stands for one.

        Args:
            selection: A selection, a string, a key, an asset, or a list of these.

        Returns:
            The selection.

        Raises:
            InvalidDefinitionError: It stands for none.
        """
        if isinstance(selection, AssetSelection):
            return selection
        if isinstance(selection, str):
            return AssetSelection.from_string(selection)
        if isinstance(selection, (asset_keys.AssetKey, specs.HasKey)):
            return AssetSelection.assets(selection)
        if isinstance(selection, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            combined: AssetSelection = _Keys(())
            for one in selection:
                combined = combined | AssetSelection.from_coercible(one)
            return combined
        raise errors.InvalidDefinitionError(
            f"Expected a selection of assets, got {selection!r}. Give a string, keys, assets or an "
            "AssetSelection."
        )

    def __or__(self, other: "AssetSelection") -> "AssetSelection":
        return _Combined("|", self, other)

    def __and__(self, other: "AssetSelection") -> "AssetSelection":
        return _Combined("&", self, other)

    def __sub__(self, other: "AssetSelection") -> "AssetSelection":
        return _Combined("-", self, other)


CoercibleToAssetSelection: TypeAlias = (
    AssetSelection
    | str
    | asset_keys.AssetKey
    | specs.HasKey
    | Sequence["CoercibleToAssetSelection"]
)


class _All(AssetSelection):
    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        return set(known)


class _Keys(AssetSelection):
    selected: tuple[asset_keys.AssetKey, ...]

    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        missing = [key for key in self.selected if key not in known]
        if missing:
            raise errors.InvalidSubsetError(
                f"The selection names {asset_keys.in_words(missing)}, which the definitions do not "
                "hold. "
                f"They hold {asset_keys.in_words(known) or 'no assets'}."
            )
        return set(self.selected)


class _Groups(AssetSelection):
    selected: tuple[str, ...]

    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        return {
            spec.key
            for spec in known.values()
            if (spec.group_name or specs.DEFAULT_GROUP_NAME) in self.selected
        }


class _Combined(AssetSelection):
    operator: str
    left: AssetSelection
    right: AssetSelection

    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        left, right = self.left.resolve_specs(known), self.right.resolve_specs(known)
        if self.operator == "|":
            return left | right
        return left & right if self.operator == "&" else left - right


def _key(one: asset_keys.CoercibleToAssetKey) -> asset_keys.AssetKey:
    return (
        asset_keys.AssetKey.from_user_string(one)
        if isinstance(one, str)
        else asset_keys.AssetKey.from_coercible(one)
    )


def _keys_of(one: specs.HasKey | asset_keys.CoercibleToAssetKey) -> Iterable[asset_keys.AssetKey]:
    if isinstance(one, asset_definitions.AssetsDefinition):
        return one.keys
    return (one.single_key(),) if isinstance(one, specs.HasKey) else (_key(one),)

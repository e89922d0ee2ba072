"""Selections of assets: which assets a job or a sensor means.

Called by users, by jobs, sensors and `materialize`. A selection says what it means only when
resolved against known assets. What it says is data, in `selections`; this is the class that users
see.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._definitions import assets as asset_definitions
from atoll._definitions import keys as asset_keys
from atoll._definitions import specs
from atoll._definitions.selections import deferred
from atoll._selections import expressions


class HasCheckKeys(Protocol):
    """What evaluates checks."""

    @property
    def check_keys(self) -> Iterable[asset_keys.AssetCheckKey]:
        """The checks."""
        ...


SelectableAssets: TypeAlias = deferred.SelectableAssets


class AssetSelection(records.Record):
    """Says which assets are meant, and which asset checks.

    Selections combine with `|`, `&` and `-`. One that names assets also means the checks of these
    assets. Unless `include_sources` is given, what selects by attributes chooses among the assets
    that can be materialized.

    Attributes:
        expression: What it says, as data.
    """

    expression: expressions.Expression

    @staticmethod
    def all(include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select everything that can be materialized, or also everything else that is known."""
        return AssetSelection(expressions.Everything(include_sources))

    @staticmethod
    def all_asset_checks() -> "AssetSelection":
        """Select all asset checks, without any asset."""
        return AssetSelection(expressions.AllChecks())

    @staticmethod
    def assets(*assets_defs: specs.HasKey | asset_keys.CoercibleToAssetKey) -> "AssetSelection":
        """Select these assets."""
        return _of_keys(key for one in assets_defs for key in _keys_of(one))

    @staticmethod
    def keys(*asset_keys: asset_keys.CoercibleToAssetKey) -> "AssetSelection":
        """Select assets by key. A string may join the parts by slashes."""
        return _of_keys(map(_key, asset_keys))

    @staticmethod
    def key_prefixes(
        *key_prefixes: asset_keys.CoercibleToAssetKeyPrefix, include_sources: bool = False
    ) -> "AssetSelection":
        """Select assets whose key begins with these parts. A string is one part."""
        prefixes = tuple(map(asset_keys.prefix_parts, key_prefixes))
        if not prefixes:
            return AssetSelection(expressions.NOTHING)
        return AssetSelection(expressions.KeyPrefixes(prefixes, include_sources))

    @staticmethod
    def key_substring(key_substring: str, include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select assets whose key, its parts joined by slashes, holds this text."""
        return AssetSelection(expressions.KeySubstring(key_substring, include_sources))

    @staticmethod
    def groups(*group_strs: str, include_sources: bool = False) -> "AssetSelection":
        """Select the assets of these groups. An unknown group selects nothing."""
        if not group_strs:
            return AssetSelection(expressions.NOTHING)
        return AssetSelection(expressions.Groups(group_strs, include_sources))

    @staticmethod
    def tag(key: str, value: str, include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select assets with a tag of this value."""
        return AssetSelection(expressions.Tag(key, value, include_sources))

    @staticmethod
    def tag_string(string: str, include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select assets with a tag, written as `key=value`, or as `key` where the value is empty.

        Raises:
            InvalidDefinitionError: There are several equals signs.
        """
        key, _, value = string.partition("=")
        if not key or "=" in value:
            raise errors.InvalidDefinitionError(
                f"A tag is written as 'key=value' or 'key', got {string!r}. Use "
                "AssetSelection.tag(key, value) for others."
            )
        return AssetSelection.tag(key, value, include_sources)

    @staticmethod
    def owner(owner: str | None) -> "AssetSelection":
        """Select the assets of an owner, or those that nobody owns."""
        return AssetSelection(expressions.Owner(owner))

    @staticmethod
    def kind(kind: str | None, include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select assets of a kind, or those without any."""
        return AssetSelection(expressions.Kind(kind, include_sources))

    @staticmethod
    def checks(
        *assets_defs_or_check_keys: asset_keys.AssetCheckKey | HasCheckKeys,
    ) -> "AssetSelection":
        """Select asset checks by key, or all that these definitions evaluate, without assets."""
        found: list[asset_keys.AssetCheckKey] = []
        for one in assets_defs_or_check_keys:
            found += [one] if isinstance(one, asset_keys.AssetCheckKey) else sorted(one.check_keys)
        if not found:
            return AssetSelection(expressions.NOTHING)
        return AssetSelection(expressions.CheckKeys(tuple(found)))

    @staticmethod
    def checks_for_assets(
        *assets_defs: specs.HasKey | asset_keys.CoercibleToAssetKey,
    ) -> "AssetSelection":
        """Select the checks of these assets, without the assets."""
        named = AssetSelection.assets(*assets_defs).expression
        return AssetSelection(expressions.Applied(expressions.Function.CHECKS_FOR, named))

    @staticmethod
    def from_string(string: str, include_sources: bool = False) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Read a selection, such as `group:sales and not key:"raw/*"`.

        Args:
            string: The text.
            include_sources: Whether it also chooses from assets that cannot be materialized.

        Returns:
            The selection.

        Raises:
            InvalidAssetSelectionError: It cannot be read; the error points at the column.
        """
        return AssetSelection(deferred.parse(string, include_sources=include_sources))

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
        return AssetSelection(_expression_of(selection))

    def upstream(self, depth: int | None = None, include_self: bool = True) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select also what these assets depend on, directly or not.

        Args:
            depth: How many steps to go; to the end where not given.
            include_self: Whether the assets themselves stay selected.

        Returns:
            The selection. Of what is reached, it holds the assets that can be materialized.
        """
        return self._traversal(expressions.Direction.UPSTREAM, depth, include_self=include_self)

    def downstream(self, depth: int | None = None, include_self: bool = True) -> "AssetSelection":  # noqa: FBT001, FBT002 - the field's signature
        """Select also what depends on these assets, directly or not.

        Args:
            depth: How many steps to go; to the end where not given.
            include_self: Whether the assets themselves stay selected.

        Returns:
            The selection. Of what is reached, it holds the assets that can be materialized.
        """
        return self._traversal(expressions.Direction.DOWNSTREAM, depth, include_self=include_self)

    def roots(self) -> "AssetSelection":
        """Select, of these assets, those that depend on none of the others, not even indirectly."""
        return self._applied(expressions.Function.ROOTS)

    def sources(self) -> "AssetSelection":
        """Select the same as `roots` does."""
        return self.roots()

    def sinks(self) -> "AssetSelection":
        """Select, of these assets, those that none of the others depends on."""
        return self._applied(expressions.Function.SINKS)

    def upstream_source_assets(self) -> "AssetSelection":
        """Select the direct dependencies of these assets that cannot be materialized."""
        return self._applied(expressions.Function.UPSTREAM_SOURCES)

    def materializable(self) -> "AssetSelection":
        """Select, of these assets, those that can be materialized."""
        return self._applied(expressions.Function.MATERIALIZABLE)

    def required_multi_asset_neighbors(self) -> "AssetSelection":
        """Select also the assets that cannot be materialized without these."""
        return self._applied(expressions.Function.REQUIRED_NEIGHBORS)

    def without_checks(self) -> "AssetSelection":
        """Select the same assets without any asset check."""
        return self - AssetSelection.all_asset_checks()

    def resolve(
        self,
        all_assets: SelectableAssets,
        allow_missing: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> set[asset_keys.AssetKey]:
        """Return the assets that are meant.

        Args:
            all_assets: What to choose from: a graph, or assets and bare specs.
            allow_missing: Whether keys that are not there are passed over.

        Returns:
            Their keys.

        Raises:
            InvalidSubsetError: The selection names an asset that is not there.
            InvalidAssetSelectionError: It asks for what only the host knows.
        """
        return deferred.resolve(self.expression, all_assets, allow_missing=allow_missing)

    def resolve_checks(
        self,
        asset_graph: SelectableAssets,
        allow_missing: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> set[asset_keys.AssetCheckKey]:
        """Return the asset checks that are meant.

        Args:
            asset_graph: What to choose from.
            allow_missing: Whether keys that are not there are passed over.

        Returns:
            Their keys.

        Raises:
            InvalidSubsetError: The selection names an asset or a check that is not there.
            InvalidAssetSelectionError: It asks for what only the host knows.
        """
        return deferred.resolve_checks(self.expression, asset_graph, allow_missing=allow_missing)

    def resolve_inner(
        self,
        asset_graph: SelectableAssets,
        allow_missing: bool,  # noqa: FBT001 - the field's signature
    ) -> set[asset_keys.AssetKey]:
        """Return the assets that are meant, as `resolve` does."""
        return self.resolve(asset_graph, allow_missing)

    def resolve_checks_inner(
        self,
        asset_graph: SelectableAssets,
        allow_missing: bool,  # noqa: FBT001 - the field's signature
    ) -> set[asset_keys.AssetCheckKey]:
        """Return the asset checks that are meant, as `resolve_checks` does."""
        return self.resolve_checks(asset_graph, allow_missing)

    def resolve_specs(
        self, known: Mapping[asset_keys.AssetKey, specs.AssetSpec]
    ) -> set[asset_keys.AssetKey]:
        """Return the assets that are meant where only specs are known.

        Args:
            known: All assets to choose from, by key. Each counts as one that can be materialized.

        Returns:
            Their keys.

        Raises:
            InvalidSubsetError: The selection names an asset that is not there.
        """
        return deferred.resolve_specs(self.expression, known)

    def to_selection_str(self) -> str:
        """Write the selection, so that `from_string` makes an equal one."""
        return deferred.write(self.expression)

    def operand_to_selection_str(self) -> str:
        """Write the selection as a part of another, in parentheses where it needs them."""
        return deferred.write_operand(self.expression)

    def needs_parentheses_when_operand(self) -> bool:
        """Tell whether the text needs parentheses to be a part of another."""
        return deferred.needs_parentheses(self.expression)

    def to_serializable_asset_selection(self, asset_graph: Any) -> "AssetSelection":
        """Return the selection itself: each can be written."""
        return self

    def __or__(self, other: "AssetSelection") -> "AssetSelection":
        return AssetSelection(expressions.either((self.expression, other.expression)))

    def __and__(self, other: "AssetSelection") -> "AssetSelection":
        return AssetSelection(expressions.both(self.expression, other.expression))

    def __sub__(self, other: "AssetSelection") -> "AssetSelection":
        return AssetSelection(expressions.Without(self.expression, other.expression))

    def __str__(self) -> str:
        return self.to_selection_str()

    def __repr__(self) -> str:
        return f"AssetSelection.from_string({self.to_selection_str()!r})"

    def _applied(self, function: expressions.Function) -> "AssetSelection":
        return AssetSelection(expressions.Applied(function, self.expression))

    def _traversal(
        self, direction: expressions.Direction, depth: int | None, *, include_self: bool
    ) -> "AssetSelection":
        if depth is not None and depth < 0:
            raise errors.InvalidDefinitionError(
                f"The depth of a selection is a number of steps or None, got {depth!r}."
            )
        return AssetSelection(
            expressions.traversal(direction, self.expression, depth, include_self=include_self)
        )


CoercibleToAssetSelection: TypeAlias = (
    AssetSelection
    | str
    | asset_keys.AssetKey
    | specs.HasKey
    | Sequence["CoercibleToAssetSelection"]
)


def _expression_of(selection: "CoercibleToAssetSelection | HasCheckKeys") -> expressions.Expression:
    if isinstance(selection, AssetSelection):
        return selection.expression
    if isinstance(selection, str):
        return deferred.parse(selection)
    if isinstance(selection, (asset_keys.AssetKey, specs.HasKey)):
        return expressions.Keys(tuple(_keys_of(selection)))
    if isinstance(selection, Iterable):
        return expressions.either(map(_expression_of, selection))
    # Not all users check types.
    check_keys: Any = getattr(selection, "check_keys", None)
    if check_keys is None:
        raise errors.InvalidDefinitionError(
            f"Expected a selection of assets, got {selection!r}. Give a string, keys, assets or an "
            "AssetSelection."
        )
    return AssetSelection.checks(selection).expression


def _of_keys(selected: Iterable[asset_keys.AssetKey]) -> AssetSelection:
    return AssetSelection(expressions.Keys(tuple(selected)))


def _key(one: asset_keys.CoercibleToAssetKey) -> asset_keys.AssetKey:
    return (
        asset_keys.AssetKey.from_user_string(one)
        if isinstance(one, str)
        else asset_keys.AssetKey.from_coercible(one)
    )


def _keys_of(one: specs.HasKey | asset_keys.CoercibleToAssetKey) -> Iterable[asset_keys.AssetKey]:
    if isinstance(one, asset_definitions.AssetsDefinition):
        return sorted(one.keys)
    return (one.single_key(),) if isinstance(one, specs.HasKey) else (_key(one),)

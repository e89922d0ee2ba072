"""What a selection chooses from: assets, their attributes, their dependencies and their checks.

Implemented by whoever knows assets: `spec_graph` for the definitions of a location. Indexes are
made when first asked for and once, so that resolving many selections costs little more than one.
"""

import abc
import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, TypeVar

from atoll import _keys as asset_keys
from atoll import errors

DEFAULT_GROUP_NAME = "default"

N = TypeVar("N", bound=Hashable)


class SelectableAsset(Protocol):
    """What selections look at in an asset. An `AssetSpec` has all of it."""

    @property
    def group_name(self) -> str | None:
        """The group; None stands for the default one."""
        ...

    @property
    def tags(self) -> Mapping[str, str]:
        """The labels."""
        ...

    @property
    def owners(self) -> Sequence[str]:
        """Who answers for the asset."""
        ...

    @property
    def kinds(self) -> AbstractSet[str]:
        """What it is made of or with."""
        ...


class ExecutionUnit:
    """Assets and checks that a run can only have all together.

    Args:
        keys: The assets.
        check_keys: The checks.
    """

    __slots__ = ("check_keys", "keys")

    def __init__(
        self,
        keys: Collection[asset_keys.AssetKey],
        check_keys: Collection[asset_keys.AssetCheckKey] = (),
    ) -> None:
        self.keys = frozenset(keys)
        self.check_keys = frozenset(check_keys)


class SelectableGraph(abc.ABC):
    """Assets by key, and everything that selections can ask about them."""

    @property
    @abc.abstractmethod
    def assets(self) -> Mapping[asset_keys.AssetKey, SelectableAsset]:
        """All assets by key, those included that are made elsewhere."""

    @property
    @abc.abstractmethod
    def check_keys_by_asset(
        self,
    ) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetCheckKey]]:
        """The checks by the assets that they look at; assets without checks may be missing."""

    @abc.abstractmethod
    def upstream_of(self, key: asset_keys.AssetKey) -> Iterable[asset_keys.AssetKey]:
        """Return the assets that an asset depends on, unknown ones included."""

    @abc.abstractmethod
    def is_materializable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether an asset can be materialized."""

    @abc.abstractmethod
    def is_observable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether an asset can be observed."""

    def is_executable(self, key: asset_keys.AssetKey) -> bool:
        """Tell whether a run can do something about an asset."""
        return self.is_materializable(key) or self.is_observable(key)

    @abc.abstractmethod
    def unit_of(self, key: asset_keys.AssetKey) -> ExecutionUnit | None:
        """Return what a run has to have together with an asset, None where it stands alone."""

    def location_name_of(self, key: asset_keys.AssetKey) -> str | None:
        """Return the location that makes an asset, None where that is not known here."""
        return None

    def matching(
        self, field: str, value: str | None, detail: str | None
    ) -> set[asset_keys.AssetKey]:
        """Return the assets with an attribute that the host knows.

        Args:
            field: The attribute.
            value: Its value; None asks for assets that have none.
            detail: What stood behind the equals sign.

        Returns:
            The assets.

        Raises:
            InvalidAssetSelectionError: It is not known here.
        """
        if field == "code_location" and value is not None:
            names = {key: self.location_name_of(key) for key in self.assets}
            if any(name is not None for name in names.values()):
                return {key for key, name in names.items() if name == value}
        told = "" if detail is None else f"={detail}"
        raise errors.InvalidAssetSelectionError(
            f"Only the host can tell which assets have {field}:{value or '<null>'}{told}: a code "
            "location knows its definitions, not what became of them nor where they are served. "
            "Select here by key, group, tag, owner or kind, and use this selection in searches "
            "that the host answers."
        )

    @functools.cached_property
    def offered(self) -> AbstractSet[asset_keys.AssetKey]:
        """The assets that a selection without sources chooses from."""
        return {key for key in self.assets if self.is_materializable(key)}

    @functools.cached_property
    def check_keys(self) -> frozenset[asset_keys.AssetCheckKey]:
        """All checks."""
        return frozenset(key for some in self.check_keys_by_asset.values() for key in some)

    @functools.cached_property
    def downstream_by_key(self) -> Mapping[asset_keys.AssetKey, Sequence[asset_keys.AssetKey]]:
        """The assets that depend on an asset; those that nothing depends on are missing."""
        found: dict[asset_keys.AssetKey, list[asset_keys.AssetKey]] = {}
        for key in self.assets:
            for upstream in self.upstream_of(key):
                found.setdefault(upstream, []).append(key)
        return found

    def downstream_of(self, key: asset_keys.AssetKey) -> Iterable[asset_keys.AssetKey]:
        """Return the assets that depend on an asset."""
        return self.downstream_by_key.get(key, ())

    @functools.cached_property
    def keys_by_group(self) -> Mapping[str, AbstractSet[asset_keys.AssetKey]]:
        """The assets of every group."""
        return self._indexed(lambda asset: (asset.group_name or DEFAULT_GROUP_NAME,))

    @functools.cached_property
    def keys_by_tag(self) -> Mapping[tuple[str, str], AbstractSet[asset_keys.AssetKey]]:
        """The assets of every tag and value."""
        return self._indexed(lambda asset: asset.tags.items())

    @functools.cached_property
    def keys_by_owner(self) -> Mapping[str | None, AbstractSet[asset_keys.AssetKey]]:
        """The assets of every owner, and of nobody under None."""
        return self._indexed(lambda asset: asset.owners or (None,))

    @functools.cached_property
    def keys_by_kind(self) -> Mapping[str | None, AbstractSet[asset_keys.AssetKey]]:
        """The assets of every kind, and of none under None."""
        return self._indexed(lambda asset: asset.kinds or (None,))

    def _indexed(
        self, values_of: Callable[[SelectableAsset], Iterable[N]]
    ) -> Mapping[N, AbstractSet[asset_keys.AssetKey]]:
        found: dict[N, set[asset_keys.AssetKey]] = {}
        for key, asset in self.assets.items():
            for value in values_of(asset):
                found.setdefault(value, set()).add(key)
        return found


def reach(
    start: Iterable[N], neighbours_of: Callable[[N], Iterable[N]], depth: int | None
) -> set[N]:
    """Walk along edges from some nodes.

    Args:
        start: Where to begin.
        neighbours_of: The nodes next to a node.
        depth: How many steps to go; None goes to the end.

    Returns:
        What was reached by at least one step from another node; a node of the start only where an
        edge leads to it.
    """
    frontier = list(dict.fromkeys(start))
    left = set(frontier)
    reached: set[N] = set()
    steps = 0
    while frontier and (depth is None or steps < depth):
        following: list[N] = []
        for node in frontier:
            for neighbour in neighbours_of(node):
                if neighbour in reached or neighbour == node:
                    continue
                reached.add(neighbour)
                if neighbour not in left:
                    left.add(neighbour)
                    following.append(neighbour)
        frontier = following
        steps += 1
    return reached

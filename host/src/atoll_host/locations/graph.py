"""The asset graph of the whole mesh: the assets of all locations and their checks, merged by key.

Built by the registry whenever the definitions of a location or the owners of assets change, and
read by everyone. Pure: the same definitions and owners give the same graph.
"""

import bisect
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll_host.locations import definitions

CheckKey = tuple[tuple[str, ...], str]
"""The path of an asset's key, and the name of a check."""


@dataclasses.dataclass(frozen=True, slots=True)
class CheckNode:
    """One check of an asset.

    Attributes:
        key: The asset and the name.
        definition: The owner's definition where it has an owner, else that of the first location
            that defines it.
        owner: The location that evaluates it; empty for a check that none can evaluate.
        locations: All locations that define it, sorted.
    """

    key: CheckKey
    definition: snapshot_pb2.AssetCheckDefinition
    owner: str
    locations: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class AssetNode:
    """One asset of the graph.

    Attributes:
        key: The path of its key.
        definition: The owner's definition where it has an owner, else that of the first location
            that defines it; a definition with nothing but the key where locations only depend on
            it.
        owner: The location that materializes it; empty for an asset that is external everywhere.
        locations: All locations that define it or depend on it, sorted.
        upstream: The assets it depends on, in any location.
        downstream: The assets that depend on it, in any location.
    """

    key: tuple[str, ...]
    definition: snapshot_pb2.AssetDefinition
    owner: str
    locations: tuple[str, ...]
    upstream: tuple[tuple[str, ...], ...]
    downstream: tuple[tuple[str, ...], ...]

    @property
    def executable(self) -> bool:
        """Whether a run can materialize the asset."""
        return bool(self.owner)


class AssetGraph:
    """The merged graph. Immutable once built; `keys` are sorted."""

    def __init__(
        self,
        locations: Mapping[str, definitions.Definitions],
        owners: Mapping[tuple[str, ...], str],
    ) -> None:
        """Merge the definitions of all locations.

        Args:
            locations: What each location defines.
            owners: The owner of each executable asset, as remembered by storage.
        """
        self._locations = dict(locations)
        self._owners = owners
        self._definers: dict[tuple[str, ...], list[str]] = {}
        self._dependents: dict[tuple[str, ...], list[tuple[str, tuple[str, ...]]]] = {}
        for name in sorted(locations):
            for path, upstream in locations[name].dependencies.items():
                self._definers.setdefault(path, []).append(name)
                for dependency in upstream:
                    self._dependents.setdefault(dependency, []).append((name, path))
        self._check_definers: dict[CheckKey, list[str]] = {}
        for name in sorted(locations):
            for key in locations[name].checks:
                self._check_definers.setdefault(key, []).append(name)
        self._check_keys = sorted(self._check_definers)
        self._keys = sorted(self._definers.keys() | self._dependents.keys())

    def __contains__(self, key: Sequence[str]) -> bool:
        path = tuple(key)
        return path in self._definers or path in self._dependents

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> Sequence[tuple[str, ...]]:
        """All assets, sorted by key."""
        return self._keys

    def keys_of(self, location_name: str) -> list[tuple[str, ...]]:
        """Return the assets that a location defines or depends on, sorted by key."""
        known = self._locations.get(location_name)
        if known is None:
            return []
        keys = set(known.dependencies)
        for upstream in known.dependencies.values():
            keys.update(upstream)
        return sorted(keys)

    def owner(self, key: Sequence[str]) -> str:
        """Return the location that materializes the asset, empty when none does."""
        path = tuple(key)
        owner = self._owners.get(path, "")
        known = self._locations.get(owner)
        return owner if known is not None and path in known.executable else ""

    def is_claimed(self, key: Sequence[str]) -> bool:
        """Return whether a location is known to own the asset, even if it cannot make it now.

        A host may learn what a location defines before it learns what that location owns.
        """
        return tuple(key) in self._owners

    def definers(self, key: Sequence[str]) -> tuple[str, ...]:
        """Return the locations that define the asset, executable or external."""
        return tuple(self._definers.get(tuple(key), ()))

    def definitions_of(self, key: Sequence[str]) -> list[tuple[str, snapshot_pb2.AssetDefinition]]:
        """Return all definitions of an asset with their locations, the owner's first."""
        path = tuple(key)
        owner = self.owner(path)
        names = sorted(self._definers.get(path, ()), key=lambda name: (name != owner, name))
        return [(name, self._locations[name].assets[path]) for name in names]

    def executable_in(self, location_name: str) -> frozenset[tuple[str, ...]]:
        """Return the assets that the location owns and can materialize."""
        known = self._locations.get(location_name)
        if known is None:
            return frozenset()
        return frozenset(
            path for path in known.executable if self._owners.get(path) == location_name
        )

    def conflicts(self, location_name: str) -> dict[tuple[str, ...], str]:
        """Return the assets that it claims to execute although another owns them, with owners."""
        known = self._locations.get(location_name)
        if known is None:
            return {}
        owners = self._owners
        return {
            path: owners[path]
            for path in known.executable
            if path in owners and owners[path] != location_name
        }

    @property
    def check_keys(self) -> Sequence[CheckKey]:
        """All checks of all locations, sorted by asset and name."""
        return self._check_keys

    def checks_of(self, key: Sequence[str]) -> list[CheckKey]:
        """Return the checks of an asset, whichever locations define them, sorted by name."""
        path = tuple(key)
        start = bisect.bisect_left(self._check_keys, (path, ""))
        end = bisect.bisect_left(self._check_keys, ((*path, ""), ""), start)
        return self._check_keys[start:end]

    def check_definers(self, key: CheckKey) -> tuple[str, ...]:
        """Return the locations that define a check, sorted."""
        return tuple(self._check_definers.get(key, ()))

    def check_owner(self, key: CheckKey) -> str:
        """Return the location that evaluates a check, empty when none can.

        Where several could, it is the one that owns the asset, else the first by name.
        """
        able = [
            name
            for name in self._check_definers.get(key, ())
            if self._locations[name].checks[key].executable
        ]
        owner = self.owner(key[0])
        return owner if owner in able else next(iter(able), "")

    def check_conflicts(self, location_name: str) -> dict[CheckKey, str]:
        """Return the checks that it would evaluate although another does, with those others."""
        known = self._locations.get(location_name)
        if known is None:
            return {}
        return {
            key: owner
            for key, definition in known.checks.items()
            if definition.executable and (owner := self.check_owner(key)) != location_name
        }

    def check(self, key: CheckKey) -> CheckNode | None:
        """Return one check, None when no location defines it."""
        definers = self._check_definers.get(key)
        if definers is None:
            return None
        owner = self.check_owner(key)
        return CheckNode(
            key=key,
            definition=self._locations[owner or definers[0]].checks[key],
            owner=owner,
            locations=tuple(definers),
        )

    def node(self, key: Sequence[str]) -> AssetNode | None:
        """Return one asset with its neighbours, None when no location knows it."""
        path = tuple(key)
        if path not in self:
            return None
        owner = self.owner(path)
        definers = self._definers.get(path, [])
        dependents = self._dependents.get(path, [])
        source = owner or (definers[0] if definers else "")
        definition = (
            self._locations[source].assets[path]
            if source
            else snapshot_pb2.AssetDefinition(key=values_pb2.AssetKey(path=path))
        )
        upstream = {edge for name in definers for edge in self._locations[name].dependencies[path]}
        return AssetNode(
            key=path,
            definition=definition,
            owner=owner,
            locations=tuple(sorted({*definers, *(name for name, _ in dependents)})),
            upstream=tuple(sorted(upstream)),
            downstream=tuple(sorted({dependent for _, dependent in dependents})),
        )

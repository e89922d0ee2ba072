"""Asset specs: what an asset is, apart from how it is computed.

Called by users for external assets and by the decorators. Checks what can be checked about one
asset alone.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from atoll import errors
from atoll._definitions import keys, sources
from atoll._definitions import metadata as metadata_values
from atoll._definitions import tags as tag_names

DEFAULT_GROUP_NAME = "default"
IO_MANAGER_KEY_METADATA = "atoll/io_manager_key"
_KINDS_MAX = 3
_NAME = re.compile(r"^[A-Za-z0-9_]+$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_TEAM = re.compile(r"^team:[^\s]+$")
# What an attribute is given as that stays as it is.
_KEPT: Any = ...


class HasKey:
    """The root of what stands for one asset in a dependency: specs and assets."""

    def single_key(self) -> keys.AssetKey:
        """Return the key of the one asset that this stands for."""
        raise NotImplementedError


class AssetDep:
    """A dependency on an asset, without loading its value.

    Args:
        asset: The asset: its key, its spec, or the asset itself.
        partition_mapping: Which partitions of it a partition needs; told from the partitions of
            both where not given.
        metadata: What to attach to the dependency.
    """

    __slots__ = ("asset_key", "metadata", "partition_mapping")

    def __init__(
        self,
        asset: "CoercibleToAssetDep",
        *,
        partition_mapping: Any = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
    ) -> None:
        self.asset_key = _key_of_dependency(asset)
        self.partition_mapping = partition_mapping
        self.metadata = metadata_values.normalize(metadata)

    @staticmethod
    def from_coercible(arg: "CoercibleToAssetDep") -> "AssetDep":
        """Make a dependency of what stands for one."""
        return arg if isinstance(arg, AssetDep) else AssetDep(arg)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AssetDep)
            and self.asset_key == other.asset_key
            and self.partition_mapping == other.partition_mapping
            and self.metadata == other.metadata
        )

    def __hash__(self) -> int:
        return hash(self.asset_key)

    def __repr__(self) -> str:
        return f"AssetDep({self.asset_key!r})"


CoercibleToAssetDep: TypeAlias = AssetDep | HasKey | keys.CoercibleToAssetKey


@dataclasses.dataclass(frozen=True, init=False)
class AssetSpec(HasKey):
    """What an asset is.

    Given to `Definitions` by itself, it stands for an asset that is made elsewhere.

    Attributes:
        key: The key of the asset.
        deps: The assets it depends on.
        description: What it is.
        metadata: What the user attached.
        skippable: Whether a run may leave it out.
        group_name: The group it belongs to; None means the default group.
        code_version: The version of the code that computes it.
        owners: Who answers for it: e-mail addresses or `team:name`.
        tags: Labels.
        kinds: What it is made of or with.
        partitions_def: The partitions it consists of, None where it is a whole.
        automation_condition: When the host is to materialize it by itself.
        freshness_policy: How old it may become.
        is_virtual: Whether it is computed where it is read, such as a view.
        source: Where the definition stands in the user's code.
    """

    key: keys.AssetKey
    deps: Sequence[AssetDep]
    description: str | None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]
    skippable: bool
    group_name: str | None
    code_version: str | None
    owners: Sequence[str]
    tags: Mapping[str, str]
    kinds: frozenset[str]
    partitions_def: Any
    automation_condition: Any
    freshness_policy: Any
    is_virtual: bool
    source: sources.SourcePosition | None = dataclasses.field(compare=False, repr=False)

    def __init__(
        self,
        key: keys.CoercibleToAssetKey,
        *,
        deps: Iterable[CoercibleToAssetDep] | None = None,
        description: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        skippable: bool = False,
        group_name: str | None = None,
        code_version: str | None = None,
        owners: Sequence[str] | None = None,
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] | None = None,
        partitions_def: Any = None,
        automation_condition: Any = None,
        freshness_policy: Any = None,
        is_virtual: bool = False,
    ) -> None:
        self._fill(
            sources.of_caller(),
            key,
            deps=deps,
            description=description,
            metadata=metadata,
            skippable=skippable,
            group_name=group_name,
            code_version=code_version,
            owners=owners,
            tags=tags,
            kinds=kinds,
            partitions_def=partitions_def,
            automation_condition=automation_condition,
            freshness_policy=freshness_policy,
            is_virtual=is_virtual,
        )

    def _fill(
        self,
        source: sources.SourcePosition | None,
        key: keys.CoercibleToAssetKey,
        *,
        deps: Iterable[CoercibleToAssetDep] | None,
        description: str | None,
        metadata: metadata_values.RawMetadataMapping | None,
        skippable: bool,
        group_name: str | None,
        code_version: str | None,
        owners: Sequence[str] | None,
        tags: Mapping[str, str] | None,
        kinds: Iterable[str] | None,
        partitions_def: Any,
        automation_condition: Any,
        freshness_policy: Any,
        is_virtual: bool,
    ) -> None:
        own_key = keys.AssetKey.from_coercible(key)
        _assign(
            self,
            key=own_key,
            deps=_unique_deps(own_key, deps),
            description=description,
            metadata=metadata_values.normalize(metadata),
            skippable=skippable,
            group_name=_checked_name(group_name, "group name", own_key),
            code_version=code_version,
            owners=_checked_owners(owners, own_key),
            tags=tag_names.checked(tags),
            kinds=_checked_kinds(kinds, own_key),
            partitions_def=partitions_def,
            automation_condition=automation_condition,
            freshness_policy=freshness_policy,
            is_virtual=is_virtual,
            source=source,
        )

    @staticmethod
    def placed(
        source: sources.SourcePosition | None, key: keys.AssetKey, options: Mapping[str, Any]
    ) -> "AssetSpec":
        """Make the spec of an asset whose function stands at a line of the user's code.

        Args:
            source: The line.
            key: The key of the asset.
            options: Everything else that the constructor takes; nothing may be missing.
        """
        made = object.__new__(AssetSpec)
        made._fill(source, key, **options)
        return made

    def single_key(self) -> keys.AssetKey:
        """Return the key of the asset."""
        return self.key

    def replace_attributes(
        self,
        *,
        key: keys.CoercibleToAssetKey = _KEPT,
        deps: Iterable[CoercibleToAssetDep] | None = _KEPT,
        description: str | None = _KEPT,
        metadata: metadata_values.RawMetadataMapping | None = _KEPT,
        skippable: bool = _KEPT,
        group_name: str | None = _KEPT,
        code_version: str | None = _KEPT,
        automation_condition: Any = _KEPT,
        owners: Sequence[str] | None = _KEPT,
        tags: Mapping[str, str] | None = _KEPT,
        kinds: Iterable[str] | None = _KEPT,
        partitions_def: Any = _KEPT,
        freshness_policy: Any = _KEPT,
        is_virtual: bool = _KEPT,
    ) -> "AssetSpec":
        """Return the spec with some attributes replaced; None takes an attribute away.

        The arguments are those of the constructor.
        """
        given: dict[str, Any] = {
            "key": key,
            "deps": deps,
            "description": description,
            "metadata": metadata,
            "skippable": skippable,
            "group_name": group_name,
            "code_version": code_version,
            "automation_condition": automation_condition,
            "owners": owners,
            "tags": tags,
            "kinds": kinds,
            "partitions_def": partitions_def,
            "freshness_policy": freshness_policy,
            "is_virtual": is_virtual,
        }
        return self._like(
            **{
                name: getattr(self, name) if value is _KEPT else value
                for name, value in given.items()
            }
        )

    def merge_attributes(
        self,
        *,
        deps: Iterable[CoercibleToAssetDep] = (),
        metadata: metadata_values.RawMetadataMapping | None = None,
        owners: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        kinds: Iterable[str] = (),
    ) -> "AssetSpec":
        """Return the spec with some attributes added to.

        Args:
            deps: Further dependencies.
            metadata: Further metadata; it replaces entries of the same name.
            owners: Further owners.
            tags: Further labels; they replace those of the same name.
            kinds: Further kinds.
        """
        return self.replace_attributes(
            deps=[*self.deps, *deps],
            metadata={**self.metadata, **(metadata or {})},
            owners=[*self.owners, *owners],
            tags={**self.tags, **(tags or {})},
            kinds=[*self.kinds, *kinds],
        )

    @property
    def partition_mappings(self) -> Mapping[keys.AssetKey, Any]:
        """Which partitions of upstream assets a partition needs, for those that say so."""
        return {
            one.asset_key: one.partition_mapping
            for one in self.deps
            if one.partition_mapping is not None
        }

    def with_io_manager_key(self, io_manager_key: str) -> "AssetSpec":
        """Return the spec of an external asset whose value this IO manager loads."""
        return self.merge_attributes(metadata={IO_MANAGER_KEY_METADATA: io_manager_key})

    def at(self, source: sources.SourcePosition | None) -> "AssetSpec":
        """Return the spec as standing at this line of the user's code."""
        placed = object.__new__(AssetSpec)
        _assign(placed, **{**vars(self), "source": source})
        return placed

    def _like(self, **attributes: Any) -> "AssetSpec":
        made = AssetSpec(**attributes)
        _assign(made, source=self.source)
        return made


def map_asset_specs(func: Callable[[AssetSpec], AssetSpec], iterable: Iterable[Any]) -> list[Any]:
    """Change the specs of several assets, which may be bare specs or assets.

    Args:
        func: Makes a new spec of a spec. It may not change the key.
        iterable: The assets.

    Returns:
        The assets with their new specs.
    """
    return [
        mapped_spec(func, item) if isinstance(item, AssetSpec) else item.map_asset_specs(func)
        for item in iterable
    ]


def mapped_spec(func: Callable[[AssetSpec], AssetSpec], spec: AssetSpec) -> AssetSpec:
    """Change one spec.

    Args:
        func: Makes a new spec of a spec. It may not change the key.
        spec: The spec.

    Returns:
        The new spec.

    Raises:
        InvalidDefinitionError: The key changed.
    """
    mapped = func(spec)
    if mapped.key != spec.key:
        raise errors.InvalidDefinitionError(
            f"The function given to map_asset_specs changed the key {spec.key.to_user_string()!r} "
            "to "
            f"{mapped.key.to_user_string()!r}. Keys have to stay as they are."
        )
    return mapped


def dependencies(deps: Iterable[CoercibleToAssetDep] | None, key: keys.AssetKey) -> list[AssetDep]:
    """Make dependencies of what stands for them.

    Args:
        deps: What was given, or nothing.
        key: The asset that depends, for the error.

    Returns:
        The dependencies.

    Raises:
        InvalidDefinitionError: One asset was given instead of a list.
    """
    if isinstance(deps, (str, HasKey, keys.AssetKey)):
        raise errors.InvalidDefinitionError(
            f"The deps of {key.to_user_string()!r} are a list, got {deps!r}. Put it into brackets."
        )
    return [AssetDep.from_coercible(dep) for dep in deps or ()]


def _assign(target: object, **values: Any) -> None:
    # The instance is frozen for everybody but its constructor. One by one, so that instances share
    # the names of their attributes: there may be tens of thousands.
    for name, value in values.items():
        object.__setattr__(target, name, value)


def _key_of_dependency(asset: CoercibleToAssetDep) -> keys.AssetKey:
    if isinstance(asset, AssetDep):
        return asset.asset_key
    if isinstance(asset, HasKey):
        return asset.single_key()
    return keys.AssetKey.from_coercible(asset)


def _unique_deps(
    key: keys.AssetKey, deps: Iterable[CoercibleToAssetDep] | None
) -> tuple[AssetDep, ...]:
    unique: dict[keys.AssetKey, AssetDep] = {}
    for dep in dependencies(deps, key):
        unique.setdefault(dep.asset_key, dep)
    if key in unique and unique[key].partition_mapping is None:
        raise errors.InvalidDefinitionError(
            f"The asset {key.to_user_string()!r} depends on itself. Take it out of its deps, or "
            "give the AssetDep a partition_mapping to depend on partitions before."
        )
    return tuple(unique.values())


def _checked_name(name: str | None, what: str, key: keys.AssetKey) -> str | None:
    if name is not None and not _NAME.match(name):
        raise errors.InvalidDefinitionError(
            f"The {what} {name!r} of {key.to_user_string()!r} may hold letters, digits and "
            "underscores only."
        )
    return name


def _checked_owners(owners: Sequence[str] | None, key: keys.AssetKey) -> tuple[str, ...]:
    if not owners:
        return ()
    for owner in owners:
        if not _EMAIL.match(owner) and not _TEAM.match(owner):
            raise errors.InvalidDefinitionError(
                f"The owner {owner!r} of {key.to_user_string()!r} is neither an e-mail address nor "
                "'team:<name>'."
            )
    return tuple(dict.fromkeys(owners))


def _checked_kinds(kinds: Iterable[str] | None, key: keys.AssetKey) -> frozenset[str]:
    if not kinds:
        return frozenset()
    if isinstance(kinds, str):
        raise errors.InvalidDefinitionError(
            f"The kinds of {key.to_user_string()!r} are a set of strings, got {kinds!r}. Put it "
            "into braces."
        )
    unique = frozenset(kinds)
    if len(unique) > _KINDS_MAX:
        raise errors.InvalidDefinitionError(
            f"The asset {key.to_user_string()!r} has {len(unique)} kinds; at most {_KINDS_MAX} are "
            "allowed."
        )
    return unique

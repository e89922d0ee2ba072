"""Asset keys: the names of assets across all locations.

Called by everything. Depends on nothing but the errors.
"""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from atoll import errors

_SEPARATOR = "/"
_UNESCAPED_SEPARATOR = re.compile(r"(?<!\\)/")
_NO_IDENTIFIER = re.compile(r"[^A-Za-z0-9_]")


@functools.total_ordering
class AssetKey:
    """The name of an asset: one or more parts, outermost first.

    Args:
        path: The parts. A single string is a key of one part.
    """

    __slots__ = ("_hash", "_path")

    def __init__(self, path: str | Sequence[str]) -> None:
        parts = (path,) if isinstance(path, str) else tuple(path)
        if not parts:
            raise errors.InvalidDefinitionError(
                "An asset key needs at least one part, got an empty list. Give a name."
            )
        for part in parts:
            if not _is_part(part):
                raise errors.InvalidDefinitionError(
                    f"The parts of an asset key are non-empty strings, got {part!r} in {path!r}."
                )
        self._path = parts
        self._hash = hash(parts)

    @property
    def path(self) -> Sequence[str]:
        """The parts of the key, outermost first."""
        return self._path

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the key, outermost first."""
        return self._path

    def to_user_string(self) -> str:
        """Return the key as people write it: parts joined by slashes."""
        if len(self._path) == 1 and _SEPARATOR not in self._path[0]:
            return self._path[0]
        return _SEPARATOR.join(part.replace(_SEPARATOR, "\\/") for part in self._path)

    @staticmethod
    def from_user_string(text: str) -> "AssetKey":
        """Read a key as people write it: parts joined by slashes."""
        if _SEPARATOR not in text:
            return AssetKey((text,))
        return AssetKey(
            [part.replace("\\/", _SEPARATOR) for part in _UNESCAPED_SEPARATOR.split(text)]
        )

    @staticmethod
    def from_coercible(arg: "CoercibleToAssetKey") -> "AssetKey":
        """Make a key of what stands for one: a key, a string (one part), or a sequence of parts."""
        if isinstance(arg, AssetKey):
            return arg
        if isinstance(arg, (str, list, tuple)):
            return AssetKey(arg)
        raise errors.InvalidDefinitionError(
            f"Expected an asset key, a string or a list of strings, got {arg!r}."
        )

    def has_prefix(self, prefix: Sequence[str]) -> bool:
        """Tell whether the key begins with these parts."""
        return self._path[: len(prefix)] == tuple(prefix)

    def with_prefix(self, prefix: "CoercibleToAssetKeyPrefix") -> "AssetKey":
        """Return the key with parts put before it."""
        return AssetKey((*prefix_parts(prefix), *self._path))

    def to_python_identifier(self, suffix: str | None = None) -> str:
        """Return the key as a Python name: parts joined by two underscores."""
        name = "__".join(self._path)
        if suffix is not None:
            name = f"{name}__{suffix}"
        return _NO_IDENTIFIER.sub("_", name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetKey) and self._path == other._path

    def __lt__(self, other: "AssetKey") -> bool:
        return self._path < other._path

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"AssetKey({list(self._path)})"

    def __repr__(self) -> str:
        return f"AssetKey({list(self._path)})"

    def __reduce__(self) -> tuple[type["AssetKey"], tuple[tuple[str, ...]]]:
        # Hashes of strings differ between processes, so the cached one must not travel.
        return AssetKey, (self._path,)


def _is_part(part: object) -> bool:
    # Not all users check types; a wrong part must not surface later, elsewhere.
    return isinstance(part, str) and bool(part)


CoercibleToAssetKey: TypeAlias = AssetKey | str | Sequence[str]


@functools.total_ordering
class AssetCheckKey:
    """The name of an asset check: the asset that it looks at, and its name there.

    Args:
        asset_key: The asset.
        name: The name of the check, unique among the checks of the asset.
    """

    __slots__ = ("asset_key", "name")

    def __init__(self, asset_key: "CoercibleToAssetKey", name: str) -> None:
        self.asset_key = AssetKey.from_coercible(asset_key)
        if not _is_part(name):
            raise errors.InvalidDefinitionError(
                f"The name of an asset check is a non-empty string, got {name!r}."
            )
        self.name = name

    def to_user_string(self) -> str:
        """Return the key as people write it: `asset/key:check_name`."""
        return f"{self.asset_key.to_user_string()}:{self.name}"

    @staticmethod
    def from_user_string(user_string: str) -> "AssetCheckKey":
        """Read a key as people write it: `asset/key:check_name`."""
        asset, colon, name = user_string.rpartition(":")
        if not (asset and colon and name):
            raise errors.InvalidDefinitionError(
                f"The key of an asset check looks like 'asset/key:check_name', got {user_string!r}."
            )
        return AssetCheckKey(AssetKey.from_user_string(asset), name)

    def replace_asset_key(self, asset_key: "CoercibleToAssetKey") -> "AssetCheckKey":
        """Return the key of the check of the same name on another asset."""
        return AssetCheckKey(asset_key, self.name)

    def with_asset_key_prefix(self, prefix: "CoercibleToAssetKeyPrefix") -> "AssetCheckKey":
        """Return the key with parts put before the asset's key."""
        return AssetCheckKey(self.asset_key.with_prefix(prefix), self.name)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AssetCheckKey)
            and self.name == other.name
            and self.asset_key == other.asset_key
        )

    def __lt__(self, other: "AssetCheckKey") -> bool:
        return (self.asset_key, self.name) < (other.asset_key, other.name)

    def __hash__(self) -> int:
        return hash((self.asset_key, self.name))

    def __repr__(self) -> str:
        return f"AssetCheckKey(asset_key={self.asset_key!r}, name={self.name!r})"


@functools.total_ordering
class AssetJobKey:
    """The name of a job, where conditions tell jobs from assets and checks.

    Args:
        job_name: The name.
    """

    __slots__ = ("job_name",)

    def __init__(self, job_name: str) -> None:
        if not _is_part(job_name):
            raise errors.InvalidDefinitionError(
                f"The name of a job is a non-empty string, got {job_name!r}."
            )
        self.job_name = job_name

    def to_user_string(self) -> str:
        """Return the key as people write it: the name."""
        return self.job_name

    @staticmethod
    def from_user_string(user_string: str) -> "AssetJobKey":
        """Read a key as people write it: the name."""
        return AssetJobKey(user_string)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssetJobKey) and self.job_name == other.job_name

    def __lt__(self, other: "AssetJobKey") -> bool:
        return self.job_name < other.job_name

    def __hash__(self) -> int:
        return hash((AssetJobKey, self.job_name))

    def __repr__(self) -> str:
        return f"AssetJobKey({self.job_name!r})"


CoercibleToAssetKeyPrefix: TypeAlias = str | Sequence[str]


def prefix_parts(prefix: CoercibleToAssetKeyPrefix | None) -> tuple[str, ...]:
    """Return the parts of a key prefix, which may be one string, several, or none."""
    if prefix is None:
        return ()
    return (prefix,) if isinstance(prefix, str) else tuple(prefix)


def op_name_of(key: AssetKey) -> str:
    """Return the name under which run configuration addresses the asset's computation.

    It is also the key of the step, so it holds nothing that a file name cannot.
    """
    return key.to_python_identifier()


AssetOrCheckKey: TypeAlias = AssetKey | AssetCheckKey
EntityKey: TypeAlias = AssetKey | AssetCheckKey | AssetJobKey


def in_words(keys: Iterable[AssetKey], *, at_most: int = 5) -> str:
    """List keys for an error message, shortened where there are many."""
    names = sorted(repr(key.to_user_string()) for key in keys)
    rest = len(names) - at_most
    listed = ", ".join(names[:at_most])
    return f"{listed} and {rest} more" if rest > 0 else listed

"""What user code says about assets: materializations, observations, outputs and results.

Called by users from assets and sensors, and by the execution that records them. Holds data only.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from atoll._definitions import errors, keys
from atoll._definitions import metadata as metadata_values

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # With the default, `-> MaterializeResult` and `-> Output` are complete as they stand.
    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

DEFAULT_OUTPUT_NAME = "result"
DATA_VERSION_TAG = "atoll/data_version"
CODE_VERSION_TAG = "atoll/code_version"


class _NoValue:
    """The type of `NO_VALUE`, which stands for the absence of a value where None is a value."""

    def __repr__(self) -> str:
        return "NO_VALUE"


NO_VALUE = _NoValue()


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags as a new dict after checking that they are strings.

    Args:
        tags: Names to values, or nothing.

    Returns:
        A new dict.

    Raises:
        InvalidDefinitionError: A name or a value is no string.
    """
    if not tags:
        return {}
    for name, value in tags.items():
        if not _are_text(name, value):
            raise errors.InvalidDefinitionError(
                f"Tags map strings to strings, got {name!r}: {value!r}. Convert the value to a "
                "string."
            )
    return dict(tags)


def _are_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


@dataclasses.dataclass(frozen=True)
class _AssetEvent:
    """What materializations and observations have in common.

    Attributes:
        asset_key: The asset.
        description: What happened, in words.
        metadata: What the user attached.
        partition: The partition, if any.
        tags: Labels of the event.
    """

    asset_key: keys.AssetKey
    description: str | None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]
    partition: str | None
    tags: Mapping[str, str]

    def __init__(
        self,
        asset_key: keys.CoercibleToAssetKey,
        description: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        assign = object.__setattr__
        assign(self, "asset_key", keys.AssetKey.from_coercible(asset_key))
        assign(self, "description", description)
        assign(self, "metadata", metadata_values.normalize(metadata))
        assign(self, "partition", partition)
        assign(self, "tags", checked_tags(tags))

    @property
    def label(self) -> str:
        """The key of the asset as people write it."""
        return self.asset_key.to_user_string()

    @property
    def data_version(self) -> str | None:
        """The data version that the event carries, if any."""
        return self.tags.get(DATA_VERSION_TAG)


class AssetMaterialization(_AssetEvent):
    """Tells that an asset was materialized."""

    def with_metadata(
        self, metadata: metadata_values.RawMetadataMapping | None
    ) -> "AssetMaterialization":
        """Return the same event with other metadata."""
        return AssetMaterialization(
            self.asset_key, self.description, metadata, self.partition, self.tags
        )


class AssetObservation(_AssetEvent):
    """Tells something about an asset without materializing it."""

    def with_metadata(
        self, metadata: metadata_values.RawMetadataMapping | None
    ) -> "AssetObservation":
        """Return the same event with other metadata."""
        return AssetObservation(
            self.asset_key, self.description, metadata, self.partition, self.tags
        )


def _same_fields(one: object, other: object, kind: type[Any]) -> bool:
    if not isinstance(other, kind):
        return False
    names: tuple[str, ...] = kind.__slots__
    return all(getattr(one, name) == getattr(other, name) for name in names)


class Output(Generic[T]):
    """The value of an output, with metadata. Returned or yielded by an asset.

    Args:
        value: The value; stored by the IO manager.
        output_name: The output, where there are several.
        metadata: What to attach to the materialization.
        tags: Labels of the materialization.
    """

    __slots__ = ("metadata", "output_name", "tags", "value")

    def __init__(
        self,
        value: T,
        output_name: str = DEFAULT_OUTPUT_NAME,
        metadata: metadata_values.RawMetadataMapping | None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.value = value
        self.output_name = output_name
        self.metadata = metadata_values.normalize(metadata)
        self.tags = checked_tags(tags)

    def with_metadata(self, metadata: metadata_values.RawMetadataMapping | None) -> "Output[T]":
        """Return the same output with other metadata."""
        return Output(self.value, self.output_name, metadata, tags=self.tags)

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, Output)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Output(value={self.value!r}, output_name={self.output_name!r})"


class MaterializeResult(Generic[T]):
    """Tells that an asset was materialized by the function itself. Returned or yielded by an asset.

    Args:
        asset_key: The asset, where there are several.
        metadata: What to attach to the materialization.
        tags: Labels of the materialization.
        value: A value for the IO manager to store; without one nothing is stored.
    """

    __slots__ = ("asset_key", "metadata", "tags", "value")

    def __init__(
        self,
        *,
        asset_key: keys.CoercibleToAssetKey | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        tags: Mapping[str, str] | None = None,
        value: T | _NoValue = NO_VALUE,
    ) -> None:
        self.asset_key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        self.metadata = metadata_values.normalize(metadata)
        self.tags = checked_tags(tags)
        self.value = value

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, MaterializeResult)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MaterializeResult(asset_key={self.asset_key!r}, metadata={self.metadata!r})"

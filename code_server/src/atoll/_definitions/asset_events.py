"""What user code says about assets: materializations, observations, outputs and results.

Called by users from assets and sensors, and by the execution that records them. Holds data only.
"""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_checks, data_versions, keys
from atoll._definitions import metadata as metadata_values
from atoll._definitions import tags as tag_names

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # With the default, `-> MaterializeResult` and `-> Output` are complete as they stand.
    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")

DEFAULT_OUTPUT_NAME = "result"
DATA_VERSION_TAG = tag_names.DATA_VERSION
CODE_VERSION_TAG = tag_names.CODE_VERSION

_MAPPING_KEY = re.compile(r"[A-Za-z0-9_]+")


class _NoValue:
    """The type of `NO_VALUE`, which stands for the absence of a value where None is a value."""

    def __repr__(self) -> str:
        return "NO_VALUE"


NO_VALUE: Any = _NoValue()


# Under the name that the other definitions know.
checked_tags = tag_names.checked


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

    @staticmethod
    def file(
        path: "str | os.PathLike[str]",
        description: str | None = None,
        asset_key: keys.CoercibleToAssetKey | None = None,
    ) -> "AssetMaterialization":
        """Tell that a file was written.

        Args:
            path: The file; its parts are the key of the asset where none is given.
            description: What happened, in words.
            asset_key: The asset.
        """
        place = os.fspath(path)
        if asset_key is None:
            asset_key = [part for part in place.replace("\\", "/").split("/") if part]
        value = metadata_values.MetadataValue.path(place)
        return AssetMaterialization(asset_key, description, {"path": value})

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


class ExpectationResult(records.Record):
    """Tells whether something that user code expects holds. Yielded or logged by an op.

    Attributes:
        success: Whether it holds.
        label: A short name of it.
        description: What was expected.
        metadata: What was found.
    """

    success: bool
    label: str | None
    description: str | None
    metadata: Mapping[str, metadata_values.MetadataValue[Any]]

    def __init__(
        self,
        success: bool,  # noqa: FBT001 - the field's signature
        label: str | None = None,
        description: str | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
    ) -> None:
        assign = object.__setattr__
        assign(self, "success", bool(success))
        assign(self, "label", label)
        assign(self, "description", description)
        assign(self, "metadata", metadata_values.normalize(metadata))


def _same_fields(one: object, other: object, kind: type[Any]) -> bool:
    if not isinstance(other, kind):
        return False
    names: tuple[str, ...] = kind.__slots__
    return all(getattr(one, name) == getattr(other, name) for name in names)


class Output(Generic[T]):
    """The value of an output, with metadata. Returned or yielded by an asset or an op.

    Args:
        value: The value; stored by the IO manager.
        output_name: The output, where there are several.
        metadata: What to attach to the materialization.
        data_version: The version of the data; told from the code and the inputs where not given.
        tags: Labels of the materialization.
    """

    __slots__ = ("data_version", "metadata", "output_name", "tags", "value")

    def __init__(
        self,
        value: T,
        output_name: str = DEFAULT_OUTPUT_NAME,
        metadata: metadata_values.RawMetadataMapping | None = None,
        data_version: data_versions.DataVersion | None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.value = value
        self.output_name = output_name
        self.metadata = metadata_values.normalize(metadata)
        self.data_version = data_versions.checked(data_version)
        self.tags = checked_tags(tags)

    def with_metadata(self, metadata: metadata_values.RawMetadataMapping | None) -> "Output[T]":
        """Return the same output with other metadata."""
        return Output(self.value, self.output_name, metadata, self.data_version, tags=self.tags)

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, Output)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Output(value={self.value!r}, output_name={self.output_name!r})"


class DynamicOutput(Generic[T]):
    """One of any number of values of a dynamic output. Yielded by an op, each with its own key.

    Args:
        value: The value; stored by the IO manager.
        mapping_key: Tells this value apart from the others: letters, digits and underscores.
        output_name: The output, where there are several.
        metadata: What to attach to the output.
    """

    __slots__ = ("mapping_key", "metadata", "output_name", "value")

    def __init__(
        self,
        value: T,
        mapping_key: str,
        output_name: str = DEFAULT_OUTPUT_NAME,
        metadata: metadata_values.RawMetadataMapping | None = None,
    ) -> None:
        if not _is_mapping_key(mapping_key):
            raise errors.InvalidDefinitionError(
                f"The mapping key of a DynamicOutput consists of letters, digits and underscores, "
                f"got {mapping_key!r}. Replace the other characters."
            )
        self.value = value
        self.mapping_key = mapping_key
        self.output_name = output_name
        self.metadata = metadata_values.normalize(metadata)

    def with_metadata(
        self, metadata: metadata_values.RawMetadataMapping | None
    ) -> "DynamicOutput[T]":
        """Return the same output with other metadata."""
        return DynamicOutput(self.value, self.mapping_key, self.output_name, metadata)

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, DynamicOutput)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"DynamicOutput(value={self.value!r}, mapping_key={self.mapping_key!r}, "
            f"output_name={self.output_name!r})"
        )


def _is_mapping_key(key: object) -> bool:
    return isinstance(key, str) and _MAPPING_KEY.fullmatch(key) is not None


class MaterializeResult(Generic[T]):
    """Tells that an asset was materialized by the function itself. Returned or yielded by an asset.

    Args:
        asset_key: The asset, where there are several.
        metadata: What to attach to the materialization.
        check_results: What the checks found that the function evaluates along the way.
        data_version: The version of the data; told from the code and the inputs where not given.
        tags: Labels of the materialization.
        value: A value for the IO manager to store; without one nothing is stored.
    """

    __slots__ = ("asset_key", "check_results", "data_version", "metadata", "tags", "value")

    def __init__(
        self,
        asset_key: keys.CoercibleToAssetKey | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        check_results: Sequence[asset_checks.AssetCheckResult] | None = None,
        data_version: data_versions.DataVersion | None = None,
        tags: Mapping[str, str] | None = None,
        value: T = NO_VALUE,
    ) -> None:
        self.asset_key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        self.metadata = metadata_values.normalize(metadata)
        self.check_results = _checked_results(check_results)
        self.data_version = data_versions.checked(data_version)
        self.tags = checked_tags(tags)
        self.value = value

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, MaterializeResult)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MaterializeResult(asset_key={self.asset_key!r}, metadata={self.metadata!r})"


class ObserveResult:
    """Tells what was observed of an asset. Returned or yielded by the function that observes it.

    Args:
        asset_key: The asset, where there are several.
        metadata: What to attach to the observation.
        check_results: What the checks found that the function evaluates along the way.
        data_version: The version of the data.
        tags: Labels of the observation.
    """

    __slots__ = ("asset_key", "check_results", "data_version", "metadata", "tags")

    def __init__(
        self,
        asset_key: keys.CoercibleToAssetKey | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        check_results: Sequence[asset_checks.AssetCheckResult] | None = None,
        data_version: data_versions.DataVersion | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.asset_key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        self.metadata = metadata_values.normalize(metadata)
        self.check_results = _checked_results(check_results)
        self.data_version = data_versions.checked(data_version)
        self.tags = checked_tags(tags)

    def __eq__(self, other: object) -> bool:
        return _same_fields(self, other, ObserveResult)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ObserveResult(asset_key={self.asset_key!r}, metadata={self.metadata!r})"


def _checked_results(
    results: Sequence[asset_checks.AssetCheckResult] | None,
) -> tuple[asset_checks.AssetCheckResult, ...]:
    for result in results or ():
        if not _is_check_result(result):
            raise errors.InvalidDefinitionError(
                f"check_results is a list of AssetCheckResult, got {result!r} in it."
            )
    return tuple(results or ())


def _is_check_result(result: object) -> bool:
    return isinstance(result, asset_checks.AssetCheckResult)

"""Versions of data: what a materialization holds, and what it was made of.

Called by users, who give versions and read provenance. `_execution.versioning` puts both into the
tags of events. Two materializations of one version hold the same data, so what was made of the
one need not be made again of the other.
"""

from collections.abc import Mapping

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys
from atoll._definitions import tags as tag_names


class DataVersion(records.Record):
    """A version of data. Equal versions mean equal data.

    Attributes:
        value: The version: a hash, a time, a revision, whatever tells the data apart.
    """

    value: str

    def __init__(self, value: str) -> None:
        if not _is_text(value):
            raise errors.InvalidDefinitionError(
                f"A DataVersion is a string, got {value!r} of type {type(value).__name__}. Wrap it "
                "in str(...)."
            )
        object.__setattr__(self, "value", value)


class DataVersionsByPartition(records.Record):
    """The versions of the partitions of an asset. Returned by the function that observes it.

    Attributes:
        data_versions_by_partition: The versions by partition key.
    """

    data_versions_by_partition: Mapping[str, DataVersion]

    def __init__(self, data_versions_by_partition: Mapping[str, str | DataVersion]) -> None:
        versions = {
            partition: version if isinstance(version, DataVersion) else DataVersion(version)
            for partition, version in data_versions_by_partition.items()
        }
        object.__setattr__(self, "data_versions_by_partition", versions)


class DataProvenance(records.Record):
    """What a materialization was made of.

    Attributes:
        code_version: The version of the code.
        input_data_versions: The versions of the upstream assets.
        input_storage_ids: The events of the upstream assets that were read, by their positions in
            the log; None for one that had none.
        is_user_provided: Whether user code gave the data version.
    """

    code_version: str
    input_data_versions: Mapping[keys.AssetKey, DataVersion]
    input_storage_ids: Mapping[keys.AssetKey, int | None]
    is_user_provided: bool

    @staticmethod
    def from_tags(tags: Mapping[str, str]) -> "DataProvenance | None":
        """Read the provenance from the tags of an event; None where they tell none."""
        code_version = tags.get(tag_names.CODE_VERSION)
        if code_version is None:
            return None
        versions: dict[keys.AssetKey, DataVersion] = {}
        event_ids: dict[keys.AssetKey, int | None] = {}
        for name, value in tags.items():
            if name.startswith(tag_names.INPUT_DATA_VERSION_PREFIX):
                text = name[len(tag_names.INPUT_DATA_VERSION_PREFIX) :]
                versions[keys.AssetKey.from_user_string(text)] = DataVersion(value)
            elif name.startswith(tag_names.INPUT_EVENT_ID_PREFIX):
                text = name[len(tag_names.INPUT_EVENT_ID_PREFIX) :]
                event_id = int(value) if value.isdecimal() else None
                event_ids[keys.AssetKey.from_user_string(text)] = event_id
        by_user = tags.get(tag_names.DATA_VERSION_BY_USER) == "true"
        return DataProvenance(code_version, versions, event_ids, by_user)

    def has_input_asset(self, key: keys.AssetKey) -> bool:
        """Tell whether an asset was read."""
        return key in self.input_data_versions

    @property
    def input_logical_versions(self) -> Mapping[keys.AssetKey, DataVersion]:
        """The versions of the upstream assets, under their older name."""
        return self.input_data_versions


def checked(version: DataVersion | None) -> DataVersion | None:
    """Return a version that users gave, after checking that it is one.

    Raises:
        InvalidDefinitionError: It is none.
    """
    if version is not None and not _is_version(version):
        raise errors.InvalidDefinitionError(
            f"data_version is a DataVersion, got {version!r}. Write DataVersion({version!r})."
        )
    return version


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_version(value: object) -> bool:
    return isinstance(value, DataVersion)

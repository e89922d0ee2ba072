"""What user code attaches to outputs and assets while a step runs.

Called by contexts. Typed at once, so that a wrong value fails where it is given.
"""

import collections
from collections.abc import Mapping
from typing import Any

from atoll._definitions import keys
from atoll._definitions import metadata as metadata_values

Typed = dict[str, metadata_values.MetadataValue[Any]]


class AttachedMetadata:
    """Metadata by output and by asset."""

    def __init__(self) -> None:
        self._of_outputs: dict[tuple[str, str | None], Typed] = collections.defaultdict(dict)
        self._of_assets: dict[tuple[keys.AssetKey, str | None], Typed] = collections.defaultdict(
            dict
        )

    def to_output(
        self,
        output_name: str,
        mapping_key: str | None,
        metadata: metadata_values.RawMetadataMapping,
    ) -> None:
        """Attach to an output, or to one value of a dynamic one."""
        self._of_outputs[output_name, mapping_key].update(metadata_values.normalize(metadata))

    def of_output(
        self, output_name: str, mapping_key: str | None = None
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an output, or to one value of a dynamic one."""
        return dict(self._of_outputs.get((output_name, mapping_key), {}))

    def to_asset(
        self,
        key: keys.AssetKey,
        partition_key: str | None,
        metadata: metadata_values.RawMetadataMapping,
    ) -> None:
        """Attach to an asset, or to one partition of it."""
        self._of_assets[key, partition_key].update(metadata_values.normalize(metadata))

    def of_asset(
        self, key: keys.AssetKey, partition_key: str | None = None
    ) -> Mapping[str, metadata_values.MetadataValue[Any]]:
        """Return what was attached to an asset; for a partition, with what is said of all."""
        found = dict(self._of_assets.get((key, None), {}))
        if partition_key is not None:
            found.update(self._of_assets.get((key, partition_key), {}))
        return found

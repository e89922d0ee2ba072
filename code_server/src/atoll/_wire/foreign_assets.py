"""What the host tells of assets that other locations define.

Called by the plans of runs and by the answers of the instance.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from atoll import errors
from atoll._definitions import keys as asset_keys
from atoll._definitions import specs
from atoll._partition_messages import definitions as partition_definitions
from atoll._partition_messages import mappings as mapping_messages
from atoll._partitions import contexts, definitions, mappings, subsets
from atoll._wire import keys, metadata
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2


def spec(
    definition: snapshot_pb2.AssetDefinition, key: asset_keys.AssetKey | None = None
) -> specs.AssetSpec:
    """Return what is told of an asset.

    Args:
        definition: What the host tells: parts of the definition by the owner.
        key: The asset, where the host is of a release that does not say it in the definition.
    """
    described: dict[str, Any] = {**metadata.read(definition.metadata)}
    if definition.io_manager_key:
        described[specs.IO_MANAGER_KEY_METADATA] = definition.io_manager_key
    partitions_def = None
    if definition.HasField("partitions"):
        partitions_def = partition_definitions.from_message(definition.partitions)
    return specs.AssetSpec(
        keys.from_message(definition.key) if key is None else key,
        deps=[_dependency(edge) for edge in definition.dependencies],
        metadata=described,
        partitions_def=partitions_def,
    )


class _WrittenElsewhere(mappings.PartitionMapping):
    """A mapping that only its own location can map by. It says so when it is used."""

    reason: str

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Say why it cannot be done here."""
        raise errors.InvalidInvocationError(self.reason)

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Say why it cannot be done here."""
        raise errors.InvalidInvocationError(self.reason)


def _dependency(edge: snapshot_pb2.AssetDependency) -> specs.AssetDep:
    mapping = None
    if edge.HasField("partition_mapping"):
        mapping = _mapping(edge.partition_mapping)
    return specs.AssetDep(keys.from_message(edge.asset_key), partition_mapping=mapping)


def _mapping(message: partitions_pb2.PartitionMapping) -> mappings.PartitionMapping:
    try:
        return mapping_messages.from_message(message)
    except errors.InvalidInvocationError as error:
        return _WrittenElsewhere(str(error))

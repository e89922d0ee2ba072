"""Mappings that do not look at single partitions: all, the last, some that are named.

Called by users. What is downstream need not be partitioned.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from atoll._partitions import contexts, definitions, mappings, partition_keys, subsets


class AllPartitionMapping(mappings.PartitionMapping):
    """Every downstream partition needs all upstream partitions."""

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        return "Every downstream partition needs all upstream partitions."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return all upstream partitions, or none where no downstream ones are asked for."""
        del downstream_partitions_def
        found = upstream_partitions_def.empty_subset()
        if downstream_partitions_subset is None or downstream_partitions_subset:
            found = upstream_partitions_def.subset_with_all_partitions(
                current_time, dynamic_partitions_store
            )
        return mappings.UpstreamPartitionsResult(found, upstream_partitions_def.empty_subset())

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return all downstream partitions if any upstream one is asked for."""
        del upstream_partitions_def
        if not upstream_partitions_subset:
            return downstream_partitions_def.empty_subset()
        return downstream_partitions_def.subset_with_all_partitions(
            current_time, dynamic_partitions_store
        )


class LastPartitionMapping(mappings.PartitionMapping):
    """Every downstream partition needs the last upstream partition."""

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        return "Every downstream partition needs the last upstream partition."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the last upstream partition, or none where no downstream ones are asked for."""
        del downstream_partitions_def
        found = upstream_partitions_def.empty_subset()
        if downstream_partitions_subset is None or downstream_partitions_subset:
            last = upstream_partitions_def.get_last_partition_key(
                current_time, dynamic_partitions_store
            )
            found = found if last is None else found.with_partition_keys([last])
        return mappings.UpstreamPartitionsResult(found, upstream_partitions_def.empty_subset())

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return all downstream partitions if the last upstream one is among those asked for."""
        last = upstream_partitions_def.get_last_partition_key(
            current_time, dynamic_partitions_store
        )
        if last is None or last not in upstream_partitions_subset:
            return downstream_partitions_def.empty_subset()
        return downstream_partitions_def.subset_with_all_partitions(
            current_time, dynamic_partitions_store
        )


class SpecificPartitionsPartitionMapping(mappings.PartitionMapping):
    """Every downstream partition needs the same upstream partitions.

    Attributes:
        partition_keys: The keys of the upstream partitions.
    """

    partition_keys: Sequence[str]

    @property
    def description(self) -> str:
        """What the mapping does, for people."""
        told = partition_keys.listed(self.partition_keys)
        return f"Every downstream partition needs the upstream partitions {told}."

    def get_upstream_mapped_partitions_result_for_partitions(
        self,
        downstream_partitions_subset: subsets.PartitionsSubset | None,
        downstream_partitions_def: definitions.PartitionsDefinition | None,
        upstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> mappings.UpstreamPartitionsResult:
        """Return the upstream partitions that are named."""
        del downstream_partitions_subset, downstream_partitions_def
        wanted = upstream_partitions_def.subset_with_partition_keys(self.partition_keys)
        context = contexts.resolve(current_time, dynamic_partitions_store)
        return mappings.existing(upstream_partitions_def, wanted, context)

    def get_downstream_partitions_for_partitions(
        self,
        upstream_partitions_subset: subsets.PartitionsSubset,
        upstream_partitions_def: definitions.PartitionsDefinition,
        downstream_partitions_def: definitions.PartitionsDefinition,
        current_time: dt.datetime | None = None,
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> subsets.PartitionsSubset:
        """Return all downstream partitions if a named one is among those asked for."""
        del upstream_partitions_def
        if not any(key in upstream_partitions_subset for key in self.partition_keys):
            return downstream_partitions_def.empty_subset()
        return downstream_partitions_def.subset_with_all_partitions(
            current_time, dynamic_partitions_store
        )

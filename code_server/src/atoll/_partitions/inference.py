"""The mapping that a dependency has when none is written.

Called by planning and by the host for every dependency between assets.
"""

from __future__ import annotations

from atoll._partitions import (
    definitions,
    dynamic_partitions,
    key_mappings,
    mappings,
    multi_mappings,
    multi_partitions,
    static_partitions,
    time_window_mappings,
    time_window_partitions,
    whole_mappings,
)

_Multi = multi_partitions.MultiPartitionsDefinition
_Time = time_window_partitions.TimeWindowPartitionsDefinition
_Static = static_partitions.StaticPartitionsDefinition
_Dynamic = dynamic_partitions.DynamicPartitionsDefinition


def infer_partition_mapping(
    mapping: mappings.PartitionMapping | None,
    downstream_partitions_def: definitions.PartitionsDefinition | None,
    upstream_partitions_def: definitions.PartitionsDefinition | None,
) -> mappings.PartitionMapping:
    """Return the mapping of a dependency: the one that is written, or the one that goes by itself.

    Windows of time need those that they overlap with; partitions with two dimensions need those of
    the dimension that fits; partitions whose keys can be the same need the ones with the same key.
    Everything else needs all.

    Args:
        mapping: The mapping that is written, None if none is.
        downstream_partitions_def: The downstream partitions; None if there are none.
        upstream_partitions_def: The upstream partitions; None if there are none.
    """
    if mapping is not None:
        return mapping
    downstream, upstream = downstream_partitions_def, upstream_partitions_def
    if downstream is None or upstream is None:
        return whole_mappings.AllPartitionMapping()
    if isinstance(downstream, _Time) and isinstance(upstream, _Time):
        return time_window_mappings.TimeWindowPartitionMapping()
    if _has_dimension(downstream, upstream) or _has_dimension(upstream, downstream):
        return multi_mappings.MultiToSingleDimensionPartitionMapping()
    if _may_share_keys(downstream, upstream):
        return key_mappings.IdentityPartitionMapping()
    return whole_mappings.AllPartitionMapping()


def _has_dimension(
    one: definitions.PartitionsDefinition, other: definitions.PartitionsDefinition
) -> bool:
    return (
        isinstance(one, _Multi)
        and not isinstance(other, _Multi)
        and multi_mappings.fitting_dimension(one, other) is not None
    )


def _may_share_keys(
    one: definitions.PartitionsDefinition, other: definitions.PartitionsDefinition
) -> bool:
    if one == other:
        return True
    if isinstance(one, _Static) and isinstance(other, _Static):
        return any(other.index_of(key) is not None for key in one.partition_keys)
    if isinstance(one, _Multi) and isinstance(other, _Multi):
        pairs = zip(one.partitions_defs, other.partitions_defs, strict=True)
        return all(
            mine.name == theirs.name and _may_share_keys(mine.partitions_def, theirs.partitions_def)
            for mine, theirs in pairs
        )
    if isinstance(one, _Time) and isinstance(other, _Time):
        return one.equal_except_for_start_or_end(other)
    return isinstance(one, _Dynamic | _Static) and isinstance(other, _Dynamic | _Static)

"""Partition mappings to messages and back.

Called by the snapshot of a location and by the host, which maps partitions by it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atoll import errors
from atoll._partitions import (
    key_mappings,
    mappings,
    multi_mappings,
    time_window_mappings,
    whole_mappings,
)
from atoll.definitions.v1 import partitions_pb2

_Message = partitions_pb2.PartitionMapping


def to_message(mapping: mappings.PartitionMapping) -> partitions_pb2.PartitionMapping:
    """Return a mapping as a message.

    Args:
        mapping: The mapping. Of one of a class of the user's own, only the description is told.
    """
    encode = _ENCODERS.get(type(mapping))
    if encode is not None:
        return encode(mapping)
    custom = partitions_pb2.CustomPartitionMapping(description=mapping.description)
    return _Message(custom=custom)


def from_message(message: partitions_pb2.PartitionMapping) -> mappings.PartitionMapping:
    """Return the mapping that a message holds.

    Args:
        message: The message.

    Raises:
        InvalidInvocationError: Only the code location can map by it.
    """
    kind = message.WhichOneof("kind")
    if kind == "custom":
        raise errors.InvalidInvocationError(
            "The partition mapping is written in its code location, so nobody else can map by it:"
            f" {message.custom.description} Use one of Atoll's mappings where others need it."
        )
    if kind is None:
        raise errors.InvalidInvocationError(
            "The partition mapping is of a kind that this release does not know; its code location"
            " runs a newer one. Upgrade this side."
        )
    return _DECODERS[kind](getattr(message, kind))


def _specific(mapping: whole_mappings.SpecificPartitionsPartitionMapping) -> _Message:
    return _Message(
        specific=partitions_pb2.SpecificPartitionsPartitionMapping(
            partition_keys=mapping.partition_keys
        )
    )


def _time_window(mapping: time_window_mappings.TimeWindowPartitionMapping) -> _Message:
    return _Message(
        time_window=partitions_pb2.TimeWindowPartitionMapping(
            start_offset=mapping.start_offset,
            end_offset=mapping.end_offset,
            allow_nonexistent_upstream_partitions=mapping.allow_nonexistent_upstream_partitions,
        )
    )


def _static(mapping: key_mappings.StaticPartitionMapping) -> _Message:
    table = mapping.downstream_partition_keys_by_upstream_partition_key
    entries = [
        partitions_pb2.StaticPartitionMappingEntry(
            upstream_partition_key=upstream,
            downstream_partition_keys=[found] if isinstance(found, str) else sorted(found),
        )
        for upstream, found in table.items()
    ]
    return _Message(static=partitions_pb2.StaticPartitionMapping(entries=entries))


def _multi(mapping: multi_mappings.MultiPartitionMapping) -> _Message:
    dimensions = [
        partitions_pb2.DimensionPartitionMapping(
            upstream_dimension_name=upstream,
            downstream_dimension_name=each.dimension_name,
            partition_mapping=to_message(each.partition_mapping),
        )
        for upstream, each in mapping.downstream_mappings_by_upstream_dimension.items()
    ]
    return _Message(multi=partitions_pb2.MultiPartitionMapping(dimensions=dimensions))


def _multi_to_single(mapping: multi_mappings.MultiToSingleDimensionPartitionMapping) -> _Message:
    return _Message(
        multi_to_single=partitions_pb2.MultiToSingleDimensionPartitionMapping(
            partition_dimension_name=mapping.partition_dimension_name
        )
    )


def _from_static(
    message: partitions_pb2.StaticPartitionMapping,
) -> key_mappings.StaticPartitionMapping:
    return key_mappings.StaticPartitionMapping(
        {
            each.upstream_partition_key: list(each.downstream_partition_keys)
            for each in message.entries
        }
    )


def _from_multi(
    message: partitions_pb2.MultiPartitionMapping,
) -> multi_mappings.MultiPartitionMapping:
    return multi_mappings.MultiPartitionMapping(
        {
            each.upstream_dimension_name: multi_mappings.DimensionPartitionMapping(
                each.downstream_dimension_name, from_message(each.partition_mapping)
            )
            for each in message.dimensions
        }
    )


_ENCODERS: dict[type[mappings.PartitionMapping], Callable[[Any], _Message]] = {
    key_mappings.IdentityPartitionMapping: lambda _: _Message(
        identity=partitions_pb2.IdentityPartitionMapping()
    ),
    whole_mappings.AllPartitionMapping: lambda _: _Message(
        all=partitions_pb2.AllPartitionMapping()
    ),
    whole_mappings.LastPartitionMapping: lambda _: _Message(
        last=partitions_pb2.LastPartitionMapping()
    ),
    whole_mappings.SpecificPartitionsPartitionMapping: _specific,
    time_window_mappings.TimeWindowPartitionMapping: _time_window,
    key_mappings.StaticPartitionMapping: _static,
    multi_mappings.MultiPartitionMapping: _multi,
    multi_mappings.MultiToSingleDimensionPartitionMapping: _multi_to_single,
}
_DECODERS: dict[str, Callable[[Any], mappings.PartitionMapping]] = {
    "identity": lambda _: key_mappings.IdentityPartitionMapping(),
    "all": lambda _: whole_mappings.AllPartitionMapping(),
    "last": lambda _: whole_mappings.LastPartitionMapping(),
    "specific": lambda found: whole_mappings.SpecificPartitionsPartitionMapping(
        list(found.partition_keys)
    ),
    "time_window": lambda found: time_window_mappings.TimeWindowPartitionMapping(
        found.start_offset, found.end_offset, found.allow_nonexistent_upstream_partitions
    ),
    "static": _from_static,
    "multi": _from_multi,
    "multi_to_single": lambda found: multi_mappings.MultiToSingleDimensionPartitionMapping(
        found.partition_dimension_name if found.HasField("partition_dimension_name") else None
    ),
}

"""Sets of partitions to messages and back.

Called by whoever sends or stores which partitions something is about. A message says the ranges,
not the partitions in them; it is read with the definition at hand.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import timestamp_pb2

from atoll import errors
from atoll._partitions import definitions, key_subsets, subsets
from atoll.definitions.v1 import partitions_pb2


def to_message(subset: subsets.PartitionsSubset) -> partitions_pb2.PartitionsSubset:
    """Return a set of partitions as a message.

    Args:
        subset: The set.
    """
    return _to_message(subset.to_plain())


def from_message(
    message: partitions_pb2.PartitionsSubset, partitions_def: definitions.PartitionsDefinition
) -> subsets.PartitionsSubset:
    """Return the set of partitions that a message holds.

    Args:
        message: The message.
        partitions_def: The definition that the partitions are from.

    Raises:
        UnknownPartitionError: The definition no longer has the partitions.
        InvalidInvocationError: The definition is of another kind now, or the keys have changed.
    """
    plain = _to_plain(message)
    if "keys" in plain and partitions_def.partitions_subset_class.kind != "keys":
        return key_subsets.KeysPartitionsSubset(partitions_def, plain["keys"])
    try:
        return partitions_def.subset_of_plain(plain)
    except KeyError as error:
        raise errors.InvalidInvocationError(
            f"The set of partitions is {' and '.join(plain) or 'of a kind not known here'}, and was"
            f" not made for {partitions_def!r}. Make it again."
        ) from error


def _to_message(plain: dict[str, Any]) -> partitions_pb2.PartitionsSubset:
    if "time_windows" in plain:
        windows = [
            partitions_pb2.TimeWindow(
                start=timestamp_pb2.Timestamp(seconds=start),
                end=timestamp_pb2.Timestamp(seconds=end),
            )
            for start, end in plain["time_windows"]
        ]
        time_windows = partitions_pb2.TimeWindowSubset(windows=windows)
        return partitions_pb2.PartitionsSubset(time_windows=time_windows)
    if "static" in plain:
        ranges = [
            partitions_pb2.StaticRange(first=first, last=last, count=count)
            for first, last, count in plain["static"]
        ]
        return partitions_pb2.PartitionsSubset(static=partitions_pb2.StaticSubset(ranges=ranges))
    if "keys" in plain:
        keys = partitions_pb2.KeysSubset(partition_keys=plain["keys"])
        return partitions_pb2.PartitionsSubset(keys=keys)
    parts = [
        partitions_pb2.MultiSubsetPart(primary=_to_message(first), secondary=_to_message(second))
        for first, second in plain["parts"]
    ]
    return partitions_pb2.PartitionsSubset(multi=partitions_pb2.MultiSubset(parts=parts))


def _to_plain(message: partitions_pb2.PartitionsSubset) -> dict[str, Any]:
    kind = message.WhichOneof("kind")
    if kind == "time_windows":
        windows = message.time_windows.windows
        return {"time_windows": [[each.start.seconds, each.end.seconds] for each in windows]}
    if kind == "static":
        ranges = message.static.ranges
        return {"static": [[each.first, each.last, each.count] for each in ranges]}
    if kind == "keys":
        return {"keys": list(message.keys.partition_keys)}
    if kind == "multi":
        parts = message.multi.parts
        return {"parts": [[_to_plain(each.primary), _to_plain(each.secondary)] for each in parts]}
    return {}

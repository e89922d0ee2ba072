"""Definitions of partitions, and backfill policies, to messages and back.

Called by the snapshot of a location and by the host, which reads it.
"""

from __future__ import annotations

import datetime as dt

from google.protobuf import timestamp_pb2

from atoll import errors
from atoll._partitions import (
    backfill_policy,
    definitions,
    dynamic_partitions,
    multi_partitions,
    static_partitions,
    time_window_partitions,
    zones,
)
from atoll._partitions import (
    partition_keys as keys,
)
from atoll.definitions.v1 import partitions_pb2

_TimeWindow = time_window_partitions.TimeWindowPartitionsDefinition


def to_message(
    partitions_def: definitions.PartitionsDefinition,
) -> partitions_pb2.PartitionsDefinition:
    """Return a definition as a message.

    Args:
        partitions_def: The definition.

    Raises:
        InvalidDefinitionError: It is of a class of the user's own.
    """
    if isinstance(partitions_def, _TimeWindow):
        return partitions_pb2.PartitionsDefinition(time_window=_time_window(partitions_def))
    if isinstance(partitions_def, static_partitions.StaticPartitionsDefinition):
        static = partitions_pb2.StaticPartitions(partition_keys=partitions_def.partition_keys)
        return partitions_pb2.PartitionsDefinition(static=static)
    if isinstance(partitions_def, dynamic_partitions.DynamicPartitionsDefinition):
        dynamic = partitions_pb2.DynamicPartitions(name=partitions_def.name or "")
        return partitions_pb2.PartitionsDefinition(dynamic=dynamic)
    if isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition):
        dimensions = [
            partitions_pb2.PartitionDimension(
                name=each.name, partitions_definition=to_message(each.partitions_def)
            )
            for each in partitions_def.partitions_defs
        ]
        multi = partitions_pb2.MultiPartitions(dimensions=dimensions)
        return partitions_pb2.PartitionsDefinition(multi=multi)
    raise errors.InvalidDefinitionError(
        f"{partitions_def!r} is a kind of partitions that only its own code knows, so nobody else"
        " can tell its keys. Use one of Atoll's, such as DynamicPartitionsDefinition(name=...)."
    )


def from_message(
    message: partitions_pb2.PartitionsDefinition,
) -> definitions.PartitionsDefinition:
    """Return the definition that a message holds.

    Args:
        message: The message.

    Raises:
        InvalidDefinitionError: It is of a kind that this release does not know, or cannot be used.
    """
    kind = message.WhichOneof("kind")
    if kind == "time_window":
        return _from_time_window(message.time_window)
    if kind == "static":
        return static_partitions.StaticPartitionsDefinition(list(message.static.partition_keys))
    if kind == "dynamic":
        if message.dynamic.name:
            return dynamic_partitions.DynamicPartitionsDefinition(name=message.dynamic.name)
        return dynamic_partitions.DynamicPartitionsDefinition(_known_to_the_location)
    if kind == "multi":
        return multi_partitions.MultiPartitionsDefinition(
            {
                each.name: from_message(each.partitions_definition)
                for each in message.multi.dimensions
            }
        )
    raise errors.InvalidDefinitionError(
        "The partitions are of a kind that this release does not know; their code location runs a"
        " newer one. Upgrade this side."
    )


def policy_to_message(policy: backfill_policy.BackfillPolicy) -> partitions_pb2.BackfillPolicy:
    """Return a backfill policy as a message.

    Args:
        policy: The policy.
    """
    return partitions_pb2.BackfillPolicy(max_partitions_per_run=policy.max_partitions_per_run)


def policy_from_message(message: partitions_pb2.BackfillPolicy) -> backfill_policy.BackfillPolicy:
    """Return the backfill policy that a message holds.

    Args:
        message: The message.
    """
    if message.HasField("max_partitions_per_run"):
        return backfill_policy.BackfillPolicy(message.max_partitions_per_run)
    return backfill_policy.BackfillPolicy.single_run()


def range_to_message(key_range: keys.PartitionKeyRange) -> partitions_pb2.PartitionKeyRange:
    """Return a range of keys as a message.

    Args:
        key_range: The range.
    """
    return partitions_pb2.PartitionKeyRange(start=key_range.start, end=key_range.end)


def range_from_message(message: partitions_pb2.PartitionKeyRange) -> keys.PartitionKeyRange:
    """Return the range of keys that a message holds.

    Args:
        message: The message.
    """
    return keys.PartitionKeyRange(message.start, message.end)


def _time_window(partitions_def: _TimeWindow) -> partitions_pb2.TimeWindowPartitions:
    message = partitions_pb2.TimeWindowPartitions(
        cron_schedule=partitions_def.cron_schedule,
        timezone=partitions_def.timezone,
        format=partitions_def.fmt,
        start=_timestamp(partitions_def.start),
        end_offset=partitions_def.end_offset,
    )
    if partitions_def.end is not None:
        message.end.CopyFrom(_timestamp(partitions_def.end))
    for each in partitions_def.exclusions or ():
        if isinstance(each, str):
            message.excluded_schedules.append(each)
        else:
            message.excluded_starts.append(_timestamp(each))
    return message


def _from_time_window(message: partitions_pb2.TimeWindowPartitions) -> _TimeWindow:
    zone = zones.zone(message.timezone).tzinfo
    starts = (dt.datetime.fromtimestamp(each.seconds, zone) for each in message.excluded_starts)
    return _TimeWindow(
        start=dt.datetime.fromtimestamp(message.start.seconds, zone),
        fmt=message.format,
        end=dt.datetime.fromtimestamp(message.end.seconds, zone)
        if message.HasField("end")
        else None,
        timezone=message.timezone,
        end_offset=message.end_offset,
        cron_schedule=message.cron_schedule,
        exclusions=[*message.excluded_schedules, *starts],
    )


def _timestamp(moment: dt.datetime) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=int(moment.timestamp()))


def _known_to_the_location(current_time: dt.datetime | None) -> list[str]:
    """Stand in for a function that only its code location can call."""
    del current_time
    raise errors.InvalidInvocationError(
        "These partitions come from a function in their code location, so only the location can"
        " tell them. Use DynamicPartitionsDefinition(name=...) for partitions that others need."
    )

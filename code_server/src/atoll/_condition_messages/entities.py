"""Names of assets, checks and jobs, and sets of their partitions, to messages and back.

Called by the other modules of this package and by the host.
"""

from __future__ import annotations

from atoll import errors
from atoll._conditions import entities, entity_subsets
from atoll._partition_messages import subsets as subset_messages
from atoll._partitions import definitions
from atoll.definitions.v1 import conditions_pb2, values_pb2


def to_message(entity: entities.Entity) -> conditions_pb2.ConditionEntity:
    """Return a name as a message.

    Args:
        entity: The name.
    """
    if entity.kind == entities.JOB:
        job = conditions_pb2.ConditionJob(location_name=entity.path[0], job_name=entity.name)
        return conditions_pb2.ConditionEntity(job=job)
    asset = values_pb2.AssetKey(path=entity.path)
    if entity.kind == entities.CHECK:
        check = values_pb2.AssetCheckKey(asset_key=asset, name=entity.name)
        return conditions_pb2.ConditionEntity(check=check)
    return conditions_pb2.ConditionEntity(asset=asset)


def from_message(message: conditions_pb2.ConditionEntity) -> entities.Entity:
    """Return the name that a message holds.

    Args:
        message: The message.

    Raises:
        InvalidInvocationError: It is of a kind that this release does not know.
    """
    kind = message.WhichOneof("kind")
    if kind == "asset":
        return entities.asset(message.asset.path)
    if kind == "check":
        return entities.check(message.check.asset_key.path, message.check.name)
    if kind == "job":
        return entities.job(message.job.location_name, message.job.job_name)
    raise errors.InvalidInvocationError(
        "The target of a condition is of a kind that this release does not know. Upgrade this side."
    )


def value_to_message(value: entity_subsets.Value) -> conditions_pb2.ConditionValue:
    """Return a set of partitions as a message.

    Args:
        value: The set.
    """
    if isinstance(value, bool):
        return conditions_pb2.ConditionValue(whole=value)
    return conditions_pb2.ConditionValue(partitions=subset_messages.to_message(value))


def value_from_message(
    message: conditions_pb2.ConditionValue, partitions_def: definitions.PartitionsDefinition | None
) -> entity_subsets.Value:
    """Return the set of partitions that a message holds, as far as the definition still has them.

    Args:
        message: The message.
        partitions_def: What the partitions are from now; None for something without.
    """
    if partitions_def is None:
        return message.WhichOneof("kind") == "whole" and message.whole
    if message.WhichOneof("kind") != "partitions":
        return partitions_def.empty_subset()
    try:
        return subset_messages.from_message(message.partitions, partitions_def)
    except errors.Error:
        # Written for other partitions than there are now: none of them can be meant any more.
        return partitions_def.empty_subset()

"""Reads what answers of sensors and schedules have in common. Pure.

Called by what decides on the answers of each kind, and by the evaluators.
"""

from atoll.api.v1 import automation_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.instance import dynamic_partitions
from atoll_storage import records

Response = location_pb2.EvaluateSensorResponse | location_pb2.EvaluateScheduleResponse
"""An answer that asks for runs and changes of dynamic partitions."""

_CHANGES: dict[int, records.DynamicPartitionsChangeKind] = {
    location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD: records.DynamicPartitionsChangeKind.ADD,
    location_pb2.DYNAMIC_PARTITIONS_CHANGE_DELETE: records.DynamicPartitionsChangeKind.DELETE,
}


def contradiction(response: Response, whose: str) -> str:
    """Return what contradicts itself in an answer, and what to do; empty where nothing does.

    Args:
        response: The answer.
        whose: The sensor or schedule, in words that begin a sentence.
    """
    if not (response.run_requests and response.skip_reason):
        return ""
    return (
        f"{whose} returned {len(response.run_requests)} run requests together with the skip reason "
        f"{response.skip_reason!r}. Return either run requests or a skip reason."
    )


def tell_outcome(tick: automation_pb2.Tick, response: Response, empty: str) -> None:
    """Fill in what a good answer came to.

    Args:
        tick: The tick.
        response: The answer.
        empty: Why nothing was requested, where the answer does not say.
    """
    if response.run_requests:
        tick.status = automation_pb2.TICK_STATUS_SUCCESS
        return
    tick.status = automation_pb2.TICK_STATUS_SKIPPED
    tick.skip_reason = response.skip_reason or empty


def partition_texts(response: Response) -> list[str]:
    """Return the partition keys that the runs of an answer are asked for with."""
    return [each.partition_key for each in response.run_requests if each.partition_key]


def changes(response: Response, whose: str) -> list[records.DynamicPartitionsChange]:
    """Return the changes of dynamic partitions that an answer asks for, in its order.

    Args:
        response: The answer.
        whose: The sensor or schedule, in words that begin a sentence.

    Raises:
        InvalidRequest: One of them is refused.
    """
    found: list[records.DynamicPartitionsChange] = []
    for message in response.dynamic_partitions_requests:
        kind = _CHANGES.get(message.change)
        try:
            if kind is None:
                raise errors.InvalidRequest(f"{message.change} is no change of dynamic partitions.")
            name, keys = message.partitions_def_name, message.partition_keys
            found.append(dynamic_partitions.checked(kind, name, keys))
        except errors.HostError as error:
            raise errors.InvalidRequest(
                f"{whose} asks for a change of dynamic partitions that is refused, and the whole "
                f"tick with it. {error}"
            ) from error
    return found

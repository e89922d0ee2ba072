"""Says for people what a condition came to. Pure.

Called by `deciding` for each evaluation that says something new. What is stored is complete: it is
read without the definitions that it was made of, which may be others by then.
"""

import itertools

from google.protobuf import timestamp_pb2

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, explanations, states
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import contexts
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import conditions_pb2 as definition_pb2

RANGES_MAX = 20
NODES_MAX = 2_000
"""A condition may ask thousands of dependencies: so many nodes are told of."""

_MICROS = 1_000_000


class Explainer:
    """Makes messages of what conditions came to.

    Args:
        context: What tells the order of dynamic partitions.
    """

    def __init__(self, context: contexts.PartitionLoadingContext) -> None:
        self._store = context.dynamic_partitions_store
        self._left = 0

    def node(self, explanation: explanations.Explanation) -> conditions_pb2.ConditionNode:
        """Return what a condition came to."""
        self._left = NODES_MAX
        return self._node(explanation, None)

    def partitions(self, value: entity_subsets.Value) -> conditions_pb2.ConditionPartitions:
        """Return a set of partitions for people."""
        if isinstance(value, bool):
            return conditions_pb2.ConditionPartitions(count=int(value))
        message = conditions_pb2.ConditionPartitions(partitioned=True, count=len(value))
        found = value.get_partition_key_ranges(self._store)
        for each in itertools.islice(found, RANGES_MAX):
            message.ranges.append(partition_messages.range_to_message(each))
        message.more = len(found) > RANGES_MAX
        return message

    def _node(
        self, explanation: explanations.Explanation, above: entities.Entity | None
    ) -> conditions_pb2.ConditionNode:
        self._left -= 1
        entity = explanation.entity
        message = conditions_pb2.ConditionNode(
            entity=None if entity == above else entity_messages.to_message(entity),
            name=explanation.name,
            label=explanation.label,
            description=explanation.description,
            operator=explanation.operator,
            candidates=self.partitions(explanation.candidates.value),
            true_for=self.partitions(explanation.true.value),
            trigger=_mark(explanation.trigger),
            reset=_mark(explanation.reset),
        )
        for child in explanation.children:
            if self._left > 0:
                message.children.append(self._node(child, entity))
            else:
                message.left_out_count += 1
        return message


def _mark(mark: states.Mark | None) -> definition_pb2.ConditionMark | None:
    if mark is None:
        return None
    return definition_pb2.ConditionMark(
        evaluation_id=mark.evaluation_id, time=timestamp(mark.timestamp)
    )


def timestamp(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a time in seconds since 1970 as a message."""
    micros = round(seconds * _MICROS)
    return timestamp_pb2.Timestamp(seconds=micros // _MICROS, nanos=micros % _MICROS * 1000)


def signature(explanation: explanations.Explanation) -> int:
    """Return a number that differs where another condition, or another result, is explained."""
    return hash(
        (
            explanation.name,
            explanation.entity,
            explanation.true.value,
            tuple(map(signature, explanation.children)),
        )
    )

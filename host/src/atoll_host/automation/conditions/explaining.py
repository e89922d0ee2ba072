"""Says for people what a condition came to. Pure.

Called by `deciding` for each evaluation that says something new. What is stored is complete: it is
read without the definitions that it was made of, which may be others by then.
"""

import dataclasses
import itertools

from google.protobuf import timestamp_pb2

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, explanations, shapes, states
from atoll._partition_messages import definitions as partition_messages
from atoll._partitions import contexts
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import conditions_pb2 as definition_pb2

RANGES_MAX = 20
NODES_MAX = 2_000
"""A condition may ask thousands of dependencies: so many nodes are told of."""

_MICROS = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class _Template:
    """The message of a shape.

    Attributes:
        message: An evaluation with nothing but the explanation.
        names: Where the names go, in their order.
    """

    message: conditions_pb2.ConditionEvaluation
    names: list[definition_pb2.ConditionEntity]


class Explainer:
    """Makes messages of what conditions came to.

    Args:
        context: What tells the order of dynamic partitions.
    """

    def __init__(self, context: contexts.PartitionLoadingContext) -> None:
        self._store = context.dynamic_partitions_store
        self._left = 0
        # By identity: ten thousand targets share a few shapes.
        self._templates: dict[shapes.Shape, _Template] = {}

    def encoded(self, told: shapes.Told) -> bytes:
        """Return what a condition came to as a part of an evaluation.

        Appended to the message of an evaluation, it becomes its explanation.

        Args:
            told: What it came to.
        """
        template = self._templates.get(told.shape)
        if template is None:
            template = self._templates[told.shape] = self._template(told.shape)
        for place, name in zip(template.names, told.names, strict=False):
            place.CopyFrom(entity_messages.to_message(name))
        return template.message.SerializeToString()

    def _template(self, shape: shapes.Shape) -> _Template:
        self._left = NODES_MAX
        names: list[definition_pb2.ConditionEntity] = []
        message = conditions_pb2.ConditionEvaluation()
        self._fill(message.explanation, shape.example, None, names)
        return _Template(message, names)

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

    def _fill(
        self,
        message: conditions_pb2.ConditionNode,
        explanation: explanations.Explanation,
        above: entities.Entity | None,
        names: list[definition_pb2.ConditionEntity],
    ) -> None:
        """Write what a node came to, but for the names, whose places are noted.

        Nodes are left out at the end alone, so these are the first of the names that the shape has.
        """
        self._left -= 1
        entity = explanation.entity
        if entity != above:
            names.append(message.entity)
        message.name = explanation.name
        message.label = explanation.label
        message.description = explanation.description
        message.operator = explanation.operator
        message.candidates.CopyFrom(self.partitions(explanation.candidates.value))
        message.true_for.CopyFrom(self.partitions(explanation.true.value))
        if explanation.trigger is not None:
            message.trigger.CopyFrom(_mark(explanation.trigger))
        if explanation.reset is not None:
            message.reset.CopyFrom(_mark(explanation.reset))
        for child in explanation.children:
            if self._left > 0:
                self._fill(message.children.add(), child, entity, names)
            else:
                message.left_out_count += 1


def _mark(mark: states.Mark) -> definition_pb2.ConditionMark:
    return definition_pb2.ConditionMark(
        evaluation_id=mark.evaluation_id, time=timestamp(mark.timestamp)
    )


def timestamp(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a time in seconds since 1970 as a message."""
    micros = round(seconds * _MICROS)
    return timestamp_pb2.Timestamp(seconds=micros // _MICROS, nanos=micros % _MICROS * 1000)

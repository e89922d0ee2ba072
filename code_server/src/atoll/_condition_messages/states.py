"""What is remembered of targets, and what conditions came to, to messages and back.

Called by the host, which stores both, and by `evaluate_automation_conditions`.
"""

from __future__ import annotations

from google.protobuf import timestamp_pb2

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, explanations, graph, states
from atoll.definitions.v1 import conditions_pb2

_MICROS = 1_000_000
# Conditions of what is downstream come on top of each other; protobuf reads no more than a hundred.
_LEVELS_MAX = 90


def to_message(state: states.TargetState, target: entities.Entity) -> conditions_pb2.ConditionState:
    """Return what is remembered of a target as a message.

    Args:
        state: What is remembered.
        target: The target.
    """
    return conditions_pb2.ConditionState(
        evaluation=_mark(states.Mark(state.evaluation_id, state.evaluated_at)),
        position=state.position,
        partitions_kind=state.partitions,
        requested=entity_messages.value_to_message(state.requested),
        settling=state.settling,
        nodes=[
            conditions_pb2.ConditionNodeState(
                identity=identity,
                entity=None if entity == target else entity_messages.to_message(entity),
                value=None if node.value is None else entity_messages.value_to_message(node.value),
                text=node.text,
                trigger=_mark(node.trigger),
                reset=_mark(node.reset),
            )
            for (identity, entity), node in sorted(state.nodes.items(), key=lambda item: item[0])
        ],
    )


def from_message(
    message: conditions_pb2.ConditionState, target: entities.Entity, known: graph.Graph
) -> states.TargetState:
    """Return what is remembered of a target, as far as its partitions are still there.

    Args:
        message: The message.
        target: The target.
        known: The graph, for the partitions.
    """
    nodes: dict[states.NodeKey, states.NodeState] = {}
    for node in message.nodes:
        entity = target
        if node.HasField("entity"):
            entity = entity_messages.from_message(node.entity)
        value: entity_subsets.Value | None = None
        if node.HasField("value"):
            partitions_def = known.node(entity).partitions_def
            value = entity_messages.value_from_message(node.value, partitions_def)
        nodes[node.identity, entity] = states.NodeState(
            value=value,
            text=node.text if node.HasField("text") else None,
            trigger=_from_mark(node.trigger) if node.HasField("trigger") else None,
            reset=_from_mark(node.reset) if node.HasField("reset") else None,
        )
    evaluation = _from_mark(message.evaluation)
    return states.TargetState(
        evaluation_id=evaluation.evaluation_id,
        evaluated_at=evaluation.timestamp,
        position=message.position,
        partitions=message.partitions_kind if message.HasField("partitions_kind") else None,
        requested=entity_messages.value_from_message(
            message.requested, known.node(target).partitions_def
        ),
        settling=message.settling,
        nodes=nodes,
    )


def explanation_to_message(
    explanation: explanations.Explanation,
) -> conditions_pb2.ConditionExplanation:
    """Return why something was requested or not as a message.

    Args:
        explanation: What the root of the condition came to.
    """
    return _explanation(explanation, None, _LEVELS_MAX)


def _explanation(
    explanation: explanations.Explanation, above: entities.Entity | None, levels: int
) -> conditions_pb2.ConditionExplanation:
    entity = explanation.entity
    return conditions_pb2.ConditionExplanation(
        entity=None if entity == above else entity_messages.to_message(entity),
        name=explanation.name,
        label=explanation.label,
        description=explanation.description,
        operator=explanation.operator,
        candidates=entity_messages.value_to_message(explanation.candidates.value),
        true_for=entity_messages.value_to_message(explanation.true.value),
        children=[
            _explanation(child, entity, levels - 1) for child in explanation.children if levels > 1
        ],
        trigger=_mark(explanation.trigger),
        reset=_mark(explanation.reset),
    )


def explanation_from_message(
    message: conditions_pb2.ConditionExplanation, target: entities.Entity, known: graph.Graph
) -> explanations.Explanation:
    """Return why something was requested or not.

    Args:
        message: The message.
        target: The target.
        known: The graph, for the partitions.
    """
    entity = target
    if message.HasField("entity"):
        entity = entity_messages.from_message(message.entity)
    partitions_def = known.node(entity).partitions_def
    candidates = entity_messages.value_from_message(message.candidates, partitions_def)
    true = entity_messages.value_from_message(message.true_for, partitions_def)
    return explanations.Explanation(
        words=explanations.Words(
            message.name, message.label, message.description, message.operator
        ),
        candidates=entity_subsets.EntitySubset(entity, candidates),
        true=entity_subsets.EntitySubset(entity, true),
        children=tuple(explanation_from_message(one, entity, known) for one in message.children),
        trigger=_from_mark(message.trigger) if message.HasField("trigger") else None,
        reset=_from_mark(message.reset) if message.HasField("reset") else None,
    )


def _mark(mark: states.Mark | None) -> conditions_pb2.ConditionMark | None:
    if mark is None:
        return None
    micros = round(mark.timestamp * _MICROS)
    time = timestamp_pb2.Timestamp(seconds=micros // _MICROS, nanos=micros % _MICROS * 1000)
    return conditions_pb2.ConditionMark(evaluation_id=mark.evaluation_id, time=time)


def _from_mark(message: conditions_pb2.ConditionMark) -> states.Mark:
    micros = message.time.seconds * _MICROS + message.time.nanos // 1000
    return states.Mark(message.evaluation_id, micros / _MICROS)

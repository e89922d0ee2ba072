"""What is remembered of a target from one evaluation to the next.

Made by evaluations, kept by whoever evaluates. Immutable. `_condition_messages` writes and reads
it. What is remembered of a node is kept under the node's own identity, so that it survives where
other parts of the condition change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from atoll._conditions import entities, entity_subsets


class Mark(NamedTuple):
    """An evaluation.

    Attributes:
        evaluation_id: Its number.
        timestamp: Its time, in seconds since 1970.
    """

    evaluation_id: int
    timestamp: float


class NodeState(NamedTuple):
    """What a node of a condition remembers.

    Attributes:
        value: The partitions that it was true for, or that its operand was; None for none such.
        text: A code version, or what a custom condition wants to remember.
        trigger: When the trigger of a `since` last came true for anything.
        reset: When its reset did.
    """

    value: entity_subsets.Value | None = None
    text: str | None = None
    trigger: Mark | None = None
    reset: Mark | None = None


NodeKey = tuple[str, entities.Entity]
"""The identity of a node (`identities.Identities`), and what it was evaluated for."""


@dataclasses.dataclass(frozen=True, slots=True)
class TargetState:
    """What is remembered of one target.

    Attributes:
        evaluation_id: The evaluation that it comes from.
        evaluated_at: The time of that evaluation, in seconds since 1970.
        position: The position in the log that it saw.
        partitions: The identity of the partitions it was for; None for something without.
        requested: What it requested.
        settling: Whether the next evaluation may come to something else even if nothing changes:
            something was true for this one evaluation only.
        nodes: What the nodes of the condition remember.
    """

    evaluation_id: int
    evaluated_at: float
    position: int
    partitions: str | None
    requested: entity_subsets.Value
    settling: bool
    nodes: Mapping[NodeKey, NodeState]

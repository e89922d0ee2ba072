"""Why something was requested or not: what each node of a condition was true for.

Made by evaluations, shown to people. `_condition_messages` writes and reads it.
"""

from __future__ import annotations

from typing import NamedTuple

from atoll._conditions import entities, entity_subsets, states


class Words(NamedTuple):
    """A node, for people.

    Attributes:
        name: What it is.
        label: What its author calls it; empty for nothing.
        description: What it means; may be empty.
        operator: "and", "or" or "not" where that is how the children make the result, else empty.
    """

    name: str
    label: str = ""
    description: str = ""
    operator: str = ""


class Explanation(NamedTuple):
    """What one node of a condition came to.

    Attributes:
        words: The node.
        candidates: For which partitions it was asked.
        true: For which of them it is true.
        children: The nodes below it, in order. There are none where nothing was left to ask about.
        trigger: Of a `since`, the evaluation at which the trigger last came true.
        reset: Of a `since`, the evaluation at which the reset last came true.
    """

    words: Words
    candidates: entity_subsets.EntitySubset
    true: entity_subsets.EntitySubset
    children: tuple[Explanation, ...] = ()
    trigger: states.Mark | None = None
    reset: states.Mark | None = None

    @property
    def entity(self) -> entities.Entity:
        """The asset, check or job that the node was asked about."""
        return self.candidates.entity

    @property
    def name(self) -> str:
        """What the node is."""
        return self.words.name

    @property
    def label(self) -> str:
        """What its author calls it; empty for nothing."""
        return self.words.label

    @property
    def description(self) -> str:
        """What the node means, in words; may be empty."""
        return self.words.description

    @property
    def operator(self) -> str:
        """How the children make the result; empty for another way."""
        return self.words.operator

"""Explanations that differ in nothing but the names in them, kept once.

Made by `ticking`. Where one condition is evaluated for ten thousand targets, most of them come to
the same: what is kept of each is the shape that it shares with others and the names that it puts
into that. So is whoever writes explanations able to write each shape once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from atoll._conditions import entities, entity_subsets, explanations

_Explanation = explanations.Explanation
_Subset = entity_subsets.EntitySubset
_FIRST_NUMBER = 2
"""Numbers of sets of partitions are apart from truth values, which count as 0 and 1."""


class Shape:
    """What explanations have in common. Compared by identity.

    Attributes:
        example: The first of them.
        signature: Tells it from others whose nodes have other names or are true for something else.
    """

    __slots__ = ("example", "signature")

    def __init__(self, example: _Explanation) -> None:
        self.example = example
        self.signature = _signature(example)


class Told(NamedTuple):
    """An explanation.

    Attributes:
        shape: All of it but the names.
        names: What each node is about, in their order from the top; nodes that are about the same
            as the one above them are left out.
    """

    shape: Shape
    names: tuple[entities.Entity, ...]

    @property
    def signature(self) -> int:
        """A number that differs where another condition, or another result, is explained."""
        return hash((self.shape.signature, self.names))

    def explanation(self) -> _Explanation:
        """Return the explanation in full."""
        example = self.shape.example
        return _renamed(example, example.entity, self.names[0], iter(self.names[1:]))


class Shapes:
    """The shapes of the explanations of one evaluation."""

    def __init__(self) -> None:
        self._shapes: dict[tuple[object, ...], Shape] = {}
        # Sets of partitions are compared by what they hold once; as they are kept, no other one
        # can come to have the identity of one of them.
        self._by_identity: dict[int, tuple[entity_subsets.Value, int]] = {}
        self._by_content: dict[entity_subsets.Value, int] = {}

    def told(self, explanation: _Explanation) -> Told:
        """Return an explanation as its shape and the names in it.

        Args:
            explanation: The explanation.
        """
        content: list[object] = []
        names: list[entities.Entity] = []
        self._walk(explanation, None, content, names)
        key = tuple(content)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = Shape(explanation)
        return Told(shape, tuple(names))

    def _walk(
        self,
        explanation: _Explanation,
        above: entities.Entity | None,
        content: list[object],
        names: list[entities.Entity],
    ) -> None:
        words, candidates, true, children, trigger, reset = explanation
        entity, asked, found = candidates.entity, candidates.value, true.value
        is_same = entity is above or entity == above
        if not is_same:
            names.append(entity)
        content += (
            words,
            is_same,
            asked if isinstance(asked, bool) else self._number(asked),
            found if isinstance(found, bool) else self._number(found),
            trigger,
            reset,
            len(children),
        )
        for child in children:
            self._walk(child, entity, content, names)

    def _number(self, value: entity_subsets.Value) -> int:
        known = self._by_identity.get(id(value))
        if known is None:
            number = self._by_content.setdefault(value, len(self._by_content) + _FIRST_NUMBER)
            known = self._by_identity[id(value)] = value, number
        return known[1]


def _signature(explanation: _Explanation) -> int:
    entity = explanation.entity
    return hash(
        (
            explanation.name,
            explanation.true.value,
            tuple((child.entity == entity, _signature(child)) for child in explanation.children),
        )
    )


def _renamed(
    example: _Explanation,
    above: entities.Entity,
    name: entities.Entity,
    names: Iterator[entities.Entity],
) -> _Explanation:
    """Return an explanation with other names in it.

    Args:
        example: The explanation.
        above: What the node above it is about.
        name: The name in its place.
        names: The names of those nodes that are about something else than the one above them.
    """
    entity = example.entity
    mine = name if entity == above else next(names)
    return example._replace(
        candidates=_Subset(mine, example.candidates.value),
        true=_Subset(mine, example.true.value),
        children=tuple(_renamed(child, entity, mine, names) for child in example.children),
    )

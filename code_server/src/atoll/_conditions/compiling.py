"""Trees of conditions made ready for evaluation: each node with an identity of its own.

Called by plans, once for each different tree. What a node remembers is kept under its identity, so
that it survives a change of labels, of the rest of the tree, and of the selections of a dependency
condition. Pure.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

from atoll._conditions import conditions, explanations, operands

# What does not make a node another one: what people call it, and the user's object behind it.
_APART = frozenset({"label", "implementation", "meaning"})
_SELECTIONS = frozenset({"allow", "ignore"})
_DIGEST_BYTES = 12
_REMEMBERING = (
    conditions.NewlyTrue,
    conditions.Since,
    conditions.AnyDownstream,
    operands.CodeVersionChanged,
    operands.Custom,
)
_LOOKING_ON = (
    conditions.Selecting,
    conditions.AnyJobRoots,
    conditions.AllJobRoots,
    conditions.AssetMatches,
    conditions.AnyDownstream,
    operands.CronTickPassed,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Compiled:
    """A node, made ready.

    Attributes:
        condition: The node as data.
        children: Those below it.
        identity: What tells it from others, in this tree and in later ones.
        full: What tells it and everything below it from others, selections included.
        ordinal: Of a custom condition, which of those of the tree it is, from 0; else -1.
        remembers: Whether it, or anything below it, has to be asked even where nothing is left to
            ask about: because it remembers, or looks at the conditions of others.
        looks_on: Whether it, or anything below it, looks at more than what it is asked about: at
            dependencies, checks and others, or at the time.
        words: The node, for people.
    """

    condition: conditions.Condition
    children: tuple[Compiled, ...]
    identity: str
    full: str
    ordinal: int
    remembers: bool
    looks_on: bool
    words: explanations.Words


def compiled(condition: conditions.Condition) -> Compiled:
    """Make a tree ready.

    Args:
        condition: Its root.
    """
    return _Compiler().node(condition)


def customs(condition: conditions.Condition) -> Iterator[operands.Custom]:
    """Yield the custom conditions of a tree in the order of their ordinals.

    Args:
        condition: Its root.
    """
    return (node for node in conditions.walk(condition) if isinstance(node, operands.Custom))


class _Compiler:
    def __init__(self) -> None:
        self._customs = 0
        self._names: list[str] = []
        self._alike: dict[str, list[str]] = {}

    def node(self, condition: conditions.Condition) -> Compiled:
        ordinal = -1
        if isinstance(condition, operands.Custom):
            ordinal = self._customs
            self._customs += 1
        children = tuple(self.node(child) for child in condition.children)
        own = [
            f"{name}={getattr(condition, name)!r}"
            for name in condition.record_fields
            if name not in _APART | _SELECTIONS
            and not isinstance(getattr(condition, name), conditions.Condition)
            and name != "operands"
        ]
        selections = [
            f"{name}={getattr(condition, name)!r}"
            for name in condition.record_fields
            if name in _SELECTIONS
        ]
        if ordinal >= 0:
            # Two of one name may remember different things.
            own.append(f"ordinal={sum(name == condition.name for name in self._names)}")
            self._names.append(condition.name)
        kind = type(condition).__name__
        base = _digest(kind, *own, *(child.identity.partition("#")[0] for child in children))
        full = _digest(kind, *own, *selections, *(child.full for child in children))
        # Two that differ in selections alone are told apart by which of them comes first.
        alike = self._alike.setdefault(base, [])
        if full not in alike:
            alike.append(full)
        place = alike.index(full)
        identity = base if place == 0 else f"{base}#{place}"
        words = explanations.Words(
            condition.name, condition.label or "", condition.description, condition.operator
        )
        remembers = isinstance(condition, _REMEMBERING) or any(one.remembers for one in children)
        looks_on = isinstance(condition, _LOOKING_ON) or any(one.looks_on for one in children)
        return Compiled(condition, children, identity, full, ordinal, remembers, looks_on, words)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=_DIGEST_BYTES).hexdigest()

"""Conditions as data: a tree of records.

Made by `AutomationCondition` and by `composites`, written by `_condition_messages`, evaluated by
`evaluating`. A node says what it is; what it comes to is said elsewhere. Immutable and comparable;
a label is for people and takes part in comparisons, as two labels are two things to replace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import Self

from atoll import _records as records
from atoll._conditions import selections

AND = "and"
OR = "or"
NOT = "not"
PASS = "pass"  # noqa: S105  # a state of freshness
WARN = "warn"
FAIL = "fail"
DEPTH_MAX = 40
"""How many levels a condition has at most: protobuf reads no message with a hundred inside it."""


class Condition(records.Record):
    """The base of all nodes.

    Attributes:
        label: What its author calls it.
    """

    label: str | None = None

    @property
    def name(self) -> str:
        """What the node is, as people write it."""
        raise NotImplementedError

    @property
    def description(self) -> str:
        """What the node means, in words; may be empty."""
        return ""

    @property
    def operator(self) -> str:
        """How the children make the result: `AND`, `OR` or `NOT`; empty for another way."""
        return ""

    @property
    def children(self) -> tuple[Condition, ...]:
        """The nodes below it, in order."""
        return ()

    def with_children(self, children: tuple[Condition, ...]) -> Condition:
        """Return the same node over others.

        Args:
            children: As many as it has.
        """
        del children
        return self

    def changed(self, **fields: Any) -> Self:
        """Return the node with other values of some fields."""
        values = {name: getattr(self, name) for name in self.record_fields}
        return type(self)(**{**values, **fields})


class And(Condition):
    """True where all operands are."""

    operands: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """What the node is."""
        return "AND"

    @property
    def description(self) -> str:
        """What the node means."""
        return "All of"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return AND

    @property
    def children(self) -> tuple[Condition, ...]:
        """The operands."""
        return self.operands

    def with_children(self, children: tuple[Condition, ...]) -> Condition:
        """Return the node over other operands."""
        return self.changed(operands=children)


class Or(Condition):
    """True where any operand is."""

    operands: tuple[Condition, ...] = ()

    @property
    def name(self) -> str:
        """What the node is."""
        return "OR"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Any of"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return OR

    @property
    def children(self) -> tuple[Condition, ...]:
        """The operands."""
        return self.operands

    def with_children(self, children: tuple[Condition, ...]) -> Condition:
        """Return the node over other operands."""
        return self.changed(operands=children)


class Over(Condition):
    """The base of nodes over one other node. `operand` has a default only for its place."""

    operand: Condition = Condition()

    @property
    def children(self) -> tuple[Condition, ...]:
        """The operand."""
        return (self.operand,)

    def with_children(self, children: tuple[Condition, ...]) -> Condition:
        """Return the node over another operand."""
        return self.changed(operand=children[0])


class Not(Over):
    """True where the operand is not."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "NOT"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Not"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return NOT


class NewlyTrue(Over):
    """True at the evaluation at which the operand comes true."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "NEWLY_TRUE"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Became true since the evaluation before"


class Since(Condition):
    """True where the trigger was true since the reset last was.

    Where both come true at one evaluation, the later of the two counts if both say when; otherwise
    the reset does.
    """

    trigger: Condition = Condition()
    reset: Condition = Condition()

    @property
    def name(self) -> str:
        """What the node is."""
        return "SINCE"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Trigger came true after the reset last did"

    @property
    def children(self) -> tuple[Condition, ...]:
        """The trigger and the reset."""
        return (self.trigger, self.reset)

    def with_children(self, children: tuple[Condition, ...]) -> Condition:
        """Return the node over others."""
        return self.changed(trigger=children[0], reset=children[1])


class Selecting(Over):
    """The base of what looks at dependencies or checks, some of which a selection may leave out.

    Attributes:
        allow: Only those within are looked at.
        ignore: Those within are not looked at.
    """

    allow: selections.Selection | None = None
    ignore: selections.Selection | None = None


class AnyDeps(Selecting):
    """True where the operand is for a partition of any dependency that it needs."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ANY_DEPS_MATCH"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Any dependency"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return OR


class AllDeps(Selecting):
    """True where the operand is for a partition of each dependency that it needs."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ALL_DEPS_MATCH"

    @property
    def description(self) -> str:
        """What the node means."""
        return "All dependencies"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return AND


class SelectingChecks(Selecting):
    """The base of what looks at the checks of an asset.

    Attributes:
        blocking_only: Whether only blocking ones are looked at.
    """

    blocking_only: bool = False


class AnyChecks(SelectingChecks):
    """True where the operand is for any check of the asset."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ANY_CHECKS_MATCH"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Any blocking check" if self.blocking_only else "Any check"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return OR


class AllChecks(SelectingChecks):
    """True where the operand is for all checks of the asset."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ALL_CHECKS_MATCH"

    @property
    def description(self) -> str:
        """What the node means."""
        return "All blocking checks" if self.blocking_only else "All checks"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return AND


class AnyJobRoots(Over):
    """True of a job where the operand is for any of its assets that depend on no other of it."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ANY_JOB_ROOT_ASSETS_MATCH"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return OR


class AllJobRoots(Over):
    """True of a job where the operand is for all of its assets that depend on no other of it."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ALL_JOB_ROOT_ASSETS_MATCH"

    @property
    def operator(self) -> str:
        """How the children make the result."""
        return AND


class AssetMatches(Over):
    """True where the operand is for the partitions of another asset that belong to these.

    Attributes:
        path: The path of the key of the other asset.
    """

    path: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the node is."""
        return "/".join(self.path)


class AnyDownstream(Condition):
    """True where the condition of anything downstream is, asked for this asset."""

    @property
    def name(self) -> str:
        """What the node is."""
        return "ANY_DOWNSTREAM_CONDITIONS"

    @property
    def description(self) -> str:
        """What the node means."""
        return "Any downstream conditions"


def walk(condition: Condition) -> Iterator[Condition]:
    """Yield the nodes of a tree, each before those below it.

    Args:
        condition: The root.
    """
    yield condition
    for child in condition.children:
        yield from walk(child)


def depth(condition: Condition) -> int:
    """Return how many levels a tree has.

    Args:
        condition: The root.
    """
    levels = 0
    row: list[Condition] = [condition]
    while row:
        levels += 1
        row = [child for one in row for child in one.children]
    return levels

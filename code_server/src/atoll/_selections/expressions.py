"""What a selection says, as data: a tree of records.

Made by the methods of `AssetSelection` and by the parser; read by the writer and the resolver. The
functions that combine expressions give one shape to what means the same, so that a selection that
is written and read again is equal to itself. Resolves nothing.
"""

import enum
from collections.abc import Iterable

from atoll import _keys as asset_keys
from atoll import _records as records


class Expression(records.Record):
    """The base of everything that a selection can say."""


class Everything(Expression):
    """All assets: those that can be materialized, or also the others."""

    include_sources: bool = False


class Keys(Expression):
    """Assets by key. Each of them has to be there."""

    keys: tuple[asset_keys.AssetKey, ...]


class KeyPattern(Expression):
    """Assets whose key looks like a pattern: the pieces of text between the stars."""

    pieces: tuple[str, ...]


class KeyPrefixes(Expression):
    """Assets whose key begins with the parts of one of the prefixes."""

    prefixes: tuple[tuple[str, ...], ...]
    include_sources: bool = False


class KeySubstring(Expression):
    """Assets whose key, as people write it, holds a text."""

    text: str
    include_sources: bool = False


class Groups(Expression):
    """Assets of one of the groups."""

    names: tuple[str, ...]
    include_sources: bool = False


class Tag(Expression):
    """Assets with a tag of this value."""

    key: str
    value: str
    include_sources: bool = False


class Owner(Expression):
    """Assets of an owner; None stands for assets that nobody owns."""

    owner: str | None


class Kind(Expression):
    """Assets of a kind; None stands for assets without kinds."""

    kind: str | None
    include_sources: bool = False


class HostAttribute(Expression):
    """Assets by what only the host knows.

    Attributes:
        field: The attribute, one of `HOST_FIELDS`.
        value: Its value; None stands for assets that have none.
        detail: What stands behind the equals sign, for those that have such.
    """

    field: str
    value: str | None
    detail: str | None = None


class CheckKeys(Expression):
    """Asset checks by key, without their assets. Each of them has to be there."""

    keys: tuple[asset_keys.AssetCheckKey, ...]


class AllChecks(Expression):
    """All asset checks, without their assets."""


class Direction(enum.Enum):
    """Which way along the dependencies."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Traversal(Expression):
    """Assets and those within some steps of them; without a depth, however far."""

    direction: Direction
    child: Expression
    depth: int | None = None


class Function(str, enum.Enum):
    """What can be made of the assets of another expression. The value is what people write."""

    ROOTS = "roots"
    SINKS = "sinks"
    MATERIALIZABLE = "materializable"
    UPSTREAM_SOURCES = "upstream_source_assets"
    REQUIRED_NEIGHBORS = "required_multi_asset_neighbors"
    CHECKS_FOR = "checks_for_assets"


class Applied(Expression):
    """A function of the assets of another expression."""

    function: Function
    child: Expression


class Either(Expression):
    """Assets and checks of any of the operands."""

    operands: tuple[Expression, ...]


class Both(Expression):
    """Assets and checks that all of the operands name."""

    operands: tuple[Expression, ...]


class Without(Expression):
    """Assets and checks of the left side that the right side does not name."""

    left: Expression
    right: Expression


NOTHING = Keys(())

# What a location cannot know of its own assets: the host sees all locations and all events.
HOST_FIELDS = (
    "automation_type",
    "changed_in_branch",
    "code_location",
    "column",
    "column_tag",
    "job",
    "partitions",
    "schedule",
    "sensor",
    "status",
    "table_name",
)
# Those that take `name=value`.
HOST_FIELDS_WITH_DETAIL = ("column_tag",)


def either(operands: Iterable[Expression]) -> Expression:
    """Return what any of the operands means.

    Args:
        operands: The operands. Nested alternatives are opened, and neighbours that list keys,
            groups or prefixes become one.

    Returns:
        An expression of one shape, however the alternatives were nested.
    """
    opened = [
        inner
        for one in operands
        for inner in (one.operands if isinstance(one, Either) else (one,))
        if inner != NOTHING
    ]
    runs: list[list[Expression]] = []
    for one in opened:
        if runs and _lists_alike(runs[-1][0], one):
            runs[-1].append(one)
        else:
            runs.append([one])
    joined = tuple(_joined(run) for run in runs)
    if not joined:
        return NOTHING
    return joined[0] if len(joined) == 1 else Either(joined)


def both(left: Expression, right: Expression) -> Expression:
    """Return what both sides mean, nested conjunctions opened."""
    opened: list[Expression] = []
    for one in (left, right):
        opened += one.operands if isinstance(one, Both) else (one,)
    return Both(tuple(opened))


def inverse_of(expression: Expression) -> Without | None:
    """Return an expression as `everything but ...`, None where it is not of that shape."""
    if isinstance(expression, Without) and isinstance(expression.left, Everything):
        return expression
    return None


def traversal(
    direction: Direction, child: Expression, depth: int | None, *, include_self: bool = True
) -> Expression:
    """Return the assets within some steps of others, with or without these."""
    reached = child if depth == 0 else Traversal(direction, child, depth)
    return reached if include_self else Without(reached, child)


def _lists_alike(one: Expression, other: Expression) -> bool:
    if isinstance(one, Keys):
        return isinstance(other, Keys)
    if isinstance(one, CheckKeys):
        return isinstance(other, CheckKeys)
    if isinstance(one, Groups):
        return isinstance(other, Groups) and one.include_sources == other.include_sources
    if isinstance(one, KeyPrefixes):
        return isinstance(other, KeyPrefixes) and one.include_sources == other.include_sources
    return False


def _joined(run: list[Expression]) -> Expression:
    first = run[0]
    if len(run) == 1:
        return first
    if isinstance(first, Keys):
        return Keys(tuple(key for one in run if isinstance(one, Keys) for key in one.keys))
    if isinstance(first, CheckKeys):
        return CheckKeys(
            tuple(key for one in run if isinstance(one, CheckKeys) for key in one.keys)
        )
    if isinstance(first, Groups):
        names = tuple(name for one in run if isinstance(one, Groups) for name in one.names)
        return Groups(names, first.include_sources)
    prefixes = tuple(each for one in run if isinstance(one, KeyPrefixes) for each in one.prefixes)
    return KeyPrefixes(prefixes, isinstance(first, KeyPrefixes) and first.include_sources)

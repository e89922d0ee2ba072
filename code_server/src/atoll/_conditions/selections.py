"""Which of the dependencies or checks an operator looks at: selections of assets as data.

Made of `AssetSelection` by the definitions of a location, resolved where the whole graph is known.
A selection that names assets also names their checks.
"""

from __future__ import annotations

from atoll import _records as records

UPSTREAM = "upstream"
DOWNSTREAM = "downstream"


class Selection(records.Record):
    """The base of everything that a selection can say."""


class Everything(Selection):
    """All assets; those that only code elsewhere makes too, if so wished."""

    include_sources: bool = False


class Keys(Selection):
    """Assets by the paths of their keys."""

    paths: tuple[tuple[str, ...], ...]


class KeyPattern(Selection):
    """Assets whose key looks like a pattern: the pieces of text between the stars."""

    pieces: tuple[str, ...]


class KeyPrefixes(Selection):
    """Assets whose key begins with the parts of one of the prefixes."""

    prefixes: tuple[tuple[str, ...], ...]
    include_sources: bool = False


class KeySubstring(Selection):
    """Assets whose key, as people write it, holds a text."""

    text: str
    include_sources: bool = False


class Groups(Selection):
    """Assets of one of the groups."""

    names: tuple[str, ...]
    include_sources: bool = False


class Tag(Selection):
    """Assets with a tag of this value."""

    key: str
    value: str
    include_sources: bool = False


class Owner(Selection):
    """Assets of an owner; None stands for assets that nobody owns."""

    owner: str | None


class Kind(Selection):
    """Assets of a kind; None stands for assets without kinds."""

    kind: str | None
    include_sources: bool = False


class Location(Selection):
    """Assets that a code location makes or defines."""

    name: str


class Checks(Selection):
    """Asset checks by the paths of their assets and their names, without the assets."""

    keys: tuple[tuple[tuple[str, ...], str], ...]


class AllChecks(Selection):
    """All asset checks, without their assets."""


class Traversal(Selection):
    """Assets and those within some steps of them; without a depth, however far.

    Attributes:
        direction: `UPSTREAM` or `DOWNSTREAM`.
        child: Where to begin.
        depth: How many steps to go.
    """

    direction: str
    child: Selection
    depth: int | None = None


class Applied(Selection):
    """A function of the assets of another selection.

    Attributes:
        function: "roots", "sinks", "materializable", "upstream_source_assets",
            "required_multi_asset_neighbors" or "checks_for_assets".
        child: The other selection.
    """

    function: str
    child: Selection


class Either(Selection):
    """Assets and checks of any of the operands."""

    operands: tuple[Selection, ...]


class Both(Selection):
    """Assets and checks that all of the operands name."""

    operands: tuple[Selection, ...]


class Without(Selection):
    """Assets and checks of the left side that the right side does not name."""

    left: Selection
    right: Selection

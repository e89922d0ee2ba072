"""Which columns of a table an input asks for: its metadata `columns`.

Called by IO managers that keep tables.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from atoll import errors

COLUMNS_METADATA = "columns"


class MissingColumnsError(Exception):
    """A table lacks columns that an input asks for."""


def selected(metadata: Mapping[str, Any]) -> list[str] | None:
    """Return the columns that an input asks for, None for all.

    Args:
        metadata: What the user attached to the input.

    Raises:
        InvariantViolationError: The metadata names no columns.
    """
    told = metadata.get(COLUMNS_METADATA)
    told = getattr(told, "value", told)
    if told is None:
        return None
    if isinstance(told, Sequence) and not isinstance(told, str):
        names = list(cast("Sequence[object]", told))
        if names and all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    raise errors.InvariantViolationError(
        f"The metadata {COLUMNS_METADATA!r} of an input is a list of names of columns, got "
        f"{told!r}."
    )


def check(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Check that a table has columns.

    Args:
        wanted: The columns that are asked for.
        known: The columns that it has.

    Raises:
        MissingColumnsError: It lacks some.
    """
    missing = [name for name in wanted if name not in known]
    if missing:
        raise MissingColumnsError(
            f"has no column {', '.join(map(repr, missing))}; it has {', '.join(known) or 'none'}. "
            f"Correct the metadata {COLUMNS_METADATA!r} of the input."
        )

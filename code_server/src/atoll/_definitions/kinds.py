"""Checks that an option of a definition is of the kind that it has to be.

Called by the constructors of definitions, so that a wrong option is told where it is given and not
where it is first used.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from atoll import errors


def check(value: Any, kind: type | tuple[type, ...], what: str, remedy: str) -> None:
    """Check an option; None stands for one that was not given.

    Args:
        value: What was given.
        kind: What it has to be an instance of.
        what: The option and whose it is, as the beginning of a sentence.
        remedy: What to give instead.

    Raises:
        InvalidDefinitionError: It is something else.
    """
    if value is not None and not isinstance(value, kind):
        shown = getattr(value, "__name__", None) or repr(value)
        raise errors.InvalidDefinitionError(
            f"{what} got {shown} of type {type(value).__name__}. Give {remedy}."
        )


def check_each(values: Any, kind: type | tuple[type, ...], what: str, remedy: str) -> None:
    """Check every member of a collection, of a mapping its values; see `check`."""
    if values is None:
        return
    check(values, Iterable, what, remedy)
    for one in values.values() if isinstance(values, Mapping) else values:  # pyright: ignore[reportUnknownVariableType]
        check(one, kind, what, remedy)

"""Checks of what is given as metadata. Called by `metadata` only."""

from typing import Any

from atoll import errors


def checked(kind: str, value: Any, expected: Any) -> Any:
    """Return a value after checking that it is of a kind of metadata.

    Args:
        kind: The name of the kind, for the error.
        value: The value.
        expected: The types that the kind takes, as `isinstance` does.

    Raises:
        InvalidDefinitionError: It is of another type.
    """
    wrong_bool = isinstance(value, bool) and expected in (int, (int, float))
    if not isinstance(value, expected) or wrong_bool:
        raise errors.InvalidDefinitionError(
            f"MetadataValue.{kind} does not take {shortened(value)} of type {type(value).__name__}."
        )
    return value


def shortened(value: Any) -> str:
    """Return how a value shows, on one line of a terminal."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - one line of a terminal

"""Which type an annotation stands for, or what was given as `type=`.

Called by whatever has inputs and outputs, at definition time and, for values that have no
definition, at run time: what was resolved once costs a look into a cache. What an annotation says
beyond what can be checked is left to type checkers.
"""

import functools
from typing import Any

from atoll import errors
from atoll._definitions.value_types import annotation_forms, definition

RESOLVED_MAX = 4096


def resolve(annotation: Any) -> definition.Type:
    """Return the type of an annotation.

    Args:
        annotation: The annotation, resolved if it was text; a `Type`; or what stands for one that
            was left out, such as `inspect.Parameter.empty`.

    Returns:
        The type; `Any` where nothing can be checked or the annotation is not understood.
    """
    if isinstance(annotation, definition.Type):
        return annotation
    try:
        return _resolved(annotation)
    except TypeError:
        # It cannot be hashed, so it cannot be kept either.
        return _resolved.__wrapped__(annotation)


def resolve_argument(given: Any, owner: str) -> definition.Type:
    """Return the type that was given as `type=`.

    Args:
        given: What was given; None stands for `Any`.
        owner: What it was given for, for the error: "the input 'rows' of the op 'load'".

    Returns:
        The type.

    Raises:
        InvalidDefinitionError: It is neither a type nor anything that can be an annotation.
    """
    if given is None:
        return annotation_forms.ANY
    if isinstance(given, definition.Type):
        return given
    if not annotation_forms.is_annotation(given):
        raise errors.InvalidDefinitionError(
            f"The type of {owner} is {given!r}, which is no type. Give a Type, a Python class, or "
            f"an annotation such as list[int]{_hint(given)}."
        )
    return resolve(given)


@functools.lru_cache(maxsize=RESOLVED_MAX)
def _resolved(annotation: Any) -> definition.Type:
    return annotation_forms.read(annotation)


def _hint(given: Any) -> str:
    """Say what may have been meant."""
    if isinstance(given, str):
        return "; the name of a class is not enough, since it says nothing of where it is"
    if isinstance(given, type):
        return "; Type itself is not the type of a value: make one of it"
    return "" if callable(given) else f"; {type(given).__name__} may be what was meant"

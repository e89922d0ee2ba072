"""What our public objects look like from the outside: kinds, parameters and members.

Called by the comparison. Nothing of the objects is run.
"""

import ast
import enum
import functools
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from atoll import _records as records

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_STARS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Signature(NamedTuple):
    """What can be given to a function, by name and by position."""

    names: frozenset[str]
    positional: tuple[str, ...]
    required: frozenset[str]
    takes_any_position: bool


def is_of_kind(value: Any, kind: str) -> bool:
    """Tell whether an object is what the established API has under its name."""
    is_class = isinstance(value, type)
    match kind:
        case "class":
            return is_class or callable(value)
        case "enum":
            return is_class and issubclass(value, enum.Enum)
        case "error":
            return is_class and issubclass(value, Exception)
        case "function":
            return callable(value)
        case _:
            return True


def signature(value: Any, *, is_bound: bool = True) -> Signature | None:
    """Tell what can be given to a class or function; None where Python cannot say."""
    if isinstance(value, type) and _is_plain_record(value):
        fields = value.record_fields
        return Signature(frozenset(fields), fields, value._required_fields, False)
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except (TypeError, ValueError):
        return None
    if not is_bound:
        parameters = parameters[1:]
    named = [one for one in parameters if one.kind not in _STARS]
    return Signature(
        # What takes any number of arguments stands under its own name in the other list too.
        frozenset(one.name for one in parameters),
        tuple(one.name for one in named if one.kind in _POSITIONAL),
        frozenset(one.name for one in named if not _has_default(value, one)),
        any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters),
    )


def _has_default(value: Any, parameter: inspect.Parameter) -> bool:
    """Tell whether a parameter need not be given; its default may well be the mark of nothing."""
    if parameter.default is not inspect.Parameter.empty:
        return True
    function = inspect.unwrap(value.__init__ if isinstance(value, type) else value)
    return parameter.name in (getattr(function, "__kwdefaults__", None) or {})


def _is_plain_record(value: type) -> bool:
    return issubclass(value, records.Record) and value.__init__ is records.Record.__init__


def has_member(value: type, name: str) -> bool:
    """Tell whether objects of a class have the attribute or method."""
    return hasattr(value, name) or name in _attributes(value)


def method(value: type, name: str) -> Signature | None:
    """Tell what can be given to a method; None where the member is no method."""
    try:
        static = inspect.getattr_static(value, name)
    except AttributeError:
        return None
    if isinstance(static, property | functools.cached_property):
        return None
    if inspect.isfunction(static):
        return signature(static, is_bound=False)
    found = getattr(value, name)
    return signature(found) if callable(found) else None


@functools.cache
def _attributes(value: type) -> frozenset[str]:
    """Find what objects of a class have without the class having it."""
    return frozenset(name for one in value.__mro__ for name in _attributes_of_one(one))


def _attributes_of_one(value: type) -> Iterator[str]:
    yield from inspect.get_annotations(value)
    yield from getattr(value, "model_fields", ())
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    except (OSError, TypeError):
        return
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), ctx=ast.Store()):
                yield node.attr
            case _:
                pass

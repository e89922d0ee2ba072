"""The forms of annotations, and the types that they stand for.

Called by `resolution` only. Classes are checked by `isinstance`; containers, unions and literals by
their parts; what cannot be checked without running or consuming a value by its outermost class.
"""

import collections.abc
import functools
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from atoll._definitions.value_types import builtin, containers, definition, registration

ANY = builtin.ANY

_Reader = Callable[[tuple[Any, ...], Any], definition.Type]


def is_annotation(given: object) -> bool:
    """Tell whether something can be an annotation, understood or not.

    Args:
        given: What a user gave where an annotation is expected.

    Returns:
        False for text, numbers, functions and other plain values.
    """
    if isinstance(given, type) and typing.get_origin(given) is None:
        return not issubclass(given, definition.Type)
    return given is None or type(given).__module__ in _MODULES_OF_FORMS


# Where the classes of generics, unions, type variables and the like are defined.
_MODULES_OF_FORMS = frozenset(
    {"typing", "typing_extensions", "types", "collections.abc", "_collections_abc"}
)


def read(annotation: Any) -> definition.Type:
    """Return the type of an annotation.

    Args:
        annotation: Anything that stood as an annotation.

    Returns:
        The type; `Any` where the annotation says nothing that can be checked.
    """
    if isinstance(annotation, definition.Type):
        return annotation
    try:
        return _read(annotation)
    except Exception:  # noqa: BLE001 - boundary to users' annotations, which may do anything
        # An annotation speaks to type checkers first: an odd one must not keep code from running.
        return ANY


def _read(annotation: Any) -> definition.Type:
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _read_generic(annotation, origin)
    if annotation is None:
        return builtin.NOTHING
    return _read_class(annotation) if isinstance(annotation, type) else _read_other(annotation)


def _read_other(annotation: Any) -> definition.Type:
    """Read an annotation that is neither a class nor a generic with parameters."""
    if isinstance(annotation, typing.TypeVar):
        return read(annotation.__bound__) if annotation.__bound__ is not None else ANY
    # What NewType makes is a class only since Python 3.10, and has no public class before.
    supertype = getattr(annotation, "__supertype__", None)
    if supertype is not None:
        return read(supertype)
    # `type Name = ...` of Python 3.12.
    if type(annotation).__name__ == "TypeAliasType":
        # One that mentions itself, as the type of JSON documents does, would be read for ever.
        return ANY if _mentions_itself(annotation) else read(annotation.__value__)
    return ANY


def _mentions_itself(alias: Any) -> bool:
    """Tell whether an alias stands, however deep, within what it stands for."""
    pending, seen = [alias.__value__], set[int]()
    while pending:
        part = pending.pop()
        if part is alias:
            return True
        if id(part) not in seen:
            seen.add(id(part))
            pending += [*typing.get_args(part), getattr(part, "__value__", None)]
    return False


def _read_class(annotation: type[Any]) -> definition.Type:
    known = builtin.BY_CLASS.get(annotation) or BARE.get(annotation)
    if known is not None:
        return known
    if _is_typed_dict(annotation):
        return _read_typed_dict(annotation)
    if getattr(annotation, "_is_protocol", False) and not getattr(
        annotation, "_is_runtime_protocol", False
    ):
        # Only its methods' names could be looked at, and isinstance refuses to.
        return ANY
    if annotation.__module__ in {"typing", "typing_extensions"}:
        # typing.Any is a class since Python 3.11.
        return ANY
    return registration.REGISTERED.type_of(annotation)


def _read_generic(annotation: Any, origin: Any) -> definition.Type:
    arguments = typing.get_args(annotation)
    reader = _READERS.get(origin)
    if reader is not None:
        return reader(arguments, annotation)
    if not isinstance(origin, type):
        return ANY
    if origin.__module__.startswith("pandera."):
        return _read_pandera(arguments)
    return _read_parametrised(origin, arguments, annotation)


def _read_parametrised(
    origin: type[Any], arguments: tuple[Any, ...], annotation: Any
) -> definition.Type:
    """Read a class with parameters."""
    # What the parameters of other classes mean is theirs to know.
    if origin.__module__ not in {"builtins", "collections", "collections.abc", "typing"}:
        return _read_class(origin)
    if len(arguments) == 1 and _holds_elements(origin):
        label = origin.__name__.capitalize()
        return containers.ElementsType(origin, read(arguments[0]), label, annotation)
    if len(arguments) == 2 and _is_kind(origin, Mapping):  # noqa: PLR2004
        return containers.MappingType(origin, read(arguments[0]), read(arguments[1]), annotation)
    return _read_class(origin)


def _holds_elements(origin: type[Any]) -> bool:
    """Tell whether a class has elements that can be looked at without taking them away."""
    return _is_kind(origin, collections.abc.Iterable) and not _is_kind(origin, Iterator)


def _is_kind(origin: type[Any], kind: Any) -> bool:
    return issubclass(origin, kind)


def _read_union(arguments: tuple[Any, ...], annotation: Any) -> definition.Type:
    others = [one for one in arguments if one is not type(None)]
    inner = list(dict.fromkeys(read(one) for one in others))
    may_be_none = len(others) < len(arguments)
    if len(inner) == 1:
        return containers.OptionalType(inner[0], annotation) if may_be_none else inner[0]
    if any(one.is_any for one in inner):
        return ANY
    if not inner:
        return builtin.NOTHING
    union_of = containers.UnionType(
        inner,
        typing.Union[tuple(others)] if may_be_none else annotation,  # noqa: UP007 - made at run time
    )
    return containers.OptionalType(union_of, annotation) if may_be_none else union_of


def _read_tuple(arguments: tuple[Any, ...], annotation: Any) -> definition.Type:
    if annotation is typing.Tuple:  # noqa: UP006 - what the user wrote
        return BARE[tuple]
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004
        return containers.ElementsType(tuple, read(arguments[0]), "Tuple", annotation)
    # In Python 3.10, tuple[()] has an empty tuple as its one argument.
    if arguments == ((),):
        arguments = ()
    if any(_is_unpacked(one) for one in arguments):
        return BARE[tuple]
    return containers.TupleType([read(one) for one in arguments], annotation)


def _is_unpacked(argument: Any) -> bool:
    """Tell whether an argument stands for several: `*tuple[int, ...]`, `*Ts`."""
    return bool(
        getattr(argument, "__unpacked__", False)
        or getattr(argument, "__typing_is_unpacked_typevartuple__", False)
        or "Unpack" in repr(typing.get_origin(argument))
    )


def _read_annotated(arguments: tuple[Any, ...], _annotation: Any) -> definition.Type:
    # Annotated[pandas.DataFrame, PRICES]: the class for type checkers, the type for the check.
    chosen = [mark for mark in arguments[1:] if isinstance(mark, definition.Type)]
    return chosen[-1] if chosen else read(arguments[0])


def _read_literal(arguments: tuple[Any, ...], annotation: Any) -> definition.Type:
    # True equals 1, and is another literal all the same.
    accepted: list[tuple[type[Any], Any]] = [(type(one), one) for one in arguments]
    shown = ",".join(repr(one) for one in arguments)
    return containers.DerivedType(
        lambda value: (type(value), value) in accepted,
        key=f"Literal.{shown}",
        display_name=f"Literal[{shown}]",
        typing_type=annotation,
    )


def _read_class_of(arguments: tuple[Any, ...], annotation: Any) -> definition.Type:
    expected: Any = arguments[0] if arguments else Any
    is_class = isinstance(expected, type) and typing.get_origin(expected) is None
    if not is_class or expected.__module__ == "typing":
        return registration.REGISTERED.type_of(type)
    return containers.DerivedType(
        lambda value: isinstance(value, type) and issubclass(value, expected),
        key=f"Class.{expected.__module__}.{expected.__qualname__}",
        display_name=f"Class[{expected.__name__}]",
        typing_type=annotation,
    )


def _read_callable(_arguments: tuple[Any, ...], annotation: Any) -> definition.Type:
    return containers.DerivedType(
        callable, key="Callable", display_name="Callable", typing_type=annotation
    )


def _read_pandera(arguments: tuple[Any, ...]) -> definition.Type:
    if len(arguments) != 1 or not hasattr(arguments[0], "to_schema"):
        return ANY
    # Loaded by its name: who has no such annotation does not pay for it.
    schemas = importlib.import_module(f"{__package__}.pandera_schemas")
    found: definition.Type = schemas.pandera_schema_to_type(arguments[0])
    return found


def _is_typed_dict(annotation: type[Any]) -> bool:
    return _is_kind(annotation, dict) and hasattr(annotation, "__required_keys__")


def _read_typed_dict(annotation: Any) -> definition.Type:
    @functools.cache
    def field_types() -> dict[str, definition.Type]:
        try:
            hints = typing.get_type_hints(annotation)
        except Exception:  # noqa: BLE001 - boundary to users' annotations: a name may be unknown
            return {}
        return {name: read(hint) for name, hint in hints.items()}

    return containers.FieldsType(
        annotation.__name__,
        f"{annotation.__module__}.{annotation.__qualname__}",
        frozenset(annotation.__required_keys__),
        field_types,
        annotation,
    )


def _plain(python_type: type[Any], loader: Any = None) -> definition.Type:
    return definition.PythonObjectType(
        python_type, name=python_type.__name__, is_builtin=True, loader=loader
    )


# Containers of which nothing more is said, and the class by which `inspect` says that an
# annotation was left out.
BARE: dict[Any, definition.Type] = {
    inspect.Parameter.empty: ANY,
    list: containers.ElementsType(list, ANY, "List", list[Any]),
    dict: _plain(dict, containers.DICT_LOADER),
    set: _plain(set),
    frozenset: _plain(frozenset),
    tuple: _plain(tuple),
}

_READERS: dict[Any, _Reader] = {
    typing.Union: _read_union,
    types.UnionType: _read_union,
    typing.Annotated: _read_annotated,
    typing.Literal: _read_literal,
    tuple: _read_tuple,
    type: _read_class_of,
    collections.abc.Callable: _read_callable,  # pyright: ignore[reportUnknownMemberType]
}

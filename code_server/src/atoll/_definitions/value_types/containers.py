"""Types made of other types: lists, dicts, sets, tuples, unions and what may be None.

Called by `resolution`. The elements are checked as well: those whose type is plainly a class by the
set of their classes, so that a list of a million numbers costs milliseconds.
"""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    Sequence,
)
from typing import Any

from atoll import errors
from atoll._definitions.value_types import builtin, definition, input_loaders, loaders

_Answer = bool | definition.TypeCheck


class ElementsType(definition.Type):
    """Collections of one class whose elements are all of one type.

    Args:
        container: The class of the collections, or the abstract one.
        inner: The type of the elements.
        label: What people call the collections: `List`, `Set`.
        typing_type: The annotation of the values.
    """

    def __init__(
        self, container: type[Any], inner: definition.Type, label: str, typing_type: Any
    ) -> None:
        self._container = container
        self._inner = inner
        # Asking an abstract class costs more than all else for a short list.
        self._is_collection = issubclass(container, Collection)
        is_list = container in _GIVEN_LISTS
        shown = inner.display_name
        display_name = f"[{shown}]" if container is list else f"{label}[{shown}]"
        self._display_name = display_name
        super().__init__(
            self._check,
            key=f"{label}.{inner.key}",
            is_builtin=True,
            loader=_elements_loader(inner, container),
            kind=definition.TypeKind.LIST if is_list else definition.TypeKind.REGULAR,
            typing_type=typing_type,
        )

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return (self._inner,)

    def _check(self, context: Any, value: Any) -> _Answer:
        if not isinstance(value, self._container):
            return _refused(value, self)
        # What is gone once it was looked at is left to the step.
        if not self._is_collection and not isinstance(value, Collection):
            return True
        return check_all(self._inner, context, value, "element")  # pyright: ignore[reportUnknownArgumentType]


class MappingType(definition.Type):
    """Mappings of one class whose keys are of one type and whose values are of another."""

    def __init__(
        self,
        container: type[Any],
        key_type: definition.Type,
        value_type: definition.Type,
        typing_type: Any,
    ) -> None:
        self._container = container
        self._key_type = key_type
        self._value_type = value_type
        label = "Dict" if container is dict else container.__name__
        self._display_name = f"{label}[{key_type.display_name},{value_type.display_name}]"
        loader = value_type.loader
        has_loader = container in _GIVEN_DICTS and key_type in {builtin.STRING, builtin.ANY}
        super().__init__(
            self._check,
            key=f"{label}.{key_type.key}.{value_type.key}",
            is_builtin=True,
            loader=input_loaders.PartsLoader(loader, dict) if loader and has_loader else None,
            typing_type=typing_type,
        )

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return (self._key_type, self._value_type)

    def _check(self, context: Any, value: Any) -> _Answer:
        if not isinstance(value, self._container):
            return _refused(value, self)
        answer = check_all(self._key_type, context, value, "key")
        if answer is not True:
            return answer
        return check_all(self._value_type, context, value.values(), "value", value)


class TupleType(definition.Type):
    """Tuples of one length, whose elements have a type each."""

    def __init__(self, inner: Sequence[definition.Type], typing_type: Any) -> None:
        self._inner = tuple(inner)
        self._display_name = f"Tuple[{','.join(one.display_name for one in inner)}]"
        super().__init__(
            self._check,
            key=".".join(["Tuple", *(one.key for one in inner)]),
            is_builtin=True,
            typing_type=typing_type,
        )

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return self._inner

    def _check(self, context: Any, value: Any) -> _Answer:
        if not isinstance(value, tuple):
            return _refused(value, self)
        if len(value) != len(self._inner):  # pyright: ignore[reportUnknownArgumentType]
            return definition.TypeCheck(
                success=False,
                description=f"A tuple of {len(value)} elements "  # pyright: ignore[reportUnknownArgumentType]
                f"was given for {self.display_name!r}, which has {len(self._inner)}.",
            )
        for index, (inner, element) in enumerate(zip(self._inner, value, strict=True)):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            check = inner.type_check(context, element)  # pyright: ignore[reportUnknownArgumentType]
            if not check.success:
                return _of_part(check, f"element {index}")
        return True


class OptionalType(definition.Type):
    """Values of a type, or None."""

    def __init__(self, inner: definition.Type, typing_type: Any) -> None:
        self._inner = inner
        loader = inner.loader
        super().__init__(
            self._check,
            key=f"Optional.{inner.key}",
            is_builtin=True,
            loader=input_loaders.PartsLoader(loader, None) if loader else None,
            kind=definition.TypeKind.NULLABLE,
            typing_type=typing_type,
        )

    @property
    def display_name(self) -> str:
        return f"{self._inner.display_name}?"

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return (self._inner,)

    @property
    def supports_fan_in(self) -> bool:
        # `values: list[int] | None = None` is how people write a list that may be left out.
        return self._inner.kind is definition.TypeKind.LIST

    def get_inner_type_for_fan_in(self) -> definition.Type:
        if self.supports_fan_in:
            return self._inner.get_inner_type_for_fan_in()
        return super().get_inner_type_for_fan_in()

    def _check(self, context: Any, value: object) -> _Answer:
        return value is None or self._inner.type_check(context, value)


class UnionType(definition.Type):
    """Values of one of several types."""

    def __init__(self, inner: Sequence[definition.Type], typing_type: Any) -> None:
        self._inner = tuple(inner)
        self._display_name = f"Union[{','.join(one.display_name for one in inner)}]"
        super().__init__(
            self._check,
            key=".".join(["Union", *(one.key for one in inner)]),
            is_builtin=True,
            typing_type=typing_type,
        )

    @property
    def display_name(self) -> str:
        return self._display_name

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return self._inner

    def _check(self, context: Any, value: object) -> _Answer:
        broken: errors.TypeCheckError | None = None
        for inner in self._inner:
            try:
                if inner.type_check(context, value).success:
                    return True
            except errors.TypeCheckError as error:  # noqa: PERF203 - there are few types
                # A check made for one type may trip over values of the others.
                broken = broken or error
        if broken is not None:
            raise broken
        return _refused(value, self)


class DerivedType(definition.Type):
    """A type of an annotation whose check is a function of the value alone.

    Args:
        accepts: Tells whether a value is of the type.
        key: What tells the type apart.
        display_name: What people call it.
        typing_type: The annotation.
    """

    def __init__(
        self, accepts: Callable[[Any], bool], key: str, display_name: str, typing_type: Any
    ) -> None:
        self._accepts = accepts
        self._display_name = display_name
        super().__init__(self._check, key=key, is_builtin=True, typing_type=typing_type)

    @property
    def display_name(self) -> str:
        return self._display_name

    def _check(self, _context: Any, value: object) -> _Answer:
        return self._accepts(value) or _refused(value, self)


class FieldsType(definition.Type):
    """Dicts with certain keys, as a `TypedDict` describes them.

    Args:
        name: What people call the dicts.
        key: What tells the type apart.
        required: The keys that have to be there.
        field_types: Returns the types of the values by key; asked for at the first check, since
            such dicts may hold their like.
        typing_type: The annotation.
    """

    def __init__(
        self,
        name: str,
        key: str,
        required: frozenset[str],
        field_types: Callable[[], Mapping[str, definition.Type]],
        typing_type: Any,
    ) -> None:
        self._display_name = name
        self._required = required
        self._field_types = field_types
        super().__init__(self._check, key=key, is_builtin=True, typing_type=typing_type)

    @property
    def display_name(self) -> str:
        return self._display_name

    def _check(self, context: Any, value: Any) -> _Answer:
        if not isinstance(value, dict):
            return _refused(value, self)
        missing = sorted(self._required.difference(value))  # pyright: ignore[reportUnknownArgumentType]
        if missing:
            return definition.TypeCheck(
                success=False,
                description=f"The dict has no {', '.join(map(repr, missing))}, which "
                f"{self.display_name!r} requires.",
            )
        for name, field_type in self._field_types().items():
            if name in value:
                check = field_type.type_check(context, value[name])  # pyright: ignore[reportUnknownArgumentType]
                if not check.success:
                    return _of_part(check, f"value of {name!r}")
        return True


def check_all(
    inner: definition.Type,
    context: Any,
    values: Collection[Any],
    part: str,
    names: Collection[Any] = (),
) -> _Answer:
    """Check that all of several values are of a type.

    Args:
        inner: The type.
        context: The context of the check.
        values: The values.
        part: What a value is within the whole, for the description.
        names: What tells each value apart, where that is not its position.

    Returns:
        True, or the check of the first value that is not.
    """
    if inner.is_any:
        return True
    python_type = getattr(inner, "python_type", None)
    if python_type is not None and all(issubclass(kind, python_type) for kind in _kinds(values)):
        return True
    for index, value in enumerate(values):
        check = inner.type_check(context, value)
        if not check.success:
            name = _name([*names][index]) if names else str(index)
            return _of_part(check, f"{part} {name}")
    return True


def _name(key: object) -> str:
    # What another key looks like is for its class to say, and may be long or fail.
    return repr(key)[:80] if isinstance(key, (str, int)) else f"of a {type(key).__name__}"


def _kinds(values: Collection[Any]) -> set[type[Any]]:
    return set(map(type, values))


def _of_part(check: definition.TypeCheck, part: str) -> definition.TypeCheck:
    """Say of which part of a value a check is."""
    said = check.description or "It did not pass the check."
    return definition.TypeCheck(
        success=False, description=f"In {part}: {said}", metadata=check.metadata
    )


def _refused(value: object, expected: definition.Type) -> definition.TypeCheck:
    return definition.TypeCheck(
        success=False,
        description=f"{definition.shown(value)} is not of the type {expected.display_name!r}.",
    )


def _elements_loader(inner: definition.Type, container: type[Any]) -> loaders.TypeLoader | None:
    if inner.loader is None:
        return None
    if container in _GIVEN_LISTS:
        return input_loaders.PartsLoader(inner.loader, list)
    make = _MAKERS.get(container)
    return input_loaders.PartsLoader(inner.loader, list, make) if make else None


# The collections and mappings of which a list and a dict are one: several outputs may be given for
# the first, and configuration gives either.
_GIVEN_LISTS = frozenset({list, Sequence, MutableSequence, Collection, Iterable})
_GIVEN_DICTS = frozenset({dict, Mapping, MutableMapping})
_MAKERS: dict[type[Any], Callable[[Any], Any]] = {
    set: set,
    frozenset: frozenset,
    tuple: tuple,
}
# A dict of which nothing more is said is given as it is.
DICT_LOADER = input_loaders.PlainLoader("a dict", {"type": "object"}, dict)

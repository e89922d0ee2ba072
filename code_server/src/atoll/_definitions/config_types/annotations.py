"""Annotations of Python as config types: `list[int]`, `int | None`, `Literal["a"]`, ...

Called for annotations where a config type belongs, and by the reading of config classes, which has
its own ideas about what is not composed of others.
"""

import types
import typing
from collections import abc
from collections.abc import Callable, Sequence
from typing import Any

from atoll._definitions import config_contract
from atoll._definitions.config_types import collections, enums, rules, scalars, schema

_SEQUENCES = (
    list, set, frozenset, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable,
    abc.Set, abc.MutableSet,
)  # fmt: skip
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_ANNOTATED = (typing.Annotated,)
_LITERALS = (typing.Literal,)
_UNIONS = (typing.Union, types.UnionType)


class Translation:
    """How annotations become config types."""

    def __init__(
        self,
        simple: Callable[[Any], schema.ConfigType | None],
        marked: Callable[[Any, Sequence[Any]], schema.ConfigType | None],
        key: Callable[[Any], schema.ConfigType | None],
    ) -> None:
        """Make a translation.

        Args:
            simple: Translates what is not composed of others.
            marked: Translates what stands in `Annotated`, of the type and the marks.
            key: Translates the keys of mappings.
        """
        self._simple = simple
        self._marked = marked
        self._key = key

    def translate(self, annotation: Any) -> schema.ConfigType | None:
        """Return the config type that an annotation means, None where it means none."""
        annotation = _without_aliases(annotation)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin in _ANNOTATED:
            return self._marked(arguments[0], arguments[1:])
        if origin in _UNIONS:
            return self.union(arguments)
        if origin in _LITERALS:
            return enums.Literals(arguments)
        return self._collection(origin or annotation, arguments) or self._simple(annotation)

    def union(self, members: Sequence[Any]) -> schema.ConfigType | None:
        """Return the config type of a union of annotations."""
        others = [one for one in members if one is not type(None) and one is not None]
        translated = self._all(others)
        if not translated:
            return None
        made = translated[0] if len(translated) == 1 else collections.AnyOf(translated)
        return made if len(others) == len(members) else collections.Noneable(made)

    def _collection(self, kind: Any, arguments: Sequence[Any]) -> schema.ConfigType | None:
        if _is_one_of(kind, _SEQUENCES):
            return self._sequence(arguments)
        if _is_one_of(kind, _MAPPINGS):
            return self._mapping(arguments)
        return self._tuple(arguments) if kind is tuple else None

    def _sequence(self, arguments: Sequence[Any]) -> schema.ConfigType | None:
        inner = self.translate(arguments[0]) if arguments else scalars.ANY
        return None if inner is None else collections.Array(inner)

    def _mapping(self, arguments: Sequence[Any]) -> schema.ConfigType | None:
        if not arguments:
            return collections.Map(scalars.STRING, scalars.ANY)
        key, inner = self._key(arguments[0]), self.translate(arguments[1])
        return None if key is None or inner is None else collections.Map(key, inner)

    def _tuple(self, arguments: Sequence[Any]) -> schema.ConfigType | None:
        if not arguments:
            return collections.Array(scalars.ANY)
        if arguments[-1] is Ellipsis:
            return self._sequence(arguments[:1])
        members = self._all([one for one in arguments if one != ()])
        return None if members is None else collections.Tuple(members)

    def _all(self, annotations: Sequence[Any]) -> list[schema.ConfigType] | None:
        translated = [self.translate(one) for one in annotations]
        known = [one for one in translated if one is not None]
        return known if len(known) == len(translated) else None


def _without_aliases(annotation: Any) -> Any:
    """Follow NewType and aliases of types to what they stand for."""
    annotation = config_contract.meaning_of_marker(annotation)
    while True:
        if isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif _is_type_alias(annotation):
            annotation = annotation.__value__
        else:
            return annotation


def _is_type_alias(annotation: Any) -> bool:
    # By name: typing has it since Python 3.12 only, and typing_extensions is dear to import.
    return type(annotation).__name__ == "TypeAliasType" and hasattr(annotation, "__value__")


def _is_one_of(kind: Any, kinds: Sequence[Any]) -> bool:
    # By identity: marks in annotations may be such that the whole cannot be hashed.
    return any(kind is one for one in kinds)


def _simple(annotation: Any) -> schema.ConfigType | None:
    if isinstance(annotation, schema.ConfigType):
        return annotation
    return rules.find(annotation) if isinstance(annotation, type) else _scalar(annotation)


def _scalar(annotation: Any) -> schema.ConfigType | None:
    return scalars.of_python_type(annotation)


def _without_marks(annotation: Any, marks: Sequence[Any]) -> schema.ConfigType | None:
    return rules.find(annotation)


_OF_SCHEMAS = Translation(_simple, _without_marks, _scalar)


def _of_annotation(raw: Any) -> schema.ConfigType | None:
    meant = config_contract.meaning_of_marker(raw)
    if isinstance(meant, type) and typing.get_origin(meant) is None:
        return None
    return _OF_SCHEMAS.translate(meant)


rules.add(_of_annotation)

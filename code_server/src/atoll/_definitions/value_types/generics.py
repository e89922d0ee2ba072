"""The generics of the field: `List[int]`, `Optional[Rows]`, `Dict[str, int]`, made of types.

Called by users. In brackets they take what annotations of Python cannot hold: a `Type`. Type
checkers take them for those of `typing`, so that they serve as annotations too.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from typing import Optional as OptionalOf

from atoll import errors
from atoll._definitions.value_types import annotation_forms, containers, definition, resolution

KEPT_MAX = 1024


class Generic(definition.Type):
    """A type that becomes another when it is given types in brackets.

    Args:
        name: The name by which users call it.
        bare: The type that it is without brackets.
        make: Makes a type of those in brackets.
        count: How many there have to be; None for any number.
    """

    def __init__(
        self,
        name: str,
        bare: definition.Type,
        make: Callable[..., definition.Type],
        count: int | None,
    ) -> None:
        self._generic_name = name
        self._bare = bare
        self._make = functools.lru_cache(maxsize=KEPT_MAX)(make)
        self._count = count
        self.__doc__ = f"The type `{name}`, or one made of types: `{name}[...]`."
        super().__init__(
            bare.type_check,
            key=bare.key,
            name=bare.name,
            is_builtin=True,
            loader=bare.loader,
            kind=bare.kind,
            typing_type=bare.typing_type,
        )

    @property
    def display_name(self) -> str:
        return self._bare.display_name

    @property
    def inner_types(self) -> tuple[definition.Type, ...]:
        return self._bare.inner_types

    def __getitem__(self, inner: Any) -> definition.Type:
        given: list[Any] = [*inner] if isinstance(inner, tuple) else [inner]
        if self._count is not None and len(given) != self._count:
            raise errors.InvalidDefinitionError(
                f"{self._generic_name}[...] takes {self._count} types, got {len(given)}: {given!r}."
            )
        owner = f"a part of {self._generic_name}[...]"
        return self._make(*(resolution.resolve_argument(one, owner) for one in given))

    def __call__(self, *inner: Any) -> definition.Type:
        """Make a type of others, as brackets do."""
        return self[inner]


def _list_of(inner: definition.Type) -> definition.Type:
    return containers.ElementsType(list, inner, "List", _annotation(list, inner))


def _set_of(inner: definition.Type) -> definition.Type:
    return containers.ElementsType(set, inner, "Set", _annotation(set, inner))


def _dict_of(key: definition.Type, value: definition.Type) -> definition.Type:
    return containers.MappingType(dict, key, value, _annotation(dict, key, value))


def _tuple_of(*inner: definition.Type) -> definition.Type:
    return containers.TupleType(inner, _annotation(tuple, *inner))


def _optional_of(inner: definition.Type) -> definition.Type:
    return containers.OptionalType(inner, OptionalOf[inner.typing_type])  # noqa: UP045 - made at run time


def _annotation(container: Any, *inner: definition.Type) -> Any:
    return container[tuple(one.typing_type for one in inner)]


if TYPE_CHECKING:
    from typing import Dict as Dict  # noqa: UP035 - the names of the field
    from typing import List as List  # noqa: UP035
    from typing import Optional as Optional
    from typing import Set as Set  # noqa: UP035
    from typing import Tuple as Tuple  # noqa: UP035
else:
    Dict = Generic("Dict", annotation_forms.BARE[dict], _dict_of, 2)
    List = Generic("List", annotation_forms.BARE[list], _list_of, 1)
    Optional = Generic("Optional", annotation_forms.ANY, _optional_of, 1)
    Set = Generic("Set", annotation_forms.BARE[set], _set_of, 1)
    Tuple = Generic("Tuple", annotation_forms.BARE[tuple], _tuple_of, None)

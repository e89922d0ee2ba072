"""Which types stand for which Python classes.

Called by `resolution`, and by users who give a class of theirs a type of its own. Type checkers see
the class as it is: an annotation stays the user's class.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from atoll import errors
from atoll._definitions.value_types import builtin, definition, loaders

C = TypeVar("C", bound=type[Any])


class Registered:
    """The types of Python classes, those that users chose and those that annotations led to."""

    def __init__(self) -> None:
        self._chosen: dict[type[Any], definition.Type] = {}
        self._inferred: dict[type[Any], definition.Type] = {}

    def choose(self, python_type: type[Any], chosen: definition.Type) -> None:
        """Let a type stand for a class."""
        before = self._chosen.get(python_type)
        if before is chosen:
            return
        name = python_type.__qualname__
        if python_type in builtin.BY_CLASS:
            raise errors.InvalidDefinitionError(
                f"{name} has the type {builtin.BY_CLASS[python_type].display_name!r} already, as "
                "all code expects. Make a subclass, or give type=... where it is used."
            )
        if before is not None:
            raise errors.InvalidDefinitionError(
                f"The class {name} has the type {before.display_name!r} already, so it cannot have "
                f"{chosen.display_name!r} too. Give it one of them."
            )
        if python_type in self._inferred:
            raise errors.InvalidDefinitionError(
                f"The class {name} was used as an annotation before it was given the type "
                f"{chosen.display_name!r}, so what used it would not follow. Give the class its "
                "type next to where it is defined, before it is used."
            )
        self._chosen[python_type] = chosen

    def type_of(self, python_type: type[Any]) -> definition.Type:
        """Return the type of a class: the chosen one, or one whose values are its instances."""
        chosen = self._chosen.get(python_type) or self._inferred.get(python_type)
        if chosen is None:
            # Threads that ask at once are to get the same.
            chosen = self._inferred.setdefault(python_type, _InstancesType(python_type))
        return chosen


class _InstancesType(definition.PythonObjectType):
    """The type of a class that was given none: its name may be that of other classes as well."""

    def __init__(self, python_type: type[Any]) -> None:
        super().__init__(python_type, key=f"{python_type.__module__}.{python_type.__qualname__}")

    @property
    def display_name(self) -> str:
        return self._expected


REGISTERED = Registered()


def make_python_type_usable_as_type(python_type: type[Any], type: definition.Type) -> None:
    """Let a type stand for a Python class wherever the class is an annotation.

    Args:
        python_type: The class, which may be of a library.
        type: The type that its values are checked with.

    Raises:
        InvalidDefinitionError: The class has another type already.
    """
    if not _is_class(python_type):
        raise errors.InvalidDefinitionError(
            f"Only a class can be given a type, got {python_type!r}. Give type=... where it is "
            "used."
        )
    if not isinstance(type, definition.Type):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.InvalidDefinitionError(
            f"The class {python_type.__qualname__} was given {type!r} as its type. Give a Type."
        )
    REGISTERED.choose(python_type, type)


@overload
def usable_as_type(name: C) -> C: ...
@overload
def usable_as_type(
    name: str | None = None,
    description: str | None = None,
    loader: loaders.TypeLoader | None = None,
) -> Callable[[C], C]: ...
def usable_as_type(
    name: C | str | None = None,
    description: str | None = None,
    loader: loaders.TypeLoader | None = None,
) -> C | Callable[[C], C]:
    """Give a class a type of its own, whose values are the instances of the class.

    Args:
        name: What people call the type; the name of the class where not given.
        description: What the type means, as Markdown.
        loader: Makes a value of run configuration, for inputs that no step gives a value.

    Returns:
        A decorator that returns the class as it is; the class itself, where it was given directly.
    """
    chosen_name = name if isinstance(name, str) else None

    def decorate(decorated: C) -> C:
        make_python_type_usable_as_type(
            decorated,
            definition.PythonObjectType(
                decorated, name=chosen_name, description=description, loader=loader
            ),
        )
        return decorated

    return decorate if name is None or isinstance(name, str) else decorate(name)


def _is_class(given: Any) -> bool:
    # The generic of a class, such as list[int], passes for a class in Python 3.10.
    return isinstance(given, type) and not hasattr(given, "__origin__")

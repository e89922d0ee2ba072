"""Which resources need which, and what is wrong with all of them together.

Called by whoever checks definitions, describes their config, or makes resources ready. Nothing of a
user's runs here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atoll import errors
from atoll._definitions.resources import definition


def required_closure(
    objects: Mapping[str, Any], keys: Iterable[str], whose: str = "The run"
) -> tuple[str, ...]:
    """Return the keys of the resources that some need, these included.

    Args:
        objects: What users put into `resources={...}`, by key.
        keys: The required ones.
        whose: Who requires them, for errors.

    Returns:
        The keys, each after those that it needs.

    Raises:
        UnknownResourceError: One of them is not there.
        InvalidDefinitionError: Some need each other.
    """
    return Needs(coerced(objects), whose).closure(keys)


def problems_of(objects: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with resources, in words for users.

    Args:
        objects: What users put into `resources={...}`, by key.

    Returns:
        One sentence for each problem: resources that are missing, that need each other, or that
        cannot be configured.
    """
    definitions = coerced(objects)
    needs = Needs(definitions, "The location")
    # What is wrong is seen from each of the resources that lead to it, and told once.
    told: dict[object, str] = {}
    for key in objects:
        for what, words in _problems_from(needs, key, definitions).items():
            told.setdefault(what, words)
    return list(told.values())


def unreachable(place: str, kind: str) -> str:
    """Say that a resource waits for config that cannot reach it.

    Args:
        place: Where it stands: the key of the outer resource and the field.
        kind: What it is.
    """
    return (
        f"The resource in {place}, a {kind}, is to be configured at launch, but it has no key. "
        "Give the same object to Definitions(resources={...}) as well."
    )


def _problems_from(needs: "Needs", key: str, definitions: "Coerced") -> dict[object, str]:
    try:
        needs.closure([key])
        waiting = list(_without_key(needs, key, definitions[key]))
    except CircleError as error:
        return {frozenset(error.keys): str(error)}
    except errors.Error as error:
        return {str(error): str(error)}
    return {place: unreachable(place, type(inside).__name__) for place, inside in waiting}


def _without_key(
    needs: "Needs", place: str, made: definition.ResourceDefinition
) -> Iterator[tuple[str, Any]]:
    for name, inside in made.nested.items():
        if needs.key_of(inside) is None:
            inner = definition.coerce(inside)
            if inner.config_field is not None and inner.config_field.is_required:
                yield f"{place}.{name}", inside
            yield from _without_key(needs, f"{place}.{name}", inner)


class CircleError(errors.InvalidDefinitionError):
    """Resources need each other.

    Attributes:
        keys: Their keys, in order.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        circle = " -> ".join((*keys, keys[0]))
        super().__init__(f"Resources need each other: {circle}. Take one of these needs away.")
        self.keys = keys


def coerced(objects: Mapping[str, Any]) -> "Coerced":
    """Return the definitions for what users gave.

    Args:
        objects: What users put into `resources={...}`, by key.
    """
    return objects if isinstance(objects, Coerced) else Coerced(objects)


class Coerced(Mapping[str, definition.ResourceDefinition]):
    """The definitions for what users gave, by key, made when they are first asked for.

    Args:
        objects: What users put into `resources={...}`, by key.
    """

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self.objects = objects
        self._made: dict[str, definition.ResourceDefinition] = {}

    def __getitem__(self, key: str) -> definition.ResourceDefinition:
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = definition.coerce(self.objects[key])
        return made

    def __contains__(self, key: object) -> bool:
        return key in self.objects

    def __iter__(self) -> Iterator[str]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)


class Needs:
    """Which resources need which.

    Args:
        definitions: All of them.
        whose: Who requires resources, for errors.
    """

    def __init__(self, definitions: Coerced, whose: str) -> None:
        self._definitions = definitions
        self._whose = whose
        self._keys_by_id: dict[int, str] | None = None

    def key_of(self, inside: Any) -> str | None:
        """Return the key under which the resource of a field is provided itself, if it is.

        Args:
            inside: The resource, as it stands in the field.
        """
        if self._keys_by_id is None:
            self._keys_by_id = {id(one): key for key, one in self._definitions.objects.items()}
        return self._keys_by_id.get(id(inside))

    def closure(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return the keys, and those that they need, each after those that it needs.

        Args:
            keys: The required ones.

        Raises:
            UnknownResourceError: One of them is not there.
            InvalidDefinitionError: Some need each other.
        """
        settled: dict[str, None] = {}
        for key in sorted(keys):
            self._settle(key, self._whose, settled, ())
        return tuple(settled)

    def _settle(
        self, key: str, whose: str, settled: dict[str, None], path: tuple[str, ...]
    ) -> None:
        if key in settled:
            return
        if key in path:
            raise CircleError(path[path.index(key) :])
        if key not in self._definitions:
            known = ", ".join(sorted(self._definitions)) or "none"
            raise errors.UnknownResourceError(
                f"{whose} requires the resource {key!r}, which nobody provides; there are "
                f"{known}. Give Definitions(resources={{{key!r}: ...}}).",
                key,
            )
        for needed in sorted(self._needed_by(self._definitions[key])):
            self._settle(needed, f"The resource {key!r}", settled, (*path, key))
        settled[key] = None

    def _needed_by(self, made: definition.ResourceDefinition) -> set[str]:
        needed = set(made.required_resource_keys)
        for inside in made.nested.values():
            key = self.key_of(inside)
            if key is not None:
                needed.add(key)
            else:
                needed |= self._needed_by(definition.coerce(inside))
        return needed

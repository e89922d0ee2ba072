"""Structures without names: Array, Map, Noneable, ScalarUnion, and unions in general.

Called by users, and for lists, dicts with a type as their key and annotations that stand where a
config type belongs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from atoll import errors
from atoll._definitions import plain_data
from atoll._definitions.config_types import (
    describing,
    enums,
    limits,
    reading,
    rules,
    scalars,
    schema,
)

_KEY_TYPES = (scalars.ScalarType, scalars.AnyType, enums.MembersByName, enums.Literals)


class Array(schema.ConfigType):
    """A list with items of one type."""

    def __init__(self, inner_type: Any) -> None:
        """Make a type of lists.

        Args:
            inner_type: The config type of the items.
        """
        self.inner_type = rules.require(inner_type, "The type of the items of an Array")

    def __repr__(self) -> str:
        return f"Array({self.inner_type!r})"

    @property
    def description(self) -> str:
        """What the type is, in words."""
        return f"A list of {self.inner_type!r}."

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if not plain_data.is_list(value):
            return found.refuse(path, value, "expected a list")
        items = value
        return [
            self.inner_type.walk(item, (*path, str(index)), found)
            for index, item in enumerate(items)
        ]

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {"type": "array", "items": self.inner_type.describe(into)}

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        if not plain_data.is_collection(value):
            return schema.plain(value)
        return [self.inner_type.plain(item) for item in value]


class Map(schema.ConfigType):
    """Values of one type by keys of one type."""

    def __init__(self, key_type: Any, inner_type: Any, key_label_name: str | None = None) -> None:
        """Make a type of maps.

        Args:
            key_type: The config type of the keys, a scalar.
            inner_type: The config type of the values.
            key_label_name: What a key is called where the config is shown.
        """
        self.key_type = rules.require(key_type, "The type of the keys of a Map")
        self.inner_type = rules.require(inner_type, "The type of the values of a Map")
        self.key_label_name = key_label_name
        if not isinstance(self.key_type, _KEY_TYPES):
            raise errors.InvalidConfigDefinitionError(
                f"The keys of a Map are {key_type!r}. Keys are scalars: str, int, float or bool.",
                key_type,
            )

    def __repr__(self) -> str:
        return f"Map({self.key_type!r}, {self.inner_type!r})"

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if not plain_data.is_mapping(value):
            return found.refuse(path, value, "expected values by key")
        taken: dict[Any, Any] = {}
        for key, item in value.items():
            place = (*path, str(key))
            taken[self._key(key, place, found)] = self.inner_type.walk(item, place, found)
        return taken

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described: describing.JsonSchema = {
            "type": "object",
            "additionalProperties": self.inner_type.describe(into),
        }
        if self.key_label_name:
            described["x-key-label"] = self.key_label_name
        # JSON has strings as keys only, so that numbers in them show only when they are read.
        if not isinstance(self.key_type, scalars.ScalarType):
            described["propertyNames"] = self.key_type.describe(into)
        return described

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        if not plain_data.is_mapping(value):
            return schema.plain(value)
        entries = value
        return {schema.plain(key): self.inner_type.plain(item) for key, item in entries.items()}

    def _key(self, key: Any, path: reading.Path, found: reading.Reading) -> Any:
        if isinstance(self.key_type, scalars.ScalarType) and isinstance(key, str):
            return self.key_type.walk_text(key, "the key", path, found)
        return self.key_type.walk(key, path, found)


class Noneable(schema.ConfigType):
    """A value of a type, or null; null where config says nothing."""

    def __init__(self, inner_type: Any) -> None:
        """Make a type that null belongs to.

        Args:
            inner_type: The config type of all other values.
        """
        self.inner_type = rules.require(inner_type, "The type of a Noneable")

    def __repr__(self) -> str:
        return f"Noneable({self.inner_type!r})"

    @property
    def is_required(self) -> bool:
        """Whether config has to be given: never."""
        return False

    @property
    def has_value_of_nothing(self) -> bool:
        """Whether there is a value where config says nothing: null."""
        return True

    def nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return None."""
        return None

    def limited(self, limit: limits.Limits) -> schema.ConfigType:
        """Return the same type with limits; see `ConfigType`."""
        return Noneable(self.inner_type.limited(limit))

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        return None if value is None else self.inner_type.walk(value, path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {"anyOf": [self.inner_type.describe(into), {"type": "null"}]}

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        return None if value is None else self.inner_type.plain(value)


class ScalarUnion(schema.ConfigType):
    """A scalar or something with structure."""

    def __init__(self, scalar_type: Any, non_scalar_schema: Any, _key: str | None = None) -> None:
        """Make a union.

        Args:
            scalar_type: The config type of scalars.
            non_scalar_schema: The config type of dicts and lists.
        """
        self.scalar_type = rules.require(scalar_type, "The scalar type of a ScalarUnion")
        self.non_scalar_type = rules.require(non_scalar_schema, "The other type of a ScalarUnion")
        if not isinstance(self.scalar_type, scalars.ScalarType):
            raise errors.InvalidConfigDefinitionError(
                f"The scalar type of a ScalarUnion is {scalar_type!r}. Give str, int, float or "
                "bool.",
                scalar_type,
            )

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if isinstance(value, (Mapping, list, tuple)):
            return self.non_scalar_type.walk(value, path, found)
        return self.scalar_type.walk(value, path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        structure = {"type": ["object", "array"]}
        return {
            "if": structure,
            "then": self.non_scalar_type.describe(into),
            "else": self.scalar_type.describe(into),
        }


class AnyOf(schema.ConfigType):
    """A value of one of several types."""

    def __init__(self, members: Sequence[Any]) -> None:
        """Make a union.

        Args:
            members: The config types; where several take a value, the first has it, unless another
                gives back the type of the value itself.
        """
        self.members = [rules.require(one, "A member of a union") for one in members]

    def limited(self, limit: limits.Limits) -> schema.ConfigType:
        """Return the same type with limits; see `ConfigType`."""
        return AnyOf([one.limited(limit) for one in self.members])

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        fitting: list[tuple[Any, reading.Reading]] = []
        failed: list[reading.Reading] = []
        for member in self.members:
            attempt = found.attempt()
            taken = member.walk(value, path, attempt)
            if attempt.problems:
                failed.append(attempt)
            else:
                fitting.append((taken, attempt))
        if not fitting:
            # The member that came furthest says best what is wrong.
            told = max(failed, key=lambda one: max(len(problem.path) for problem in one.problems))
            if all(problem.path == path for one in failed for problem in one.problems):
                expected = " or ".join(dict.fromkeys(_expected(one) for one in self.members))
                return found.refuse(path, value, f"expected {expected}")
            found.adopt(told)
            return reading.UNKNOWN
        exact = [one for one in fitting if type(one[0]) is type(value)]
        taken, attempt = (exact or fitting)[0]
        found.adopt(attempt)
        return taken

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {"anyOf": [one.describe(into) for one in self.members]}


class Tuple(schema.ConfigType):
    """A list with a fixed number of items, each of its own type."""

    def __init__(self, members: Sequence[Any]) -> None:
        """Make a type of tuples.

        Args:
            members: The config types of the items.
        """
        self.members = [rules.require(one, "An item of a tuple") for one in members]

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if not plain_data.is_list(value) or len(cast("Any", value)) != len(self.members):
            return found.refuse(path, value, f"expected a list of {len(self.members)} items")
        items = value
        return [
            member.walk(item, (*path, str(index)), found)
            for index, (member, item) in enumerate(zip(self.members, items, strict=True))
        ]

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described: describing.JsonSchema = {
            "type": "array",
            "minItems": len(self.members),
            "maxItems": len(self.members),
        }
        if self.members:
            described["prefixItems"] = [one.describe(into) for one in self.members]
        return described


def _expected(one: schema.ConfigType) -> str:
    if isinstance(one, scalars.SourceType):
        return one.scalar.name
    return one.name if isinstance(one, scalars.ScalarType) else f"{one!r}"


def _of_list(raw: Any) -> schema.ConfigType | None:
    if raw is list:
        return Array(scalars.ANY)
    if not isinstance(raw, list):
        return None
    items = cast("Sequence[Any]", raw)
    if len(items) != 1:
        raise errors.InvalidConfigDefinitionError(
            f"A list that stands for a config type has one item, the type of the items; got "
            f"{items!r}.",
            items,
        )
    return Array(items[0])


def _of_dict_with_a_type(raw: Any) -> schema.ConfigType | None:
    if not plain_data.is_mapping(raw) or len(raw) != 1:
        return None
    key, item = next(iter(raw.items()))
    return None if isinstance(key, str) else Map(key, item)


rules.add(_of_list)
rules.add(_of_dict_with_a_type)

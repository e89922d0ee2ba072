"""Config types with a fixed set of values: enumerations by name, and literals.

Called by users as `Enum` and `EnumValue`, and for the enums of Python, whose members config gives
by name.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from atoll import errors
from atoll._definitions.config_types import describing, reading, rules, schema


class EnumValue:
    """One value of an `Enum`."""

    def __init__(
        self, config_value: str, python_value: Any = None, description: str | None = None
    ) -> None:
        """Make a value.

        Args:
            config_value: What config says.
            python_value: What user code gets; the same where None.
            description: What the value means.
        """
        self.config_value = config_value
        self.python_value = config_value if python_value is None else python_value
        self.description = description

    def __repr__(self) -> str:
        return f"EnumValue({self.config_value!r}, {self.python_value!r})"


class Enum(schema.ConfigType):
    """One of several names, each of which stands for a value."""

    def __init__(self, name: str, enum_values: Sequence[EnumValue]) -> None:
        """Make an enumeration.

        Args:
            name: Its name.
            enum_values: Its values.
        """
        given: Sequence[Any] = enum_values
        wrong = [one for one in given if not isinstance(one, EnumValue)]
        if wrong:
            raise errors.InvalidConfigDefinitionError(
                f"The Enum {name!r} has the value {wrong[0]!r}. Give an EnumValue for each.", wrong
            )
        self.given_name = name
        self.enum_values = list(enum_values)
        self._python_values = {one.config_value: one.python_value for one in enum_values}

    def __repr__(self) -> str:
        return f"Enum({self.given_name!r}, {self.config_values!r})"

    @classmethod
    def from_python_enum(cls, enum: type[enum.Enum], name: str | None = None) -> "Enum":
        """Return the enumeration whose values are the members of an enum of Python.

        Args:
            enum: The enum; config gives the names of its members.
            name: The name; that of the enum where None.
        """
        members = enum.__members__.items()
        return cls(name or enum.__name__, [EnumValue(key, member) for key, member in members])

    @classmethod
    def from_python_enum_direct_values(
        cls, enum: type[enum.Enum], name: str | None = None
    ) -> "Enum":
        """Return the enumeration whose values are those of the members of an enum of Python.

        Args:
            enum: The enum; config gives the names of its members.
            name: The name; that of the enum where None.
        """
        members = enum.__members__.items()
        return cls(name or enum.__name__, [EnumValue(key, one.value) for key, one in members])

    @property
    def config_values(self) -> list[str]:
        """What config may say."""
        return list(self._python_values)

    def is_valid_config_enum_value(self, config_value: Any) -> bool:
        """Tell whether config may say this."""
        return isinstance(config_value, str) and config_value in self._python_values

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if self.is_valid_config_enum_value(value) and not isinstance(value, enum.Enum):
            return self._python_values[value]
        names = ", ".join(self._python_values)
        return found.refuse(path, value, f"expected one of {names}")

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described: describing.JsonSchema = {"type": "string", "enum": self.config_values}
        texts = {one.config_value: one.description for one in self.enum_values if one.description}
        if texts:
            described["x-enum-descriptions"] = texts
        return described


class MembersByName(schema.ConfigType):
    """A member of an enum of Python, which config gives by its name."""

    def __init__(self, kind: type[enum.Enum]) -> None:
        """Make the type.

        Args:
            kind: The enum.
        """
        self._kind = kind

    def __repr__(self) -> str:
        return f"a member of {self._kind.__name__}"

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if isinstance(value, self._kind):
            return value
        members = self._kind.__members__
        if isinstance(value, str) and value in members:
            return members[value]
        names = ", ".join(members)
        return found.refuse(path, value, f"expected the name of {self!r}: {names}")

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        kind = self._kind
        described = {"type": "string", "enum": list(kind.__members__), "title": kind.__name__}
        names = (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")
        return into.refer(kind, names, lambda: described)


class Literals(schema.ConfigType):
    """One of several values that stand in the annotation itself."""

    def __init__(self, values: Iterable[Any]) -> None:
        """Make the type.

        Args:
            values: The values; members of enums go by their names.
        """
        self.values = list(values)

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        for literal in self.values:
            if literal is value or _same(schema.plain(literal), value):
                return literal
        choices = ", ".join(repr(schema.plain(one)) for one in self.values)
        return found.refuse(path, value, f"expected one of {choices}")

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {"enum": [schema.plain(one) for one in self.values]}


def _same(one: Any, other: Any) -> bool:
    """Tell whether two plain values are the same in JSON, where true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def is_enum(raw: Any) -> TypeGuard[type[enum.Enum]]:
    """Tell whether something is an enum of Python."""
    return isinstance(raw, type) and issubclass(raw, enum.Enum)


def _of_enum(raw: Any) -> schema.ConfigType | None:
    return MembersByName(raw) if is_enum(raw) else None


rules.add(_of_enum)

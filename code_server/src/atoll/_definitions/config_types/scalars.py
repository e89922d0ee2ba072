"""Scalar config types, plain and with the choice to name an environment variable instead.

Called by users as `StringSource`, `IntSource` and `BoolSource`, and by every structure that holds
scalars. The check is as strict as JSON Schema's: "1" is no integer and true is no number, and 1.0
is the integer 1, since JSON does not tell the two apart.
"""

import typing
from collections.abc import Callable
from typing import Any

from atoll._definitions import config_contract, environment, plain_data
from atoll._definitions.config_types import describing, limits, reading, rules, schema

_TRUE = frozenset({"true", "t", "1", "yes", "y", "on"})
_FALSE = frozenset({"false", "f", "0", "no", "n", "off", ""})


class ScalarType(schema.ConfigType):
    """A string, a number or a truth value."""

    def __init__(
        self,
        name: str,
        kind: str,
        take: Callable[[Any], Any],
        parse: Callable[[str], Any],
        limit: limits.Limits | None = None,
    ) -> None:
        """Make a scalar type.

        Args:
            name: What messages call a value.
            kind: The type in JSON Schema.
            take: Returns the value that user code gets; raises ValueError where it is no such.
            parse: The same for text.
            limit: Limits on the value.
        """
        self.name = name
        self._kind = kind
        self._take = take
        self._parse = parse
        self._limit = limit

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def limited(self, limit: limits.Limits) -> schema.ConfigType:
        """Return the same type with limits; see `ConfigType`."""
        return ScalarType(self.name, self._kind, self._take, self._parse, limit)

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        try:
            taken = self._take(value)
        except (ValueError, OverflowError):
            return found.refuse(path, value, f"expected {self.name}")
        return self._within_limits(taken, value, path, found)

    def walk_text(self, text: str, origin: str, path: reading.Path, found: reading.Reading) -> Any:
        """Read text, where no other types can stand: variables of the environment, and keys.

        Args:
            text: The text.
            origin: What messages call the text.
            path: Where it stands.
            found: Takes note of what does not fit.
        """
        try:
            taken = self._parse(text)
        except (ValueError, OverflowError):
            return found.refuse(path, text, f"expected {self.name} in {origin}")
        return self._within_limits(taken, text, path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described: describing.JsonSchema = {"type": self._kind}
        if self._limit is not None:
            described.update(self._limit.keywords(self._kind))
        return described

    def _within_limits(
        self, taken: Any, shown: Any, path: reading.Path, found: reading.Reading
    ) -> Any:
        if self._limit is None:
            return taken
        complaints = list(self._limit.complaints(taken))
        for complaint in complaints:
            found.refuse(path, shown, complaint)
        return reading.UNKNOWN if complaints else taken


class AnyType(schema.ConfigType):
    """Anything at all."""

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Take the value as it is."""
        return value

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {}


class SourceType(schema.ConfigType):
    """A scalar, or `{"env": "NAME"}` to have it read from the environment."""

    def __init__(self, scalar: schema.ConfigType) -> None:
        """Make a type of values that may stand in the environment.

        Args:
            scalar: What the value is; a `ScalarType`.
        """
        self.scalar: ScalarType = typing.cast("ScalarType", scalar)

    def limited(self, limit: limits.Limits) -> schema.ConfigType:
        """Return the same type with limits; see `ConfigType`."""
        return SourceType(self.scalar.limited(limit))

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        name = environment.referred(value)
        if name is None:
            if plain_data.is_mapping(value):
                expected = f"expected {self.scalar.name}, or {{'env': 'NAME'}} to read it"
                return found.refuse(path, value, expected)
            return self.scalar.walk(value, path, found)
        text = found.look_up(path, name)
        if text is reading.UNKNOWN:
            return text
        return self.scalar.walk_text(text, f"the environment variable {name}", path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        return {"anyOf": [self.scalar.describe(into), into.refer_to_env_var()]}


def _string(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, environment.EnvVar):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all scalars
    return value


def _int(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, (bool, environment.IntEnvVar)):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all scalars
    return value


def _float(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, (bool, environment.IntEnvVar)):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all scalars
    return float(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)  # noqa: TRY004 - one kind of error for all scalars
    return value


def _parsed_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)


STRING = ScalarType("a string", "string", _string, str)
INT = ScalarType("an integer", "integer", _int, int)
FLOAT = ScalarType("a number", "number", _float, float)
BOOL = ScalarType("true or false", "boolean", _bool, _parsed_bool)
ANY = AnyType()

StringSource = SourceType(STRING)
IntSource = SourceType(INT)
FloatSource = SourceType(FLOAT)
BoolSource = SourceType(BOOL)

_BY_PYTHON_TYPE: dict[Any, schema.ConfigType] = {
    str: STRING,
    int: INT,
    float: FLOAT,
    bool: BOOL,
    Any: ANY,
    object: ANY,
}


def of_python_type(raw: Any) -> schema.ConfigType | None:
    """Return the scalar type that a type of Python, or a marker that stands for one, means."""
    named = config_contract.meaning_of_marker(raw)
    try:
        return _BY_PYTHON_TYPE.get(named)
    except TypeError:
        return None


rules.add(of_python_type)

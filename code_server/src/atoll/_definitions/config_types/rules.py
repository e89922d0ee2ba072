"""How what users write as a config schema becomes a config type.

Called by every structure for what it holds, and by `config_schemas`. Each module of this package
adds the rules for what it knows when it is imported, which is why structures need not know each
other.
"""

from collections.abc import Callable
from typing import Any

from atoll import errors
from atoll._definitions import config_contract
from atoll._definitions.config_types import schema

Rule = Callable[[Any], "schema.ConfigType | None"]

_RULES: list[Rule] = []


def add(rule: Rule) -> None:
    """Add a rule.

    Args:
        rule: Returns the config type that a value stands for, None where it does not know.
    """
    _RULES.append(rule)


def find(raw: Any) -> schema.ConfigType | None:
    """Return the config type that a value stands for, None where no rule knows.

    Args:
        raw: What the user wrote.
    """
    if isinstance(raw, schema.ConfigType):
        return raw
    for rule in _RULES:
        found = rule(raw)
        if found is not None:
            return found
    return None


def require(raw: Any, place: str) -> schema.ConfigType:
    """Return the config type that a value stands for.

    Args:
        raw: What the user wrote.
        place: Where it stands, for the message.

    Raises:
        InvalidConfigDefinitionError: It stands for none.
    """
    found = find(raw)
    if found is not None:
        return found
    if isinstance(raw, config_contract.ConfigField):
        return Foreign(raw)
    raise errors.InvalidConfigDefinitionError(
        f"{place} is {raw!r}, which is no config type. Give a Python type (str, int, float, bool, "
        "list, dict), a Config class, a dict of fields, a list with one of these, or Field, Shape, "
        "Permissive, Selector, Map, Array, Noneable, ScalarUnion, Enum or one of the sources.",
        current_value=raw,
    )


class Foreign(schema.ConfigType):
    """A config field that is none of ours, as part of one that is."""

    def __init__(self, field: config_contract.ConfigField) -> None:
        self._field = field

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""
        return self._field.is_required

    def walk(self, value: Any, path: Any, found: Any) -> Any:
        """Read plain config; see `ConfigType`."""
        try:
            if found.reads:
                return self._field.resolve(value, path)
            self._field.check(value, path)
        except errors.InvalidConfigError as error:
            return found.tell(error.path or path, error.value, str(error).rstrip("."))
        found.gaps += 1
        return None

    def describe(self, into: Any) -> Any:
        """Describe what is accepted; see `ConfigType`."""
        return self._field.json_schema(into.definitions)

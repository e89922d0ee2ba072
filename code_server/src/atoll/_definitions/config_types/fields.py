"""Fields: a config type with a default, a description, and whether it has to be given.

Called by users as `Field`, and by the structures, which wrap in one whatever stands for an entry.
"""

import json
from typing import Any

from atoll import errors
from atoll._definitions.config_types import describing, reading, rules, schema


class _NoDefault:
    """The type of `NO_DEFAULT`, which stands for a default that was not given."""

    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Any = _NoDefault()


class Field(schema.ConfigType):
    """An entry of config: its type, with what applies where config says nothing."""

    def __init__(
        self,
        config: Any,
        default_value: Any = NO_DEFAULT,
        is_required: bool | None = None,  # noqa: FBT001 - the field's signature
        description: str | None = None,
        is_secret: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> None:
        """Make a field.

        Args:
            config: The config type, or what stands for one.
            default_value: The config that applies where none is given.
            is_required: Whether config has to be given; told by the type and the default where
                None.
            description: What the config is for.
            is_secret: Whether the value must not be shown anywhere.

        Raises:
            InvalidConfigDefinitionError: The type is none, or a required field has a default.
            InvalidConfigError: The default does not fit.
        """
        self._type = rules.require(config, "The config of a Field")
        if isinstance(self._type, Field):
            raise errors.InvalidConfigDefinitionError(
                f"The config of a Field is itself {config!r}. Give the config type of that one.",
                config,
            )
        if is_required and default_value is not NO_DEFAULT:
            raise errors.InvalidConfigDefinitionError(
                f"A required Field never uses its default, {default_value!r}. Give a default or "
                "is_required=True, not both.",
                default_value,
            )
        self.config_type = self._type
        self.description = description
        self.is_secret = is_secret
        self._default = default_value
        if is_required is None:
            is_required = default_value is NO_DEFAULT and self._type.is_required
        self._is_required = is_required
        if self.default_provided:
            self._check_default()

    def __repr__(self) -> str:
        default = "..." if self.is_secret and self.default_provided else repr(self._default)
        return f"Field({self._type!r}, default={default}, is_required={self._is_required})"

    @property
    def is_required(self) -> bool:
        """Whether config has to be given."""
        return self._is_required

    @property
    def default_provided(self) -> bool:
        """Whether there is a default."""
        return self._default is not NO_DEFAULT

    @property
    def default_value(self) -> Any:
        """The config that applies where none is given.

        Raises:
            InvariantViolationError: There is no default.
        """
        if not self.default_provided:
            raise errors.InvariantViolationError(
                "The Field has no default value. Look at default_provided first."
            )
        return self._default

    @property
    def default_value_as_json_str(self) -> str:
        """The config that applies where none is given, as JSON."""
        return json.dumps(self._type.plain(self.default_value))

    @property
    def has_value_of_nothing(self) -> bool:
        """Whether there is a value where config says nothing."""
        if self.default_provided:
            return True
        return not self._is_required and self._type.has_value_of_nothing

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if self.is_secret:
            found.conceal(path)
        return self._type.walk(value, path, found)

    def nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what applies where config says nothing; see `ConfigType`."""
        if self.default_provided:
            return self.walk(self._type.plain(self._default), path, found)
        return self._type.nothing(path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described = dict(self._type.describe(into))
        if self.description:
            described["description"] = self.description
        if self.is_secret:
            described["writeOnly"] = True
            described["x-secret"] = True
        elif self.default_provided:
            default = self._type.plain(self._default)
            if is_json(default):
                described["default"] = default
        return described

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        return self._type.plain(value)

    def _check_default(self) -> None:
        found = reading.Reading(conceals=self.is_secret)
        self._type.walk(self._type.plain(self._default), ("default_value",), found)
        found.raise_problems("The default of a Field does not fit.")


def entry(raw: Any, place: str) -> Field:
    """Return the field that the entry of a structure is.

    Args:
        raw: A field, or what stands for a config type.
        place: Where it stands, for messages.

    Raises:
        InvalidConfigDefinitionError: It stands for no config type.
    """
    found = rules.require(raw, place)
    return found if isinstance(found, Field) else Field(found)


def is_json(value: Any) -> bool:
    """Tell whether a value can stand in JSON."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True

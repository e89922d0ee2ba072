"""Types of fields that only pydantic knows, as config types.

Called by `config_fields`: for dates, paths, secrets, and models that are no config classes.
"""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import pydantic
import pydantic_core

from atoll._definitions import environment
from atoll._definitions.config_types import describing, reading, schema

SECRETS = (pydantic.SecretStr, pydantic.SecretBytes)

_NO_NAME = re.compile(r"[^\w.-]+")


class PydanticType(schema.ConfigType):
    """A type that only pydantic knows: dates, paths, secrets, models that are no config classes."""

    def __init__(self, annotation: Any) -> None:
        """Make the type.

        Args:
            annotation: The annotation.
        """
        self._annotation = annotation
        self._is_secret = annotation in SECRETS

    def __repr__(self) -> str:
        return getattr(self._annotation, "__name__", repr(self._annotation))

    @functools.cached_property
    def _adapter(self) -> pydantic.TypeAdapter[Any]:
        try:
            return pydantic.TypeAdapter(self._annotation)
        except pydantic.PydanticSchemaGenerationError:
            allowing = pydantic.ConfigDict(arbitrary_types_allowed=True)
            return pydantic.TypeAdapter(self._annotation, config=allowing)

    @functools.cached_property
    def _json_schema(self) -> dict[str, Any]:
        prefix = _NO_NAME.sub("_", repr(self))
        try:
            return self._adapter.json_schema(ref_template=f"#/$defs/{prefix}.{{model}}")
        except pydantic.errors.PydanticInvalidForJsonSchema:
            return {}

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if self._is_secret:
            found.conceal(path)
        name = environment.referred(value) if self._takes_environment else None
        if name is not None:
            value = found.look_up(path, name)
            if value is reading.UNKNOWN:
                return value
        try:
            self._validate(value)
        except pydantic.ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
        else:
            return value
        for detail in details:
            tell(detail, path, found)
        return reading.UNKNOWN

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        described = dict(self._json_schema)
        prefix = _NO_NAME.sub("_", repr(self))
        for name, definition in described.pop("$defs", {}).items():
            into.definitions[f"{prefix}.{name}"] = definition
        if self._is_secret:
            described["x-secret"] = True
        if self._takes_environment:
            return {"anyOf": [described, into.refer_to_env_var()]}
        return described

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        made = schema.plain(value)
        if isinstance(value, SECRETS):
            return value.get_secret_value()
        return pydantic_core.to_jsonable_python(made)

    @property
    def _takes_environment(self) -> bool:
        return self._json_schema.get("type") == "string"

    def _validate(self, value: Any) -> None:
        try:
            encoded = json.dumps(value)
        except (TypeError, ValueError):
            # No JSON, so it comes from Python within this process.
            self._adapter.validate_python(value)
        else:
            # As strict as JSON Schema: a string is no number, yet may be a date.
            self._adapter.validate_json(encoded, strict=True)


def tell(detail: Mapping[str, Any], path: reading.Path, found: reading.Reading) -> None:
    """Report what pydantic or a validator of the user found to be wrong.

    Args:
        detail: What pydantic says of it.
        path: Where the value stands that was validated.
        found: Takes note of it.
    """
    place = (*path, *(str(part) for part in detail["loc"]))
    if found.hides(place):
        found.tell(
            place,
            None,
            "a validator refuses it; what it says is not shown, since the value is secret",
        )
    else:
        found.refuse(place, detail.get("input"), str(detail["msg"]))

"""How the inputs of built-in types are given in run configuration.

Called by `builtin` and `containers`. A scalar stands there as it is, any value as
`{"value": ...}` or as the path of a JSON document, `{"json": {"path": ...}}`; lists, dicts and what
may be None are given part by part.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from atoll import errors
from atoll._definitions import config_contract
from atoll._definitions.value_types import definition, loaders

_PATH = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}


class ValueLoader(loaders.TypeLoader):
    """Loads a value given as it is, wrapped, or as the path of a JSON document.

    Args:
        name: What people call the values, for errors.
        schema: The JSON Schema of a value.
        accepts: Tells whether a plain value is one; None if values have to be wrapped.
        make: Makes the value of an accepted one, where that is not the value itself.
    """

    def __init__(
        self,
        name: str,
        schema: config_contract.JsonSchema,
        accepts: Callable[[Any], bool] | None = None,
        make: Callable[[Any], Any] | None = None,
    ) -> None:
        self._field = _ValueField(name, schema, accepts)
        self._accepts = accepts
        self._make = make

    @property
    def config_field(self) -> config_contract.ConfigField:
        return self._field

    def construct_from_config_value(self, context: Any, config_value: Any) -> Any:
        value = self._unwrapped(config_value)
        # What a document holds is not known before: the check of the type judges what does not fit.
        if self._make is None or (self._accepts is not None and not self._accepts(value)):
            return value
        return self._make(value)

    @staticmethod
    def _unwrapped(config_value: Any) -> Any:
        if not _is_wrapped(config_value):
            return config_value
        if "value" in config_value:
            return config_value["value"]
        path = config_value["json"]["path"]
        # pathlib would cost `import atoll` more than this module does.
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            document = json.load(file)
        # As the field has it, a document may be wrapped like the configuration itself.
        return document["value"] if _is_wrapped(document) and "value" in document else document


class PlainLoader(loaders.TypeLoader):
    """Loads a value that stands in run configuration as it is.

    Args:
        name: What people call the values, for errors.
        schema: The JSON Schema of a value.
        python_type: The class of the values.
    """

    def __init__(
        self, name: str, schema: config_contract.JsonSchema, python_type: type[Any]
    ) -> None:
        self._field = _PlainField(name, schema, python_type)

    @property
    def config_field(self) -> config_contract.ConfigField:
        return self._field

    def construct_from_config_value(self, context: Any, config_value: Any) -> Any:
        return config_value


class PartsLoader(loaders.TypeLoader):
    """Loads a value that is given part by part.

    Args:
        inner: What loads a part.
        shape: What the parts together are: `list`, `dict` or `None`, for a part that may be absent.
        make: Makes the value of the loaded parts.
    """

    def __init__(
        self,
        inner: loaders.TypeLoader,
        shape: type[list[Any]] | type[dict[Any, Any]] | None,
        make: Callable[[Any], Any] | None = None,
    ) -> None:
        self._inner = inner
        self._shape = shape
        self._make = make

    @property
    def config_field(self) -> config_contract.ConfigField:
        return _PartsField(self._inner.config_field, self._shape)

    def required_resource_keys(self) -> frozenset[str]:
        return self._inner.required_resource_keys()

    def construct_from_config_value(self, context: Any, config_value: Any) -> Any:
        load = self._inner.construct_from_config_value
        if self._shape is None:
            return None if config_value is None else load(context, config_value)
        if self._shape is dict:
            return {name: load(context, part) for name, part in config_value.items()}
        parts = [load(context, part) for part in config_value]
        return parts if self._make is None else self._make(parts)


class _ValueField(config_contract.ConfigField):
    """What `ValueLoader` accepts."""

    def __init__(
        self,
        name: str,
        schema: config_contract.JsonSchema,
        accepts: Callable[[Any], bool] | None,
    ) -> None:
        self._name = name
        self._schema = schema
        self._accepts = accepts

    @property
    def is_required(self) -> bool:
        return True

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        forms = [
            {
                "type": "object",
                "properties": {name: schema},
                "required": [name],
                "additionalProperties": False,
            }
            for name, schema in (("value", self._schema), ("json", _PATH))
        ]
        return {"anyOf": forms if self._accepts is None else [self._schema, *forms]}

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        if self._accepts is not None and self._accepts(value):
            return value
        if not _is_wrapped(value):
            expected = f"{self._name}, " if self._accepts else ""
            raise _refusal(
                value, path, f'{expected}{{"value": ...}} or {{"json": {{"path": ...}}}}'
            )
        if "value" in value:
            if self._accepts is not None and not self._accepts(value["value"]):
                raise _refusal(value["value"], (*path, "value"), self._name)
            return value
        source = value["json"]
        if not _is_path(source):
            raise _refusal(source, (*path, "json"), '{"path": ...}')
        if not isinstance(source["path"], str):
            raise _refusal(source["path"], (*path, "json", "path"), "the path of a file")
        return value


class _PlainField(config_contract.ConfigField):
    """What `PlainLoader` accepts."""

    def __init__(
        self, name: str, schema: config_contract.JsonSchema, python_type: type[Any]
    ) -> None:
        self._name = name
        self._schema = schema
        self._python_type = python_type

    @property
    def is_required(self) -> bool:
        return True

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        return self._schema

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        if not isinstance(value, self._python_type):
            raise _refusal(value, path, self._name)
        return value


class _PartsField(config_contract.ConfigField):
    """What `PartsLoader` accepts."""

    def __init__(
        self,
        inner: config_contract.ConfigField,
        shape: type[list[Any]] | type[dict[Any, Any]] | None,
    ) -> None:
        self._inner = inner
        self._shape = shape

    @property
    def is_required(self) -> bool:
        return self._shape is not None

    def json_schema(
        self, shared: dict[str, config_contract.JsonSchema]
    ) -> config_contract.JsonSchema:
        inner = self._inner.json_schema(shared)
        if self._shape is None:
            return {"anyOf": [inner, {"type": "null"}]}
        if self._shape is dict:
            return {"type": "object", "additionalProperties": inner}
        return {"type": "array", "items": inner}

    def resolve(self, value: Any, path: Sequence[str]) -> Any:
        resolve = self._inner.resolve
        if self._shape is None:
            absent = value is None or value is config_contract.NOT_GIVEN
            return None if absent else resolve(value, path)
        if not isinstance(value, self._shape):
            raise _refusal(value, path, f"a {self._shape.__name__}")
        if self._shape is dict:
            parts = cast("dict[Any, Any]", value)
            return {name: resolve(part, (*path, str(name))) for name, part in parts.items()}
        elements = cast("list[Any]", value)
        return [resolve(part, (*path, str(index))) for index, part in enumerate(elements)]


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() in ({"value"}, {"json"})


def _is_path(source: Any) -> bool:
    return isinstance(source, dict) and source.keys() == {"path"}


def _refusal(value: Any, path: Sequence[str], expected: str) -> errors.InvalidConfigError:
    if value is config_contract.NOT_GIVEN:
        return errors.InvalidConfigError(
            f"The run configuration gives nothing at {'.'.join(path)}. Give {expected}.", path
        )
    return errors.InvalidConfigError(
        f"{definition.shown(value)} does not fit at {'.'.join(path)}. Give {expected}.", path, value
    )

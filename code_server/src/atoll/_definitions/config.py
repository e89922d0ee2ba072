"""Config classes: typed, validated configuration of assets, by pydantic.

Loaded only when user code asks for `atoll.Config`; nothing else of the definitions imports this
module.
"""

import enum
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pydantic
import pydantic.json_schema
import pydantic_core
from typing_extensions import Self

from atoll._definitions import config_contract, errors

C = TypeVar("C", bound="Config")

# Tells validators that the values are run configuration, where enums go by the names of their
# members.
_FROM_RUN_CONFIG = {"run_config": True}
_SHOWN_VALUE_CHARS_MAX = 80
_KEY_AND_VALUE = 2


class Config(pydantic.BaseModel, config_contract.ConfigClass):
    """The base of config classes: frozen, and strict about unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @pydantic.model_validator(mode="before")
    @classmethod
    def _take_members_by_name(cls, values: Any, info: pydantic.ValidationInfo) -> Any:
        if info.context is not _FROM_RUN_CONFIG or not isinstance(values, Mapping):
            return values
        taken: dict[str, Any] = dict(typing.cast("Mapping[str, Any]", values))
        for name, field in cls.model_fields.items():
            key = field.alias if field.alias in taken else name
            if key in taken:
                taken[key] = _members_by_name(field.annotation, taken[key])
        return taken

    @classmethod
    def from_run_config(cls, values: Mapping[str, Any], path: Sequence[str]) -> Self:
        """Validate run configuration and make the config of it.

        Args:
            values: What the run configuration says for this class.
            path: Where in the run configuration that stands.

        Returns:
            The config.

        Raises:
            InvalidConfigError: It does not fit.
        """
        try:
            return cls.model_validate(values, context=_FROM_RUN_CONFIG)
        except pydantic.ValidationError as error:
            raise _invalid(cls, error, path) from error

    @classmethod
    def json_schemas(
        cls, classes: Sequence[type[config_contract.ConfigClass]]
    ) -> tuple[list[config_contract.JsonSchema], dict[str, config_contract.JsonSchema]]:
        """Describe several config classes together.

        Args:
            classes: The classes.

        Returns:
            A JSON Schema for each class, and the definitions that they refer to as `#/$defs/...`.
        """
        models = [model for model in classes if issubclass(model, Config)]
        unique = list(dict.fromkeys(models))
        by_model, shared = pydantic.json_schema.models_json_schema(
            [(model, "validation") for model in unique],
            ref_template="#/$defs/{model}",
            schema_generator=_NamesOfMembers,
        )
        return [by_model[model, "validation"] for model in models], shared.get("$defs", {})

    def to_run_config(self) -> dict[str, Any]:
        """Return the config as it stands in run configuration: plain data, enums by name."""
        plain = _plain(self.model_dump(by_alias=True))
        return typing.cast("dict[str, Any]", pydantic_core.to_jsonable_python(plain))


class PermissiveConfig(Config):
    """The base of config classes that take unknown keys as they are."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class _NamesOfMembers(pydantic.json_schema.GenerateJsonSchema):
    """Describes an enum by the names of its members, which is what run configuration holds."""

    def enum_schema(self, schema: pydantic_core.core_schema.EnumSchema) -> dict[str, Any]:
        described = super().enum_schema(schema)
        described["enum"] = [member.name for member in schema["members"]]
        described["type"] = "string"
        described.pop("const", None)
        return described

    def encode_default(self, dft: Any) -> Any:
        return super().encode_default(_plain(dft))


def _items(several: Any) -> Iterable[Any]:
    yield from several


def _pairs(mapping: Any) -> Iterable[tuple[Any, Any]]:
    yield from mapping.items()


def _plain(value: Any) -> Any:
    """Replace members of enums by their names, at any depth."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in _pairs(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in _items(value)]
    return value


def _members_by_name(annotation: Any, value: Any) -> Any:
    """Replace names of members by the members, as far as the annotation asks for enums."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _member(annotation, value)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _members_by_name(arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        return _union_member(arguments, value)
    is_list, is_mapping = isinstance(value, list), isinstance(value, Mapping)
    if is_list and arguments:
        return [_members_by_name(arguments[0], item) for item in _items(value)]
    if is_mapping and len(arguments) == _KEY_AND_VALUE:
        of_key, of_value = arguments
        return {
            _members_by_name(of_key, key): _members_by_name(of_value, item)
            for key, item in _pairs(value)
        }
    return value


def _union_member(arguments: Sequence[Any], value: Any) -> Any:
    if value is None:
        return value
    for argument in arguments:
        if _is_enum(argument) and value not in argument.__members__:
            continue
        taken = _members_by_name(argument, value)
        if taken is not value:
            return taken
    return value


def _is_enum(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, enum.Enum)


def _member(kind: type[enum.Enum], value: Any) -> Any:
    if isinstance(value, kind):
        return value
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    names = ", ".join(kind.__members__)
    raise ValueError(f"{value!r} is no member of {kind.__name__}; its members are {names}")


def _invalid(
    config_class: type[Config], error: pydantic.ValidationError, path: Sequence[str]
) -> errors.InvalidConfigError:
    details = error.errors(include_url=False)
    told: list[str] = []
    for detail in details:
        place = "/".join((*path, *(str(part) for part in detail["loc"])))
        told.append(_complaint(config_class, detail["type"], place, detail))
    first = details[0]
    first_path = (*path, *(str(part) for part in first["loc"]))
    return errors.InvalidConfigError(
        "The run configuration does not fit. " + " ".join(told), first_path, first.get("input")
    )


def _complaint(config_class: type[Config], kind: str, place: str, detail: Mapping[str, Any]) -> str:
    if kind == "missing":
        return f"At {place}: a value is required and none is given."
    if kind == "extra_forbidden":
        known = ", ".join(config_class.model_fields) or "none at all"
        return f"At {place}: {config_class.__name__} has no such key; its keys are {known}."
    shown = repr(detail.get("input"))
    if len(shown) > _SHOWN_VALUE_CHARS_MAX:
        shown = f"{shown[: _SHOWN_VALUE_CHARS_MAX - 3]}..."
    return f"At {place}: {detail['msg']}, got {shown}."

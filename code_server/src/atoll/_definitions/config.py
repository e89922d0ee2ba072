"""Config classes: typed, validated configuration, by pydantic.

Loaded only when user code asks for `atoll.Config`; nothing else of the definitions imports this
module. What the fields of a class take is told by `config_fields`.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pydantic
from pydantic_core import core_schema
from typing_extensions import Self

from atoll._definitions import (
    config_contract,
    config_fields,
    config_references,
    environment,
    plain_data,
)
from atoll._definitions.config_types import fields, reading, schema

_FIELDS: weakref.WeakKeyDictionary[type[pydantic.BaseModel], config_fields.ClassField] = (
    weakref.WeakKeyDictionary()
)


class _Reads(dict[reading.Path, str]):
    """What a config got from the environment: which variable, by where the value stands.

    It has no part in comparing configs: what is read makes a config no other.
    """

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reads)

    __hash__ = None


class _Hidden:
    """Stands for a value in what is shown of a config."""

    def __repr__(self) -> str:
        return "***"


class Config(pydantic.BaseModel, config_contract.ConfigClass):
    """The base of config classes: frozen, and strict about unknown keys.

    A field may be given an `EnvVar`, which is read when a run needs its value.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    _reads: _Reads = pydantic.PrivateAttr(default_factory=_Reads)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        made = handler(source)
        config_references.let_through(cls, handler.resolve_ref_schema(made))
        return made

    @classmethod
    def config_field(cls) -> config_contract.ConfigField:
        """Return how definitions that take this class are configured; made once for each class."""
        found = _FIELDS.get(cls)
        if found is None:
            found = _FIELDS[cls] = config_fields.ClassField(cls, cls._note)
        return found

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
        return cast("Self", _field_of(cls).resolve(values, path))

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
        shared: dict[str, config_contract.JsonSchema] = {}
        return [one.config_field().json_schema(shared) for one in classes], shared

    @classmethod
    def to_config_schema(cls) -> config_contract.ConfigField:
        """Return the config schema that the class stands for."""
        return cls.config_field()

    @classmethod
    def to_fields_dict(cls) -> dict[str, fields.Field]:
        """Return the fields of the class as those of a `Shape`, by the keys that config gives."""
        made: dict[str, fields.Field] = {}
        for one in _field_of(cls).entries.values():
            default = fields.NO_DEFAULT if one.is_required else one.default
            made[one.keys[0]] = fields.Field(
                one.type, default, None, one.info.description, one.is_secret
            )
        return made

    @property
    def refers_to_environment(self) -> bool:
        """Whether the config, or one within it, names environment variables not read yet."""
        return any(schema.refers_to_environment(value) for value in self.__dict__.values())

    def to_run_config(self) -> dict[str, Any]:
        """Return the config as it stands in run configuration.

        Returns:
            Plain data: enums by name, and `{"env": "NAME"}` for what comes from the environment,
            also where it was read already.
        """
        plain: dict[str, Any] = {}
        for one in _field_of(type(self)).entries.values():
            value = self.__dict__[one.name]
            if value is not None or one.default is not None:
                plain[one.keys[0]] = one.type.plain(value)
        for key, value in (self.__pydantic_extra__ or {}).items():
            plain[key] = schema.plain(value)
        for place, name in self._reads.items():
            if name:
                _put(plain, place, {environment.REFERENCE_KEY: name})
        return plain

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, as pydantic does; what is updated no longer comes from the environment."""
        copy = super().model_copy(update=cast("Any", update), deep=deep)
        changed = {_field_of(type(self)).entries[name].keys[0] for name in update or {}}
        kept = {place: name for place, name in self._reads.items() if place[0] not in changed}
        copy._reads = _Reads(kept)  # noqa: SLF001 - of this class
        return copy

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show everything but secrets, and what was read from the environment."""
        hidden = {place[0] for place in self._reads}
        entries = _field_of(type(self)).entries
        for name, value in super().__repr_args__():
            known = entries.get(name or "")
            hides = known is not None and (known.is_secret or known.keys[0] in hidden)
            yield name, _Hidden() if hides else value

    @staticmethod
    def _note(made: pydantic.BaseModel, read: Mapping[reading.Path, str]) -> None:
        """Note what a new config got from the environment; configs within it have done so."""
        if not isinstance(made, Config):
            return
        entries = _field_of(type(made)).entries
        by_key = {key: one for one in entries.values() for key in one.keys}
        for place, variable in read.items():
            one = by_key.get(place[0])
            if one is not None and not _is_within_another(made.__dict__[one.name], place[1:]):
                made._reads[(one.keys[0], *place[1:])] = variable  # noqa: SLF001 - of this class


class PermissiveConfig(Config):
    """The base of config classes that take unknown keys as they are."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, protected_namespaces=())


def _field_of(kind: type[Config]) -> config_fields.ClassField:
    return cast("config_fields.ClassField", kind.config_field())


def _is_within_another(value: Any, rest: reading.Path) -> bool:
    for part in rest:
        if isinstance(value, Config):
            return True
        value = _item(value, part)
    return False


def _put(plain: Any, place: reading.Path, value: Any) -> None:
    """Put a value where it stands in plain config, as far as that is still there."""
    *outer, last = place
    for part in outer:
        plain = _item(plain, part)
    if isinstance(plain, dict):
        plain[last] = value
    elif isinstance(plain, list) and last.isdecimal() and int(last) < len(cast("Any", plain)):
        plain[int(last)] = value


def _item(plain: Any, part: str) -> Any:
    if plain_data.is_mapping(plain):
        return plain.get(part)
    if plain_data.is_list(plain) and part.isdecimal():
        return plain[int(part)] if int(part) < len(plain) else None
    return None

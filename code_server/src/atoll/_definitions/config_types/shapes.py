"""Structures with named entries: Shape, Permissive and Selector.

Called by users, and for every plain dict that stands where a config type belongs.
"""

from collections.abc import Mapping
from typing import Any

from atoll import errors
from atoll._definitions import plain_data
from atoll._definitions.config_types import describing, fields, reading, rules, schema


class _Entries(schema.ConfigType):
    """What structures with named entries have in common."""

    def __init__(self, entries: Mapping[str, Any], description: str | None) -> None:
        if not plain_data.is_mapping(entries):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidConfigDefinitionError(
                f"The fields of a {type(self).__name__} are {entries!r}. Give a dict of config "
                "types by name.",
                entries,
            )
        self.description = description
        self.fields: dict[str, fields.Field] = {}
        for name, raw in entries.items():
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise errors.InvalidConfigDefinitionError(
                    f"A {type(self).__name__} has the field name {name!r}. Names are strings.", name
                )
            self.fields[name] = fields.entry(raw, f"The field {name!r}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fields!r})"

    @property
    def has_value_of_nothing(self) -> bool:
        """Whether there is a value where config says nothing."""
        return not self.is_required

    def nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what applies where config says nothing; see `ConfigType`."""
        return schema.NOT_GIVEN if self.is_required else self.walk({}, path, found)

    def _mapping(
        self, value: Any, path: reading.Path, found: reading.Reading
    ) -> Mapping[Any, Any] | None:
        if plain_data.is_mapping(value):
            return value
        found.refuse(path, value, "expected values by name")
        return None

    def _tell_unknown(
        self, key: Any, value: Any, path: reading.Path, found: reading.Reading
    ) -> None:
        known = ", ".join(self.fields) or "none at all"
        found.tell((*path, str(key)), value, f"there is no such key; the keys are {known}")

    def _described_entries(self, into: describing.Describing) -> dict[str, describing.JsonSchema]:
        return {name: one.describe(into) for name, one in self.fields.items()}

    def _with_description(self, described: describing.JsonSchema) -> describing.JsonSchema:
        return {**described, "description": self.description} if self.description else described


class Shape(_Entries):
    """Values by name; unknown names are refused."""

    _takes_more = False

    def __init__(
        self,
        fields: Mapping[str, Any],
        description: str | None = None,
        field_aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Make a shape.

        Args:
            fields: The config types by name.
            description: What the config is for.
            field_aliases: Other names by which config may give entries, by the names that user
                code gets.
        """
        super().__init__(fields, description)
        self.field_aliases = dict(field_aliases or {})

    @property
    def is_required(self) -> bool:
        """Whether config has to be given."""
        return any(one.is_required for one in self.fields.values())

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        given = self._mapping(value, path, found)
        if given is None:
            return reading.UNKNOWN
        taken: dict[str, Any] = {}
        keys = {name: self._key(name, given) for name in self.fields}
        for name, one in self.fields.items():
            key = keys[name]
            place = (*path, key)
            if key in given:
                taken[name] = one.walk(given[key], place, found)
            else:
                item = one.given_nothing(place, found)
                if item is not schema.NOT_GIVEN:
                    taken[name] = item
        for key in given.keys() - set(keys.values()):
            if self._takes_more and isinstance(key, str):
                taken[key] = given[key]
            else:
                self._tell_unknown(key, given[key], path, found)
        return taken

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        properties = self._described_entries(into)
        required = [name for name, one in self.fields.items() if one.is_required]
        aliased: list[describing.JsonSchema] = []
        for name, alias in self.field_aliases.items():
            properties[alias] = properties[name]
            if name in required:
                required.remove(name)
                aliased.append({"oneOf": [{"required": [name]}, {"required": [alias]}]})
            else:
                aliased.append({"not": {"required": [name, alias]}})
        described: describing.JsonSchema = {"type": "object", "properties": properties}
        if required:
            described["required"] = required
        if aliased:
            described["allOf"] = aliased
        if not self._takes_more:
            described["additionalProperties"] = False
        return self._with_description(described)

    def _key(self, name: str, given: Mapping[Any, Any]) -> str:
        """Return the key by which config gives an entry, if it does."""
        alias = self.field_aliases.get(name)
        return alias if alias is not None and name not in given and alias in given else name


class Permissive(Shape):
    """Values by name; names that it does not list are taken as they are."""

    _takes_more = True

    def __init__(
        self, fields: Mapping[str, Any] | None = None, description: str | None = None
    ) -> None:
        """Make a permissive shape.

        Args:
            fields: The config types of the names that are known.
            description: What the config is for.
        """
        super().__init__(fields or {}, description)


class Selector(_Entries):
    """Exactly one of several entries."""

    def __init__(self, fields: Mapping[str, Any], description: str | None = None) -> None:
        """Make a selector.

        Args:
            fields: The config types to choose from, by name.
            description: What the config is for.
        """
        super().__init__(fields, description)
        if not self.fields:
            raise errors.InvalidConfigDefinitionError(
                "A Selector has no fields, so that nothing can be selected. Give at least one.",
                fields,
            )

    @property
    def is_required(self) -> bool:
        """Whether config has to be given: yes, unless there is one entry and it has a value."""
        return not self._only_with_value

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        given = self._mapping(value, path, found)
        if given is None:
            return reading.UNKNOWN
        if not given and self._only_with_value:
            name, one = next(iter(self.fields.items()))
            return {name: one.nothing((*path, name), found)}
        if len(given) != 1:
            choices = ", ".join(self.fields)
            return found.refuse(path, value, f"expected exactly one of {choices}")
        key, item = next(iter(given.items()))
        chosen = self.fields.get(key)
        if chosen is None:
            self._tell_unknown(key, item, path, found)
            return reading.UNKNOWN
        place = (*path, key)
        if item is None and chosen.has_value_of_nothing and not takes_null(chosen):
            return {key: chosen.nothing(place, found)}
        return {key: chosen.walk(item, place, found)}

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        properties = {
            name: {"anyOf": [described, {"type": "null"}]}
            if self.fields[name].has_value_of_nothing
            else described
            for name, described in self._described_entries(into).items()
        }
        described: describing.JsonSchema = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "maxProperties": 1,
        }
        if not self._only_with_value:
            described["minProperties"] = 1
        return self._with_description(described)

    @property
    def _only_with_value(self) -> bool:
        return len(self.fields) == 1 and next(iter(self.fields.values())).has_value_of_nothing


def takes_null(one: schema.ConfigType) -> bool:
    """Tell whether a type takes null itself."""
    attempt = reading.Reading()
    one.walk(None, (), attempt)
    return not attempt.problems


def _of_dict(raw: Any) -> schema.ConfigType | None:
    # One entry whose key is a type is a map, as annotations have it.
    if not plain_data.is_mapping(raw):
        return None
    if len(raw) == 1 and not isinstance(next(iter(raw)), str):
        return None
    return Shape(raw)


def _of_dict_type(raw: Any) -> schema.ConfigType | None:
    return Permissive() if raw is dict else None


rules.add(_of_dict)
rules.add(_of_dict_type)

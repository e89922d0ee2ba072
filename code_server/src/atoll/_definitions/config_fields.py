"""How config classes are configured: their fields as config types.

Called by `config`, which is where pydantic loads. Plain config is checked here first, as strictly
as the JSON Schema that the host holds it to; what fits goes to pydantic, which runs the validators
of the user and makes the object.
"""

import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import pydantic
import pydantic_core
from pydantic import fields as pydantic_fields

from atoll._definitions import config_contract, plain_data
from atoll._definitions import config_pydantic_types as pydantic_types
from atoll._definitions.config_types import (
    annotations,
    classes,
    collections,
    describing,
    enums,
    fields,
    limits,
    reading,
    rules,
    scalars,
    schema,
)

_SECRET_KEYWORDS = ("x-secret", "is_secret")

# Takes note of what a new config object got from the environment.
Note = Callable[[pydantic.BaseModel, Mapping[reading.Path, str]], None]


class Entry(NamedTuple):
    """One field of a config class.

    Attributes:
        name: Its name in Python.
        keys: The keys by which config may give it, the usual one first.
        type: What it takes.
        info: What pydantic knows of it.
        is_required: Whether config has to give it.
        is_secret: Whether its value must not be shown.
    """

    name: str
    keys: tuple[str, ...]
    type: schema.ConfigType
    info: pydantic_fields.FieldInfo
    is_required: bool
    is_secret: bool

    @property
    def default(self) -> Any:
        """The default, `NO_DEFAULT` where there is none or where it needs other values."""
        if self.info.default_factory is not None:
            if getattr(self.info, "default_factory_takes_validated_data", False):
                return fields.NO_DEFAULT
            return cast("Callable[[], Any]", self.info.default_factory)()
        default = self.info.default
        return fields.NO_DEFAULT if default is pydantic_core.PydanticUndefined else default


class ClassField(schema.ConfigType):
    """What a config class takes; user code gets an object of it."""

    def __init__(self, kind: type[pydantic.BaseModel], note: Note) -> None:
        """Make the config type of a class.

        Args:
            kind: The class.
            note: Takes note of what an object got from the environment.
        """
        self.kind = kind
        self._note = note
        self._described: dict[
            int, tuple[describing.JsonSchema, dict[str, describing.JsonSchema]]
        ] = {}

    def __repr__(self) -> str:
        return self.kind.__name__

    @functools.cached_property
    def entries(self) -> dict[str, Entry]:
        """The fields by their names in Python."""
        if not self.kind.__pydantic_complete__:
            self.kind.model_rebuild()
        return {name: self._entry(name, info) for name, info in self.kind.model_fields.items()}

    @property
    def is_required(self) -> bool:
        """Whether run configuration has to give a value."""
        return any(one.is_required for one in self.entries.values())

    @property
    def has_value_of_nothing(self) -> bool:
        """Whether there is a value where config says nothing."""
        return not self.is_required

    def nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what applies where config says nothing; see `ConfigType`."""
        return schema.NOT_GIVEN if self.is_required else self.walk({}, path, found)

    def given_nothing(self, path: reading.Path, found: reading.Reading) -> Any:
        """Return what applies for nothing, and report each key that is required."""
        return self.walk({}, path, found)

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if isinstance(value, config_contract.ConfigClass):
            value = value.to_run_config()
        if not plain_data.is_mapping(value):
            return found.refuse(path, value, "expected values by name")
        given = value
        gaps = found.gaps
        taken = dict(self._taken(given, path, found))
        self._add_the_rest(given, taken, path, found)
        if found.gaps != gaps:
            return reading.UNKNOWN
        return self._made(taken, path, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        kind = self.kind
        names = (kind.__name__, f"{kind.__module__}.{kind.__qualname__}")
        return into.refer(kind, names, lambda: self.describe_entries(into))

    def described(
        self, skipped: int
    ) -> tuple[describing.JsonSchema, dict[str, describing.JsonSchema]]:
        """Describe what is accepted; made once, since thousands of assets share few classes."""
        if skipped not in self._described:
            self._described[skipped] = super().described(skipped)
        return self._described[skipped]

    def describe_entries(
        self, into: describing.Describing, selected_by: tuple[str, Sequence[Any]] | None = None
    ) -> describing.JsonSchema:
        """Describe the fields themselves.

        Args:
            into: Takes the definitions that the description refers to.
            selected_by: The name of the field that need not be given, since a key outside says it,
                and what it may say.
        """
        properties: dict[str, describing.JsonSchema] = {}
        required: list[str] = []
        either: list[describing.JsonSchema] = []
        for one in self.entries.values():
            described = _described_entry(one, into)
            is_required = one.is_required
            if selected_by is not None and one.name == selected_by[0]:
                described, is_required = {"enum": list(selected_by[1])}, False
            properties.update(dict.fromkeys(one.keys, described))
            if is_required and len(one.keys) == 1:
                required.append(one.keys[0])
            elif is_required:
                either.append({"anyOf": [{"required": [key]} for key in one.keys]})
        described_class: describing.JsonSchema = {"type": "object", "properties": properties}
        described_class["title"] = self.kind.__name__
        text = self.kind.__doc__
        if text:
            described_class["description"] = text.strip()
        if required:
            described_class["required"] = required
        if either:
            described_class["allOf"] = either
        if not self._takes_more:
            described_class["additionalProperties"] = False
        return described_class

    @property
    def _takes_more(self) -> bool:
        return self.kind.model_config.get("extra") in ("allow", "ignore")

    def _entry(self, name: str, info: pydantic_fields.FieldInfo) -> Entry:
        said = info.json_schema_extra
        is_secret = plain_data.is_mapping(said) and any(said.get(one) for one in _SECRET_KEYWORDS)
        is_secret = is_secret or _holds_secret(info.annotation)
        keys = _keys(name, info, self.kind.model_config)
        is_required = info.is_required() and not takes_none(info.annotation)
        return Entry(name, keys, of_field(info), info, is_required, is_secret)

    def _taken(
        self, given: Mapping[Any, Any], path: reading.Path, found: reading.Reading
    ) -> Iterator[tuple[str, Any]]:
        for one in self.entries.values():
            key = next((key for key in one.keys if key in given), one.keys[0])
            place = (*path, key)
            if one.is_secret:
                found.conceal(place)
            if key in given:
                yield key, one.type.walk(given[key], place, found)
            elif one.is_required:
                found.tell(place, None, "a value is required and none is given")
            else:
                default = one.default
                # Pydantic puts in all other defaults itself.
                if schema.refers_to_environment(default):
                    yield key, one.type.walk(one.type.plain(default), place, found)

    def _add_the_rest(
        self,
        given: Mapping[Any, Any],
        taken: dict[str, Any],
        path: reading.Path,
        found: reading.Reading,
    ) -> None:
        known = {key for one in self.entries.values() for key in one.keys}
        for key, item in given.items():
            if key in known:
                continue
            if self._takes_more and isinstance(key, str):
                taken[key] = item
                continue
            names = ", ".join(one.keys[0] for one in self.entries.values()) or "none at all"
            complaint = f"{self.kind.__name__} has no such key; its keys are {names}"
            found.tell((*path, str(key)), item, complaint)

    def _made(self, taken: dict[str, Any], path: reading.Path, found: reading.Reading) -> Any:
        try:
            made = self.kind.model_validate(taken)
        except pydantic.ValidationError as error:
            details: Sequence[Mapping[str, Any]] = error.errors(
                include_url=False, include_context=False
            )
        except Exception as error:
            # The boundary to validators of the user, which may say what they got.
            if not found.hides(path):
                raise
            details = [{"loc": (), "msg": type(error).__name__}]
        else:
            self._take_note(made, path, found)
            return made
        # Raised later, so that no error of pydantic, which shows values, is the context of ours.
        for detail in details:
            pydantic_types.tell(detail, path, found)
        return reading.UNKNOWN

    def _take_note(
        self, made: pydantic.BaseModel, path: reading.Path, found: reading.Reading
    ) -> None:
        size = len(path)
        read: dict[reading.Path, str] = {
            place[size:]: name for place, name in found.read.items() if place[:size] == path
        }
        if found.conceals:
            read = {(one.keys[0],): "" for one in self.entries.values()}
        if read:
            self._note(made, read)


class Tagged(schema.ConfigType):
    """One of several config classes, told apart by what one of their fields says.

    Config selects a class by a key, `{"cat": {...}}`, or says the field itself, `{"kind": "cat",
    ...}`.
    """

    def __init__(self, discriminator: str, members: Mapping[str, tuple[Any, ClassField]]) -> None:
        """Make the union.

        Args:
            discriminator: The field that tells the classes apart.
            members: What it says and the class, by the key that selects it.
        """
        self._discriminator = discriminator
        self._members = dict(members)

    def walk(self, value: Any, path: reading.Path, found: reading.Reading) -> Any:
        """Read plain config; see `ConfigType`."""
        if isinstance(value, config_contract.ConfigClass):
            value = self.plain(value)
        tags = ", ".join(self._members)
        if not plain_data.is_mapping(value):
            return found.refuse(path, value, f"expected the config of one of {tags}, by its name")
        given = dict(value)
        if self._discriminator in given and not plain_data.is_mapping(given[self._discriminator]):
            return self._walk_told(given, path, found)
        if len(given) != 1 or next(iter(given)) not in self._members:
            return found.refuse(path, value, f"expected exactly one of {tags}")
        return self._walk_selected(*next(iter(given.items())), path, found)

    def _walk_told(self, given: dict[Any, Any], path: reading.Path, found: reading.Reading) -> Any:
        """Read config that says itself which class it is for."""
        said = given[self._discriminator]
        tag = str(schema.plain(said))
        if tag not in self._members or not self._says(tag, said):
            tags = ", ".join(self._members)
            return found.refuse((*path, self._discriminator), said, f"expected one of {tags}")
        told = {**given, self._discriminator: self._said(tag)}
        return self._members[tag][1].walk(told, path, found)

    def _walk_selected(
        self, tag: str, inner: Any, path: reading.Path, found: reading.Reading
    ) -> Any:
        """Read config that a key selects the class for."""
        place = (*path, tag)
        if inner is None and self._needs_nothing(tag):
            inner = {}
        if not plain_data.is_mapping(inner):
            return found.refuse(place, inner, "expected values by name")
        entries = dict(inner)
        said = entries.setdefault(self._discriminator, self._said(tag))
        if not self._says(tag, said):
            return found.refuse((*place, self._discriminator), said, f"expected {tag!r}")
        return self._members[tag][1].walk(entries, place, found)

    def describe(self, into: describing.Describing) -> describing.JsonSchema:
        """Describe what is accepted; see `ConfigType`."""
        choices: list[describing.JsonSchema] = []
        for tag, (_, member) in self._members.items():
            selected = self._describe_selected(tag, member, into)
            if self._needs_nothing(tag):
                selected = {"anyOf": [selected, {"type": "null"}]}
            choices.append(
                {
                    "type": "object",
                    "properties": {tag: selected},
                    "required": [tag],
                    "additionalProperties": False,
                }
            )
        by_class: dict[ClassField, list[Any]] = {}
        for tag, (_, member) in self._members.items():
            by_class.setdefault(member, []).append(self._said(tag))
        for member, said in by_class.items():
            says = {self._discriminator: {"enum": said}}
            told = {"properties": says, "required": [self._discriminator]}
            choices.append({"allOf": [member.describe(into), told]})
        return {"anyOf": choices}

    def plain(self, value: Any) -> Any:
        """Return the plain config of a value; see `ConfigType`."""
        if not isinstance(value, config_contract.ConfigClass):
            return schema.plain(value)
        entries = value.to_run_config()
        says = schema.plain(getattr(value, self._discriminator))
        entries.pop(self._discriminator, None)
        return {str(says): entries}

    def _describe_selected(
        self, tag: str, member: ClassField, into: describing.Describing
    ) -> describing.JsonSchema:
        kind = member.kind
        names = (
            f"{kind.__name__}.{tag}",
            f"{kind.__module__}.{kind.__qualname__}.{tag}",
        )
        selected_by = (self._discriminator, [self._said(tag)])
        return into.refer(
            (kind, self._discriminator, tag),
            names,
            lambda: member.describe_entries(into, selected_by),
        )

    def _said(self, tag: str) -> Any:
        return schema.plain(self._members[tag][0])

    def _says(self, tag: str, said: Any) -> bool:
        plain = schema.plain(said)
        return not isinstance(plain, bool) and plain == self._said(tag)

    def _needs_nothing(self, tag: str) -> bool:
        entries = self._members[tag][1].entries.values()
        return not any(one.is_required and one.name != self._discriminator for one in entries)


def takes_none(annotation: Any) -> bool:
    """Tell whether an annotation is a union with None, so that None is the default."""
    if typing.get_origin(annotation) is typing.Annotated:
        return takes_none(typing.get_args(annotation)[0])
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return is_union and type(None) in typing.get_args(annotation)


def of_field(info: pydantic_fields.FieldInfo) -> schema.ConfigType:
    """Return what a field of a config class takes.

    Args:
        info: What pydantic knows of the field.
    """
    return _marked(info.annotation, [*info.metadata, info])


def _simple(annotation: Any) -> schema.ConfigType:
    source = _SOURCES.get(annotation) if isinstance(annotation, type) else None
    if source is not None:
        return source
    if annotation is Any or annotation is object or isinstance(annotation, typing.TypeVar):
        return scalars.ANY
    if isinstance(annotation, schema.ConfigType):
        return annotation
    if classes.is_config_class(annotation) or enums.is_enum(annotation):
        return rules.require(annotation, "The annotation of the field")
    return pydantic_types.PydanticType(annotation)


def _marked(annotation: Any, marks: Sequence[Any]) -> schema.ConfigType:
    flat = list(_flat(marks))
    discriminator = next((one for one in map(_discriminator, marks) if one is not None), None)
    if any(_is_of_pydantic(mark) for mark in flat):
        kept = tuple(mark for mark in marks if not isinstance(mark, pydantic_fields.FieldInfo))
        return pydantic_types.PydanticType(typing.Annotated[(annotation, *kept)])  # pyright: ignore[reportInvalidTypeForm]
    if discriminator is not None:
        return _tagged(annotation, discriminator)
    made = _translate(annotation)
    limit = limits.Limits.of(flat)
    return made if limit is None else made.limited(limit)


def _translate(annotation: Any) -> schema.ConfigType:
    return _OF_CLASSES.translate(annotation) or pydantic_types.PydanticType(annotation)


def _key(annotation: Any) -> schema.ConfigType:
    return scalars.of_python_type(annotation) or _key_of(_translate(annotation))


def _key_of(translated: schema.ConfigType) -> schema.ConfigType:
    if isinstance(translated, scalars.SourceType):
        return translated.scalar
    if isinstance(translated, (enums.MembersByName, enums.Literals)):
        return translated
    return scalars.STRING


def _holds_secret(annotation: Any) -> bool:
    return annotation in pydantic_types.SECRETS or any(
        map(_holds_secret, typing.get_args(annotation))
    )


def _flat(marks: Sequence[Any]) -> Iterator[Any]:
    for mark in marks:
        if isinstance(mark, pydantic_fields.FieldInfo):
            yield from mark.metadata
        else:
            yield mark


def _discriminator(mark: Any) -> str | None:
    said = mark.discriminator if isinstance(mark, pydantic_fields.FieldInfo) else None
    return said if isinstance(said, str) else None


def _is_of_pydantic(mark: Any) -> bool:
    """Tell whether a mark changes what is taken, and only pydantic knows how."""
    changes = hasattr(mark, "__get_pydantic_core_schema__")
    return changes and not isinstance(mark, pydantic.AfterValidator)


def _tagged(annotation: Any, discriminator: str) -> schema.ConfigType:
    members: dict[str, tuple[Any, ClassField]] = {}
    takes_none = False
    for member in typing.get_args(annotation):
        translated = None if member is type(None) else _translate(member)
        if translated is None:
            takes_none = True
        elif isinstance(translated, ClassField):
            for said in _literals(translated.kind, discriminator):
                members[str(schema.plain(said))] = (said, translated)
        else:
            # Not only config classes: pydantic alone can tell them apart.
            marks = pydantic_fields.FieldInfo(annotation=None, discriminator=discriminator)
            return pydantic_types.PydanticType(typing.Annotated[annotation, marks])
    tagged = Tagged(discriminator, members)
    return collections.Noneable(tagged) if takes_none else tagged


def _literals(kind: type[pydantic.BaseModel], name: str) -> Sequence[Any]:
    info = kind.model_fields.get(name)
    return typing.get_args(info.annotation) if info is not None else ()


def _keys(
    name: str, info: pydantic_fields.FieldInfo, config: pydantic.ConfigDict
) -> tuple[str, ...]:
    alias = info.validation_alias if info.validation_alias is not None else info.alias
    if isinstance(alias, pydantic.AliasChoices):
        aliases = [one for one in alias.choices if isinstance(one, str)]
    else:
        aliases = [alias] if isinstance(alias, str) else []
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    if by_name or not aliases:
        aliases.append(name)
    return tuple(dict.fromkeys(aliases))


def _described_entry(one: Entry, into: describing.Describing) -> describing.JsonSchema:
    described = dict(one.type.describe(into))
    if one.info.description:
        described["description"] = one.info.description
    if one.is_secret:
        described["writeOnly"] = True
        described["x-secret"] = True
    elif one.info.default_factory is None and not one.is_required:
        default = one.type.plain(one.default)
        if fields.is_json(default):
            described["default"] = default
    return described


_SOURCES: dict[Any, schema.ConfigType] = {
    str: scalars.StringSource,
    int: scalars.IntSource,
    float: scalars.FloatSource,
    bool: scalars.BoolSource,
}
_OF_CLASSES = annotations.Translation(_simple, _marked, _key)

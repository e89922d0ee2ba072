"""JSON schemas of messages, from their descriptors: what protobuf's JSON looks like.

Used by `openapi`. Pure. Every message that is reached becomes one schema under its full name; the
comments of the protos are the descriptions.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf import descriptor

Schema = dict[str, Any]
_Field = descriptor.FieldDescriptor
_ONE_OF_MAX: Final = 6

_DIGITS: Final = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,17})$"}
_DIGITS_UNSIGNED: Final = {"type": "string", "pattern": r"^(0|[1-9][0-9]{0,18})$"}
_SMALL: Final = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1, "format": "int32"}
_SMALL_UNSIGNED: Final = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_NUMBER: Final = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
    ]
}
_SCALARS: Final[Mapping[int, Mapping[str, Any]]] = {
    _Field.TYPE_BOOL: {"type": "boolean"},
    _Field.TYPE_STRING: {"type": "string"},
    _Field.TYPE_BYTES: {
        "type": "string",
        "format": "byte",
        "pattern": r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    },
    _Field.TYPE_DOUBLE: _NUMBER,
    _Field.TYPE_FLOAT: _NUMBER,
    _Field.TYPE_INT32: _SMALL,
    _Field.TYPE_SINT32: _SMALL,
    _Field.TYPE_SFIXED32: _SMALL,
    _Field.TYPE_UINT32: _SMALL_UNSIGNED,
    _Field.TYPE_FIXED32: _SMALL_UNSIGNED,
    _Field.TYPE_INT64: _DIGITS,
    _Field.TYPE_SINT64: _DIGITS,
    _Field.TYPE_SFIXED64: _DIGITS,
    _Field.TYPE_UINT64: _DIGITS_UNSIGNED,
    _Field.TYPE_FIXED64: _DIGITS_UNSIGNED,
}
_WELL_KNOWN: Final[Mapping[str, Schema]] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "format": "date-time",
        "description": "A time in UTC, such as 2026-11-28T12:00:00Z.",
    },
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,9}(\.[0-9]{1,9})?s$",
        "description": "Seconds, such as 1.5s.",
    },
}


class Schemas:
    """Collects the schemas of messages and enums.

    Attributes:
        found: What was collected, by full names.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        """Make an empty collection.

        Args:
            comments: The comments of the protos by full names.
        """
        self._comments = comments
        self.found: dict[str, Schema] = {}

    def of(self, message: descriptor.Descriptor) -> Schema:
        """Return a reference to the schema of a message."""
        return self._named(message.full_name, lambda: self._message(message))

    def _named(self, name: str, make: Callable[[], Schema]) -> Schema:
        if name not in self.found:
            self.found[name] = {}  # messages may hold themselves
            self.found[name] = make()
        return {"$ref": f"#/components/schemas/{name}"}

    def _message(self, message: descriptor.Descriptor) -> Schema:
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        made: Schema = {"type": "object", "title": message.name}
        if said := self._said(message.full_name):
            made["description"] = said
        made["properties"] = {field.json_name: self._field(field) for field in message.fields}
        made["additionalProperties"] = False
        if pairs := list(_exclusions(message)):
            made["allOf"] = pairs
        return made

    def _field(self, field: _Field) -> Schema:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            value = self._value(entry.fields_by_name["value"])
            made: Schema = {"type": "object", "additionalProperties": value}
        elif field.is_repeated:
            made = {"type": "array", "items": self._value(field)}
        else:
            made = self._value(field)
        said = self._said(field.full_name)
        if (one_of := field.containing_oneof) is not None and len(one_of.fields) > 1:
            others = [other.json_name for other in one_of.fields if other is not field]
            said = f"{said} At most one of this and {', '.join(others)}.".strip()
        return {**made, "description": said} if said else made

    def _value(self, field: _Field) -> Schema:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            enum = field.enum_type
            return self._named(enum.full_name, lambda: self._enum(enum))
        return dict(_SCALARS[field.type])

    def _enum(self, enum: descriptor.EnumDescriptor) -> Schema:
        lines = [self._said(enum.full_name)]
        for value in enum.values:
            said = self._said(f"{enum.full_name}.{value.name}")
            lines.append(f"- `{value.name}`: {said}" if said else f"- `{value.name}`")
        return {
            "type": "string",
            "enum": [value.name for value in enum.values],
            "description": "\n".join(line for line in lines if line),
        }

    def _said(self, name: str) -> str:
        return self._comments.get(name, "")


def _exclusions(message: descriptor.Descriptor) -> list[Schema]:
    """Return what forbids two fields of one small oneof at once; the text tells of large ones."""
    return [
        {"not": {"required": [one.json_name, other.json_name]}}
        for one_of in message.oneofs
        if 1 < len(one_of.fields) <= _ONE_OF_MAX
        for index, one in enumerate(one_of.fields)
        for other in one_of.fields[index + 1 :]
    ]

"""Typed metadata out of plain values and out of text, for whoever reports events.

Used by ``atoll report`` and by programs. What a Python value becomes is what it becomes in user
code: text, whole numbers, floating point numbers, truth values, JSON and nothing.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from atoll.client import documents
from atoll.definitions.v1 import values_pb2

Value = values_pb2.MetadataValue

TYPES: Final = (
    "text", "int", "float", "bool", "json", "url", "path", "markdown", "timestamp", "asset", "run",
)  # fmt: skip
"""The types that text can name."""

_INT64_MAX = 2**63 - 1
_LINKS = ("http://", "https://")


def of(value: object) -> values_pb2.MetadataValue:
    """Return a plain value as metadata.

    Args:
        value: Text, a number, a truth value, None, a time, or lists and dicts of these.

    Raises:
        ValueError: It is nothing of the kind.
    """
    for kind, make in _OF_TYPES:
        if isinstance(value, kind):
            return make(value)
    return _json(value)


def all_of(values: Mapping[str, object]) -> dict[str, values_pb2.MetadataValue]:
    """Return plain values as metadata, by name."""
    return {name: of(value) for name, value in values.items()}


def parse(text: str) -> tuple[str, values_pb2.MetadataValue]:
    """Return the name and the value that text says: NAME=VALUE, or NAME:TYPE=VALUE.

    Without a type, what is JSON is taken as that, links as links, and all other text as text.

    Args:
        text: The text.

    Raises:
        ValueError: It is nothing of the kind, or the value does not fit the type.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(
            f"{text!r} is no metadata. Write NAME=VALUE, such as rows=42, or NAME:TYPE=VALUE."
        )
    named, colon, kind = name.rpartition(":")
    if not colon:
        return name, _guessed(value)
    if not named or kind not in TYPES:
        raise ValueError(
            f"{kind!r} in {text!r} is no type of metadata. There are {', '.join(TYPES)}."
        )
    try:
        return named, _typed(kind, value)
    except ValueError as error:
        raise ValueError(f"{value!r} in {text!r} is no {kind}: {error}") from error


def _guessed(value: str) -> values_pb2.MetadataValue:
    try:
        read = json.loads(value)
    except ValueError:
        return Value(url=value) if value.startswith(_LINKS) else Value(text=value)
    return of(read)


def _typed(kind: str, value: str) -> values_pb2.MetadataValue:
    return _READERS[kind](value)


def _json(value: Any) -> values_pb2.MetadataValue:
    try:
        data = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{value!r} cannot be metadata. Give text, a number, a truth value, a time, or lists "
            "and dicts of these."
        ) from error
    return Value(json=values_pb2.UserData(content_type="application/json", data=data))


def _whole(value: int) -> values_pb2.MetadataValue:
    if -_INT64_MAX <= value <= _INT64_MAX:
        return Value(int=value)
    return Value(big_int=str(value))


def _moment(value: dt.datetime) -> values_pb2.MetadataValue:
    made = Value()
    made.timestamp.FromDatetime(value.astimezone(dt.timezone.utc))
    return made


def _bool(text: str) -> values_pb2.MetadataValue:
    words = {"true": True, "false": False}
    if text.lower() not in words:
        raise ValueError("write true or false")
    return Value(bool=words[text.lower()])


def _timestamp(text: str) -> values_pb2.MetadataValue:
    moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return of(moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc))


# A truth value is a whole number too: it comes first.
_OF_TYPES: Sequence[tuple[type, Callable[[Any], values_pb2.MetadataValue]]] = (
    (type(None), lambda _: Value(null=values_pb2.NullValue())),
    (bool, lambda value: Value(bool=value)),
    (int, _whole),
    (float, lambda value: Value(float=value)),
    (str, lambda value: Value(text=value)),
    (dt.datetime, _moment),
)
_READERS: Mapping[str, Callable[[str], values_pb2.MetadataValue]] = {
    "text": lambda text: Value(text=text),
    "int": lambda text: of(int(text)),
    "float": lambda text: Value(float=float(text)),
    "bool": _bool,
    "json": lambda text: _json(json.loads(text)),
    "url": lambda text: Value(url=text),
    "path": lambda text: Value(path=text),
    "markdown": lambda text: Value(markdown=text),
    "timestamp": _timestamp,
    "asset": lambda text: Value(asset=documents.parse_asset_key(text)),
    "run": lambda text: Value(run_id=text),
}

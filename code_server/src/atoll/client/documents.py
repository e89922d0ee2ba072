"""Messages of the API as plain documents: what ``--json`` prints and a program would want to read.

Protobuf's own JSON writes 64-bit numbers as strings, user data as base64 and enums with their long
prefixes. Here an asset key is ``a/b``, a time is an ISO 8601 string in UTC, a duration is a number
of seconds, an enum is its short name, JSON given by users stands as it is, and metadata is
``{"type": ..., "value": ...}``. Field names are those of the protos. Nothing here talks to a host.
"""

import base64
import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence
from typing import Any, cast

from google.protobuf import duration_pb2, message, timestamp_pb2

from atoll.definitions.v1 import values_pb2

# How Atoll's own failures are called, and the one of a run whose steps failed.
_OWN_TYPES = "atoll."
_SUMMARY_TYPE = "atoll.StepsFailed"
JSON_CONTENT_TYPES = frozenset({"application/json", "application/schema+json"})

# Two implementations of protobuf, two classes of descriptors, and no common one in the stubs.
Descriptor = Any


def plain(value: message.Message) -> dict[str, Any]:
    """Return a message as a document; unset fields that know about presence are left out."""
    document: dict[str, Any] = {}
    for field in value.DESCRIPTOR.fields:
        if field.has_presence and not value.HasField(field.name):
            continue
        document[field.name] = _field(field, getattr(value, field.name))
    return document


def line(value: message.Message) -> str:
    """Return a message as one line of JSON, for streams."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def listing(name: str, values: Iterable[message.Message]) -> str:
    """Return messages as one JSON document with a list under this name."""
    return json.dumps({name: [plain(value) for value in values]}, ensure_ascii=False, indent=2)


def plain_listing(name: str, values: Iterable[Mapping[str, Any]]) -> str:
    """Return plain documents as one JSON document with a list under this name."""
    return json.dumps({name: list(values)}, ensure_ascii=False, indent=2)


def single(value: message.Message) -> str:
    """Return one message as a JSON document."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2)


def enum_name(field_owner: message.Message, field_name: str) -> str:
    """Return the short name of an enum field's value: ``SUCCESS`` for ``RUN_STATUS_SUCCESS``."""
    field = field_owner.DESCRIPTOR.fields_by_name[field_name]
    return _enum(field, getattr(field_owner, field_name))


def moment(value: message.Message, field_name: str) -> dt.datetime | None:
    """Return a timestamp field as a datetime in UTC, None where it is unset."""
    if not value.HasField(field_name):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(value, field_name)
    return stamp.ToDatetime(tzinfo=dt.timezone.utc)


def metadata(entries: Mapping[str, values_pb2.MetadataValue]) -> dict[str, Any]:
    """Return metadata as plain values by name, without their types."""
    return {name: _metadata(value)["value"] for name, value in sorted(entries.items())}


def user_data(value: values_pb2.UserData) -> Any:
    """Return what users attached: JSON as it is, other types with their bytes in base64."""
    if value.content_type in JSON_CONTENT_TYPES:
        # What claims to be JSON and is not must not hide the rest of the document.
        with contextlib.suppress(ValueError):
            return json.loads(value.data)
    return {
        "content_type": value.content_type,
        "base64": base64.b64encode(value.data).decode("ascii"),
    }


def _field(field: Descriptor, value: Any) -> Any:
    # Decided by the value: how a descriptor tells repeated fields changed between the supported
    # versions of protobuf.
    if isinstance(value, MutableMapping):
        entries = cast("Mapping[Any, Any]", value)
        value_field = field.message_type.fields_by_name["value"]
        return {str(key): _single(value_field, entries[key]) for key in sorted(entries)}
    if isinstance(value, MutableSequence):
        return [_single(field, each) for each in cast("Iterable[Any]", value)]
    return _single(field, value)


def _single(field: Descriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return _enum(field, value)
    if field.message_type is not None:
        name = str(field.message_type.full_name)
        return _SPECIAL[name](value) if name in _SPECIAL else plain(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value


def _enum(field: Descriptor, number: int) -> str:
    names: dict[int, str] = {
        known: str(each.name) for known, each in field.enum_type.values_by_number.items()
    }
    if number not in names:
        return f"UNKNOWN_{number}"
    return names[number].removeprefix(names[0].removesuffix("UNSPECIFIED"))


def _timestamp(value: timestamp_pb2.Timestamp) -> str:
    when = value.ToDatetime(tzinfo=dt.timezone.utc)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _duration(value: duration_pb2.Duration) -> float:
    return value.seconds + value.nanos / 1e9


def _metadata(value: values_pb2.MetadataValue) -> dict[str, Any]:
    kind = value.WhichOneof("value")
    if kind is None or kind == "null":
        return {"type": "null", "value": None}
    if kind == "big_int":
        return {"type": "int", "value": int(value.big_int)}
    return {
        "type": kind,
        "value": _field(value.DESCRIPTOR.fields_by_name[kind], getattr(value, kind)),
    }


def _asset_key(value: values_pb2.AssetKey) -> str:
    return format_asset_key(value)


def _column_lineage(value: values_pb2.TableColumnLineage) -> dict[str, list[dict[str, str]]]:
    return {
        column.column_name: [
            {"asset_key": format_asset_key(dep.asset_key), "column_name": dep.column_name}
            for dep in column.dependencies
        ]
        for column in value.columns
    }


def _code_references(value: values_pb2.CodeReferences) -> list[str]:
    return [_code_reference(one) for one in value.references]


def _code_reference(value: values_pb2.CodeReference) -> str:
    if value.WhichOneof("place") == "url":
        return value.url
    place = value.local_file
    return f"{place.path}:{place.line}" if place.line else place.path


def _check_key(value: values_pb2.AssetCheckKey) -> dict[str, str]:
    return {"asset_key": format_asset_key(value.asset_key), "name": value.name}


def format_asset_key(key: values_pb2.AssetKey) -> str:
    r"""Return an asset key as people write it: ``a/b``; a slash inside a part is written ``\/``."""
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in key.path)


def parse_asset_key(text: str) -> values_pb2.AssetKey:
    r"""Return the asset key that a text like ``a/b`` names.

    Raises:
        ValueError: If a part of the key is empty.
    """
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "/":
            parts.append("")
        else:
            parts[-1] += next(characters, "\\") if character == "\\" else character
    if not all(part.strip() for part in parts):
        message_text = (
            f"{text!r} is no asset key: a part of it is empty. "
            "Write the parts with slashes between them, such as sales/daily."
        )
        raise ValueError(message_text)
    return values_pb2.AssetKey(path=parts)


_SPECIAL: Mapping[str, Callable[[Any], Any]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "atoll.definitions.v1.AssetKey": _asset_key,
    "atoll.definitions.v1.AssetCheckKey": _check_key,
    "atoll.definitions.v1.CodeReferences": _code_references,
    "atoll.definitions.v1.TableColumnLineage": _column_lineage,
    "atoll.definitions.v1.UserData": user_data,
    "atoll.definitions.v1.MetadataValue": _metadata,
}


def seconds(value: duration_pb2.Duration) -> float:
    """Return a duration in seconds."""
    return _duration(value)


def failure_line(failure: values_pb2.Failure) -> str:
    """Return what went wrong on one line: the type, the first words of the message, the cause."""
    first = first_words(failure)
    if _is_summary(failure):
        return f"{first} {failure_line(failure.cause)}"
    line = _typed(failure, first)
    if not failure.HasField("cause"):
        return line
    return f"{line} (caused by {_typed(failure.cause, first_words(failure.cause))})"


def first_words(failure: values_pb2.Failure) -> str:
    """Return the first line of a failure's message, with the next where it only announces that."""
    lines = failure.message.splitlines() or [""]
    if lines[0].endswith(":") and len(lines) > 1:
        rest = " …" if len(lines) > 2 else ""  # noqa: PLR2004 - the two that are shown
        return f"{lines[0]} {lines[1].strip()}{rest}"
    return lines[0]


def failure_text(failure: values_pb2.Failure) -> str:
    """Return what went wrong with its stack and its causes, as Python would print it."""
    if _is_summary(failure):
        return f"{failure.message}\n\n{failure_text(failure.cause)}"
    lines: list[str] = []
    if failure.HasField("cause"):
        lines += [failure_text(failure.cause), "", "That was the cause of:", ""]
    for frame in failure.frames:
        if not frame.function:
            # The place of a definition that is wrong: the message names it.
            continue
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.source:
            lines.append(f"    {frame.source.strip()}")
    name = failure.type.removeprefix(_OWN_TYPES)
    lines.append(f"{name}: {failure.message}" if name else failure.message)
    lines += [f"  {key} = {value}" for key, value in metadata(failure.metadata).items()]
    if failure.last_output:
        lines += ["", "Last output:", failure.last_output.rstrip()]
    return "\n".join(lines)


def _is_summary(failure: values_pb2.Failure) -> bool:
    """Tell whether a failure only says that there is one, and its cause says which."""
    return failure.type == _SUMMARY_TYPE and failure.HasField("cause")


def _typed(failure: values_pb2.Failure, first: str) -> str:
    name = failure.type.rpartition(".")[2]
    return f"{name}: {first}" if name and first else first or name or "unknown failure"

"""What of a request the audit log keeps: short, and without secrets and user data. Pure.

Called by `recording`. Fields are told by their paths. Left out are bytes, messages of user data,
the values of maps (of labels, the keys are kept), and fields whose names say that they hold
something secret or opaque.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import descriptor, message

from atoll.definitions.v1 import values_pb2
from atoll_host.access import rules

FIELDS_MAX = 40
ITEMS_MAX = 20
LENGTH_MAX = 200
DEPTH_MAX = 6
LOCATIONS_MAX = 100

_LEFT_OUT_TYPES = frozenset({values_pb2.UserData.DESCRIPTOR.full_name})
_LEFT_OUT_WORDS = (
    *("secret", "password", "bearer", "credential", "control_token"),
    *("cursor", "page_token", "resume_token", "config"),
)
_WELL_KNOWN = "google.protobuf."
_KIND = descriptor.FieldDescriptor


def arguments(request: message.Message) -> dict[str, str]:
    """Return what a request asks for, by the path of each field."""
    found: dict[str, str] = {}
    for path, text in _walk(request, (), DEPTH_MAX):
        if len(found) >= FIELDS_MAX:
            found["..."] = "more fields were left out"
            break
        found[path] = _short(text)
    return found


def locations(names: Sequence[str]) -> list[str]:
    """Return the locations that a call is about, as far as they are kept."""
    return [_short(name) for name in names[:LOCATIONS_MAX]]


def _walk(of: Any, at: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    for field, value in of.ListFields():
        path = (*at, field.name)
        if _is_left_out(field):
            continue
        if rules.is_list(field):
            yield from _list(field, value, path, depth)
        elif field.message_type is None:
            yield ".".join(path), _text(field, value)
        elif depth > 0:
            yield from _message(value, path, depth)


def _list(
    field: descriptor.FieldDescriptor, value: Any, path: tuple[str, ...], depth: int
) -> Iterator[tuple[str, str]]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        yield ".".join(path), _joined(sorted(map(str, value)))
    elif kind is None:
        yield ".".join(path), _joined([_text(field, each) for each in value[: ITEMS_MAX + 1]])
    elif kind.full_name == values_pb2.AssetKey.DESCRIPTOR.full_name:
        yield ".".join(path), _joined(["/".join(each.path) for each in value[: ITEMS_MAX + 1]])
    elif depth > 0:
        for number, each in enumerate(value[:ITEMS_MAX]):
            yield from _message(each, (*path[:-1], f"{path[-1]}[{number}]"), depth)


def _message(value: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, str]]:
    if value.DESCRIPTOR.full_name == values_pb2.AssetKey.DESCRIPTOR.full_name:
        yield ".".join(path), "/".join(value.path)
    elif value.DESCRIPTOR.full_name.startswith(_WELL_KNOWN):
        # Not as dates or durations: what a caller writes may be none.
        seconds, nanos = getattr(value, "seconds", None), getattr(value, "nanos", 0)
        yield ".".join(path), "set" if seconds is None else f"{seconds + nanos / 1e9:.15g} s"
    else:
        yield from _walk(value, path, depth - 1)


def _is_left_out(field: descriptor.FieldDescriptor) -> bool:
    if field.type == _KIND.TYPE_BYTES:
        return True
    if field.message_type is not None and field.message_type.full_name in _LEFT_OUT_TYPES:
        return True
    return any(word in field.name for word in _LEFT_OUT_WORDS)


def _text(field: descriptor.FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else known.name
    return str(value).lower() if field.type == _KIND.TYPE_BOOL else str(value)


def _joined(texts: list[str]) -> str:
    shown = ", ".join(texts[:ITEMS_MAX])
    return f"{shown}, ..." if len(texts) > ITEMS_MAX else shown


def _short(text: str) -> str:
    # Postgres stores no NUL character.
    text = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return text if len(text) <= LENGTH_MAX else f"{text[: LENGTH_MAX - 1]}\u2026"

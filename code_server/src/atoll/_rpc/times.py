"""Times in requests: those that no calendar has are refused before a servicer stumbles over them.

Called where requests come in, over gRPC by `interception` and over HTTP by the host. A Timestamp on
the wire is two numbers of any size; what it means is defined for the years 1 to 9999 only. Pure.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor, message

from atoll._rpc import errors

_TIMESTAMP = "google.protobuf.Timestamp"
_DURATION = "google.protobuf.Duration"
# The years 1 to 9999, and ten thousand years, as protobuf defines them.
_SECONDS = {
    _TIMESTAMP: (-62_135_596_800, 253_402_300_799),
    _DURATION: (-315_576_000_000, 315_576_000_000),
}
_NANOS = {_TIMESTAMP: (0, 999_999_999), _DURATION: (-999_999_999, 999_999_999)}

_Fields = tuple[tuple[str, bool, bool], ...]
_leading: dict[str, _Fields] = {}


def check(request: message.Message) -> None:
    """Refuse a request with a time that there is not.

    Raises:
        errors.InvalidArgumentError: It has one.
    """
    _check(request, request.DESCRIPTOR.name)


def _check(part: Any, where: str) -> None:
    kind = part.DESCRIPTOR.full_name
    if kind in _SECONDS:
        _check_time(part, kind, where)
        return
    for name, repeated, is_map in _fields(part.DESCRIPTOR):
        value = getattr(part, name)
        if is_map:
            for each in value.values():
                _check(each, f"{where}.{name}")
        elif repeated:
            for each in value:
                _check(each, f"{where}.{name}")
        elif part.HasField(name):
            _check(value, f"{where}.{name}")


def _check_time(time: Any, kind: str, where: str) -> None:
    low, high = _SECONDS[kind]
    low_nanos, high_nanos = _NANOS[kind]
    one_sign = kind == _TIMESTAMP or time.seconds * time.nanos >= 0
    if one_sign and low <= time.seconds <= high and low_nanos <= time.nanos <= high_nanos:
        return
    raise errors.InvalidArgumentError(
        f"{where} is {time.seconds} s and {time.nanos} ns, which is no "
        f"{'time of the years 1 to 9999' if kind == _TIMESTAMP else 'duration'}. Send one that is.",
        metadata={"field": where.partition(".")[2]},
    )


def _fields(kind: descriptor.Descriptor) -> _Fields:
    """Return the fields of a message that lead to times, looked for once for each kind."""
    if kind.full_name not in _leading:
        _leading[kind.full_name] = tuple(
            (field.name, _is_repeated(field), _is_map(field))
            for field in kind.fields
            if field.message_type is not None and _leads(field.message_type, set())
        )
    return _leading[kind.full_name]


def _leads(kind: descriptor.Descriptor, seen: set[str]) -> bool:
    if kind.full_name in _SECONDS:
        return True
    if kind.full_name in seen:
        return False
    seen.add(kind.full_name)
    return any(
        field.message_type is not None and _leads(field.message_type, seen) for field in kind.fields
    )


def _is_repeated(field: Any) -> bool:
    # Older releases of protobuf know the label only, the newest warn of it.
    repeated: bool | None = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED) if repeated is None else repeated


def _is_map(field: descriptor.FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry

"""Messages that nobody in their right mind would send, made from descriptors.

`Maker` fills messages with values that are at home in attacks and in accidents. It is seeded, so a
message that found something can be made again.
"""

import random
import struct
import uuid
from collections.abc import Sequence
from typing import Any

from google.protobuf import descriptor, json_format, message_factory

_Field = descriptor.FieldDescriptor
_DEPTH_MAX = 4
_DEEP = 90
_INVALID_MARK = "@@@"
_INVALID_BYTES = b"\xed\xa0\x80"  # half a surrogate pair

STRINGS = (
    "",
    "a",
    "\x00",
    "a\x00b",
    "'; DROP TABLE runs; --",
    "%s%n{0}${x}",
    "../../etc/passwd",
    "\u202e\ufeff\U0001f986",
    "é" * 200,
    "x" * 20_000,
    "-1",
    "9" * 30,
    "2026-13-45",
    "null",
    "W10=",
    "WyJ4Il0=",
    "bnVsbA==",
    "eyJhIjoxfQ==",
    "*",
    "[",
    "0 0 31 2 *",
    "Mars/Olympus",
)
_INTS = (0, 1, -1, 2, 1000, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**64 - 1)
_FLOATS = (0.0, -0.0, 1.5, -1e308, 1e308, float("inf"), float("-inf"), float("nan"))
_RANGES = {
    _Field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    _Field.CPPTYPE_UINT32: (0, 2**32 - 1),
    _Field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    _Field.CPPTYPE_UINT64: (0, 2**64 - 1),
}
WRONG: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 1e400, 2**70),
    *("x", "\ud800", "\x00", [], [[]], [None], {}, {"a": 1}, {"": {}}),
)


class Maker:
    """Makes messages."""

    def __init__(self, seed: str, known: Sequence[str]) -> None:
        """Make a maker.

        Args:
            seed: The same makes the same messages.
            known: Texts that mean something to who is asked, such as names and ids.
        """
        self.random = random.Random(seed)
        self._known = tuple(known)

    def message(self, kind: descriptor.Descriptor, depth: int = 0) -> Any:
        """Return a message with some of its fields set."""
        made = message_factory.GetMessageClass(kind)()
        often = self.random.choice((0.3, 0.7, 1.0)) if depth == 0 else 0.5
        for field in kind.fields:
            if self.random.random() < often:
                self._fill(made, field, depth)
        return made

    def data(self, kind: descriptor.Descriptor) -> bytes:
        """Return a message as bytes: whole, cut, with half characters or with unknown fields."""
        whole = self.message(kind).SerializeToString()
        how = self.random.randrange(8)
        if how == 0:
            return whole[: self.random.randrange(len(whole) + 1)]
        if how == 1:
            return self.random.randbytes(self.random.randrange(40))
        if how == 2:
            return whole + b"\xfa\x3f\x03abc"
        if how == 3:
            return whole.replace(_INVALID_MARK.encode(), _INVALID_BYTES)
        return whole

    def document(self, kind: descriptor.Descriptor) -> Any:
        """Return a message as JSON has it, sometimes with a value of a wrong type."""
        made = None
        while made is None:
            try:
                made = json_format.MessageToDict(self.message(kind))
            except (ValueError, json_format.Error):
                continue  # times that JSON has no form for
        if self.random.random() < 0.5:
            self._spoil(made, kind)
        return made

    def deep(self, kind: descriptor.Descriptor) -> bytes | None:
        """Return a message that holds itself many times; None where it cannot."""
        path = _way_back(kind)
        if path is None:
            return None
        before, ring = path
        inner = b""
        for field in reversed([*before, *ring * _DEEP]):
            head = _varint(field.number << 3 | 2)
            inner = head + _varint(len(inner)) + inner
        return inner

    def text(self) -> str:
        """Return a text."""
        how = self.random.random()
        if how < 0.4 and self._known:
            return self.random.choice(self._known)
        if how < 0.45:
            return str(uuid.UUID(int=self.random.getrandbits(128)))
        if how < 0.5:
            return _INVALID_MARK
        return self.random.choice(STRINGS)

    def _fill(self, made: Any, field: _Field, depth: int) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            for _ in range(self.random.randrange(3)):
                key = self._scalar(field.message_type.fields_by_name["key"])
                if value.message_type is None:
                    getattr(made, field.name)[key] = self._scalar(value)
        elif field.is_repeated:
            count = self.random.choice((0, 1, 2, 3, 300 if depth == 0 else 5))
            part = getattr(made, field.name)
            for _ in range(count):
                if field.message_type is None:
                    part.append(self._scalar(field))
                elif depth < _DEPTH_MAX:
                    part.add().CopyFrom(self._part(field.message_type, depth))
        elif field.message_type is None:
            setattr(made, field.name, self._scalar(field))
        elif depth < _DEPTH_MAX:
            getattr(made, field.name).CopyFrom(self._part(field.message_type, depth))

    def _part(self, kind: descriptor.Descriptor, depth: int) -> Any:
        if kind.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            made = message_factory.GetMessageClass(kind)()
            made.seconds = self.random.choice((0, 1, -1, 1_700_000_000, 2**40, -(2**60), 2**63 - 1))
            made.nanos = self.random.choice((0, 1, -1, 999_999_999, 2**31 - 1, -(2**31)))
            return made
        return self.message(kind, depth + 1)

    def _scalar(self, field: _Field) -> Any:
        kind = field.cpp_type
        if kind == _Field.CPPTYPE_STRING:
            text = self.text()
            return text if field.type == _Field.TYPE_STRING else text.encode()
        if kind == _Field.CPPTYPE_BOOL:
            return self.random.random() < 0.5
        if kind == _Field.CPPTYPE_ENUM:
            return self.random.choice((*field.enum_type.values_by_number, 999, -1, 2**31 - 1))
        if kind in (_Field.CPPTYPE_DOUBLE, _Field.CPPTYPE_FLOAT):
            return self.random.choice(_FLOATS)
        low, high = _RANGES[kind]
        return self.random.choice([number for number in _INTS if low <= number <= high])

    def _spoil(self, made: dict[str, Any], kind: descriptor.Descriptor) -> None:
        names = [*(field.json_name for field in kind.fields), "noSuchField", ""]
        made[self.random.choice(names)] = self.random.choice(WRONG)


def _way_back(kind: descriptor.Descriptor) -> tuple[list[_Field], list[_Field]] | None:
    """Return fields that lead from a message to one that can hold itself, and round once."""
    waiting: list[tuple[descriptor.Descriptor, list[_Field]]] = [(kind, [])]
    seen: set[str] = set()
    while waiting:
        at, path = waiting.pop(0)
        for field in at.fields:
            below = field.message_type
            if below is None:
                continue
            kinds = [kind, *(step.message_type for step in path)]
            if below in kinds:
                index = kinds.index(below)
                return path[:index], [*path[index:], field]
            if below.full_name not in seen and len(path) < 6:
                seen.add(below.full_name)
                waiting.append((below, [*path, field]))
    return None


def _varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def frame(data: bytes) -> bytes:
    """Return a message in the envelope of Connect."""
    return struct.pack(">BI", 0, len(data)) + data

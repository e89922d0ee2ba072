"""Definitions that no code server makes get an answer as well, and never a traceback."""

import random

import hypothesis
from google.protobuf import descriptor, message
from hypothesis import strategies as st

from atoll.definitions.v1 import snapshot_pb2
from atoll_host.impact import comparing, partition_changes, world
from atoll_host.locations import definitions

DEPTH_MAX = 6
_TEXTS = ("", "a", "a/b", "sales/a", "*", "0 0 * * *", "99 99 * * *", "%Y-%m-%d", "\N{SNOWMAN}")
_Field = descriptor.FieldDescriptor
_VALUES = {
    _Field.TYPE_STRING: _TEXTS,
    _Field.TYPE_BYTES: (b"", b"{}", b"\xff", b'{"properties": 5, "required": [{}]}', b"[1]"),
    _Field.TYPE_BOOL: (False, True),
    _Field.TYPE_DOUBLE: (0.0, -1.5, 1e300),
    _Field.TYPE_UINT32: (0, 1, 2**31),
    _Field.TYPE_INT64: (0, 1, -1, 2**62, -(2**62)),
}


def value_of(field: _Field, some: random.Random) -> object:
    if field.type == _Field.TYPE_ENUM:
        return some.choice([each.number for each in field.enum_type.values])
    return some.choice(_VALUES.get(field.type, (0, 1, -1, 2**31 - 1, -(2**31))))


def fill(into: message.Message, some: random.Random, depth: int = 0) -> None:
    """Fill a message with anything that its descriptor allows."""
    for field in into.DESCRIPTOR.fields:
        if (depth > 0 and some.random() < 0.4) or (field.message_type and depth >= DEPTH_MAX):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            many = getattr(into, field.name)
            for _ in range(some.randint(0, 3)):
                if field.message_type is None:
                    many.append(value_of(field, some))
                else:
                    fill(many.add(), some, depth + 1)
        elif field.message_type is not None:
            getattr(into, field.name).SetInParent()
            fill(getattr(into, field.name), some, depth + 1)
        else:
            setattr(into, field.name, value_of(field, some))


def anything(seed: int) -> definitions.Definitions:
    made = snapshot_pb2.LocationSnapshot()
    fill(made, random.Random(seed))
    return definitions.decode(str(seed), made.SerializeToString())


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(seeds=st.tuples(*[st.integers(0, 2**32)] * 3))
def test_anything_can_be_compared_with_anything(seeds) -> None:
    old, new, other = map(anything, seeds)
    there = {"other": other}
    known = world.World("sales", old, new, there, there, {})
    for path in partition_changes.changed(known):
        partition_changes.lost(known, path, ["a", "2024-01-01", "x|y"])
    found = comparing.compare(known)
    assert all(each.message for each in found)

"""Golden messages: what each message of the contracts looked like when it was new.

`goldens/<package>.json` holds, for every message, instances that together fill each of its fields
once: the bytes, and the values that they stood for when they were written. They are only ever
added. A field that comes later gets an instance of its own; one that is gone, renumbered, renamed
or of another type cannot give the old values back. Enums are stored as their names and numbers.

`python -m tests.contracts` adds what is new; `test_golden_messages.py` compares.
"""

import base64
import collections
import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor, json_format, message, message_factory

FOLDER = Path(__file__).with_name("goldens")
PACKAGES = (
    "atoll.api.v1",
    "atoll.definitions.v1",
    "atoll.events.v1",
    "atoll.location.v1",
    "atoll.mesh.v1",
    "atoll.process.v1",
    "atoll.rpc.v1",
)
# How deep messages within messages are filled: each has goldens of its own.
_DEPTH_MAX = 1
_FIELD = descriptor.FieldDescriptor
_TIMESTAMP_S = 1_700_000_000

Golden = dict[str, Any]
Stored = dict[str, dict[str, Any]]


def files(package: str) -> list[descriptor.FileDescriptor]:
    """Return the files of a package as the code in the tree has them."""
    module = importlib.import_module(package)
    return [
        importlib.import_module(f"{package}.{found.name}").DESCRIPTOR
        for found in pkgutil.iter_modules(module.__path__)
        if found.name.endswith("_pb2")
    ]


def messages(package: str) -> dict[str, descriptor.Descriptor]:
    """Return every message of a package, nested ones too, without the entries of maps."""
    found = {}
    todo = [each for file in files(package) for each in file.message_types_by_name.values()]
    while todo:
        one = todo.pop()
        if not one.GetOptions().map_entry:
            found[one.full_name] = one
            todo += one.nested_types
    return dict(sorted(found.items()))


def enums(package: str) -> dict[str, dict[str, int]]:
    """Return the names and numbers of every enum of a package."""
    top = [each for file in files(package) for each in file.enum_types_by_name.values()]
    nested = [each for one in messages(package).values() for each in one.enum_types]
    found = {one.full_name: {v.name: v.number for v in one.values} for one in top + nested}
    return dict(sorted(found.items()))


def stored(package: str) -> Stored:
    """Return what is stored of a package."""
    path = FOLDER / f"{package}.json"
    return json.loads(path.read_text()) if path.is_file() else {"enums": {}, "messages": {}}


def write(package: str, content: Stored) -> None:
    """Store a package, one line an instance, so that branches which add messages merge."""
    sections = []
    for name in ("enums", "messages"):
        lines = []
        for key, value in sorted(content[name].items()):
            if name == "enums":
                lines.append(f"  {json.dumps(key)}: {_line(value)}")
            else:
                instances = ",\n   ".join(_line(one) for one in value)
                lines.append(f"  {json.dumps(key)}: [\n   {instances}\n  ]")
        sections.append(f' "{name}": {{\n' + ",\n".join(lines) + "\n }")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{package}.json").write_text("{\n" + ",\n".join(sections) + "\n}\n")


def added(package: str, content: Stored) -> Stored:
    """Return what is stored together with what is new in the code; nothing stored changes."""
    grown: Stored = {
        "enums": {
            name: values | content["enums"].get(name, {}) for name, values in enums(package).items()
        },
        "messages": {},
    }
    grown["enums"] = content["enums"] | grown["enums"]
    grown["messages"] = dict(content["messages"])
    for name, one in messages(package).items():
        known = content["messages"].get(name, [])
        missing = _uncovered(one, known)
        if missing or not known:
            grown["messages"][name] = [*known, *_instances(one, missing)]
    return grown


def problems(golden: Golden, one: descriptor.Descriptor) -> Iterator[str]:
    """Yield how an instance of long ago is not what the code of today makes of it."""
    data = base64.b64decode(golden["bytes"])
    found = message_factory.GetMessageClass(one).FromString(data)
    values = _values(found)
    for key in sorted(golden["values"].keys() | values.keys()):
        before, now = golden["values"].get(key), values.get(key)
        if before != now:
            yield f"{one.full_name}.{key} was {before!r} and is read as {now!r}"
    again = found.SerializeToString(deterministic=True)
    if again != data:
        yield f"{one.full_name} is written as other bytes: {again.hex()} for {data.hex()}"


def uncovered(one: descriptor.Descriptor, known: Sequence[Golden]) -> list[str]:
    """Return the fields that no stored instance fills."""
    return [field.full_name for field in _uncovered(one, known)]


def _uncovered(one: descriptor.Descriptor, known: Sequence[Golden]) -> list[_FIELD]:
    filled = {name for golden in known for name in golden["values"]}
    return [field for field in one.fields if field.name not in filled]


def _instances(one: descriptor.Descriptor, missing: Sequence[_FIELD]) -> list[Golden]:
    """Return instances that fill these fields; one field of a oneof in each."""
    waiting: Mapping[str, list[_FIELD]] = collections.defaultdict(list)
    plain = []
    for field in missing:
        oneof = field.containing_oneof
        (plain if oneof is None else waiting[oneof.name]).append(field)
    made = []
    for turn in range(max([1, *(len(fields) for fields in waiting.values())])):
        chosen = (plain if turn == 0 else []) + [
            fields[turn] for fields in waiting.values() if turn < len(fields)
        ]
        instance = message_factory.GetMessageClass(one)()
        for field in chosen:
            _fill(instance, field, depth=0)
        data = instance.SerializeToString(deterministic=True)
        made.append({"bytes": base64.b64encode(data).decode(), "values": _values(instance)})
    return made


def _fill(instance: message.Message, field: _FIELD, depth: int) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        _fill_map(instance, field, depth)
    elif field.is_repeated:
        values = [
            _value(field, which, depth) for which in range(2 if depth == 0 and kind is None else 1)
        ]
        getattr(instance, field.name).extend(values)
    elif kind is not None:
        getattr(instance, field.name).CopyFrom(_value(field, 0, depth))
        getattr(instance, field.name).SetInParent()
    else:
        setattr(instance, field.name, _value(field, 0, depth))


def _fill_map(instance: message.Message, field: _FIELD, depth: int) -> None:
    # One entry: the order of several is no part of the contract.
    entry = field.message_type.fields_by_name
    key, filled = _value(entry["key"], 0, depth), getattr(instance, field.name)
    if entry["value"].message_type is not None:
        filled[key].CopyFrom(_value(entry["value"], 0, depth))
    else:
        filled[key] = _value(entry["value"], 0, depth)


def _value(field: _FIELD, which: int, depth: int) -> Any:
    """Return a value that is not the default of the field's type and differs by its number."""
    if field.message_type is not None:
        return _message(field.message_type, which, depth + 1)
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values if value.number]
        return numbers[(field.number + which) % len(numbers)]
    number = field.number * 2 + which + 1
    if field.type == _FIELD.TYPE_BYTES:
        return b"\x00\xff" + str(number).encode()
    return {
        _FIELD.CPPTYPE_BOOL: True,
        _FIELD.CPPTYPE_DOUBLE: number + 0.5,
        _FIELD.CPPTYPE_FLOAT: number + 0.5,
        _FIELD.CPPTYPE_STRING: f"{field.name[:6]}{number}\u00fc",
    }.get(field.cpp_type, number)


def _message(kind: descriptor.Descriptor, which: int, depth: int) -> message.Message:
    made = message_factory.GetMessageClass(kind)()
    if kind.full_name == "google.protobuf.Any":
        return type(made)(
            type_url="type.googleapis.com/google.protobuf.Timestamp", value=b"\x08\x01"
        )
    if kind.full_name == "google.protobuf.Timestamp":
        return type(made)(seconds=_TIMESTAMP_S + which, nanos=7_000)
    if kind.full_name == "google.protobuf.Duration":
        return type(made)(seconds=61 + which, nanos=500_000_000)
    if depth <= _DEPTH_MAX:
        filled: set[str] = set()
        for field in sorted(kind.fields, key=lambda each: each.number):
            oneof = field.containing_oneof
            nested = field.message_type is not None
            if (nested and depth == _DEPTH_MAX) or (oneof and oneof.name in filled):
                continue
            filled.add("" if oneof is None else oneof.name)
            _fill(made, field, depth)
    return made


def _values(instance: message.Message) -> dict[str, Any]:
    return json_format.MessageToDict(instance, preserving_proto_field_name=True)


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

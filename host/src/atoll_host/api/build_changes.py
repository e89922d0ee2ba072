"""What one build of a location defines otherwise than another. Pure.

Called by the servicer of builds. Definitions are compared by kind and name, field by field; where
one stands in the code does not count, since it moves with every line above it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import message

from atoll.api.v1 import builds_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2

Kind = builds_pb2.DefinitionKind

_NOT_COMPARED = frozenset({"source"})


def _key(key: values_pb2.AssetKey) -> str:
    return "/".join(key.path)


def _check_key(key: values_pb2.AssetCheckKey) -> str:
    return f"{_key(key.asset_key)}:{key.name}"


# Two implementations of protobuf, two classes of repeated fields, and no common one in the stubs.
_Named = tuple["Kind.ValueType", str, Callable[[Any], str]]
_KINDS: Sequence[_Named] = (
    (builds_pb2.DEFINITION_KIND_ASSET, "assets", lambda each: _key(each.key)),
    (builds_pb2.DEFINITION_KIND_ASSET_CHECK, "checks", lambda each: _check_key(each.key)),
    (builds_pb2.DEFINITION_KIND_JOB, "jobs", lambda each: str(each.name)),
    (builds_pb2.DEFINITION_KIND_SENSOR, "sensors", lambda each: str(each.name)),
    (builds_pb2.DEFINITION_KIND_SCHEDULE, "schedules", lambda each: str(each.name)),
    (builds_pb2.DEFINITION_KIND_OP, "ops", lambda each: str(each.name)),
    (builds_pb2.DEFINITION_KIND_GRAPH, "graphs", lambda each: str(each.name)),
    (builds_pb2.DEFINITION_KIND_RESOURCE, "resources", lambda each: str(each.key)),
    (builds_pb2.DEFINITION_KIND_TYPE, "types", lambda each: str(each.key)),
)


def changes(
    before: snapshot_pb2.LocationSnapshot, after: snapshot_pb2.LocationSnapshot
) -> list[builds_pb2.DefinitionChange]:
    """Return what differs between two builds, by kind and name.

    Args:
        before: What the one defines.
        after: What the other defines.
    """
    found: list[builds_pb2.DefinitionChange] = []
    for kind, field, name_of in _KINDS:
        old = _by_name(getattr(before, field), name_of)
        new = _by_name(getattr(after, field), name_of)
        for name in sorted(old.keys() | new.keys()):
            change = _change(old.get(name), new.get(name))
            if change is not None:
                change.definition_kind = kind
                change.name = name
                found.append(change)
    return found


def _by_name(
    definitions: Iterable[message.Message], name_of: Callable[[Any], str]
) -> Mapping[str, message.Message]:
    return {
        name_of(each): each
        for each in definitions
        # Atoll makes it for whatever there is: it changes with every asset.
        if not getattr(each, "implicit", False)
    }


def _change(
    old: message.Message | None, new: message.Message | None
) -> builds_pb2.DefinitionChange | None:
    if old is None:
        return builds_pb2.DefinitionChange(change_kind=builds_pb2.CHANGE_KIND_ADDED)
    if new is None:
        return builds_pb2.DefinitionChange(change_kind=builds_pb2.CHANGE_KIND_REMOVED)
    names = sorted(
        field.name
        for field in old.DESCRIPTOR.fields
        if field.name not in _NOT_COMPARED and _differs(old, new, field.name)
    )
    if not names:
        return None
    return builds_pb2.DefinitionChange(
        change_kind=builds_pb2.CHANGE_KIND_CHANGED, field_names=names
    )


def _differs(old: message.Message, new: message.Message, name: str) -> bool:
    # An unset message and an empty one say different things.
    if old.DESCRIPTOR.fields_by_name[name].has_presence and old.HasField(name) != new.HasField(
        name
    ):
        return True
    return bool(getattr(old, name) != getattr(new, name))

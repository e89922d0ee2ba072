"""Guesses what something that is gone is called now. Pure.

A guess needs one candidate and no more: what has the same shape, or else, for an asset, the same
last part of its key.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeVar

from atoll.definitions.v1 import snapshot_pb2

_Name = TypeVar("_Name", bound=Hashable)
_Thing = TypeVar("_Thing")

# What says nothing of what an asset is: its name in other words, and where it stands.
_NO_SHAPE = ("key", "name", "op_name", "source", "description", "graph_name")


def guesses(
    old: Mapping[_Name, _Thing],
    new: Mapping[_Name, _Thing],
    shape: Callable[[_Thing], bytes],
    likeness: Callable[[_Name], Hashable] | None = None,
) -> dict[_Name, _Name]:
    """Return what things that are gone are probably called now.

    Args:
        old: The things that were there, by name.
        new: The things that are there.
        shape: What two things of one shape have in common.
        likeness: What two names of one thing have in common; None for nothing.
    """
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    found = _pairs({each: shape(old[each]) for each in gone}, {e: shape(new[e]) for e in come})
    if likeness is not None:
        left = {each: likeness(each) for each in gone - found.keys()}
        free = {each: likeness(each) for each in come - set(found.values())}
        found.update(_pairs(left, free))
    return found


def shape_of(
    thing: snapshot_pb2.AssetDefinition
    | snapshot_pb2.JobDefinition
    | snapshot_pb2.SensorDefinition
    | snapshot_pb2.ScheduleDefinition,
) -> bytes:
    """Return what is left of a definition without its name."""
    copy = type(thing)()
    copy.CopyFrom(thing)  # type: ignore[arg-type]
    fields = copy.DESCRIPTOR.fields_by_name
    for name in _NO_SHAPE:
        if name in fields:
            copy.ClearField(name)  # type: ignore[arg-type]
    return copy.SerializeToString(deterministic=True)


def _pairs(gone: Mapping[_Name, Hashable], come: Mapping[_Name, Hashable]) -> dict[_Name, _Name]:
    return {
        before: one
        for before, what in gone.items()
        for one in _only([each for each, other in come.items() if other == what])
        if sum(other == what for other in gone.values()) == 1
    }


def _only(candidates: Collection[_Name]) -> Collection[_Name]:
    return candidates if len(candidates) == 1 else ()

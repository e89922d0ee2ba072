"""The rules of the rpcs, read from their descriptors, and what they say of a message. Pure.

Used by `engine`. A rule is read once for each method. It names fields by paths; here they become
walks over messages, which yield what is at their ends through lists and nested messages.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf import descriptor, message

from atoll.rpc.v1 import access_pb2
from atoll_host import errors
from atoll_host.access import callers

Path = tuple[str, ...]

_ROLES = {
    access_pb2.ROLE_VIEWER: callers.Role.VIEWER,
    access_pb2.ROLE_LAUNCHER: callers.Role.LAUNCHER,
    access_pb2.ROLE_OPERATOR: callers.Role.OPERATOR,
    access_pb2.ROLE_ADMIN: callers.Role.ADMIN,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Narrowing:
    """What is left out of a list of an answer.

    Attributes:
        holder: The path to the message that has the list.
        field: The list.
        names: Paths, from an element of the list, to the locations that it names.
    """

    holder: Path
    field: str
    names: tuple[Path, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """Who may make a call.

    Attributes:
        method: The full name of the method.
        role: The least role; None where it is none that people and services have.
        for_anyone: Whether no credentials are needed.
        for_locations: Whether code servers make the call, and nobody else.
        changes: Whether the call changes something.
        reach: For which locations the role must be held where nothing names one.
        locations: Paths of the request to names of locations.
        assets: Paths of the request to assets, checks and jobs.
        runs: Paths of the request to ids of runs.
        backfills: Paths of the request to ids of backfills.
        narrowings: What is left out of the answer.
        single: Paths of the answer to locations of single things.
    """

    method: str
    role: callers.Role | None
    for_anyone: bool
    for_locations: bool
    changes: bool
    reach: "access_pb2.Reach.ValueType"
    locations: tuple[Path, ...]
    assets: tuple[Path, ...]
    runs: tuple[Path, ...]
    backfills: tuple[Path, ...]
    narrowings: tuple[Narrowing, ...]
    single: tuple[Path, ...]

    @property
    def narrows(self) -> bool:
        """Whether something may be left out of the answer, or the answer refused."""
        return bool(self.narrowings or self.single)


def of_method(method: descriptor.MethodDescriptor) -> Rule:
    """Return the rule of a method.

    Raises:
        errors.PolicyForbids: It has none, so nobody may call it.
    """
    option = method.GetOptions().Extensions[access_pb2.access]
    role = _ROLES.get(option.role)
    for_anyone = option.role == access_pb2.ROLE_ANYONE
    for_locations = option.role == access_pb2.ROLE_LOCATION
    if role is None and not for_anyone and not for_locations:
        raise errors.PolicyForbids(
            f"{method.full_name} has no rule that says who may call it here, so nobody may. "
            "Call another method."
        )
    narrowings, single = _answered(method.output_type, [_path(p) for p in option.answer_fields])
    return Rule(
        method=method.full_name,
        role=role,
        for_anyone=for_anyone,
        for_locations=for_locations,
        changes=option.changes,
        reach=option.reach,
        locations=tuple(map(_path, option.location_fields)),
        assets=tuple(map(_path, option.asset_fields)),
        runs=tuple(map(_path, option.run_fields)),
        backfills=tuple(map(_path, option.backfill_fields)),
        narrowings=narrowings,
        single=single,
    )


def values(of: Any, path: Path) -> Iterator[Any]:
    """Yield what is at the end of a path of a message; nothing where something on it is unset."""
    if not path:
        yield of
        return
    field = of.DESCRIPTOR.fields_by_name[path[0]]
    if is_list(field):
        for each in getattr(of, path[0]):
            yield from values(each, path[1:])
    elif not field.has_presence or of.HasField(path[0]):
        yield from values(getattr(of, path[0]), path[1:])


def names(of: message.Message, paths: Sequence[Path]) -> set[str]:
    """Return the texts at the ends of paths, but empty ones."""
    return {value for path in paths for value in values(of, path) if value}


def narrow(
    answer: message.Message, narrowings: Sequence[Narrowing], may_see: Callable[[str], bool]
) -> None:
    """Leave out of an answer what names no location that may be seen.

    Args:
        answer: The answer, which is changed.
        narrowings: Where to leave something out.
        may_see: Says whether a location may be seen.
    """
    for narrowing in narrowings:
        for holder in values(answer, narrowing.holder):
            elements = getattr(holder, narrowing.field)
            kept = [each for each in elements if any(map(may_see, names(each, narrowing.names)))]
            if len(kept) < len(elements):
                # What the elements are made of goes with them, so copies stay.
                copies: list[message.Message] = [copy.deepcopy(each) for each in kept]
                del elements[:]
                elements.extend(copies)


def _path(text: str) -> Path:
    return tuple(text.split("."))


def _answered(
    answer: descriptor.Descriptor, paths: Sequence[Path]
) -> tuple[tuple[Narrowing, ...], tuple[Path, ...]]:
    """Sort paths of an answer by the outermost list that each goes through."""
    found: dict[Path, list[Path]] = {}
    single: list[Path] = []
    for path in paths:
        place = _first_list(answer, path)
        if place is None:
            single.append(path)
        else:
            found.setdefault(path[: place + 1], []).append(path[place + 1 :])
    narrowings = tuple(
        Narrowing(where[:-1], where[-1], tuple(rest)) for where, rest in found.items()
    )
    return narrowings, tuple(single)


def _first_list(of: descriptor.Descriptor | None, path: Path) -> int | None:
    for place, name in enumerate(path[:-1]):
        if of is None:
            break
        field = of.fields_by_name[name]
        if is_list(field):
            return place
        of = field.message_type
    return None


def is_list(field: Any) -> bool:
    """Say whether a field, by its descriptor, is a list."""
    repeated: bool | None = getattr(field, "is_repeated", None)
    # Releases of protobuf before it had that tell by a label.
    return bool(field.label == field.LABEL_REPEATED) if repeated is None else repeated

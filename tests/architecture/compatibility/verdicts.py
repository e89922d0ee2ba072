"""Compares the established API with ours, and says of each difference why it is there.

Called by the test and by the page. The reasons stand in `verdicts.toml`; a difference without one
is a mistake.
"""

import fnmatch
import functools
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import atoll
from atoll import _exports
from tests.architecture.compatibility import ours, surface

_PATH = Path(__file__).with_name("verdicts.toml")
HERE = "here"
MISSING = "missing"


class Verdict(NamedTuple):
    """What became of a name."""

    entry: surface.Entry
    status: str
    reason: str


class Difference(NamedTuple):
    """One way in which ours is not like the established name.

    `place` is a member `Class.member`, or a parameter `function(parameter)`.
    """

    place: str
    what: str


class Reason(NamedTuple):
    """Why some differences are there; only those of one kind, where `what` says which."""

    status: str
    text: str
    patterns: tuple[str, ...]
    what: str | None


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(_PATH.read_text())


@functools.cache
def verdicts() -> dict[str, Verdict]:
    """Say of each name of the established API whether it is here, and if not, why."""
    absent = {
        name: (group["status"], group["reason"])
        for group in _table()["absent"]
        for name in group["names"].split()
    }
    found = dict[str, Verdict]()
    for name, entry in surface.entries().items():
        if name in absent:
            found[name] = Verdict(entry, *absent[name])
        else:
            status = HERE if is_public(name) else MISSING
            found[name] = Verdict(entry, status, "")
    return found


def absent_names() -> list[str]:
    """List the names that are said to be absent, as often as it is said."""
    return [name for group in _table()["absent"] for name in group["names"].split()]


def is_public(name: str) -> bool:
    """Tell whether `atoll` has the name."""
    return name in _exports.MODULES or name in {"Any", "definitions"}


@functools.cache
def reasons() -> tuple[Reason, ...]:
    """Read why parameters and members differ."""
    return tuple(
        Reason(group["status"], group["reason"], tuple(group["of"].split()), group.get("what"))
        for group in _table()["differs"]
    )


def behaviours() -> list[str]:
    """Read in what ours behaves differently on purpose."""
    found: list[str] = _table()["behaviour"]["differs"]
    return found


def reason_for(difference: Difference) -> Reason | None:
    """Find why a difference is there."""
    return next((one for one in reasons() if matching(one, difference) is not None), None)


def matching(reason: Reason, difference: Difference) -> str | None:
    """Find the pattern of a reason that a difference fits."""
    if reason.what is not None and reason.what != difference.what:
        return None
    fitting = (one for one in reason.patterns if fnmatch.fnmatchcase(difference.place, one))
    return next(fitting, None)


@functools.cache
def differences() -> tuple[Difference, ...]:
    """Compare every name that is here."""
    return tuple(
        difference
        for verdict in verdicts().values()
        if verdict.status == HERE
        for difference in differences_of(verdict.entry)
    )


def differences_of(entry: surface.Entry) -> Iterator[Difference]:
    """Compare one name."""
    value = getattr(atoll, entry.name)
    if not ours.is_of_kind(value, entry.kind):
        yield Difference(entry.name, f"is no {entry.kind}")
        return
    if entry.parameters is not None:
        yield from _of_parameters(entry.name, entry.parameters, ours.signature(value))
    if isinstance(value, type):
        for name, parameters in entry.members.items():
            yield from _of_member(entry.name, value, name, parameters)


def _of_member(
    owner: str, value: type, name: str, parameters: tuple[surface.Parameter, ...] | None
) -> Iterator[Difference]:
    place = f"{owner}.{name}"
    if not ours.has_member(value, name):
        yield Difference(place, "is not there")
        return
    signature = ours.method(value, name)
    if parameters is None:
        if signature is not None and not isinstance(getattr(value, name, None), type):
            yield Difference(place, "is a method, not an attribute")
    elif signature is None:
        yield Difference(place, "is an attribute, not a method")
    else:
        yield from _of_parameters(place, parameters, signature)


def _of_parameters(
    place: str, theirs: tuple[surface.Parameter, ...], signature: ours.Signature | None
) -> Iterator[Difference]:
    if signature is None:
        yield Difference(place, "cannot be told what it takes")
        return
    names = [one.name for one in theirs]
    for one in theirs:
        if one.name not in signature.names:
            if not (one.is_positional and signature.takes_any_position):
                yield Difference(f"{place}({one.name})", "is not taken")
        elif one.name in signature.required and not one.is_required:
            yield Difference(f"{place}({one.name})", "has no default")
    for name in signature.required - {*names}:
        yield Difference(f"{place}({name})", "has to be given")
    yield from _of_positions(place, theirs, signature)


def _of_positions(
    place: str, theirs: tuple[surface.Parameter, ...], signature: ours.Signature
) -> Iterator[Difference]:
    """Find what would land in another parameter, or in none, when given by position."""
    if signature.takes_any_position:
        return
    positions = dict(enumerate(signature.positional))
    for at, one in enumerate(one for one in theirs if one.is_positional):
        if one.name in signature.names and positions.get(at) != one.name:
            found = positions.get(at)
            what = f"stands where {found} is" if found else "is given by keyword"
            yield Difference(f"{place}({one.name})", what)

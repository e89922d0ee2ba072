"""The established API of the field, as facts: names, kinds, parameters and members.

Read by the comparison and by the page. `surface.json` holds one name a line; brand names are
dropped already, by the rule of the names, and such a name is marked as renamed. Parameters stand
in their order; `name=` has a default, and those after `*` are given by keyword, or it is not known
whether they can be given by position.
"""

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

_PATH = Path(__file__).with_name("surface.json")


class Parameter(NamedTuple):
    """A parameter of a function or class."""

    name: str
    is_required: bool
    is_positional: bool


class Entry(NamedTuple):
    """A public name.

    `parameters` and the parameters of a member are None where they are unknown or not to be called.
    """

    name: str
    kind: str
    is_renamed: bool
    parameters: tuple[Parameter, ...] | None
    members: dict[str, tuple[Parameter, ...] | None]


@functools.cache
def entries() -> dict[str, Entry]:
    """Read the names of the established API."""
    return {name: _entry(name, facts) for name, facts in json.loads(_PATH.read_text()).items()}


def _entry(name: str, facts: dict[str, Any]) -> Entry:
    text = facts.get("parameters")
    members = {one: _parameters(text) for one, text in facts.get("members", {}).items()}
    members |= dict.fromkeys(facts.get("values", "").split())
    return Entry(name, facts["kind"], facts.get("renamed", False), _parameters(text), members)


def _parameters(text: str | None) -> tuple[Parameter, ...] | None:
    if text is None or text == "*args **kwargs":
        return None
    found = list[Parameter]()
    is_positional = True
    for word in text.split():
        if word.startswith("*"):
            is_positional = False
        if not word.startswith(("*", "_")):
            name = word.removesuffix("=")
            found.append(Parameter(name, name == word, is_positional))
    return tuple(found)

"""Writes docs/compatibility.md: what is like the established API, what is not, and why.

Called by `python -m tests.architecture.compatibility` and by the test that compares the page.
"""

import collections
from collections.abc import Iterable, Iterator
from pathlib import Path

from atoll import _exports
from tests.architecture.compatibility import surface, verdicts

PATH = Path(__file__).parents[3] / "docs" / "compatibility.md"
_INTRODUCTION = """\
# Compatibility

<!-- Generated: `python -m tests.architecture.compatibility > docs/compatibility.md` writes this
page from tests/architecture/compatibility/; a test compares. -->

Code written for the established Python API of the field moves to Atoll by changing its import to
`import atoll as dg`. One rule for names: those that carried a brand lose it, whether they are
classes, parameters, attributes, tags or environment variables (`Instance`, `type=`, `record.event`,
`atoll/priority`, `ATOLL_...`).

This page says name by name what is here and what is not, and why. Tests hold it to be true: every
name that is here is of the same kind, takes the same parameters in the same order, and has the same
methods and attributes, but for the differences that are listed below.

"""
_MEANINGS = {
    "here": "works the same, but for the differences below",
    "later": "comes in a later release",
    "by design": "done in another way, on purpose",
    "legacy": "left behind by the field itself",
    "internal": "made for the machinery, not for users",
    "python": "Python's own; import it from there",
    "missing": "not built",
}


def render() -> str:
    """Return the page."""
    parts = (
        _INTRODUCTION,
        _summary(),
        _behaviours(),
        _absent(),
        _differing(),
        _table(),
        _further(),
    )
    return "".join(parts).rstrip() + "\n"


def _summary() -> str:
    counts = collections.Counter(one.status for one in verdicts.verdicts().values())
    rows = [f"| {status} | {counts[status]} | {_MEANINGS[status]} |" for status in _MEANINGS]
    shown = [row for row, status in zip(rows, _MEANINGS, strict=True) if counts[status]]
    return "\n".join(["| status | names | meaning |", "|---|---|---|", *shown, "", ""])


def _behaviours() -> str:
    listed = "\n".join(f"- {text}" for text in verdicts.behaviours())
    return f"## What behaves differently on purpose\n\n{listed}\n\n"


def _absent() -> str:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for name, one in verdicts.verdicts().items():
        if one.status != verdicts.HERE:
            by_reason.setdefault((one.status, _one_line(one.reason)), []).append(name)
    return "".join(["## Names that are not here\n\n", *_listed(by_reason)])


def _differing() -> str:
    by_reason: dict[tuple[str, str], list[str]] = {}
    for one in verdicts.differences():
        reason = verdicts.reason_for(one)
        if reason is not None:
            found = by_reason.setdefault((reason.status, _one_line(reason.text)), [])
            found.append(one.place)
    head = "## Parameters, methods and attributes that differ\n\n"
    return "".join([head, *_listed(by_reason)])


def _listed(by_reason: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    for (status, reason), places in sorted(by_reason.items()):
        yield f"**{status}**: {reason}\n\n{_names(places)}\n\n"


def _table() -> str:
    head = "## Every name\n\n| name | kind | status |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in _rows()) + "\n"


def _rows() -> Iterator[str]:
    for name, one in verdicts.verdicts().items():
        brand = ", lost its brand" if one.entry.is_renamed and one.status == verdicts.HERE else ""
        yield f"| `{name}` | {one.entry.kind} | {one.status}{brand} |"


def _further() -> str:
    further = sorted(set(_exports.MODULES) - set(surface.entries()), key=str.lower)
    return f"## Names that only Atoll has\n\n{_names(further)}\n"


def _names(places: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in sorted(places, key=str.lower))


def _one_line(text: str) -> str:
    return " ".join(text.split())

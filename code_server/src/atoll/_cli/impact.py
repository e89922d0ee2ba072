"""What `atoll check --against` prints: what new definitions would break, for whom.

Used by `check`. A rule that was allowed is shown, and does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from atoll._cli import connection, rendering
from atoll.api.v1 import impact_pb2
from atoll.client import documents

_COLUMNS = (
    rendering.Column("SEVERITY", is_status=True),
    rendering.Column("FOR", colour="bold"),
    rendering.Column("AFFECTED", shrinks=True),
    rendering.Column("RULE"),
    rendering.Column("WHAT CHANGES", shrinks=True),
)
_BREAKING = impact_pb2.IMPACT_SEVERITY_BREAKING
_HOST = "the host"
_SIGNS = {"breaking": "❌", "risky": "⚠️", "note": "ℹ️"}  # noqa: RUF001 - a sign


def breaks(answer: impact_pb2.CheckImpactResponse, allowed: Collection[str]) -> bool:
    """Return whether anything would break that nobody allowed."""
    return any(each.severity == _BREAKING and each.rule not in allowed for each in answer.impacts)


def document(
    answer: impact_pb2.CheckImpactResponse, host: str, allowed: Collection[str]
) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "host": host,
        "compared": answer.compared,
        "build_id": answer.build_id,
        "breaks": breaks(answer, allowed),
        "has_more": answer.has_more,
        "impacts": [
            {
                "severity": documents.enum_name(each, "severity").lower(),
                "rule": each.rule,
                "allowed": each.rule in allowed,
                "subject": each.subject,
                "location": each.affected_location,
                "affected": each.affected,
                "message": each.message,
                "renamed_to_guess": each.renamed_to_guess,
            }
            for each in answer.impacts
        ],
    }


def table(answer: impact_pb2.CheckImpactResponse, host: str, allowed: Collection[str]) -> str:
    """Return it for people: a table, and below it each thing in full."""
    head = f"{_compared(answer, answer.build_id)} on {host}: {_counted(answer, allowed)}."
    if not answer.impacts:
        return head
    rows = [
        [
            _severity(each, allowed),
            each.affected_location or _HOST,
            each.affected or rendering.NOTHING,
            each.rule,
            each.subject,
        ]
        for each in answer.impacts
    ]
    told = [f"- {rendering.printable(each.message)}" for each in answer.impacts]
    lines = [head, "", rendering.table(_COLUMNS, rows, connection.terminal()), "", *told]
    if answer.has_more:
        lines.append("There is more than is shown.")
    return "\n".join(lines)


def markdown(
    answer: impact_pb2.CheckImpactResponse, location_name: str, allowed: Collection[str]
) -> str:
    """Return it as a summary for a pull request."""
    lines = [
        f"### What the new definitions of `{_cell(location_name)}` would break",
        "",
        f"{_compared(answer, f'`{_cell(answer.build_id)}`')}: {_counted(answer, allowed)}.",
    ]
    if answer.impacts:
        lines += ["", "| | for | affected | what happens | rule |", "|---|---|---|---|---|"]
        lines += [_row(each, allowed) for each in answer.impacts]
    if answer.has_more:
        lines += ["", "There is more than is shown."]
    return "\n".join(lines)


def _compared(answer: impact_pb2.CheckImpactResponse, build: str) -> str:
    return f"Compared with build {build}" if answer.compared else "New"


def _row(each: impact_pb2.Impact, allowed: Collection[str]) -> str:
    severity = documents.enum_name(each, "severity").lower()
    is_allowed = " (allowed)" if each.rule in allowed else ""
    cells = [
        f"{_SIGNS.get(severity, '')} {severity}{is_allowed}",
        each.affected_location or _HOST,
        each.affected,
        each.message,
        f"`{each.rule}`",
    ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Return a text that breaks no table, starts no HTML and mentions nobody."""
    plain = rendering.printable(text).replace("\\", "\\\\").replace("|", "\\|")
    plain = plain.replace("<", "&lt;").replace("@", "&#64;")
    return " ".join(plain.split())


def _severity(each: impact_pb2.Impact, allowed: Collection[str]) -> str:
    name = documents.enum_name(each, "severity").lower()
    return f"{name} (allowed)" if each.rule in allowed else name


def _counted(answer: impact_pb2.CheckImpactResponse, allowed: Collection[str]) -> str:
    if not answer.impacts:
        return "nothing of anybody changes"
    names: Sequence[str] = [_severity(each, allowed) for each in answer.impacts]
    return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))

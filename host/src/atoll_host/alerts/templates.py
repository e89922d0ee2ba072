"""Titles and texts of alerts: templates with documented variables.

Called by `rules`, which refuses bad templates at the start, and by `deciding`. A variable is
written `$name` or `${name}`, a dollar `$$`. There is nothing else: a template cannot run anything,
and what fills it in is never read as a template again.
"""

import string
from collections.abc import Mapping

VARIABLES = {
    "rule": "the name of the rule",
    "trigger": "what the rule looks for, such as run_failure",
    "subject": "what the alert is about, such as job:shop/load",
    "time": "when it happened, in UTC",
    "count": "how many of the same were held back since the alert before",
    "location": "the location",
    "job": "the job",
    "run_id": "the run",
    "asset": "the asset",
    "check": "the check of the asset",
    "sensor": "the sensor or schedule",
    "backfill": "what the backfill is for",
    "backfill_id": "the backfill",
    "subscription": "the subscription",
    "state": "the state of freshness, of the location or of the backfill",
    "severity": "how bad a failed check is",
    "message": "what went wrong, in words",
}
"""Every variable that a template may name, and what it stands for; empty where it is not known."""

TITLE_MAX = 200
BODY_MAX = 4000
_CUT = "…"


def problem_of(template: str) -> str | None:
    """Return what is wrong with a template, None where nothing is."""
    parsed = string.Template(template)
    if not parsed.is_valid():
        return f"the template {template!r} has a $ that begins no variable. Write $$ for a dollar."
    unknown = sorted(set(parsed.get_identifiers()) - VARIABLES.keys())
    if unknown:
        names = ", ".join(f"${name}" for name in unknown)
        return (
            f"the template {template!r} names {names}. There are "
            f"{', '.join(f'${name}' for name in VARIABLES)}."
        )
    return None


def title(template: str, values: Mapping[str, str]) -> str:
    """Fill in the title: one line, of bounded length."""
    return bounded(" ".join(_filled(template, values).split()), TITLE_MAX)


def body(template: str, values: Mapping[str, str]) -> str:
    """Fill in the text, of bounded length."""
    return bounded(_filled(template, values), BODY_MAX)


def bounded(text: str, length: int) -> str:
    """Return a text, or its beginning where it is too long."""
    return text if len(text) <= length else text[: length - 1] + _CUT


def _filled(template: str, values: Mapping[str, str]) -> str:
    return string.Template(template).safe_substitute({**dict.fromkeys(VARIABLES, ""), **values})

"""Events in words, for people: what kind, about what, how bad, and what happened.

Used by the event lines of the command line and of ``atoll dev``. An event's own message is
preferred; where a producer gave none, the words come from the body. Programs read the event itself.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

Severity = Literal["plain", "good", "warning", "bad", "quiet"]

RUN_ID_SHOWN: Final = 8
# A step that ended because its run was canceled did not go wrong.
_CANCELED: Final = "RunCanceledError"

_SEVERITIES: Final[Mapping[str, Severity]] = {
    "run_succeeded": "good",
    "run_failed": "bad",
    "run_canceling": "warning",
    "run_canceled": "warning",
    "step_failed": "bad",
    "step_skipped": "quiet",
    "asset_materialization": "good",
    "handled_output": "quiet",
    "loaded_input": "quiet",
    "logs_captured": "quiet",
    "asset_materialization_planned": "quiet",
    "engine_event": "quiet",
}


@dataclasses.dataclass(frozen=True)
class Told:
    """An event in words.

    Attributes:
        kind: What happened: the field name of the event's body.
        severity: How bad it is.
        text: What happened.
    """

    kind: str
    severity: Severity
    text: str


def tell(event: events_pb2.Event) -> Told:
    """Return an event in words."""
    kind = event.WhichOneof("body") or "unknown"
    body = getattr(event, kind, None)
    if kind == "log_message":
        level = documents.enum_name(event.log_message, "level")
        return Told(kind, _log_severity(event.log_message.level), f"{level} {event.message}")
    words = event.message or _WORDS.get(kind, _no_words)(body)
    failure = getattr(body, "failure", None) or getattr(body, "load_failure", None)
    if failure is not None and (failure.type or failure.message):
        if failure.type.endswith(_CANCELED):
            return Told(kind, "warning", words)
        words = _with_failure(words, failure)
    return Told(kind, _severity(kind, event), words)


def _with_failure(words: str, failure: values_pb2.Failure) -> str:
    """Return what a producer said with the type and the cause of the failure, and nothing twice."""
    line = documents.failure_line(failure)
    if line in words:
        return words
    message = failure.message.partition("\n")[0]
    if message and message in words:
        before, _, _ = words.partition(message)
        return before + line
    return f"{words.rstrip('.')}: {line}"


def short_run_id(run_id: str) -> str:
    """Return the first characters of a run's id, enough to tell runs on one screen apart."""
    return run_id[:RUN_ID_SHOWN]


def _severity(kind: str, event: events_pb2.Event) -> Severity:
    if kind == "engine_event" and event.engine_event.HasField("failure"):
        return "bad"
    if kind == "location_changed":
        state = event.location_changed.state
        if state == events_pb2.LOCATION_STATE_UNREACHABLE:
            return "warning"
        if state == events_pb2.LOCATION_STATE_LOADING:
            return "plain"
        failed = event.location_changed.HasField("load_failure")
        return "bad" if failed or state == events_pb2.LOCATION_STATE_FAILED else "good"
    return _SEVERITIES.get(kind, "plain")


def _log_severity(level: int) -> Severity:
    if level >= events_pb2.LOG_LEVEL_ERROR:
        return "bad"
    return "warning" if level == events_pb2.LOG_LEVEL_WARNING else "plain"


def _no_words(_: Any) -> str:
    return ""


def _materialized(body: events_pb2.AssetMaterialization) -> str:
    key = documents.format_asset_key(body.asset_key)
    return f"Materialized {key}" + (f", partition {body.partition}" if body.partition else "")


def _location_changed(body: events_pb2.LocationChanged) -> str:
    state = documents.enum_name(body, "state").lower()
    build = f", build {body.build_id}" if body.build_id else ""
    return f"Location {body.location_name} is {state}{build}"


def _took(prefix: str) -> Callable[[Any], str]:
    def words(body: Any) -> str:
        return f"{prefix} after {body.duration_ms:.0f} ms"

    return words


def _fixed(text: str) -> Callable[[Any], str]:
    return lambda _: text


_WORDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "run_enqueued": _fixed("Waits in the queue"),
    "run_starting": _fixed("Handed to its location"),
    "run_started": lambda body: f"Started with build {body.build_id}, process {body.pid}",
    "run_succeeded": _fixed("Succeeded"),
    "run_failed": _fixed("Failed"),
    "run_canceling": lambda body: f"To be canceled: {body.reason or 'no reason given'}",
    "run_canceled": _fixed("Canceled"),
    "step_started": _fixed("Step started"),
    "step_output": lambda body: f"Output {body.output_name}",
    "step_succeeded": _took("Step succeeded"),
    "step_failed": _took("Step failed"),
    "step_skipped": lambda body: f"Skipped: no output of {', '.join(body.upstream_step_keys)}",
    "handled_output": lambda body: f"Stored output {body.output_name}",
    "loaded_input": lambda body: f"Loaded input {body.input_name}",
    "logs_captured": _fixed("Standard output and error are captured"),
    "asset_materialization_planned": lambda body: (
        f"Will materialize {documents.format_asset_key(body.asset_key)}"
    ),
    "asset_materialization": _materialized,
    "asset_observation": lambda body: f"Observed {documents.format_asset_key(body.asset_key)}",
    "location_changed": _location_changed,
}

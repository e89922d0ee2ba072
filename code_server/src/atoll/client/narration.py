"""Events in words, for people: what kind, about what, how bad, and what happened.

Used by the event lines of the command line and of ``atoll dev``. An event's own message is
preferred; where a producer gave none, the words come from the body. What checks found and when a
step is tried again always come from the body, so that they look the same whoever tells. Programs
read the event itself.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from atoll.client import documents
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

Severity = Literal["plain", "good", "warning", "bad", "quiet"]

RUN_ID_SHOWN: Final = 8
_GIGABYTE_MB: Final = 1000
_TOLD_FROM_THE_BODY: Final = frozenset({"step_up_for_retry", "asset_check_evaluation"})
_WITH_USAGE: Final = (events_pb2.StepSucceeded, events_pb2.StepFailed)
_WITH_TYPE_CHECK: Final = (events_pb2.StepInput, events_pb2.StepOutput)
# A step that ended because its run was canceled did not go wrong.
_CANCELED: Final = "RunCanceledError"

_SEVERITIES: Final[Mapping[str, Severity]] = {
    "run_succeeded": "good",
    "run_failed": "bad",
    "run_canceling": "warning",
    "run_canceled": "warning",
    "step_failed": "bad",
    "step_skipped": "quiet",
    "step_input": "quiet",
    "step_up_for_retry": "warning",
    "step_worker_starting": "quiet",
    "step_worker_started": "quiet",
    "resource_init_started": "quiet",
    "resource_init_succeeded": "quiet",
    "resource_init_failed": "bad",
    "hook_errored": "bad",
    "hook_skipped": "quiet",
    "asset_failed_to_materialize": "bad",
    "asset_check_evaluation_planned": "quiet",
    "asset_materialization": "good",
    "handled_output": "quiet",
    "loaded_input": "quiet",
    "logs_captured": "quiet",
    "asset_materialization_planned": "quiet",
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
    words = _words(kind, body, event.message)
    failure = getattr(body, "failure", None) or getattr(body, "load_failure", None)
    if failure is not None and (failure.type or failure.message):
        if failure.type.endswith(_CANCELED):
            return Told(kind, "warning", words)
        words = _with_failure(words, failure)
    details = [text for text in (_usage(body), _type_check(body)) if text]
    if details:
        words = f"{words.rstrip('.')} ({'; '.join(details)})"
    return Told(kind, _severity(kind, event), words)


def _words(kind: str, body: Any, message: str) -> str:
    if message and kind not in _TOLD_FROM_THE_BODY:
        return message
    return _WORDS.get(kind, _no_words)(body) or message


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
    judge = _JUDGED.get(kind)
    return judge(getattr(event, kind)) if judge else _SEVERITIES.get(kind, "plain")


def _engine_severity(body: events_pb2.EngineEvent) -> Severity:
    return "bad" if body.HasField("failure") else "quiet"


def _expectation_severity(body: events_pb2.StepExpectationResult) -> Severity:
    return "plain" if body.success else "warning"


def _location_severity(body: events_pb2.LocationChanged) -> Severity:
    if body.state == events_pb2.LOCATION_STATE_UNREACHABLE:
        return "warning"
    if body.state == events_pb2.LOCATION_STATE_LOADING:
        return "plain"
    failed = body.HasField("load_failure")
    return "bad" if failed or body.state == events_pb2.LOCATION_STATE_FAILED else "good"


def _check_severity(body: events_pb2.AssetCheckEvaluation) -> Severity:
    if body.passed:
        return "good"
    return "warning" if body.severity == events_pb2.ASSET_CHECK_SEVERITY_WARN else "bad"


_FRESHNESS: Final[Mapping[int, Severity]] = {
    events_pb2.FRESHNESS_STATE_PASS: "good",
    events_pb2.FRESHNESS_STATE_WARN: "warning",
    events_pb2.FRESHNESS_STATE_FAIL: "bad",
}


_BACKFILLS: Final[Mapping[str, Severity]] = {
    "COMPLETED_SUCCESS": "good",
    "COMPLETED_FAILED": "bad",
    "FAILED": "bad",
}


def _freshness_severity(body: events_pb2.FreshnessStateChange) -> Severity:
    return _FRESHNESS.get(body.new_state, "plain")


# How bad these are depends on what they say.
_JUDGED: Final[Mapping[str, Callable[[Any], Severity]]] = {
    "asset_check_evaluation": _check_severity,
    "backfill_ended": lambda body: _BACKFILLS.get(body.status, "plain"),
    "engine_event": _engine_severity,
    "freshness_state_change": _freshness_severity,
    "location_changed": _location_severity,
    "step_expectation_result": _expectation_severity,
}


def _log_severity(level: int) -> Severity:
    if level >= events_pb2.LOG_LEVEL_ERROR:
        return "bad"
    return "warning" if level == events_pb2.LOG_LEVEL_WARNING else "plain"


def _no_words(_: Any) -> str:
    return ""


def _about(body: Any) -> str:
    """Return the asset, or the check of it, that an event is about, with the partition."""
    key = documents.format_asset_key(body.asset_key)
    check_name: str = getattr(body, "check_name", "")
    subject = f"{check_name} of {key}" if check_name else key
    return subject + (f", partition {body.partition}" if body.partition else "")


def _checked(body: events_pb2.AssetCheckEvaluation) -> str:
    if body.passed:
        verdict = "passed"
    else:
        marks = [documents.enum_name(body, "severity").lower()]
        if body.blocking and body.severity != events_pb2.ASSET_CHECK_SEVERITY_WARN:
            marks.append("blocks what is downstream")
        verdict = f"failed ({', '.join(marks)})"
    values = documents.metadata(body.metadata)
    found = [body.description, *(f"{name}={value}" for name, value in values.items())]
    told = "  ".join(part for part in found if part)
    return f"Check {_about(body)} {verdict}" + (f": {told}" if told else "")


def _up_for_retry(body: events_pb2.StepUpForRetry) -> str:
    # Why is added from the failure.
    when = f"in {_seconds(body.wait_s)}" if body.wait_s > 0 else "at once"
    attempt = f"Attempt {body.attempt}" if body.attempt else "It"
    return f"{attempt} failed, again {when}"


def _expected(body: events_pb2.StepExpectationResult) -> str:
    name = body.label or "Expectation"
    verdict = "holds" if body.success else "does not hold"
    return f"{name} {verdict}" + (f": {body.description}" if body.description else "")


def _output(body: events_pb2.StepOutput) -> str:
    key = f" [{body.mapping_key}]" if body.mapping_key else ""
    return f"Output {body.output_name}{key}"


def _worker(words: str) -> Callable[[Any], str]:
    return lambda body: words + (f", process {body.pid}" if body.pid else "")


def _resources(words: str) -> Callable[[Any], str]:
    return lambda body: f"{words}: {', '.join(body.resource_keys) or 'none'}"


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"


def _usage(body: Any) -> str:
    """Return what a step used, such as ``1.2 s CPU, 85 MB``; empty where nobody knows."""
    if not isinstance(body, _WITH_USAGE) or not body.HasField("usage"):
        return ""
    used = body.usage
    cpu = _seconds((used.cpu_user_ms + used.cpu_system_ms) / 1000)
    if not used.memory_peak_bytes:
        return f"{cpu} CPU"
    megabytes = used.memory_peak_bytes / 1_000_000
    memory = f"{megabytes:.0f} MB" if megabytes < _GIGABYTE_MB else f"{megabytes / 1000:.3g} GB"
    return f"{cpu} CPU, {memory}"


def _type_check(body: Any) -> str:
    """Return what a type had against a value; empty where it had nothing."""
    if not isinstance(body, _WITH_TYPE_CHECK) or not body.HasField("type_check"):
        return ""
    told = body.type_check
    if told.success:
        return ""
    why = f": {told.description}" if told.description else ""
    return f"not of type {told.type_name or 'declared'}{why}"


def _location_changed(body: events_pb2.LocationChanged) -> str:
    state = documents.enum_name(body, "state").lower()
    build = f", build {body.build_id}" if body.build_id else ""
    return f"Location {body.location_name} is {state}{build}"


def _freshness_changed(body: events_pb2.FreshnessStateChange) -> str:
    new, old = (documents.enum_name(body, name) for name in ("new_state", "previous_state"))
    return f"Freshness of {documents.format_asset_key(body.asset_key)} is {new}, was {old}"


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
    "step_input": lambda body: f"Input {body.input_name}",
    "step_output": _output,
    "step_succeeded": _took("Step succeeded"),
    "step_failed": _took("Step failed"),
    "step_skipped": lambda body: f"Skipped: no output of {', '.join(body.upstream_step_keys)}",
    "step_up_for_retry": _up_for_retry,
    "step_restarted": _fixed("Tried again"),
    "step_worker_starting": _worker("Its process is being started"),
    "step_worker_started": _worker("Its process began"),
    "step_expectation_result": _expected,
    "resource_init_started": _resources("Making resources ready"),
    "resource_init_succeeded": _resources("Resources are ready"),
    "resource_init_failed": _resources("Resources are not ready"),
    "hook_completed": lambda body: f"Hook {body.hook_name} did its work",
    "hook_errored": lambda body: f"Hook {body.hook_name} failed",
    "hook_skipped": lambda body: f"Hook {body.hook_name} had nothing to do",
    "handled_output": lambda body: f"Stored output {body.output_name}",
    "loaded_input": lambda body: f"Loaded input {body.input_name}",
    "logs_captured": _fixed("Standard output and error are captured"),
    "asset_materialization_planned": lambda body: f"Will materialize {_about(body)}",
    "asset_materialization": lambda body: f"Materialized {_about(body)}",
    "asset_observation": lambda body: f"Observed {_about(body)}",
    "asset_failed_to_materialize": lambda body: (
        f"Did not materialize {_about(body)}" + (f": {body.reason}" if body.reason else "")
    ),
    "asset_check_evaluation_planned": lambda body: f"Will evaluate check {_about(body)}",
    "asset_check_evaluation": _checked,
    "freshness_state_change": _freshness_changed,
    "backfill_ended": lambda body: f"Backfill {body.title} ended: {body.status}",
    "location_changed": _location_changed,
    "dynamic_partitions_changed": lambda body: (
        f"Partitions of {body.partitions_def_name}: {body.added_count} added, "
        f"{body.deleted_count} taken out"
    ),
}

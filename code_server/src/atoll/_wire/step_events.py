"""The bodies of events of steps: their data to messages and back.

Used by `events` only. A step has inputs, outputs and attempts, uses resources, and is followed by
hooks.
"""

from __future__ import annotations

from typing import Any, Protocol

from atoll._definitions import asset_events, events
from atoll._definitions import failures as failure_data
from atoll._wire import event_bodies, failures, keys, metadata, texts
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2

_Kind = events.EventType
_Body = event_bodies.Body


class _WithUsage(Protocol):
    @property
    def usage(self) -> events_pb2.ResourceUsage: ...

    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: N802 - protobuf's name


class _WithTypeCheck(Protocol):
    @property
    def type_check(self) -> events_pb2.TypeCheck: ...

    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: N802 - protobuf's name


class _WithFailure(Protocol):
    @property
    def failure(self) -> values_pb2.Failure: ...

    def HasField(self, field_name: Any, /) -> bool: ...  # noqa: N802 - protobuf's name


def _set_failure(body: _WithFailure, failure: failure_data.FailureInfo | None) -> None:
    if failure is not None:
        body.failure.CopyFrom(failures.from_info(failure))


def _failure(body: _WithFailure) -> failure_data.FailureInfo | None:
    return failures.to_info(body.failure) if body.HasField("failure") else None


def _set_usage(body: _WithUsage, usage: events.ResourceUsage | None) -> None:
    if usage is None:
        return
    body.usage.SetInParent()
    body.usage.cpu_user_ms = usage.cpu_user_ms
    body.usage.cpu_system_ms = usage.cpu_system_ms
    body.usage.memory_peak_bytes = usage.memory_peak_bytes


def _usage(body: _WithUsage) -> events.ResourceUsage | None:
    if not body.HasField("usage"):
        return None
    used = body.usage
    return events.ResourceUsage(used.cpu_user_ms, used.cpu_system_ms, used.memory_peak_bytes)


def _set_type_check(body: _WithTypeCheck, told: events.TypeCheckData | None) -> None:
    if told is None:
        return
    body.type_check.SetInParent()
    body.type_check.success = told.success
    body.type_check.type_name = texts.valid(told.type_name)
    body.type_check.description = texts.valid(told.description)
    metadata.fill(body.type_check.metadata, told.metadata)


def _type_check(body: _WithTypeCheck) -> events.TypeCheckData | None:
    if not body.HasField("type_check"):
        return None
    told = body.type_check
    return events.TypeCheckData(
        told.success, told.type_name, told.description, metadata.read(told.metadata)
    )


def _encode_input(body: events_pb2.StepInput, data: events.StepInputData) -> None:
    body.input_name = texts.valid(data.input_name)
    _set_type_check(body, data.type_check_data)


def _decode_input(body: events_pb2.StepInput) -> events.StepInputData:
    return events.StepInputData(body.input_name, _type_check(body))


def _encode_output(body: events_pb2.StepOutput, data: events.StepOutputData) -> None:
    body.output_name = texts.valid(data.output_name)
    body.mapping_key = texts.valid(data.mapping_key or "")
    metadata.fill(body.metadata, data.metadata)
    _set_type_check(body, data.type_check_data)


def _decode_output(body: events_pb2.StepOutput) -> events.StepOutputData:
    return events.StepOutputData(
        body.output_name,
        metadata.read(body.metadata),
        body.mapping_key or None,
        _type_check(body),
    )


def _encode_succeeded(body: events_pb2.StepSucceeded, data: events.StepSuccessData) -> None:
    body.duration_ms = data.duration_ms
    _set_usage(body, data.usage)


def _decode_succeeded(body: events_pb2.StepSucceeded) -> events.StepSuccessData:
    return events.StepSuccessData(body.duration_ms, _usage(body))


def _encode_failed(body: events_pb2.StepFailed, data: events.StepFailureData) -> None:
    _set_failure(body, data.failure)
    body.duration_ms = data.duration_ms
    _set_usage(body, data.usage)


def _decode_failed(body: events_pb2.StepFailed) -> events.StepFailureData:
    return events.StepFailureData(failures.to_info(body.failure), body.duration_ms, _usage(body))


def _encode_skipped(body: events_pb2.StepSkipped, data: events.StepSkippedData) -> None:
    body.upstream_step_keys.extend(data.upstream_step_keys)


def _decode_skipped(body: events_pb2.StepSkipped) -> events.StepSkippedData:
    return events.StepSkippedData(tuple(body.upstream_step_keys))


def _encode_retry(body: events_pb2.StepUpForRetry, data: events.StepRetryData) -> None:
    _set_failure(body, data.failure)
    body.wait_s = data.seconds_to_wait
    body.attempt = data.attempt


def _decode_retry(body: events_pb2.StepUpForRetry) -> events.StepRetryData:
    return events.StepRetryData(failures.to_info(body.failure), body.wait_s, body.attempt)


def _encode_worker(body: events_pb2.StepWorker, data: events.StepWorkerData) -> None:
    body.pid = data.pid


def _decode_worker(body: events_pb2.StepWorker) -> events.StepWorkerData:
    return events.StepWorkerData(body.pid)


def _encode_expectation(
    body: events_pb2.StepExpectationResult, data: events.StepExpectationResultData
) -> None:
    told = data.expectation_result
    body.success = told.success
    body.label = texts.valid(told.label or "")
    body.description = texts.valid(told.description or "")
    metadata.fill(body.metadata, told.metadata)


def _decode_expectation(
    body: events_pb2.StepExpectationResult,
) -> events.StepExpectationResultData:
    return events.StepExpectationResultData(
        asset_events.ExpectationResult(
            body.success,
            body.label or None,
            body.description or None,
            metadata.read(body.metadata),
        )
    )


def _encode_resources(body: events_pb2.ResourceInit, data: events.ResourceInitData) -> None:
    body.resource_keys.extend(texts.valid(key) for key in data.resource_keys)
    body.duration_ms = data.duration_ms
    _set_failure(body, data.failure)


def _decode_resources(body: events_pb2.ResourceInit) -> events.ResourceInitData:
    return events.ResourceInitData(tuple(body.resource_keys), body.duration_ms, _failure(body))


def _encode_hook(body: events_pb2.HookCalled, data: events.HookData) -> None:
    body.hook_name = texts.valid(data.hook_name)
    _set_failure(body, data.failure)


def _decode_hook(body: events_pb2.HookCalled) -> events.HookData:
    return events.HookData(body.hook_name, _failure(body))


def _encode_handled_output(body: events_pb2.HandledOutput, data: events.HandledOutputData) -> None:
    body.output_name = texts.valid(data.output_name)
    body.io_manager_key = texts.valid(data.manager_key)
    metadata.fill(body.metadata, data.metadata)


def _decode_handled_output(body: events_pb2.HandledOutput) -> events.HandledOutputData:
    return events.HandledOutputData(
        body.output_name, body.io_manager_key, metadata.read(body.metadata)
    )


def _encode_loaded_input(body: events_pb2.LoadedInput, data: events.LoadedInputData) -> None:
    body.input_name = texts.valid(data.input_name)
    body.io_manager_key = texts.valid(data.manager_key)
    if data.asset_key is not None:
        body.asset_key.CopyFrom(keys.to_message(data.asset_key))
    metadata.fill(body.metadata, data.metadata)


def _decode_loaded_input(body: events_pb2.LoadedInput) -> events.LoadedInputData:
    key = keys.from_message(body.asset_key) if body.HasField("asset_key") else None
    return events.LoadedInputData(
        body.input_name, body.io_manager_key, key, metadata.read(body.metadata)
    )


def _encode_logs_captured(body: events_pb2.LogsCaptured, data: events.LogsCapturedData) -> None:
    body.step_keys.extend(data.step_keys)


def _decode_logs_captured(body: events_pb2.LogsCaptured) -> events.LogsCapturedData:
    return events.LogsCapturedData(tuple(body.step_keys))


BODIES: dict[events.EventType, event_bodies.Body] = {
    _Kind.STEP_START: event_bodies.empty("step_started"),
    _Kind.STEP_INPUT: _Body("step_input", _encode_input, _decode_input),
    _Kind.STEP_OUTPUT: _Body("step_output", _encode_output, _decode_output),
    _Kind.STEP_SUCCESS: _Body(
        "step_succeeded",
        _encode_succeeded,
        _decode_succeeded,
    ),
    _Kind.STEP_FAILURE: _Body("step_failed", _encode_failed, _decode_failed),
    _Kind.STEP_SKIPPED: _Body(
        "step_skipped",
        _encode_skipped,
        _decode_skipped,
    ),
    _Kind.STEP_UP_FOR_RETRY: _Body("step_up_for_retry", _encode_retry, _decode_retry),
    _Kind.STEP_RESTARTED: event_bodies.empty("step_restarted"),
    _Kind.STEP_WORKER_STARTING: _Body("step_worker_starting", _encode_worker, _decode_worker),
    _Kind.STEP_WORKER_STARTED: _Body("step_worker_started", _encode_worker, _decode_worker),
    _Kind.STEP_EXPECTATION_RESULT: _Body(
        "step_expectation_result", _encode_expectation, _decode_expectation
    ),
    _Kind.RESOURCE_INIT_STARTED: _Body(
        "resource_init_started", _encode_resources, _decode_resources
    ),
    _Kind.RESOURCE_INIT_SUCCESS: _Body(
        "resource_init_succeeded", _encode_resources, _decode_resources
    ),
    _Kind.RESOURCE_INIT_FAILURE: _Body(
        "resource_init_failed", _encode_resources, _decode_resources
    ),
    _Kind.HOOK_COMPLETED: _Body("hook_completed", _encode_hook, _decode_hook),
    _Kind.HOOK_ERRORED: _Body("hook_errored", _encode_hook, _decode_hook),
    _Kind.HOOK_SKIPPED: _Body("hook_skipped", _encode_hook, _decode_hook),
    _Kind.HANDLED_OUTPUT: _Body("handled_output", _encode_handled_output, _decode_handled_output),
    _Kind.LOADED_INPUT: _Body("loaded_input", _encode_loaded_input, _decode_loaded_input),
    _Kind.LOGS_CAPTURED: _Body(
        "logs_captured",
        _encode_logs_captured,
        _decode_logs_captured,
    ),
}

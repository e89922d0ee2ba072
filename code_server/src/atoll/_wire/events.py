"""Events to messages and back, and stored events to records of the log.

Used by run workers (what they emit) and by whoever answers user code from the log. The seq of an
event is given by the spool and its id by the host; neither is made here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from atoll._definitions import asset_events, events
from atoll._wire import failures, keys, metadata, texts, timestamps
from atoll.events.v1 import events_pb2

MESSAGE_CHARACTERS_MAX = 256 * 1024

_LEVELS = {
    logging.DEBUG: events_pb2.LOG_LEVEL_DEBUG,
    logging.INFO: events_pb2.LOG_LEVEL_INFO,
    logging.WARNING: events_pb2.LOG_LEVEL_WARNING,
    logging.ERROR: events_pb2.LOG_LEVEL_ERROR,
    logging.CRITICAL: events_pb2.LOG_LEVEL_CRITICAL,
}
_NUMBERS = {level: number for number, level in _LEVELS.items()}


def level_to_message(number: int) -> events_pb2.LogLevel.ValueType:
    """Return the severity at or below a number of `logging`.

    Args:
        number: Any number; users define levels of their own.
    """
    for known in sorted(_LEVELS, reverse=True):
        if number >= known:
            return _LEVELS[known]
    return events_pb2.LOG_LEVEL_DEBUG


def level_from_message(level: events_pb2.LogLevel.ValueType) -> int:
    """Return a severity as a number of `logging`.

    Args:
        level: The severity.
    """
    return _NUMBERS.get(level, logging.INFO)


def to_message(event: events.Event) -> events_pb2.Event:
    """Return an event as a message; its seq is left to the spool.

    Args:
        event: The event.
    """
    message = events_pb2.Event(
        run_id=event.run_id,
        timestamp=timestamps.from_seconds(event.timestamp),
        step_key=texts.valid(event.step_key or ""),
        job_name=texts.valid(event.job_name),
        message=texts.bounded(event.message, MESSAGE_CHARACTERS_MAX),
    )
    field, encode, _ = _BODIES[event.event_type]
    body = getattr(message, field)
    body.SetInParent()
    if event.event_specific_data is not None:
        encode(body, event.event_specific_data)
    return message


def from_message(message: events_pb2.Event) -> events.Event:
    """Return the event that a message holds.

    Args:
        message: The message. A body that no run emits, or that this release does not know, reads
        as an engine event.
    """
    field = message.WhichOneof("body")
    event_type = _TYPES.get(field or "", events.EventType.ENGINE_EVENT)
    known_field, _, decode = _BODIES[event_type]
    return events.Event(
        event_type=event_type,
        job_name=message.job_name,
        step_key=message.step_key or None,
        message=message.message,
        event_specific_data=decode(getattr(message, known_field)),
        run_id=message.run_id,
        timestamp=timestamps.to_seconds(message.timestamp),
    )


def to_record(stored: events_pb2.StoredEvent) -> events.EventLogRecord:
    """Return a stored event as a record of the log.

    Args:
        stored: The event and its position.
    """
    return events.EventLogRecord(
        storage_id=stored.id,
        event_log_entry=events.EventLogEntry.of(from_message(stored.event)),
    )


def from_record(record: events.EventLogRecord) -> events_pb2.StoredEvent:
    """Return a record of the log as a stored event: the inverse of `to_record`.

    Args:
        record: The record; its entry holds an event.
    """
    event = record.event_log_entry.get_event()
    return events_pb2.StoredEvent(id=record.storage_id, event=to_message(event))


def _nothing(_body: Any, _data: Any) -> None:
    return None


def _no_data(_body: Any) -> None:
    return None


def _encode_run_starting(body: events_pb2.RunStarting, data: events.RunStartingData) -> None:
    body.server_id = data.server_id


def _encode_run_started(body: events_pb2.RunStarted, data: events.RunStartData) -> None:
    body.build_id = data.build_id
    body.pid = data.pid
    body.hostname = texts.valid(data.hostname)
    body.start_method = data.start_method


def _decode_run_started(body: events_pb2.RunStarted) -> events.RunStartData:
    return events.RunStartData(body.build_id, body.pid, body.hostname, body.start_method)


def _encode_run_failed(body: events_pb2.RunFailed, data: events.RunFailureData) -> None:
    body.failure.CopyFrom(failures.from_info(data.failure))


def _encode_run_canceling(body: events_pb2.RunCanceling, data: events.RunCancelingData) -> None:
    body.reason = texts.valid(data.reason)


def _encode_step_output(body: events_pb2.StepOutput, data: events.StepOutputData) -> None:
    body.output_name = texts.valid(data.output_name)
    metadata.fill(body.metadata, data.metadata)


def _encode_step_succeeded(body: events_pb2.StepSucceeded, data: events.StepSuccessData) -> None:
    body.duration_ms = data.duration_ms


def _encode_step_failed(body: events_pb2.StepFailed, data: events.StepFailureData) -> None:
    body.failure.CopyFrom(failures.from_info(data.failure))
    body.duration_ms = data.duration_ms


def _encode_step_skipped(body: events_pb2.StepSkipped, data: events.StepSkippedData) -> None:
    body.upstream_step_keys.extend(data.upstream_step_keys)


def _encode_handled_output(body: events_pb2.HandledOutput, data: events.HandledOutputData) -> None:
    body.output_name = texts.valid(data.output_name)
    body.io_manager_key = texts.valid(data.manager_key)
    metadata.fill(body.metadata, data.metadata)


def _encode_loaded_input(body: events_pb2.LoadedInput, data: events.LoadedInputData) -> None:
    body.input_name = texts.valid(data.input_name)
    body.io_manager_key = texts.valid(data.manager_key)
    if data.asset_key is not None:
        body.asset_key.CopyFrom(keys.to_message(data.asset_key))


def _decode_loaded_input(body: events_pb2.LoadedInput) -> events.LoadedInputData:
    key = keys.from_message(body.asset_key) if body.HasField("asset_key") else None
    return events.LoadedInputData(body.input_name, body.io_manager_key, key)


def _encode_logs_captured(body: events_pb2.LogsCaptured, data: events.LogsCapturedData) -> None:
    body.step_keys.extend(data.step_keys)


def _encode_planned(
    body: events_pb2.AssetMaterializationPlanned, data: events.AssetMaterializationPlannedData
) -> None:
    body.asset_key.CopyFrom(keys.to_message(data.asset_key))
    body.partition = texts.valid(data.partition or "")


def _decode_planned(
    body: events_pb2.AssetMaterializationPlanned,
) -> events.AssetMaterializationPlannedData:
    return events.AssetMaterializationPlannedData(
        keys.from_message(body.asset_key), body.partition or None
    )


def _fill_asset_event(
    body: events_pb2.AssetMaterialization | events_pb2.AssetObservation,
    told: asset_events.AssetMaterialization | asset_events.AssetObservation,
) -> None:
    body.asset_key.CopyFrom(keys.to_message(told.asset_key))
    body.partition = texts.valid(told.partition or "")
    body.description = texts.valid(told.description or "")
    metadata.fill(body.metadata, told.metadata)
    for name, value in told.tags.items():
        body.tags[texts.valid(name)] = texts.valid(value)


def _encode_materialization(
    body: events_pb2.AssetMaterialization, data: events.StepMaterializationData
) -> None:
    _fill_asset_event(body, data.materialization)


def _decode_materialization(
    body: events_pb2.AssetMaterialization,
) -> events.StepMaterializationData:
    return events.StepMaterializationData(
        asset_events.AssetMaterialization(
            keys.from_message(body.asset_key),
            body.description or None,
            metadata.read(body.metadata),
            body.partition or None,
            dict(body.tags),
        )
    )


def _encode_observation(
    body: events_pb2.AssetObservation, data: events.AssetObservationData
) -> None:
    _fill_asset_event(body, data.asset_observation)


def _decode_observation(body: events_pb2.AssetObservation) -> events.AssetObservationData:
    return events.AssetObservationData(
        asset_events.AssetObservation(
            keys.from_message(body.asset_key),
            body.description or None,
            metadata.read(body.metadata),
            body.partition or None,
            dict(body.tags),
        )
    )


def _encode_log_message(body: events_pb2.LogMessage, data: events.LogMessageData) -> None:
    body.level = level_to_message(data.level)
    body.logger_name = texts.valid(data.logger_name)


def _encode_engine_event(body: events_pb2.EngineEvent, data: events.EngineEventData) -> None:
    metadata.fill(body.metadata, data.metadata)
    if data.failure is not None:
        body.failure.CopyFrom(failures.from_info(data.failure))


def _decode_engine_event(body: events_pb2.EngineEvent) -> events.EngineEventData:
    failure = failures.to_info(body.failure) if body.HasField("failure") else None
    return events.EngineEventData(metadata.read(body.metadata), failure)


# By event type: the field of the message, and how its body is written and read.
_BODIES: dict[events.EventType, tuple[str, Callable[[Any, Any], None], Callable[[Any], Any]]] = {
    events.EventType.RUN_ENQUEUED: ("run_enqueued", _nothing, _no_data),
    events.EventType.RUN_STARTING: (
        "run_starting",
        _encode_run_starting,
        lambda b: events.RunStartingData(b.server_id),
    ),
    events.EventType.RUN_START: ("run_started", _encode_run_started, _decode_run_started),
    events.EventType.RUN_SUCCESS: ("run_succeeded", _nothing, _no_data),
    events.EventType.RUN_FAILURE: (
        "run_failed",
        _encode_run_failed,
        lambda b: events.RunFailureData(failures.to_info(b.failure)),
    ),
    events.EventType.RUN_CANCELING: (
        "run_canceling",
        _encode_run_canceling,
        lambda b: events.RunCancelingData(b.reason),
    ),
    events.EventType.RUN_CANCELED: ("run_canceled", _nothing, _no_data),
    events.EventType.STEP_START: ("step_started", _nothing, _no_data),
    events.EventType.STEP_OUTPUT: (
        "step_output",
        _encode_step_output,
        lambda b: events.StepOutputData(b.output_name, metadata.read(b.metadata)),
    ),
    events.EventType.STEP_SUCCESS: (
        "step_succeeded",
        _encode_step_succeeded,
        lambda b: events.StepSuccessData(b.duration_ms),
    ),
    events.EventType.STEP_FAILURE: (
        "step_failed",
        _encode_step_failed,
        lambda b: events.StepFailureData(failures.to_info(b.failure), b.duration_ms),
    ),
    events.EventType.STEP_SKIPPED: (
        "step_skipped",
        _encode_step_skipped,
        lambda b: events.StepSkippedData(tuple(b.upstream_step_keys)),
    ),
    events.EventType.HANDLED_OUTPUT: (
        "handled_output",
        _encode_handled_output,
        lambda b: events.HandledOutputData(
            b.output_name, b.io_manager_key, metadata.read(b.metadata)
        ),
    ),
    events.EventType.LOADED_INPUT: ("loaded_input", _encode_loaded_input, _decode_loaded_input),
    events.EventType.LOGS_CAPTURED: (
        "logs_captured",
        _encode_logs_captured,
        lambda b: events.LogsCapturedData(tuple(b.step_keys)),
    ),
    events.EventType.ASSET_MATERIALIZATION_PLANNED: (
        "asset_materialization_planned",
        _encode_planned,
        _decode_planned,
    ),
    events.EventType.ASSET_MATERIALIZATION: (
        "asset_materialization",
        _encode_materialization,
        _decode_materialization,
    ),
    events.EventType.ASSET_OBSERVATION: (
        "asset_observation",
        _encode_observation,
        _decode_observation,
    ),
    events.EventType.LOG_MESSAGE: (
        "log_message",
        _encode_log_message,
        lambda b: events.LogMessageData(level_from_message(b.level), b.logger_name),
    ),
    events.EventType.ENGINE_EVENT: ("engine_event", _encode_engine_event, _decode_engine_event),
}
_TYPES = {field: event_type for event_type, (field, _, _) in _BODIES.items()}

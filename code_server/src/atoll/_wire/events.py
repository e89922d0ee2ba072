"""Events to messages and back, and stored events to records of the log.

Used by run workers (what they emit) and by whoever answers user code from the log. The seq of an
event is given by the spool and its id by the host; neither is made here. The bodies of steps stand
in `step_events`, those of assets in `asset_events`, all others here.
"""

from __future__ import annotations

import logging

from atoll._definitions import events
from atoll._wire import (
    asset_events,
    event_bodies,
    failures,
    metadata,
    step_events,
    texts,
    timestamps,
)
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
    kind = _BODIES[event.event_type]
    body = getattr(message, kind.field)
    body.SetInParent()
    if event.event_specific_data is not None:
        kind.encode(body, event.event_specific_data)
    return message


def from_message(message: events_pb2.Event) -> events.Event:
    """Return the event that a message holds.

    Args:
        message: The message. A body that no run emits, or that this release does not know, reads
        as an engine event.
    """
    field = message.WhichOneof("body")
    event_type = _TYPES.get(field or "", events.EventType.ENGINE_EVENT)
    kind = _BODIES[event_type]
    return events.Event(
        event_type=event_type,
        job_name=message.job_name,
        step_key=message.step_key or None,
        message=message.message,
        event_specific_data=kind.decode(getattr(message, kind.field)),
        run_id=message.run_id,
        timestamp=timestamps.to_seconds(message.timestamp),
    )


def body_name(event_type: events.EventType) -> str:
    """Return the name of the field that holds the body of events of a kind.

    Args:
        event_type: The kind.
    """
    return _BODIES[event_type][0]


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


def _encode_run_starting(body: events_pb2.RunStarting, data: events.RunStartingData) -> None:
    body.server_id = data.server_id


def _decode_run_starting(body: events_pb2.RunStarting) -> events.RunStartingData:
    return events.RunStartingData(body.server_id)


def _encode_run_started(body: events_pb2.RunStarted, data: events.RunStartData) -> None:
    body.build_id = data.build_id
    body.pid = data.pid
    body.hostname = texts.valid(data.hostname)
    body.start_method = data.start_method


def _decode_run_started(body: events_pb2.RunStarted) -> events.RunStartData:
    return events.RunStartData(body.build_id, body.pid, body.hostname, body.start_method)


def _encode_run_failed(body: events_pb2.RunFailed, data: events.RunFailureData) -> None:
    body.failure.CopyFrom(failures.from_info(data.failure))


def _decode_run_failed(body: events_pb2.RunFailed) -> events.RunFailureData:
    return events.RunFailureData(failures.to_info(body.failure))


def _encode_run_canceling(body: events_pb2.RunCanceling, data: events.RunCancelingData) -> None:
    body.reason = texts.valid(data.reason)


def _decode_run_canceling(body: events_pb2.RunCanceling) -> events.RunCancelingData:
    return events.RunCancelingData(body.reason)


def _encode_log_message(body: events_pb2.LogMessage, data: events.LogMessageData) -> None:
    body.level = level_to_message(data.level)
    body.logger_name = texts.valid(data.logger_name)


def _decode_log_message(body: events_pb2.LogMessage) -> events.LogMessageData:
    return events.LogMessageData(level_from_message(body.level), body.logger_name)


def _encode_engine_event(body: events_pb2.EngineEvent, data: events.EngineEventData) -> None:
    metadata.fill(body.metadata, data.metadata)
    if data.failure is not None:
        body.failure.CopyFrom(failures.from_info(data.failure))


def _decode_engine_event(body: events_pb2.EngineEvent) -> events.EngineEventData:
    failure = failures.to_info(body.failure) if body.HasField("failure") else None
    return events.EngineEventData(metadata.read(body.metadata), failure)


# By event type: the field of the message, and how its body is written and read.
_BODIES: dict[events.EventType, event_bodies.Body] = {
    events.EventType.RUN_ENQUEUED: event_bodies.empty("run_enqueued"),
    events.EventType.RUN_STARTING: event_bodies.Body(
        "run_starting",
        _encode_run_starting,
        _decode_run_starting,
    ),
    events.EventType.RUN_START: event_bodies.Body(
        "run_started", _encode_run_started, _decode_run_started
    ),
    events.EventType.RUN_SUCCESS: event_bodies.empty("run_succeeded"),
    events.EventType.RUN_FAILURE: event_bodies.Body(
        "run_failed",
        _encode_run_failed,
        _decode_run_failed,
    ),
    events.EventType.RUN_CANCELING: event_bodies.Body(
        "run_canceling",
        _encode_run_canceling,
        _decode_run_canceling,
    ),
    events.EventType.RUN_CANCELED: event_bodies.empty("run_canceled"),
    **step_events.BODIES,
    **asset_events.BODIES,
    events.EventType.LOG_MESSAGE: event_bodies.Body(
        "log_message",
        _encode_log_message,
        _decode_log_message,
    ),
    events.EventType.ENGINE_EVENT: event_bodies.Body(
        "engine_event", _encode_engine_event, _decode_engine_event
    ),
}
_TYPES = {body.field: event_type for event_type, body in _BODIES.items()}

"""What a sensor is due for, and what it decided.

Used by evaluators. How a sensor is evaluated stands elsewhere; so do its duration, its log and its
failure.
"""

from __future__ import annotations

import dataclasses
import time

from atoll._definitions import asset_events, events, run_requests, ticks, webhook_sensors
from atoll._partitions import dynamic_requests
from atoll._wire import events as event_messages
from atoll._wire import runs, texts, timestamps
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2


@dataclasses.dataclass(frozen=True, slots=True)
class Due:
    """What one evaluation starts from.

    Attributes:
        cursor: The cursor that the last successful evaluation left.
        triggering_event: For an asset sensor, the materialization that makes it due.
        last_tick_completion_time: When the last evaluation completed, in seconds since 1970.
        last_run_key: The run key of the last run that the sensor requested.
        last_sensor_start_time: When the sensor was last started, in seconds since 1970.
        start_event_id: What stands in the log up to here came before the sensor began.
        webhook_request: For a webhook sensor, the request that makes it due.
    """

    cursor: str | None
    triggering_event: events.EventLogRecord | None
    last_tick_completion_time: float | None
    last_run_key: str | None
    last_sensor_start_time: float | None
    start_event_id: int = 0
    webhook_request: webhook_sensors.WebhookRequest | None = None


def due_from_message(request: location_pb2.EvaluateSensorRequest) -> Due:
    """Return what an evaluation starts from.

    Args:
        request: The request for it.
    """
    return Due(
        cursor=request.cursor if request.HasField("cursor") else None,
        triggering_event=(
            event_messages.to_record(request.triggering_event)
            if request.HasField("triggering_event")
            else None
        ),
        last_tick_completion_time=(
            timestamps.to_seconds(request.last_tick_completion_time)
            if request.HasField("last_tick_completion_time")
            else None
        ),
        last_run_key=request.last_run_key or None,
        last_sensor_start_time=(
            timestamps.to_seconds(request.last_sensor_start_time)
            if request.HasField("last_sensor_start_time")
            else None
        ),
        start_event_id=request.start_event_id,
        webhook_request=(
            _webhook_request(request.webhook_delivery)
            if request.HasField("webhook_delivery")
            else None
        ),
    )


def _webhook_request(
    delivery: location_pb2.WebhookDelivery,
) -> webhook_sensors.WebhookRequest:
    return webhook_sensors.WebhookRequest(
        body=delivery.body,
        headers=dict(delivery.headers),
        delivery_id=delivery.delivery_id,
        receive_time=timestamps.to_datetime(delivery.receive_time),
    )


def to_response(result: ticks.TickResult) -> location_pb2.EvaluateSensorResponse:
    """Return what a sensor decided as a message.

    Args:
        result: The decision.

    Raises:
        InvalidConfigError: The configuration of a run request holds what JSON cannot say.
    """
    response = location_pb2.EvaluateSensorResponse(
        run_requests=[runs.request_to_message(request) for request in result.run_requests],
        skip_reason=texts.valid(result.skip_reason or ""),
        asset_events=[_reported(told) for told in result.asset_events],
        dynamic_partitions_requests=[
            change_to_message(request) for request in result.dynamic_partitions_requests
        ],
    )
    if result.cursor is not None:
        response.cursor = texts.valid(result.cursor)
    return response


def change_to_message(
    request: dynamic_requests.DynamicPartitionsRequest,
) -> location_pb2.DynamicPartitionsRequest:
    """Return a change of dynamic partitions that user code asks for.

    Args:
        request: The change.
    """
    adds = isinstance(request, dynamic_requests.AddDynamicPartitionsRequest)
    return location_pb2.DynamicPartitionsRequest(
        partitions_def_name=texts.valid(request.partitions_def_name),
        change=(
            location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD
            if adds
            else location_pb2.DYNAMIC_PARTITIONS_CHANGE_DELETE
        ),
        partition_keys=map(texts.valid, request.partition_keys),
    )


def _reported(told: run_requests.AssetEvent) -> events_pb2.Event:
    if isinstance(told, asset_events.AssetMaterialization):
        event_type = events.EventType.ASSET_MATERIALIZATION
        data: events.EventSpecificData = events.StepMaterializationData(told)
    else:
        event_type = events.EventType.ASSET_OBSERVATION
        data = events.AssetObservationData(told)
    return event_messages.to_message(
        events.Event(
            event_type=event_type,
            message=told.description or "",
            event_specific_data=data,
            timestamp=time.time(),
        )
    )

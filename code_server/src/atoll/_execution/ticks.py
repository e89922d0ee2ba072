"""Evaluates a sensor or a schedule once.

Called by the evaluators of a location. Nothing is stored here: the result goes back to whoever
asked, and what cannot be decided is raised.
"""

import datetime as dt
import logging

from atoll._definitions import definitions as all_definitions
from atoll._definitions import events, sensors, ticks, webhook_sensors
from atoll._execution import (
    logs,
    multi_asset_context,
    resource_scope,
    schedule_contexts,
    sensor_contexts,
    stale_requests,
)
from atoll._instance import instance as instances
from atoll._partitions import zones

TickResult = ticks.TickResult


def evaluate_sensor(  # noqa: PLR0913 - one call of the evaluator, all by name
    definitions: all_definitions.Definitions,
    sensor_name: str,
    *,
    cursor: str | None,
    triggering_event: events.EventLogRecord | None,
    instance: instances.Instance,
    last_tick_completion_time: float | None = None,
    last_run_key: str | None = None,
    last_sensor_start_time: float | None = None,
    start_event_id: int = 0,
    webhook_request: webhook_sensors.WebhookRequest | None = None,
    log_handler: logging.Handler | None = None,
) -> ticks.TickResult:
    """Evaluate a sensor once.

    Args:
        definitions: The definitions of the location.
        sensor_name: The sensor.
        cursor: The cursor that the last evaluation left.
        triggering_event: For a sensor that is due for each of certain events, the event; its
            position is the new cursor.
        instance: Answers what user code asks.
        last_tick_completion_time: When the last evaluation completed, in seconds since 1970.
        last_run_key: The run key of the last run that the sensor requested.
        last_sensor_start_time: When the sensor was last started, in seconds since 1970.
        start_event_id: What stands in the log up to here came before the sensor began.
        webhook_request: For a webhook sensor, the request that makes it due.
        log_handler: Takes what the sensor logs.

    Returns:
        What the sensor decided.

    Raises:
        UserCodeExecutionError: The function, or the code of a resource, raised; its exception is
            `__cause__`.
        InvalidConfigError: A resource cannot be configured.
        UnknownResourceError: The sensor requires a resource that nobody provides.
        InvariantViolationError: There is no such sensor, or what it returned makes no sense.
    """
    sensor = definitions.get_sensor_def(sensor_name)
    log = logs.to_handler(log_handler)
    objects = definitions.resources
    around = resource_scope.Surroundings(instance, None, log, f"The sensor {sensor_name!r}")
    used = sensor.used_resource_keys(objects)
    with resource_scope.open_resources(objects, used, None, around) as ready:
        surroundings = sensor_contexts.TickSurroundings(
            sensor_name=sensor_name,
            instance=instance,
            cursor=cursor,
            last_tick_completion_time=last_tick_completion_time,
            last_run_key=last_run_key,
            last_sensor_start_time=last_sensor_start_time,
            triggering_event=triggering_event,
            log=log,
            resources=ready,
            definitions=definitions,
            start_event_id=start_event_id,
            webhook_request=webhook_request,
        )
        context = sensor_contexts.SensorEvaluationContext(surroundings)
        if isinstance(sensor, sensors.MultiAssetSensorDefinition):
            context = multi_asset_context.MultiAssetSensorEvaluationContext(
                surroundings, sensor.monitored_assets
            )
        result = sensor.evaluate_tick(context)
    return stale_requests.narrowed(result, definitions, instance)


def evaluate_schedule(
    definitions: all_definitions.Definitions,
    schedule_name: str,
    *,
    scheduled_execution_time: dt.datetime,
    instance: instances.Instance,
    log_handler: logging.Handler | None = None,
) -> ticks.TickResult:
    """Evaluate a schedule once.

    Args:
        definitions: The definitions of the location.
        schedule_name: The schedule.
        scheduled_execution_time: The time that the tick is for, with a zone.
        instance: Answers what user code asks.
        log_handler: Takes what the schedule logs.

    Returns:
        What the schedule decided.

    Raises:
        UserCodeExecutionError: A function, or the code of a resource, raised; its exception is
            `__cause__`.
        InvalidConfigError: A resource cannot be configured.
        UnknownResourceError: The schedule requires a resource that nobody provides.
        InvariantViolationError: There is no such schedule, or what it returned makes no sense.
        UnknownPartitionError: It asks for a partition that its job does not have.
    """
    schedule = definitions.get_schedule_def(schedule_name)
    log = logs.to_handler(log_handler)
    objects = definitions.resources
    around = resource_scope.Surroundings(instance, None, log, f"The schedule {schedule_name!r}")
    zone = zones.zone(schedule.execution_timezone or "UTC")
    used = schedule.used_resource_keys(objects)
    with resource_scope.open_resources(objects, used, None, around) as ready:
        surroundings = schedule_contexts.ScheduleSurroundings(
            schedule_name=schedule_name,
            instance=instance,
            scheduled_execution_time=scheduled_execution_time.astimezone(zone.tzinfo),
            log=log,
            resources=ready,
            definitions=definitions,
        )
        context = schedule_contexts.ScheduleEvaluationContext(surroundings)
        result = schedule.evaluate_tick(context)
    return stale_requests.narrowed(result, definitions, instance)

"""Evaluates a sensor once.

Called by the evaluators of a location. Nothing is stored here: the result goes back to whoever
asked, and what cannot be decided is raised.
"""

import logging

from atoll._definitions import definitions as all_definitions
from atoll._definitions import events, sensors, ticks
from atoll._execution import logs, multi_asset_context, sensor_contexts
from atoll._instance import instance as instances

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
    log_handler: logging.Handler | None = None,
) -> ticks.TickResult:
    """Evaluate a sensor once.

    Args:
        definitions: The definitions of the location.
        sensor_name: The sensor.
        cursor: The cursor that the last evaluation left.
        triggering_event: For an asset sensor, the materialization that makes it due; its position
            is the new cursor.
        instance: Answers what user code asks.
        last_tick_completion_time: When the last evaluation completed, in seconds since 1970.
        last_run_key: The run key of the last run that the sensor requested.
        last_sensor_start_time: When the sensor was last started, in seconds since 1970.
        log_handler: Takes what the sensor logs.

    Returns:
        What the sensor decided.

    Raises:
        UserCodeExecutionError: The function raised; its exception is `__cause__`.
        InvariantViolationError: There is no such sensor, or what it returned makes no sense.
    """
    sensor = definitions.get_sensor_def(sensor_name)
    surroundings = sensor_contexts.TickSurroundings(
        sensor_name=sensor_name,
        instance=instance,
        cursor=cursor,
        last_tick_completion_time=last_tick_completion_time,
        last_run_key=last_run_key,
        last_sensor_start_time=last_sensor_start_time,
        triggering_event=triggering_event,
        log=logs.to_handler(log_handler),
        resources=definitions.resources,
    )
    if isinstance(sensor, sensors.MultiAssetSensorDefinition):
        return sensor.evaluate_tick(
            multi_asset_context.MultiAssetSensorEvaluationContext(
                surroundings, sensor.monitored_assets
            )
        )
    return sensor.evaluate_tick(sensor_contexts.SensorEvaluationContext(surroundings))

"""Decides what a reset of a sensor's cursor means for its kind, or why it makes no sense. Pure.

Called by the API.
"""

import json

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.automation.sensors import defined, due
from atoll_storage import records


def reset_of(
    request: automation_pb2.ResetSensorCursorRequest,
    definition: snapshot_pb2.SensorDefinition,
    head: int,
) -> records.SensorReset:
    """Return what storage is to change.

    Args:
        request: Where the sensor is to go on.
        definition: The sensor.
        head: The id of the newest event.

    Raises:
        errors.InvalidRequest: It makes no sense for a sensor of this kind.
    """
    kind = defined.kind_of(definition)
    target = request.WhichOneof("target")
    if target == "start_position":
        if kind not in defined.LOG_DRIVEN:
            raise errors.InvalidRequest(
                f"Sensor {definition.name!r} has no position in the log, so it cannot go on from "
                "one. Give a cursor, or nothing to clear it.",
                field="start_position",
            )
        if request.start_position.WhichOneof("position") is None:
            raise errors.InvalidRequest(
                "The position is neither latest, nor earliest, nor a time. Give one of them.",
                field="start_position",
            )
        return records.SensorReset(start=defined.start_of(request.start_position))
    if target is None:
        return records.SensorReset(start=records.LATEST if kind in defined.LOG_DRIVEN else None)
    cursor = request.cursor
    if "\x00" in cursor:
        raise errors.InvalidRequest(
            f"The cursor holds a NUL character: {cursor[:40]!r}. Leave it out.", field="cursor"
        )
    if kind in {due.Kind.ASSET, due.Kind.RUN_STATUS}:
        return records.SensorReset(cursor=cursor, position=_position(cursor, definition, head))
    if kind is due.Kind.MULTI_ASSET:
        _check_object(cursor, definition)
        # It decides by its cursor what is new to it, once it is due: so everything makes it due.
        return records.SensorReset(cursor=cursor, position=0)
    return records.SensorReset(cursor=cursor)


def _position(cursor: str, definition: snapshot_pb2.SensorDefinition, head: int) -> int:
    if not (cursor.isascii() and cursor.isdecimal()) or int(cursor) > head:
        raise errors.InvalidRequest(
            f"The cursor of sensor {definition.name!r} is the position of the last event that it "
            f"has seen, a number from 0 to {head}; got {cursor[:40]!r}.",
            field="cursor",
        )
    return int(cursor)


def _check_object(cursor: str, definition: snapshot_pb2.SensorDefinition) -> None:
    try:
        is_object = isinstance(json.loads(cursor), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise errors.InvalidRequest(
            f"The cursor of sensor {definition.name!r}, which watches several assets, is a JSON "
            f"object as its ticks show it; got {cursor[:40]!r}.",
            field="cursor",
        )

"""Automation conditions of definitions, put into the snapshot of a location.

Called by `snapshot`. Ten thousand assets may share a condition: it is made a message once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import conditions
from atoll._definitions import automation_conditions, automation_sensors, definitions
from atoll.definitions.v1 import conditions_pb2, snapshot_pb2

_Conditioned = (
    snapshot_pb2.AssetDefinition | snapshot_pb2.AssetCheckDefinition | snapshot_pb2.JobDefinition
)


def fill(message: _Conditioned, condition: Any, whose: Callable[[], str]) -> None:
    """Put a condition into the message of what it belongs to, where there is one.

    Args:
        message: The message.
        condition: The condition; None for none.
        whose: Returns what it belongs to, for the error.

    Raises:
        InvalidDefinitionError: It is no condition.
    """
    if condition is None:
        return
    node = automation_conditions.data_of(condition, whose())
    if node is not None:
        message.automation_condition.CopyFrom(_message_of(_Held(node)))


def fill_sensor(
    message: snapshot_pb2.SensorDefinition,
    sensor: automation_sensors.AutomationConditionSensorDefinition,
    defined: definitions.Definitions,
) -> None:
    """Put into the message of a sensor what it has because it evaluates conditions.

    Args:
        message: The message.
        sensor: The sensor.
        defined: The definitions of the location.
    """
    message.automation_targets.extend(
        map(entity_messages.to_message, sensor.targets(defined.graph))
    )
    message.run_tags.update(sensor.run_tags)
    message.emit_backfills = sensor.emit_backfills
    message.use_user_code_server = sensor.use_user_code_server
    if sensor.default_node is not None:
        message.default_condition.CopyFrom(_message_of(_Held(sensor.default_node)))


class _Held:
    """A condition by identity: comparing trees would take longer than writing them."""

    __slots__ = ("node",)

    def __init__(self, node: conditions.Condition) -> None:
        self.node = node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.node is other.node

    def __hash__(self) -> int:
        return id(self.node)


@functools.lru_cache(maxsize=1024)
def _message_of(held: _Held) -> conditions_pb2.AutomationCondition:
    return condition_messages.to_message(held.node)

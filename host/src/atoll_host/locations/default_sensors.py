"""The sensor that evaluates the conditions of a location that no other of its sensors does. Pure.

Part of `definitions`: each location with such conditions has one, though its code does not define
it. It is stopped until somebody starts it.
"""

from collections.abc import Iterator

from atoll.definitions.v1 import conditions_pb2, snapshot_pb2

NAME = "default_automation_condition_sensor"
INTERVAL_S = 30


def default_sensor(message: snapshot_pb2.LocationSnapshot) -> snapshot_pb2.SensorDefinition | None:
    """Return the sensor, None where nothing is left for it or the location defines it itself.

    Args:
        message: What the location defines.
    """
    covered: set[bytes] = set()
    for sensor in message.sensors:
        if sensor.name == NAME:
            return None
        covered.update(map(_content, sensor.automation_targets))
    left = [target for target in _targets(message) if _content(target) not in covered]
    if not left:
        return None
    made = snapshot_pb2.SensorDefinition(
        name=NAME,
        kind=snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION,
        description="Evaluates the automation conditions that no other sensor does.",
        default_status=snapshot_pb2.SENSOR_STATUS_STOPPED,
        automation_targets=left,
        emit_backfills=True,
    )
    made.minimum_interval.seconds = INTERVAL_S
    return made


def _targets(message: snapshot_pb2.LocationSnapshot) -> Iterator[conditions_pb2.ConditionEntity]:
    """Yield what a location executes and gives a condition."""
    for asset in message.assets:
        if asset.executable and asset.HasField("automation_condition"):
            yield conditions_pb2.ConditionEntity(asset=asset.key)
    for check in message.checks:
        if check.executable and check.HasField("automation_condition"):
            yield conditions_pb2.ConditionEntity(check=check.key)
    for job in message.jobs:
        if job.HasField("automation_condition"):
            job_target = conditions_pb2.ConditionJob(job_name=job.name)
            yield conditions_pb2.ConditionEntity(job=job_target)


def _content(target: conditions_pb2.ConditionEntity) -> bytes:
    return target.SerializeToString(deterministic=True)

"""Run requests of sensors for jobs of other locations, where the policy allows it. Pure.

Called by `automation.sensors`. Such a job is named "location/job". Its run belongs to the other
location and is checked against what that one defines; the sensor must name the job among its
targets.
"""

import dataclasses
from collections.abc import Mapping

from atoll.definitions.v1 import snapshot_pb2
from atoll_host import errors
from atoll_host.policy import deciding
from atoll_host.runs import requests
from atoll_storage import records


@dataclasses.dataclass(frozen=True, slots=True)
class Others:
    """The other locations, as far as a request may concern them.

    Attributes:
        policies: What the locations may do with what others make.
        places: Those that are known, by name.
    """

    policies: deciding.Policies = deciding.DEFAULT
    places: Mapping[str, requests.Place] = dataclasses.field(
        default_factory=dict[str, requests.Place]
    )


NO_OTHERS = Others()


def job_elsewhere(
    place: requests.Place,
    requested: requests.RequestedRun,
    sensor: snapshot_pb2.SensorDefinition,
) -> tuple[str, str] | None:
    """Return the location and the job that a request means; None for the sensor's own location.

    Args:
        place: The sensor's own location.
        requested: The request. One that names no job means the only target of the sensor.
        sensor: The sensor.
    """
    name = requested.job_name
    if not name and len(sensor.job_names) == 1:
        name = sensor.job_names[0]
    if name in place.definitions.jobs:
        return None
    location_name, slash, job_name = name.partition("/")
    return (location_name, job_name) if slash else None


def for_sensor(
    place: requests.Place,
    requested: requests.RequestedRun,
    origin: requests.SensorOrigin,
    run_id: str,
    others: Others,
) -> records.NewRun:
    """Check what a sensor asks for, wherever the job is, and return the run.

    Raises:
        errors.InvalidRequest: Something in it is wrong.
        errors.UnknownLocation: It names a location that there is not.
        errors.UnknownJob: The location has no such job, or the sensor does not target it.
        errors.UnknownAsset: The job, or the location, cannot materialize an asset.
        errors.UnknownCheck: The job, or the location, cannot evaluate a check.
        errors.PolicyForbids: It asks for what belongs to another location, and may not.
    """
    elsewhere = job_elsewhere(place, requested, origin.sensor)
    if elsewhere is None:
        return requests.for_sensor(place, requested, origin, run_id)
    location_name, job_name = elsewhere
    target = place
    if location_name != place.location_name:
        target = _allowed(place.location_name, location_name, job_name, others)
    named = f"{location_name}/{job_name}"
    if named not in origin.sensor.job_names:
        targets = ", ".join(map(repr, origin.sensor.job_names)) or "no job"
        raise errors.UnknownJob(
            f"Job {named!r} is no target of sensor {origin.sensor.name!r}, which targets "
            f"{targets}. Add {named!r} to the sensor's targets.",
            job_name=job_name,
            location_name=location_name,
        )
    there = snapshot_pb2.SensorDefinition(name=origin.sensor.name, job_names=[job_name])
    run = requests.for_sensor(
        target,
        dataclasses.replace(requested, job_name=job_name),
        dataclasses.replace(origin, sensor=there),
        run_id,
    )
    # The build that decided is of the sensor's location, not of the run's.
    return dataclasses.replace(run, requested_build_id="") if target is not place else run


def _allowed(source: str, target: str, job_name: str, others: Others) -> requests.Place:
    decision = deciding.decide(
        others.policies, source, target, deciding.Action.LAUNCH, deciding.Subject(job=job_name)
    )
    if not decision.allowed:
        raise errors.PolicyForbids(decision.explanation)
    place = others.places.get(target)
    if place is None:
        raise errors.UnknownLocation(target)
    return place

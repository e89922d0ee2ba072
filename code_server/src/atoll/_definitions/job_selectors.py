"""Names jobs whose runs a sensor watches, of this location and of others.

Called by users and by the definitions of sensors on the status of runs.
"""

from typing import TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._definitions import jobs


class CodeLocationSelector(records.Record):
    """All jobs of a location.

    Attributes:
        location_name: The location.
    """

    location_name: str


class JobSelector(records.Record):
    """One job of a location.

    Attributes:
        location_name: The location.
        job_name: The job.
    """

    location_name: str
    job_name: str

    def __init__(
        self,
        location_name: str,
        repository_name: str | None = None,
        job_name: str | None = None,
    ) -> None:
        if repository_name is not None:
            raise errors.UnsupportedParameterError(
                f"A location has jobs, not repositories; got repository_name={repository_name!r}. "
                "Leave it out.",
                "repository_name",
            )
        if not job_name:
            raise errors.InvalidDefinitionError(
                f"A job of the location {location_name!r} is to be selected, and none is named. "
                f"Give job_name, or CodeLocationSelector({location_name!r}) for all of them."
            )
        object.__setattr__(self, "location_name", location_name)
        object.__setattr__(self, "job_name", job_name)


class MonitoredJob(records.Record):
    """What a sensor watches: a job, or all jobs of a location.

    Attributes:
        location_name: The location; empty means that of the sensor.
        job_name: The job; empty means all.
    """

    location_name: str = ""
    job_name: str = ""


Selector: TypeAlias = (
    jobs.JobDefinition | jobs.UnresolvedAssetJobDefinition | JobSelector | CodeLocationSelector
)


def monitored(sensor_name: str, selector: object) -> MonitoredJob:
    """Return what a selector names.

    Args:
        sensor_name: The sensor, for errors.
        selector: A job of this location, or a selector.

    Raises:
        InvalidDefinitionError: It is neither.
    """
    if isinstance(selector, JobSelector):
        return MonitoredJob(selector.location_name, selector.job_name)
    if isinstance(selector, CodeLocationSelector):
        return MonitoredJob(selector.location_name)
    if isinstance(selector, (jobs.JobDefinition, jobs.UnresolvedAssetJobDefinition)):
        return MonitoredJob(job_name=selector.name)
    raise errors.InvalidDefinitionError(
        f"The sensor {sensor_name!r} is to watch {selector!r} of type {type(selector).__name__}. "
        "Give jobs of this location, JobSelector or CodeLocationSelector."
    )

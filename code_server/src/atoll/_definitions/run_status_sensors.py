"""Sensors that are due for each run that reaches a status.

Called by users through the decorators and by whoever evaluates ticks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

from atoll import errors
from atoll._definitions import events, job_selectors, runs, sensors, start_positions, ticks
from atoll._definitions import metadata as metadata_values

EVENT_TYPES = {
    runs.RunStatus.QUEUED: events.EventType.RUN_ENQUEUED,
    runs.RunStatus.STARTING: events.EventType.RUN_STARTING,
    runs.RunStatus.STARTED: events.EventType.RUN_START,
    runs.RunStatus.SUCCESS: events.EventType.RUN_SUCCESS,
    runs.RunStatus.FAILURE: events.EventType.RUN_FAILURE,
    runs.RunStatus.CANCELING: events.EventType.RUN_CANCELING,
    runs.RunStatus.CANCELED: events.EventType.RUN_CANCELED,
}
"""The event that tells of each status."""

Monitored: TypeAlias = Sequence[job_selectors.Selector]


class RunStatusSensorDefinition(sensors.SensorDefinition):
    """A sensor that sees each run that reaches a status, in order, exactly once.

    Made by `run_status_sensor` and `run_failure_sensor`; called directly, it calls the function.

    Args:
        name: The name of the sensor.
        run_status: The status.
        run_status_sensor_fn: The function.
        minimum_interval_seconds: The least time between two evaluations; nothing limits it where
            not given.
        description: What the sensor is for.
        monitored_jobs: Whose runs it sees: jobs of this location, `JobSelector` and
            `CodeLocationSelector`; those of all jobs of this location where not given.
        monitor_all_code_locations: Whether it sees the runs of all locations.
        default_status: Whether it is evaluated until somebody starts or stops it.
        request_job: The job that the sensor asks for.
        request_jobs: The jobs that the sensor may ask for; one of another location as
            "location/job".
        tags: Labels.
        metadata: What to attach to the definition.
        required_resource_keys: The resources that the function needs.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.
    """

    sensor_type = sensors.SensorType.RUN_STATUS

    def __init__(
        self,
        name: str,
        run_status: runs.RunStatus,
        run_status_sensor_fn: sensors.SensorFunction,
        minimum_interval_seconds: float | None = None,
        description: str | None = None,
        monitored_jobs: Monitored | None = None,
        monitor_all_code_locations: bool | None = None,  # noqa: FBT001 - the field's signature
        default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
        request_job: sensors.JobTarget | None = None,
        request_jobs: Sequence[sensors.JobTarget | str] | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        required_resource_keys: set[str] | None = None,
        *,
        start_at: start_positions.StartAt | None = None,
    ) -> None:
        super().__init__(
            name,
            evaluation_fn=run_status_sensor_fn,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            job=request_job,
            jobs=request_jobs,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
        )
        self.run_status = _status_of(self.name, run_status)
        self.monitored_jobs = tuple(
            job_selectors.monitored(self.name, one) for one in monitored_jobs or ()
        )
        self.monitor_all_code_locations = bool(monitor_all_code_locations)
        if self.monitored_jobs and self.monitor_all_code_locations:
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} names monitored_jobs and asks for all locations. Give "
                "one or the other."
            )
        self.start_at = start_positions.checked(f"The sensor {self.name!r}", start_at)

    def evaluate_tick(self, context: sensors.TickContext) -> ticks.TickResult:
        """Evaluate the sensor for the next run that reached the status, or say that there is none.

        Args:
            context: The context; in tests, from `build_sensor_context`.

        Returns:
            What the sensor decided. The cursor is the position of the event in the log.

        Raises:
            UserCodeExecutionError: The function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        record = context.next_run_change(
            EVENT_TYPES[self.run_status], self._log_position(context.cursor), self._watches
        )
        if record is None:
            message = f"No run has reached the status {self.run_status.value} since the last one."
            return ticks.TickResult(skip_message=message, cursor=context.cursor)
        result = self._evaluate(context, (context.run_status_context(record, self.name),))
        if result.cursor is not None or context.cursor_updated:
            raise errors.InvariantViolationError(
                f"The sensor {self.name!r} sets its cursor. That of a sensor on the status of runs "
                "is the position of the event; leave it out."
            )
        return self._tick_result(context, result, str(record.storage_id))

    def _watches(self, run: runs.Run) -> bool:
        """Tell whether a run of a test, all of whose jobs are of one location, is watched."""
        if not self.monitored_jobs:
            return run.job_name not in self.job_names
        return any(
            one.location_name in ("", run.location_name) and one.job_name in ("", run.job_name)
            for one in self.monitored_jobs
        )


def run_status_sensor(
    run_status: runs.RunStatus,
    name: str | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    monitored_jobs: Monitored | None = None,
    job_selection: Monitored | None = None,
    monitor_all_code_locations: bool | None = None,  # noqa: FBT001 - the field's signature
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    request_job: sensors.JobTarget | None = None,
    request_jobs: Sequence[sensors.JobTarget | str] | None = None,
    monitor_all_repositories: bool | None = None,  # noqa: FBT001 - the field's signature
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    *,
    start_at: start_positions.StartAt | None = None,
) -> Callable[[sensors.SensorFunction], RunStatusSensorDefinition]:
    """Make a sensor that sees each run that reaches a status, in order, exactly once.

    Args:
        run_status: The status.
        name: The name of the sensor; the function's where not given.
        minimum_interval_seconds: The least time between two evaluations; nothing limits it where
            not given.
        description: What the sensor is for; the function's docstring where not given.
        monitored_jobs: Whose runs it sees: jobs of this location, `JobSelector` and
            `CodeLocationSelector`; those of all jobs of this location where not given.
        job_selection: The same, by its older name.
        monitor_all_code_locations: Whether it sees the runs of all locations.
        default_status: Whether it is evaluated until somebody starts or stops it.
        request_job: The job that the sensor asks for.
        request_jobs: The jobs that the sensor may ask for; one of another location as
            "location/job".
        monitor_all_repositories: The same as monitor_all_code_locations, by its older name.
        tags: Labels.
        metadata: What to attach to the definition.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.

    Returns:
        A decorator that makes the sensor. The function takes a `RunStatusSensorContext` and
        resources.
    """
    monitored = _one_of("monitored_jobs", monitored_jobs, "job_selection", job_selection)

    def decorate(function: sensors.SensorFunction) -> RunStatusSensorDefinition:
        return RunStatusSensorDefinition(
            name or str(getattr(function, "__name__", "")),
            run_status,
            function,
            minimum_interval_seconds,
            description,
            monitored,
            monitor_all_code_locations or monitor_all_repositories,
            default_status,
            request_job,
            request_jobs,
            tags,
            metadata,
            start_at=start_at,
        )

    return decorate


@overload
def run_failure_sensor(name: sensors.SensorFunction) -> RunStatusSensorDefinition: ...


@overload
def run_failure_sensor(
    name: str | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    monitored_jobs: Monitored | None = None,
    job_selection: Monitored | None = None,
    monitor_all_code_locations: bool | None = None,  # noqa: FBT001 - the field's signature
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    request_job: sensors.JobTarget | None = None,
    request_jobs: Sequence[sensors.JobTarget | str] | None = None,
    monitor_all_repositories: bool | None = None,  # noqa: FBT001 - the field's signature
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    *,
    start_at: start_positions.StartAt | None = None,
) -> Callable[[sensors.SensorFunction], RunStatusSensorDefinition]: ...


def run_failure_sensor(
    name: str | sensors.SensorFunction | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    monitored_jobs: Monitored | None = None,
    job_selection: Monitored | None = None,
    monitor_all_code_locations: bool | None = None,  # noqa: FBT001 - the field's signature
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    request_job: sensors.JobTarget | None = None,
    request_jobs: Sequence[sensors.JobTarget | str] | None = None,
    monitor_all_repositories: bool | None = None,  # noqa: FBT001 - the field's signature
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    *,
    start_at: start_positions.StartAt | None = None,
) -> Any:
    """Make a sensor that sees each run that fails, in order, exactly once.

    Args:
        name: The name of the sensor; the function's where not given. The decorator may stand
            without parentheses too.
        minimum_interval_seconds: As `run_status_sensor` takes it.
        description: As `run_status_sensor` takes it.
        monitored_jobs: As `run_status_sensor` takes it.
        job_selection: As `run_status_sensor` takes it.
        monitor_all_code_locations: As `run_status_sensor` takes it.
        default_status: As `run_status_sensor` takes it.
        request_job: As `run_status_sensor` takes it.
        request_jobs: As `run_status_sensor` takes it.
        monitor_all_repositories: As `run_status_sensor` takes it.
        tags: As `run_status_sensor` takes it.
        metadata: As `run_status_sensor` takes it.
        start_at: As `run_status_sensor` takes it.

    Returns:
        A decorator that makes the sensor. The function takes a `RunFailureSensorContext` and
        resources.
    """
    function = name if callable(name) else None
    decorate = run_status_sensor(
        runs.RunStatus.FAILURE,
        None if callable(name) else name,
        minimum_interval_seconds,
        description,
        monitored_jobs,
        job_selection,
        monitor_all_code_locations,
        default_status,
        request_job,
        request_jobs,
        monitor_all_repositories,
        tags,
        metadata,
        start_at=start_at,
    )
    return decorate if function is None else decorate(function)


def _one_of(
    name: str, given: Monitored | None, older_name: str, older: Monitored | None
) -> Monitored | None:
    if given is not None and older is not None:
        raise errors.InvalidDefinitionError(
            f"{name} and {older_name} mean the same. Give {name} alone."
        )
    return older if given is None else given


def _status_of(sensor_name: str, status: object) -> runs.RunStatus:
    if isinstance(status, runs.RunStatus) and status in EVENT_TYPES:
        return status
    raise errors.InvalidDefinitionError(
        f"The sensor {sensor_name!r} is to watch the status {status!r}, which no run reaches. Give "
        f"one of {', '.join(f'RunStatus.{one.name}' for one in EVENT_TYPES)}."
    )

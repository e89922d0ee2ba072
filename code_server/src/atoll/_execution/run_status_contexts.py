"""What the functions of sensors on the status of runs receive.

Called by the contexts of ticks, and by tests through `build_run_status_sensor_context`.
"""

import copy as copy_module
import logging
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import Self

from atoll import errors
from atoll._definitions import events, runs
from atoll._execution import logs, resource_scope
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


class RunStatusSensorContext:
    """A run that reached a status, and what else such a sensor may use.

    Args:
        sensor_name: The sensor.
        run: The run.
        event: The event by which it reached the status.
        instance: Answers questions about assets and runs.
        context: The context of the tick, if there is one.
        resource_defs: The resources by key; those of the tick where not given.
        logger: The log of the tick.
        partition_key: The partition of the run; that of its tag where not given.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the field's signature
        self,
        sensor_name: str,
        run: runs.Run,
        event: events.Event,
        instance: instances.Instance,
        context: Any = None,
        resource_defs: Mapping[str, Any] | None = None,
        logger: logging.Logger | None = None,
        partition_key: str | None = None,
    ) -> None:
        self._sensor_name = sensor_name
        self._run = run
        self._event = event
        self._instance = instance
        of_tick = getattr(context, "resources_by_key", None)
        self._resources: Mapping[str, Any] = (
            resource_defs if resource_defs is not None else of_tick or {}
        )
        self._log = logger or getattr(context, "log", None) or logs.to_handler(None)
        self._partition_key = partition_key or run.partition_key
        self._definitions = getattr(context, "definitions", None)
        # What the tick has made ready lives as long as this does.
        self._context = context

    def for_run_failure(self) -> "RunFailureSensorContext":
        """Return the same as the function of a `run_failure_sensor` receives it."""
        context = RunFailureSensorContext.__new__(RunFailureSensorContext)
        context.__dict__.update(self.__dict__)
        return context

    @property
    def sensor_name(self) -> str:
        """The name of the sensor."""
        return self._sensor_name

    @property
    def run(self) -> runs.Run:
        """The run."""
        return self._run

    @property
    def event(self) -> events.Event:
        """The event by which the run reached the status."""
        return self._event

    @property
    def instance(self) -> instances.Instance:
        """Answers questions about assets and runs."""
        return self._instance

    @property
    def log(self) -> logging.Logger:
        """The log of the tick."""
        return self._log

    @property
    def partition_key(self) -> str | None:
        """The partition of the run, None for none."""
        return self._partition_key

    @property
    def definitions(self) -> Any:
        """The definitions of the location, None where they are not known."""
        return self._definitions

    @property
    def resources_by_key(self) -> Mapping[str, Any]:
        """The resources by key."""
        return self._resources

    @property
    def resources(self) -> resource_objects.Resources:
        """The resources, by attribute."""
        return resource_objects.Resources(self._resources, f"The sensor {self._sensor_name!r}")

    def merge_resources(self, resources_dict: Mapping[str, Any]) -> Self:
        """Return a context of the same run with other resources beside its own.

        Args:
            resources_dict: Objects by resource key; they come before those of this context.
        """
        merged = ChainMap(dict(resources_dict), dict(self._resources))
        copy = copy_module.copy(self)
        copy.__dict__.update(_resources=merged)
        return copy


class RunFailureSensorContext(RunStatusSensorContext):
    """A run that failed, and what else such a sensor may use."""

    @property
    def failure_event(self) -> events.Event:
        """The event by which the run failed; its message says why."""
        return self.event

    def get_step_failure_events(self) -> Sequence[events.Event]:
        """Return the events of the steps that failed, oldest first."""
        found = self.instance.all_logs(self.run.run_id, of_type=events.EventType.STEP_FAILURE)
        return [entry.event for entry in found if entry.event is not None]


def build_run_status_sensor_context(  # noqa: PLR0913, PLR0917 - the field's signature
    sensor_name: str,
    event: events.Event,
    instance: instances.Instance,
    run: runs.Run,
    context: Any = None,
    resources: Mapping[str, Any] | None = None,
    partition_key: str | None = None,
    *,
    repository_def: Any = None,
) -> RunStatusSensorContext:
    """Make a context with which a test calls the function of a sensor on the status of runs.

    Args:
        sensor_name: The name of the sensor.
        event: The event, such as `result.get_run_success_event()`.
        instance: The instance that ran the run.
        run: The run.
        context: The context of a tick, if there is one.
        resources: Objects or definitions by resource key.
        partition_key: The partition of the run; that of its tag where not given.
        repository_def: Not supported.

    Returns:
        The context.
    """
    if repository_def is not None:
        raise errors.UnsupportedParameterError(
            f"There are no repositories, got repository_def={repository_def!r}. Leave it out.",
            "repository_def",
        )
    objects: Mapping[str, Any] | None = resources
    if resources:
        around = resource_scope.Surroundings(instance, None, logs.to_handler(None), "The context")
        scope = resource_scope.Scope(dict(resources), None, around)
        objects = resource_scope.Opening(dict(resources), scope)
    return RunStatusSensorContext(
        sensor_name, run, event, instance, context, objects, None, partition_key
    )

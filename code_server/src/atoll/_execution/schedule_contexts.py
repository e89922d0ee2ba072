"""The context that functions of schedules receive.

Called by the evaluation of ticks, and by tests through the builder.
"""

import copy as copy_module
import dataclasses
import datetime as dt
import logging
import weakref
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, cast

from typing_extensions import Self

from atoll import errors
from atoll._definitions import definitions as all_definitions
from atoll._execution import logs, sensor_contexts
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


@dataclasses.dataclass(frozen=True)
class ScheduleSurroundings:
    """What a context shows of the tick around an evaluation.

    Attributes:
        schedule_name: The schedule.
        instance: The instance.
        scheduled_execution_time: The time that the tick is for, with a zone.
        log: The log of the tick.
        resources: The resources by key.
        close: Closes them, where the context has to.
        definitions: The definitions of the location, None where they are not known.
    """

    schedule_name: str
    instance: instances.Instance
    scheduled_execution_time: dt.datetime | None = None
    log: logging.Logger | None = None
    resources: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    close: Callable[[], None] | None = None
    definitions: all_definitions.Definitions | None = None


class ScheduleEvaluationContext:
    """What a function of a schedule knows of its tick.

    Args:
        surroundings: The tick.
    """

    def __init__(self, surroundings: ScheduleSurroundings) -> None:
        self._around = surroundings
        self._log = surroundings.log or logs.to_handler(None)
        self._origin: ScheduleEvaluationContext | None = None
        # Resources of a context that a test built are closed at the end of a `with`, or with the
        # context; whoever evaluates ticks closes those of a tick.
        self._close = weakref.finalize(self, surroundings.close) if surroundings.close else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._close is not None:
            self._close()

    @property
    def schedule_name(self) -> str:
        """The name of the schedule; empty where a test does not evaluate it by name."""
        return self._around.schedule_name

    @property
    def scheduled_execution_time(self) -> dt.datetime:
        """The time that the tick is for, in the time zone of the schedule.

        A tick that comes late, because the host was away, still tells the time that it was due.

        Raises:
            InvariantViolationError: A test built the context without it.
        """
        found = self._around.scheduled_execution_time
        if found is None:
            raise errors.InvariantViolationError(
                "This context has no scheduled_execution_time. Give "
                "build_schedule_context(scheduled_execution_time=...)."
            )
        return found

    @property
    def scheduled_time(self) -> dt.datetime | None:
        """The time that the tick is for, None where a test does not say."""
        return self._around.scheduled_execution_time

    @property
    def instance(self) -> instances.Instance:
        """Answers questions about assets and runs."""
        return self._around.instance

    @property
    def definitions(self) -> all_definitions.Definitions | None:
        """The definitions of the location, None where they are not known."""
        return self._around.definitions

    @property
    def log(self) -> logging.Logger:
        """The log of the tick."""
        return self._log

    @property
    def resources_by_key(self) -> Mapping[str, Any]:
        """The resources by key."""
        return self._around.resources

    @property
    def resources(self) -> resource_objects.Resources:
        """The resources, by attribute."""
        return resource_objects.Resources(
            self._around.resources, f"The schedule {self.schedule_name!r}"
        )

    def merge_resources(self, resources_dict: Mapping[str, Any]) -> Self:
        """Return a context of the same tick with other resources beside its own.

        Args:
            resources_dict: Objects by resource key; they come before those of this context.
        """
        merged = ChainMap(dict(resources_dict), cast("Any", self.resources_by_key))
        copy = copy_module.copy(self)
        # What this context has made ready is closed with it: it lives as long as the copy.
        around = dataclasses.replace(self._around, resources=merged)
        copy.__dict__.update(_around=around, _origin=self)
        return copy


def build_schedule_context(
    instance: instances.Instance | None = None,
    scheduled_execution_time: dt.datetime | None = None,
    resources: Mapping[str, Any] | None = None,
    *,
    definitions: all_definitions.Definitions | None = None,
) -> ScheduleEvaluationContext:
    """Make a context with which a test calls or evaluates a schedule.

    Args:
        instance: The instance; an ephemeral one where not given.
        scheduled_execution_time: The time that the tick is for; one without a zone is in UTC.
        resources: Objects or definitions by resource key, made ready when they are first used.
        definitions: The definitions, for their resources and jobs.

    Returns:
        The context. Use it in a `with` where its resources have to be closed at once.

    Example:
        `nightly(build_schedule_context(scheduled_execution_time=datetime(2026, 1, 1)))`
    """
    around = sensor_contexts.surroundings_for_test(
        instance, None, None, resources, definitions, None
    )
    return ScheduleEvaluationContext(
        ScheduleSurroundings(
            schedule_name="",
            instance=around.instance,
            scheduled_execution_time=_with_zone(scheduled_execution_time),
            resources=around.resources,
            close=around.close,
            definitions=definitions,
        )
    )


def _with_zone(moment: dt.datetime | None) -> dt.datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=dt.timezone.utc)

"""The contexts that sensor functions receive.

Called by the evaluation of ticks, and by tests through the builders.
"""

import copy as copy_module
import dataclasses
import logging
import weakref
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any, cast

from typing_extensions import Self

from atoll import errors
from atoll._definitions import definitions as all_definitions
from atoll._definitions import event_filters, events, keys, runs, webhook_sensors
from atoll._execution import logs, resource_scope, run_status_contexts
from atoll._execution import resources as resource_objects
from atoll._instance import instance as instances


@dataclasses.dataclass(frozen=True)
class TickSurroundings:
    """What a context shows of the tick around an evaluation.

    Attributes:
        sensor_name: The sensor.
        instance: The instance.
        cursor: The cursor that the last evaluation left.
        last_tick_completion_time: When the last evaluation completed, in seconds since 1970.
        last_run_key: The run key of the last run that the sensor requested.
        last_sensor_start_time: When the sensor was last started, in seconds since 1970.
        triggering_event: The materialization that makes an asset sensor due; None lets it look for
            the next one.
        log: The log of the tick.
        resources: The resources by key.
        close: Closes them, where the context has to.
        definitions: The definitions of the location, None where they are not known.
        start_event_id: What stands in the log up to here came before the sensor began.
        webhook_request: For a webhook sensor, the request that makes it due.
    """

    sensor_name: str
    instance: instances.Instance
    cursor: str | None = None
    last_tick_completion_time: float | None = None
    last_run_key: str | None = None
    last_sensor_start_time: float | None = None
    triggering_event: events.EventLogRecord | None = None
    log: logging.Logger | None = None
    resources: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    close: Callable[[], None] | None = None
    definitions: all_definitions.Definitions | None = None
    start_event_id: int = 0
    webhook_request: webhook_sensors.WebhookRequest | None = None


class SensorEvaluationContext:
    """What a sensor function knows of its tick.

    Args:
        surroundings: The tick.
    """

    def __init__(self, surroundings: TickSurroundings) -> None:
        self._around = surroundings
        self._cursor = surroundings.cursor
        self._cursor_updated = False
        self._log = surroundings.log or logs.to_handler(None)
        self._origin: SensorEvaluationContext | None = None
        # Resources of a context that a test built are closed at the end of a `with`, or with the
        # context; whoever evaluates ticks closes those of a tick.
        self._close = weakref.finalize(self, surroundings.close) if surroundings.close else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        if self._close is not None:
            self._close()

    @property
    def sensor_name(self) -> str:
        """The name of the sensor."""
        return self._around.sensor_name

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
    def cursor(self) -> str | None:
        """The cursor that the last evaluation left, or that this one has set."""
        return self._cursor

    @property
    def cursor_updated(self) -> bool:
        """Whether this evaluation has set the cursor."""
        return self._cursor_updated

    def update_cursor(self, cursor: str | None) -> None:
        """Set the cursor. It is kept only if the evaluation succeeds."""
        if cursor is not None and not isinstance(cursor, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvariantViolationError(
                f"A cursor is a string, got {cursor!r} of type {type(cursor).__name__}. Convert it "
                "with str or json.dumps."
            )
        self._cursor = cursor
        self._cursor_updated = True

    def update_cursor_after_evaluation(self) -> None:
        """Settle the cursor once the function has returned; here it is settled already."""

    @property
    def last_run_key(self) -> str | None:
        """The run key of the last run that the sensor requested."""
        return self._around.last_run_key

    @property
    def last_tick_completion_time(self) -> float | None:
        """When the last evaluation completed, in seconds since 1970."""
        return self._around.last_tick_completion_time

    @property
    def last_completion_time(self) -> float | None:
        """When the last evaluation completed, in seconds since 1970."""
        return self._around.last_tick_completion_time

    @property
    def last_sensor_start_time(self) -> float | None:
        """When the sensor was last started, in seconds since 1970."""
        return self._around.last_sensor_start_time

    @property
    def is_first_tick_since_sensor_start(self) -> bool:
        """Whether no evaluation has completed since the sensor was last started."""
        started, completed = self.last_sensor_start_time, self.last_tick_completion_time
        return completed is None or (started is not None and completed < started)

    @property
    def webhook_request(self) -> webhook_sensors.WebhookRequest | None:
        """What a webhook sensor is due for; None for other sensors."""
        return self._around.webhook_request

    @property
    def resources_by_key(self) -> Mapping[str, Any]:
        """The resources by key."""
        return self._around.resources

    @property
    def resources(self) -> resource_objects.Resources:
        """The resources, by attribute."""
        return resource_objects.Resources(
            self._around.resources, f"The sensor {self.sensor_name!r}"
        )

    def merge_resources(self, resources_dict: Mapping[str, Any]) -> Self:
        """Return a context of the same tick with other resources beside its own.

        Args:
            resources_dict: Objects by resource key; they come before those of this context.
        """
        merged = ChainMap(dict(resources_dict), cast("Any", self.resources_by_key))
        copy = copy_module.copy(self)
        around = dataclasses.replace(self._around, resources=merged)
        # What this context has made ready is closed with it: it lives as long as the copy.
        copy.__dict__.update(_around=around, _origin=self)
        return copy

    def next_materialization(
        self, asset_key: keys.AssetKey, after_id: int, *, newest: bool
    ) -> events.EventLogRecord | None:
        """Return the materialization that an asset sensor is to see.

        Args:
            asset_key: The asset.
            after_id: The position of the last one that it saw.
            newest: Whether only the newest counts.

        Returns:
            The one that made the tick due; or, where the tick has none, the next one in the log.
        """
        if self._around.triggering_event is not None:
            return self._around.triggering_event
        chosen = events.AssetRecordsFilter(asset_key, after_storage_id=after_id)
        found = self.instance.fetch_materializations(chosen, limit=1, ascending=not newest)
        return found.records[0] if found.records else None

    def next_run_change(
        self, event_type: events.EventType, after_id: int, watches: Callable[[runs.Run], bool]
    ) -> events.EventLogRecord | None:
        """Return the event that a sensor on the status of runs is to see.

        Args:
            event_type: The event that tells of the status.
            after_id: The position of the last one that it saw.
            watches: Tells whether the sensor watches a run; not asked of the event that made the
                tick due.

        Returns:
            The one that made the tick due; or, where the tick has none, the next one in the log.
        """
        if self._around.triggering_event is not None:
            return self._around.triggering_event
        while True:
            chosen = event_filters.RunStatusChangeRecordsFilter(
                event_type, after_storage_id=after_id
            )
            found = self.instance.fetch_run_status_changes(chosen, limit=1, ascending=True).records
            if not found:
                return None
            if watches(self._run_of(found[0])):
                return found[0]
            after_id = found[0].storage_id

    def run_status_context(
        self, record: events.EventLogRecord, sensor_name: str
    ) -> run_status_contexts.RunStatusSensorContext:
        """Return what the function of a sensor on the status of runs receives.

        Args:
            record: The event by which a run reached the status.
            sensor_name: The name of the sensor, which a context that a test built does not know.
        """
        event = record.event_log_entry.get_event()
        context = run_status_contexts.RunStatusSensorContext(
            sensor_name, self._run_of(record), event, self.instance, self
        )
        is_failure = event.event_type is events.EventType.RUN_FAILURE
        return context.for_run_failure() if is_failure else context

    def _run_of(self, record: events.EventLogRecord) -> runs.Run:
        run = self.instance.get_run_by_id(record.run_id)
        if run is not None:
            return run
        # Its record is not kept any more, its event is.
        job_name = record.event_log_entry.job_name or ""
        return runs.Run(job_name=job_name, run_id=record.run_id)


def build_sensor_context(  # noqa: PLR0913 - the field's signature
    instance: instances.Instance | None = None,
    cursor: str | None = None,
    *,
    sensor_name: str | None = None,
    resources: Mapping[str, Any] | None = None,
    definitions: all_definitions.Definitions | None = None,
    last_sensor_start_time: float | None = None,
    webhook_request: webhook_sensors.WebhookRequest | None = None,
) -> SensorEvaluationContext:
    """Make a context with which a test calls or evaluates a sensor.

    Args:
        instance: The instance; an ephemeral one where not given.
        cursor: The cursor that the last evaluation left.
        sensor_name: The name of the sensor.
        resources: Objects or definitions by resource key, made ready when they are first used.
        definitions: The definitions, for their resources.
        last_sensor_start_time: When the sensor was last started.
        webhook_request: What a webhook sensor is due for.

    Returns:
        The context. Use it in a `with` where its resources have to be closed at once.
    """
    around = surroundings_for_test(
        instance, cursor, sensor_name, resources, definitions, last_sensor_start_time
    )
    return SensorEvaluationContext(dataclasses.replace(around, webhook_request=webhook_request))


def surroundings_for_test(
    instance: instances.Instance | None,
    cursor: str | None,
    sensor_name: str | None,
    resources: Mapping[str, Any] | None,
    definitions: all_definitions.Definitions | None,
    last_sensor_start_time: float | None,
) -> TickSurroundings:
    """Make the surroundings of a context that a test builds."""
    own: Mapping[str, Any] = definitions.resources if definitions is not None else {}
    objects = {**own, **(resources or {})}
    used = instance if instance is not None else instances.Instance.ephemeral()
    around = resource_scope.Surroundings(used, None, logs.to_handler(None), "The context")
    scope = resource_scope.Scope(objects, None, around) if objects else None
    return TickSurroundings(
        sensor_name=sensor_name or "",
        instance=used,
        cursor=cursor,
        last_sensor_start_time=last_sensor_start_time,
        resources={} if scope is None else resource_scope.Opening(objects, scope),
        close=None if scope is None else scope.close,
        definitions=definitions,
    )

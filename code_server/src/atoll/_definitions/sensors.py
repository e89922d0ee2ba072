"""Sensors: functions that decide, by the clock or by materializations, which runs to ask for.

Called by users through the decorators and by whoever evaluates ticks. The contexts that the
functions receive are made by the layer above; this module knows them only as far as `TickContext`
says.
"""

import enum
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from atoll import errors
from atoll._definitions import (
    asset_events,
    asset_selection,
    events,
    keys,
    parameters,
    run_requests,
    runs,
    sources,
    start_positions,
    tick_targets,
    ticks,
)
from atoll._definitions import metadata as metadata_values

if TYPE_CHECKING:
    import logging

DEFAULT_MINIMUM_INTERVAL_S = 30.0
SensorFunction: TypeAlias = Callable[..., Any]
JobTarget: TypeAlias = tick_targets.JobTarget
SensorTarget: TypeAlias = (
    JobTarget | asset_selection.CoercibleToAssetSelection | Sequence[JobTarget]
)


class DefaultSensorStatus(str, enum.Enum):
    """Whether a sensor is evaluated until somebody starts or stops it."""

    RUNNING = "RUNNING"
    STOPPED = "STOPPED"


class SensorType(str, enum.Enum):
    """What makes a sensor due."""

    STANDARD = "STANDARD"
    ASSET = "ASSET"
    MULTI_ASSET = "MULTI_ASSET"
    RUN_STATUS = "RUN_STATUS"
    WEBHOOK = "WEBHOOK"
    AUTOMATION = "AUTOMATION"


class TickContext(Protocol):
    """What a sensor needs of the context of an evaluation."""

    @property
    def cursor(self) -> str | None:
        """The cursor."""
        ...

    @property
    def cursor_updated(self) -> bool:
        """Whether the function set the cursor."""
        ...

    @property
    def log(self) -> "logging.Logger":
        """The log of the tick."""
        ...

    @property
    def resources_by_key(self) -> Mapping[str, Any]:
        """The resources by key."""
        ...

    @property
    def instance(self) -> Any:
        """Answers questions about assets and runs."""
        ...

    @property
    def definitions(self) -> Any:
        """The definitions of the location, None where they are not known."""
        ...

    def update_cursor_after_evaluation(self) -> None:
        """Settle the cursor once the function has returned."""
        ...

    def next_materialization(
        self, asset_key: keys.AssetKey, after_id: int, *, newest: bool
    ) -> events.EventLogRecord | None:
        """Return the materialization that an asset sensor is to see."""
        ...

    @property
    def webhook_request(self) -> Any:
        """What a webhook sensor is due for; None where there is nothing."""
        ...

    def next_run_change(
        self, event_type: events.EventType, after_id: int, watches: Callable[[runs.Run], bool]
    ) -> events.EventLogRecord | None:
        """Return the event that a sensor on the status of runs is to see."""
        ...

    def run_status_context(self, record: events.EventLogRecord, sensor_name: str) -> Any:
        """Return what the function of a sensor on the status of runs receives."""
        ...


class SensorDefinition:
    """A sensor that is due by the clock. Made by `sensor`; called directly, it calls the function.

    Args:
        name: The name of the sensor; the function's where not given.
        evaluation_fn: The function.
        job_name: The job that the sensor asks for.
        minimum_interval_seconds: The least time between two evaluations.
        description: What the sensor is for.
        job: The job that the sensor asks for.
        jobs: The jobs that the sensor may ask for; one of another location as "location/job".
        default_status: Whether it is evaluated until somebody starts or stops it.
        asset_selection: The assets that the sensor may ask for directly.
        required_resource_keys: The resources that the function needs.
        tags: Labels.
        metadata: What to attach to the definition.
        target: The job, the jobs or the assets that the sensor may ask for.
        owners: Who answers for the sensor.
    """

    sensor_type = SensorType.STANDARD
    start_at: start_positions.StartAt | None = None
    _arguments_max = 1

    def __init__(
        self,
        name: str | None = None,
        *,
        evaluation_fn: SensorFunction,
        job_name: str | None = None,
        minimum_interval_seconds: float | None = None,
        description: str | None = None,
        job: JobTarget | None = None,
        jobs: Sequence[JobTarget | str] | None = None,
        default_status: DefaultSensorStatus = DefaultSensorStatus.STOPPED,
        asset_selection: asset_selection.CoercibleToAssetSelection | None = None,
        required_resource_keys: set[str] | None = None,
        tags: Mapping[str, str] | None = None,
        metadata: metadata_values.RawMetadataMapping | None = None,
        target: SensorTarget | None = None,
        owners: Sequence[str] | None = None,
    ) -> None:
        self.name: str = name or str(getattr(evaluation_fn, "__name__", ""))
        targets = [job_name, job, jobs, target]
        if sum(one is not None for one in targets) > 1 or (
            target is not None and asset_selection is not None
        ):
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} names its targets twice. Give one of job_name, job, "
                "jobs and target."
            )
        _check_interval(self.name, minimum_interval_seconds)
        target_jobs, target_assets = tick_targets.split(target)
        self._function = evaluation_fn
        given = [job] if job is not None else jobs or target_jobs
        self.jobs: tuple[JobTarget, ...] = tuple(one for one in given if not isinstance(one, str))
        names = [job_name] if job_name is not None else [_job_name(self.name, one) for one in given]
        self.job_names: tuple[str, ...] = tuple(names)
        chosen = target_assets if asset_selection is None else asset_selection
        self.asset_selection = None if chosen is None else _selection_of(chosen)
        self.minimum_interval_seconds = minimum_interval_seconds
        self.description = description or (
            inspect.cleandoc(evaluation_fn.__doc__) if evaluation_fn.__doc__ else None
        )
        self.default_status = _status_of(self.name, default_status)
        read = parameters.read(
            evaluation_fn, f"The sensor {self.name!r}", has_context=False, has_config=False
        )
        if read.takes_any_keyword:
            raise errors.InvalidDefinitionError(
                f"The function of the sensor {self.name!r} takes any keyword. Name its parameters "
                "one by one."
            )
        self._resource_parameters = read.resources
        self._free_parameters = tuple(one.name for one in read.inputs)
        self.required_resource_keys: frozenset[str] = frozenset(
            (*(required_resource_keys or ()), *read.resources.values())
        )
        self.tags = asset_events.checked_tags(tags)
        self.metadata = metadata_values.normalize(metadata)
        self.owners = tuple(owners or ())
        self.source = sources.of_function(evaluation_fn)

    @property
    def job_name(self) -> str | None:
        """The job that the sensor asks for, None where it has none or several."""
        return self.job_names[0] if len(self.job_names) == 1 else None

    @property
    def job(self) -> JobTarget:
        """The job that the sensor asks for.

        Raises:
            InvalidDefinitionError: It names none, several, or only the name of one.
        """
        if len(self.jobs) != 1:
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} has {len(self.jobs)} jobs as targets, not one. Use jobs "
                "or job_names."
            )
        return self.jobs[0]

    @property
    def monitored_assets(self) -> Sequence[keys.AssetKey]:
        """The assets that the sensor watches."""
        return ()

    @property
    def coalesce(self) -> bool:
        """Whether the sensor sees only the newest of several waiting materializations."""
        return False

    @property
    def effective_minimum_interval_s(self) -> float:
        """The least time between two evaluations; 0 means that nothing limits their rate."""
        if self.minimum_interval_seconds is not None:
            return float(self.minimum_interval_seconds)
        return DEFAULT_MINIMUM_INTERVAL_S if self.sensor_type is SensorType.STANDARD else 0.0

    def unknown_parameters(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return the parameters of the function that nothing is known to give to.

        Args:
            resource_keys: The resources that there are.
        """
        free = [name for name in self._free_parameters if name not in resource_keys]
        return free[self._arguments_max :]

    def used_resource_keys(self, resource_keys: Collection[str]) -> Sequence[str]:
        """Return the resources that an evaluation needs.

        Args:
            resource_keys: The resources that there are. A parameter called like one of them
                receives it, also where it is not annotated.
        """
        if not self.required_resource_keys and not resource_keys:
            return ()
        named = (name for name in self._free_parameters if name in resource_keys)
        return (*self.required_resource_keys, *named)

    def evaluate_tick(self, context: TickContext) -> ticks.TickResult:
        """Evaluate the sensor once.

        Args:
            context: The context; in tests, from `build_sensor_context`.

        Returns:
            What the sensor decided.

        Raises:
            UserCodeExecutionError: The function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        return self._decided(context, (context,))

    def _decided(self, context: TickContext, positional: tuple[Any, ...]) -> ticks.TickResult:
        """Call the function of a sensor that keeps a cursor of its own."""
        result = self._evaluate(context, positional)
        if result.cursor is not None and context.cursor_updated:
            raise errors.InvariantViolationError(
                f"The sensor {self.name!r} set its cursor both by context.update_cursor and by "
                "SensorResult. Use one."
            )
        cursor = result.cursor if result.cursor is not None else context.cursor
        return self._tick_result(context, result, cursor)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function directly, as tests do.

        Args:
            args: The context and what else the function takes.
            kwargs: The same by name. Resources that are not among them come from the context.
        """
        given = dict(kwargs)
        if self._resource_parameters:
            offered = self._offered((*args, *kwargs.values()))
            positional = tuple(inspect.signature(self._function).parameters)[: len(args)]
            for name, key in self._resource_parameters.items():
                if name not in given and name not in positional and offered is not None:
                    given[name] = self._resource(offered, key)
        return self._function(*args, **given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _offered(self, arguments: Sequence[Any]) -> Mapping[str, Any] | None:
        """Return the resources of the context among the arguments of a direct call, if any."""
        for one in arguments:
            offered = getattr(one, "resources_by_key", None)
            if isinstance(offered, Mapping):
                return cast("Mapping[str, Any]", offered)
        return None

    def _resource(self, offered: Mapping[str, Any], key: str) -> Any:
        if key not in offered:
            raise errors.UnknownResourceError(
                f"The sensor {self.name!r} requires the resource {key!r}, which nobody provides. "
                f"Give Definitions(resources={{{key!r}: ...}}), or in a test "
                f"build_sensor_context(resources={{{key!r}: ...}}).",
                key,
            )
        return offered[key]

    def _evaluate(
        self, context: TickContext, positional: tuple[Any, ...]
    ) -> run_requests.SensorResult:
        offered = context.resources_by_key
        resources = {
            name: self._resource(offered, key) for name, key in self._resource_parameters.items()
        }
        named = {name: offered[name] for name in self._free_parameters if name in offered}
        free = [name for name in self._free_parameters if name not in named]
        resources.update(named)
        arguments = self._arguments(free, positional)
        with ticks.user_code(self.name):
            returned = self._function(*arguments, **resources)
        return ticks.collect(self.name, returned)

    def _arguments(self, free: Sequence[str], positional: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(free) > len(positional):
            raise errors.InvalidDefinitionError(
                f"The function of the sensor {self.name!r} takes {', '.join(free)}; it is given "
                f"{len(positional)} argument(s), and no resource is called {free[-1]!r}."
            )
        return positional[: len(free)]

    def _log_position(self, cursor: str | None) -> int:
        if not cursor:
            return 0
        if not cursor.isdigit():
            raise errors.InvariantViolationError(
                f"The cursor of the sensor {self.name!r} is {cursor!r}, which is no position in "
                "the log. Reset it."
            )
        return int(cursor)

    def _tick_result(
        self, context: TickContext, result: run_requests.SensorResult, cursor: str | None
    ) -> ticks.TickResult:
        targets = tick_targets.Targets(
            f"The sensor {self.name!r}",
            self.job_names,
            self.jobs,
            self.asset_selection,
        )
        tag = (run_requests.SENSOR_NAME_TAG, self.name)
        changes = result.dynamic_partitions_requests
        requests = tuple(
            targets.completed(one, context, tag, changes) for one in result.run_requests
        )
        reason: str | None = None
        if not requests:
            given = result.skip_reason.skip_message if result.skip_reason is not None else None
            reason = given or ticks.EMPTY_RESULT_MESSAGE
        return ticks.TickResult(requests, reason, cursor, result.asset_events, changes)


_selection_of = asset_selection.AssetSelection.from_coercible


class AssetSensorDefinition(SensorDefinition):
    """A sensor that sees each materialization of one asset, in order, exactly once.

    Args:
        name: The name of the sensor.
        asset_key: The asset that it watches, of any location.
        job_name: The job that the sensor asks for.
        asset_materialization_fn: The function.
        coalesce: Whether it sees only the newest of several waiting materializations.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.
        options: As `SensorDefinition` takes them.
    """

    sensor_type = SensorType.ASSET
    _arguments_max = 2

    def __init__(
        self,
        name: str | None,
        asset_key: keys.CoercibleToAssetKey,
        job_name: str | None,
        asset_materialization_fn: SensorFunction,
        *,
        coalesce: bool = False,
        start_at: start_positions.StartAt | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, evaluation_fn=asset_materialization_fn, job_name=job_name, **options)
        self.asset_key = keys.AssetKey.from_coercible(asset_key)
        self.start_at = start_positions.checked(f"The sensor {self.name!r}", start_at)
        self._coalesce = coalesce

    @property
    def monitored_assets(self) -> Sequence[keys.AssetKey]:
        """The assets that the sensor watches."""
        return (self.asset_key,)

    @property
    def coalesce(self) -> bool:
        """Whether the sensor sees only the newest of several waiting materializations."""
        return self._coalesce

    def evaluate_tick(self, context: TickContext) -> ticks.TickResult:
        """Evaluate the sensor for the next materialization, or say that there is none.

        Args:
            context: The context; in tests, from `build_sensor_context`.

        Returns:
            What the sensor decided. The cursor is the position of the materialization in the log.

        Raises:
            UserCodeExecutionError: The function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        record = context.next_materialization(
            self.asset_key, self._log_position(context.cursor), newest=self._coalesce
        )
        if record is None:
            message = f"No new materialization events found for asset key {self.asset_key}"
            return ticks.TickResult(skip_message=message, cursor=context.cursor)
        result = self._evaluate(context, (context, record.event_log_entry))
        if result.cursor is not None:
            raise errors.InvariantViolationError(
                f"The asset sensor {self.name!r} returned the cursor {result.cursor!r}. "
                "The cursor of an asset sensor is the position of the materialization; leave it "
                "out."
            )
        if context.cursor_updated:
            context.log.warning(
                "The cursor of an asset sensor is the position of the materialization; what "
                "update_cursor set is not kept."
            )
        return self._tick_result(context, result, str(record.storage_id))

    def _arguments(self, free: Sequence[str], positional: tuple[Any, ...]) -> tuple[Any, ...]:
        # A function with one parameter may want either; the name tells.
        if len(free) == 1 and "event" in free[0] and "context" not in free[0]:
            return positional[1:]
        return super()._arguments(free, positional)


class MultiAssetSensorDefinition(SensorDefinition):
    """A sensor that is due when any of several assets was materialized.

    Args:
        name: The name of the sensor.
        monitored_assets: The assets that it watches, of any location.
        job_name: The job that the sensor asks for.
        asset_materialization_fn: The function.
        request_assets: The assets that the sensor may ask for directly.
        start_at: Where it begins in the log when it is first seen: "latest", "earliest", or a time.
        options: As `SensorDefinition` takes them.
    """

    sensor_type = SensorType.MULTI_ASSET

    def __init__(
        self,
        name: str | None,
        monitored_assets: Sequence[keys.CoercibleToAssetKey],
        job_name: str | None,
        asset_materialization_fn: SensorFunction,
        *,
        request_assets: asset_selection.CoercibleToAssetSelection | None = None,
        start_at: start_positions.StartAt | None = None,
        **options: Any,
    ) -> None:
        if request_assets is not None:
            options["asset_selection"] = request_assets
        super().__init__(name, evaluation_fn=asset_materialization_fn, job_name=job_name, **options)
        self.start_at = start_positions.checked(f"The sensor {self.name!r}", start_at)
        if isinstance(monitored_assets, (str, asset_selection.AssetSelection)):
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} watches {monitored_assets!r}. Give a list of asset keys."
            )
        self._monitored = tuple(
            dict.fromkeys(keys.AssetKey.from_coercible(key) for key in monitored_assets)
        )
        if not self._monitored:
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} watches no asset. Name at least one."
            )

    @property
    def monitored_assets(self) -> Sequence[keys.AssetKey]:
        """The assets that the sensor watches."""
        return self._monitored

    def evaluate_tick(self, context: TickContext) -> ticks.TickResult:
        """Evaluate the sensor once.

        Args:
            context: The context; in tests, from `build_multi_asset_sensor_context`.

        Returns:
            What the sensor decided. The cursor says which materializations it has consumed.

        Raises:
            UserCodeExecutionError: The function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        result = self._evaluate(context, (context,))
        if result.cursor is not None:
            raise errors.InvariantViolationError(
                f"The sensor {self.name!r} returned the cursor {result.cursor!r}. A multi-asset "
                "sensor moves its cursor "
                "by context.advance_cursor or context.advance_all_cursors."
            )
        if result.run_requests and not context.cursor_updated:
            context.log.warning(
                "Runs were asked for but the cursor stays: the same materializations will be seen "
                "again. "
                "Call context.advance_cursor or context.advance_all_cursors."
            )
        context.update_cursor_after_evaluation()
        return self._tick_result(context, result, context.cursor)


def _check_interval(sensor_name: str, interval: object) -> None:
    if interval is None or (isinstance(interval, (int, float)) and interval > 0):
        return
    raise errors.InvalidDefinitionError(
        f"The minimum interval of the sensor {sensor_name!r} is a positive number of seconds, "
        f"got {interval!r}."
    )


def _status_of(sensor_name: str, status: DefaultSensorStatus) -> DefaultSensorStatus:
    try:
        return DefaultSensorStatus(status)
    except ValueError:
        raise errors.InvalidDefinitionError(
            f"The default status of the sensor {sensor_name!r} is {status!r}. Give "
            "DefaultSensorStatus.RUNNING or DefaultSensorStatus.STOPPED."
        ) from None


def _job_name(sensor_name: str, target: JobTarget | str) -> str:
    if not isinstance(target, str):
        return target.name
    if "/" not in target:
        raise errors.InvalidDefinitionError(
            f"The sensor {sensor_name!r} names the job {target!r} by a string. Give the job "
            'itself, or for a job of another location "location/job".'
        )
    return target

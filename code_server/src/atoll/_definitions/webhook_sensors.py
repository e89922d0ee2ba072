"""Sensors that are due for each authenticated HTTP request to their address.

Called by users through the decorator and by whoever evaluates ticks.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_selection as asset_selections
from atoll._definitions import metadata as metadata_values
from atoll._definitions import sensors, ticks

if TYPE_CHECKING:
    import datetime as dt

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class WebhookRequest(records.Record):
    """One authenticated HTTP request to the address of a sensor.

    Attributes:
        body: What was sent.
        headers: The headers with lower-case names, without those that hold credentials.
        delivery_id: Tells deliveries apart; whoever repeats one gives the same.
        receive_time: When the host received it; None where a test made it.
    """

    body: bytes
    headers: Mapping[str, str]
    delivery_id: str
    receive_time: "dt.datetime | None"

    def __init__(
        self,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        delivery_id: str = "",
        receive_time: "dt.datetime | None" = None,
    ) -> None:
        if not isinstance(body, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvalidInvocationError(
                f"The body of a webhook request is bytes, got {type(body).__name__}. Encode it."
            )
        assign = object.__setattr__
        assign(self, "body", body)
        lowered = {name.lower(): value for name, value in (headers or _NO_HEADERS).items()}
        assign(self, "headers", MappingProxyType(lowered))
        assign(self, "delivery_id", delivery_id)
        assign(self, "receive_time", receive_time)

    @property
    def text(self) -> str:
        """The body as text.

        Raises:
            UnicodeDecodeError: It is not UTF-8.
        """
        return self.body.decode()

    @property
    def content_type(self) -> str:
        """What the sender says the body is, without parameters; empty where it says nothing."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)


class WebhookSensorDefinition(sensors.SensorDefinition):
    """A sensor that sees each delivery to its address, in order, exactly once.

    Made by `webhook_sensor`; called directly, it calls the function. What other sensors take as
    options, it takes too.

    Args:
        name: The name of the sensor, which is the last part of its address.
        webhook_fn: The function.
        options: As `SensorDefinition` takes them.
    """

    sensor_type = sensors.SensorType.WEBHOOK
    _arguments_max = 2

    def __init__(
        self, name: str | None, webhook_fn: sensors.SensorFunction, **options: Any
    ) -> None:
        super().__init__(name, evaluation_fn=webhook_fn, **options)
        if "/" in self.name or not self.name.isprintable():
            raise errors.InvalidDefinitionError(
                f"The sensor {self.name!r} cannot be part of an address. Give it a name without "
                "slashes and control characters."
            )

    def evaluate_tick(self, context: sensors.TickContext) -> ticks.TickResult:
        """Evaluate the sensor for the delivery of the tick, or say that there is none.

        Args:
            context: The context; in tests, from `build_sensor_context(webhook_request=...)`.

        Returns:
            What the sensor decided.

        Raises:
            UserCodeExecutionError: The function raised.
            InvariantViolationError: What it returned makes no sense.
        """
        request = context.webhook_request
        if request is None:
            return ticks.TickResult(skip_message="No delivery waits.", cursor=context.cursor)
        return self._decided(context, (context, request))

    def _arguments(self, free: Sequence[str], positional: tuple[Any, ...]) -> tuple[Any, ...]:
        # A function with one parameter may want either; the name tells.
        if len(free) == 1 and "request" in free[0] and "context" not in free[0]:
            return positional[1:]
        return super()._arguments(free, positional)


def webhook_sensor(
    *,
    name: str | None = None,
    job_name: str | None = None,
    job: sensors.JobTarget | None = None,
    jobs: Sequence[sensors.JobTarget | str] | None = None,
    target: sensors.SensorTarget | None = None,
    asset_selection: asset_selections.CoercibleToAssetSelection | None = None,
    minimum_interval_seconds: float | None = None,
    description: str | None = None,
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    required_resource_keys: set[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: metadata_values.RawMetadataMapping | None = None,
    owners: Sequence[str] | None = None,
) -> Callable[[sensors.SensorFunction], WebhookSensorDefinition]:
    """Make a sensor that sees each authenticated HTTP request to its address, in order, once.

    The address is `/webhooks/<location>/<sensor>` where the host listens for webhooks; requests
    are signed with the secret that `atoll sensors webhook-secret` makes.

    Args:
        name: The name of the sensor; the function's where not given.
        job_name: The name of the job that the sensor asks for.
        job: The job that the sensor asks for.
        jobs: The jobs that the sensor may ask for; one of another location as "location/job".
        target: The job, the jobs or the assets that the sensor may ask for.
        asset_selection: The assets that the sensor may ask for directly.
        minimum_interval_seconds: The least time between two evaluations; nothing limits it where
            not given.
        description: What the sensor is for; the function's docstring where not given.
        default_status: Whether it is evaluated until somebody starts or stops it. Deliveries wait
            for one that is stopped.
        required_resource_keys: The resources that the function takes from `context.resources`.
        tags: Labels.
        metadata: What to attach to the definition.
        owners: Who answers for the sensor.

    Returns:
        A decorator that makes the sensor. The function takes any of context, `WebhookRequest` and
        resources.
    """

    def decorate(function: sensors.SensorFunction) -> WebhookSensorDefinition:
        return WebhookSensorDefinition(
            name,
            function,
            job_name=job_name,
            job=job,
            jobs=jobs,
            target=target,
            asset_selection=asset_selection,
            minimum_interval_seconds=minimum_interval_seconds,
            description=description,
            default_status=default_status,
            required_resource_keys=required_resource_keys,
            tags=tags,
            metadata=metadata,
            owners=owners,
        )

    return decorate

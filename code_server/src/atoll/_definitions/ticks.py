"""What one evaluation of a sensor comes to.

Called by sensor definitions. Turns whatever a sensor function returned or yielded into one
`TickResult`, or says why it makes no sense.
"""

import contextlib
from collections.abc import Generator, Iterable, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import run_requests as requests_of_sensors
from atoll._partitions import dynamic_requests

EMPTY_RESULT_MESSAGE = "Sensor function returned an empty result"


class TickResult(records.Record):
    """What one evaluation of a sensor decided.

    Attributes:
        run_requests: The runs that the sensor asks for, each with the name of its job and its tags.
        skip_message: Why it asks for nothing; None where it asks for runs.
        cursor: The cursor after the evaluation, the same as before where the sensor left it alone.
        asset_events: Materializations and observations that the sensor reports.
        dynamic_partitions_requests: Changes of dynamic partitions, in order.
    """

    run_requests: Sequence[requests_of_sensors.RunRequest] = ()
    skip_message: str | None = None
    cursor: str | None = None
    asset_events: Sequence[requests_of_sensors.AssetEvent] = ()
    dynamic_partitions_requests: Sequence[dynamic_requests.DynamicPartitionsRequest] = ()

    @property
    def skip_reason(self) -> str | None:
        """Why the sensor asks for nothing; None where it asks for runs."""
        return self.skip_message


@contextlib.contextmanager
def user_code(sensor_name: str) -> Generator[None, None, None]:
    """Turn what a sensor function raises into a `UserCodeExecutionError`."""
    try:
        yield
    except Exception as error:
        raise errors.UserCodeExecutionError(
            f"The sensor {sensor_name!r} raised {type(error).__name__}: {error}"
        ) from error


def collect(sensor_name: str, returned: Any) -> requests_of_sensors.SensorResult:
    """Turn what a sensor function returned into one result.

    Args:
        sensor_name: The sensor, for errors.
        returned: A run request, a skip reason, a result, a list of run requests, a generator, or
            None.

    Returns:
        One result.

    Raises:
        UserCodeExecutionError: The generator raised.
        InvariantViolationError: The combination makes no sense.
    """
    with user_code(sensor_name):
        items = listed(returned, _ALLOWED)
    for item in items:
        if not isinstance(item, _ALLOWED):
            raise errors.InvariantViolationError(
                f"The sensor {sensor_name!r} gave {item!r} of type {type(item).__name__}. "
                "Give RunRequest, SkipReason, SensorResult, a list of RunRequests, or None."
            )
    results = [item for item in items if isinstance(item, requests_of_sensors.SensorResult)]
    if results:
        if len(items) > 1:
            raise errors.InvariantViolationError(
                f"The sensor {sensor_name!r} gave a SensorResult and {len(items) - 1} more. "
                "A SensorResult has to be alone: put everything into it."
            )
        return results[0]
    requests = [item for item in items if isinstance(item, requests_of_sensors.RunRequest)]
    skips = [item for item in items if isinstance(item, requests_of_sensors.SkipReason)]
    if requests and skips:
        raise errors.InvariantViolationError(
            f"The sensor {sensor_name!r} gave both RunRequest and SkipReason. Give one or the "
            "other."
        )
    if len(skips) > 1:
        raise errors.InvariantViolationError(
            f"The sensor {sensor_name!r} gave {len(skips)} skip reasons. Give one."
        )
    return requests_of_sensors.SensorResult(requests, skips[0] if skips else None)


_ALLOWED = (
    requests_of_sensors.RunRequest,
    requests_of_sensors.SkipReason,
    requests_of_sensors.SensorResult,
)


def listed(returned: Any, single: tuple[type[Any], ...]) -> list[Any]:
    """Return what a function returned or yielded, one by one; nothing is left out but None.

    Args:
        returned: What it returned, or a generator.
        single: What is one thing, though it may be iterable.
    """
    if returned is None:
        return []
    if isinstance(returned, (*single, str, bytes)) or not isinstance(returned, Iterable):
        return [returned]
    flat: list[Any] = []
    for item in returned:  # pyright: ignore[reportUnknownVariableType]
        # A generator may yield a list of run requests as well.
        if isinstance(item, (list, tuple)):
            flat += item
        elif item is not None:
            flat.append(item)
    return flat

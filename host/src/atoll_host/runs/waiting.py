"""Says in words why a run waits. Pure; called by the API for each run that it shows."""

from collections.abc import Mapping

from atoll.events.v1 import events_pb2
from atoll_host.locations import registry as registries
from atoll_storage import records


def reason(
    run: records.RunRecord,
    view: registries.LocationView | None,
    active_counts: Mapping[str, int],
    limits: records.ClaimLimits,
) -> str:
    """Return why a run has not begun, empty for one that does not wait.

    Args:
        run: The run.
        view: Its location, None where none of that name ever registered.
        active_counts: How many runs are active, by location.
        limits: How many may be.
    """
    name = run.location_name
    if run.status is records.RunStatus.STARTING:
        return f"Handed to location {name!r}; its worker has not reported yet."
    if run.status is not records.RunStatus.QUEUED:
        return ""
    obstacle = _obstacle(name, view)
    if obstacle:
        return obstacle
    if active_counts.get(name, 0) >= limits.active_per_location_max:
        return (
            f"Location {name!r} has reached its limit of {limits.active_per_location_max} runs at "
            "once."
        )
    if sum(active_counts.values()) >= limits.active_max:
        return f"The host has reached its limit of {limits.active_max} runs at once."
    return f"About to be handed to location {name!r}."


def _obstacle(name: str, view: registries.LocationView | None) -> str:
    if view is None:
        return f"No code location named {name!r} ever registered."
    if view.state == events_pb2.LOCATION_STATE_UNREACHABLE:
        return f"Location {name!r} is away; the run begins when its code server is back."
    if view.state == events_pb2.LOCATION_STATE_LOADING:
        return f"Location {name!r} still loads its code; the run begins when it has."
    if view.state == events_pb2.LOCATION_STATE_FAILED:
        return f"The code of location {name!r} does not load; the run begins when it does."
    if view.server.draining:
        return f"Location {name!r} drains; the run begins when another code server serves it."
    return ""

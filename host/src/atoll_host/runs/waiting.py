"""Says in words why a run waits. Pure; called by the API for each run that it shows."""

from atoll.events.v1 import events_pb2
from atoll_host.locations import registry as registries
from atoll_storage import claiming, records


def reason(
    run: records.RunRecord, view: registries.LocationView | None, counts: claiming.Counts
) -> str:
    """Return why a run has not begun, empty for one that does not wait.

    Args:
        run: The run.
        view: Its location, None where none of that name ever registered.
        counts: How many runs are active, and how many may be.
    """
    name = run.location_name
    if run.status is records.RunStatus.STARTING:
        return f"Handed to location {name!r}; its worker has not reported yet."
    if run.status is not records.RunStatus.QUEUED:
        return ""
    held_up = _obstacle(name, view) or _full(run, counts)
    return held_up or f"About to be handed to location {name!r}."


def _full(run: records.RunRecord, counts: claiming.Counts) -> str:
    """Return which limit has no room for a run, empty for none."""
    name = run.location_name
    in_location = counts.limits.in_location(name)
    if counts.by_location[name] >= in_location:
        return f"Location {name!r} has reached its limit of {_runs(in_location)} at once."
    full = counts.full(claiming.like(run))
    if full is not None:
        return f"The limit for {full.subject} is reached: {_runs(full.count)} at once."
    if counts.room() == 0:
        return f"The host has reached its limit of {_runs(counts.limits.active_max)} at once."
    return ""


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


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

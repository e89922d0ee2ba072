"""What must be so of sensors on runs, whatever was killed: each run is decided on once."""

import collections

from tests.chaos import evidence

BODIES = {status: body for body, status in evidence.FINAL_BODIES.items()}


def violations(found: evidence.Evidence, sensor: str, location: str, status: str) -> list[str]:
    """Say what is wrong.

    Args:
        found: What the database holds.
        sensor: The sensor.
        location: The location whose runs it sees.
        status: The status that it sees them reach.
    """
    ticks = [
        tick
        for tick in found.ticks
        if tick.sensor_name == sensor and tick.status != evidence.FAILED_TICK
    ]
    decided = collections.Counter(tick.triggering_run_id for tick in ticks)
    wanted = {
        run_id: found.firsts.get((run_id, BODIES[status]))
        for run_id, run in found.runs.items()
        if run.location == location and run.status == status
    }
    wrong = [
        f"{sensor} decided {decided[run_id]} times on run {run_id}"
        for run_id in wanted
        if decided[run_id] != 1
    ]
    wrong += [
        f"{sensor} decided on run {run_id}, which it does not watch"
        for run_id in decided
        if run_id not in wanted
    ]
    wrong += [
        f"{sensor} decided on run {tick.triggering_run_id} at event {tick.event_id}"
        for tick in ticks
        if wanted.get(tick.triggering_run_id, tick.event_id) != tick.event_id
    ]
    return wrong

"""What must be so of an eager automation condition on partitions, whatever was killed.

The position of a request in the log is what its evaluation had taken into account. So between two
requests for a partition, by their positions, there must be an update of what it depends on; and
nothing must be left that is newer than the last request, or than what the target itself became.
"""

import collections
from collections.abc import Iterator

from tests.chaos import evidence

TAG = "atoll/automation_condition"
KEPT = 100
"""So many evaluations of a target are kept."""


def violations(found: evidence.Evidence, sensor: str, upstream: str, target: str) -> list[str]:
    """Say what is wrong.

    Args:
        found: What the database holds.
        sensor: The sensor that evaluates the target.
        upstream: The asset that the target depends on.
        target: The asset with the condition.
    """
    runs = {
        run_id: run
        for run_id, run in found.runs.items()
        if run.tags.get(TAG) == "true" and not run.parent
    }
    ticks = [tick for tick in found.ticks if tick.sensor_name == sensor]
    named = collections.Counter(run_id for tick in ticks for run_id in tick.run_ids)
    wrong = [f"the request of {each} waits" for each in found.held]
    wrong += [
        f"run {run_id} was requested by {named[run_id]} ticks"
        for run_id in runs
        if named[run_id] != 1
    ]
    wrong += [
        f"a tick names run {run_id}, which no condition requested"
        for run_id in named
        if run_id not in runs
    ]
    wrong += [
        f"tick {tick.tick_id} says of run {run_id} what the run does not say"
        for tick in ticks
        for run_id in tick.run_ids
        if run_id in runs and runs[run_id].tags.get("atoll/tick") != tick.tick_id
    ]
    wrong += [
        f"run {run_id} of the condition is for {list(run.assets)} of location {run.location}"
        for run_id, run in runs.items()
        if list(run.assets) != [target] or run.tags.get("atoll/sensor_name") != sensor
    ]
    positions, differing = _positions(found, runs, target)
    return [*wrong, *differing, *_requests(found, runs, positions, upstream, target)]


def _positions(
    found: evidence.Evidence, runs: dict[str, evidence.Run], target: str
) -> tuple[dict[str, int], list[str]]:
    """Return what the evaluation of each run knew of the log, and where the two differ."""
    kept = [each for each in found.evaluations if evidence.name_of(each.entity.asset) == target]
    of_runs: dict[str, int] = {}
    wrong = []
    for each in kept:
        if each.requested.count != len(each.run_ids):
            wrong.append(
                f"evaluation {each.evaluation_id} requested {each.requested.count} partitions in "
                f"{len(each.run_ids)} runs"
            )
        for run_id in each.run_ids:
            if run_id in of_runs:
                wrong.append(f"run {run_id} is of two evaluations")
            if run_id not in runs or runs[run_id].tags.get("atoll/tick") != each.tick_id:
                wrong.append(f"evaluation {each.evaluation_id} has no run {run_id}")
            of_runs[run_id] = each.event_id
    for run_id in runs:
        if run_id not in of_runs and len(kept) < KEPT:
            wrong.append(f"run {run_id} is of no evaluation")
        # Of one that is not kept any more, the run tells about when it was.
        of_runs.setdefault(run_id, found.queued(run_id) - 1)
    return of_runs, wrong


def _requests(
    found: evidence.Evidence,
    runs: dict[str, evidence.Run],
    positions: dict[str, int],
    upstream: str,
    target: str,
) -> Iterator[str]:
    """Every update led to a request, or came before the target was; and none to two."""
    requests: dict[str, list[int]] = collections.defaultdict(list)
    for run_id, run in runs.items():
        requests[run.partition].append(positions[run_id])
    updates = {
        day: [event_id for event_id, _ in made]
        for (asset, day), made in found.made.items()
        if asset == upstream
    }
    for day in sorted({*requests, *updates}):
        before = 0
        for position in sorted(requests[day]):
            if not any(before < each <= position for each in updates.get(day, ())):
                yield f"{target} of {day} was requested at {position} for no update since {before}"
            before = position
        newest = max(updates.get(day, [0]))
        itself = max((event_id for event_id, _ in found.made.get((target, day), ())), default=0)
        if newest > before and newest > itself:
            yield f"{target} of {day} was not requested for the update {newest}"

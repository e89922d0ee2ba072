"""What must be so of backfills, their runs and their retries, whatever was killed."""

import collections
import itertools
from collections.abc import Iterator

from tests.chaos import evidence

COMPLETED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED"}


def violations(found: evidence.Evidence, upstream: str, downstream: str, limit: int) -> list[str]:
    """Say what is wrong.

    Args:
        found: What the database holds.
        upstream: The asset that the other one needs, day by day.
        downstream: The other one.
        limit: How many runs of backfills may be active at once.
    """
    wrong = [f"run {run} of backfill {backfill} is left" for run, backfill in found.open_runs]
    for backfill_id, backfill in found.backfills.items():
        wrong += _end(found, backfill_id, backfill)
        for asset in (upstream, downstream):
            wrong += _partitions(found, backfill_id, backfill, asset)
        wrong += _order(found, backfill_id, backfill, upstream, downstream)
    return [*wrong, *_limit(found, limit)]


def retry_violations(found: evidence.Evidence) -> list[str]:
    """Say where a run that failed was not run again exactly as often as it was to be."""
    children = collections.Counter(run.parent for run in found.runs.values() if run.parent)
    wrong = []
    for run_id, run in found.runs.items():
        again = False
        if run.status == "FAILURE":
            most = int(run.tags.get("atoll/max_retries", "0"))
            again = int(run.tags.get("atoll/retry_number", "0")) < most
            if not run.retry_decided:
                wrong.append(f"nobody decided whether run {run_id} is run again")
        if children[run_id] != again:
            wrong.append(
                f"run {run_id} ({run.status}) was run again {children[run_id]} times, not {again:d}"
            )
    return wrong


def _end(found: evidence.Evidence, backfill_id: str, backfill: evidence.Backfill) -> Iterator[str]:
    if backfill.status not in COMPLETED:
        yield f"backfill {backfill_id} is stuck: {backfill.status}"
        return
    ends = [
        event.backfill_ended.status
        for _, _, event in found.events
        if event.backfill_ended.backfill_id == backfill_id
    ]
    if ends[-1:] != [backfill.status] or ends[:-1] != ["COMPLETED_FAILED"] * (len(ends) - 1):
        yield f"backfill {backfill_id} is {backfill.status} but its ends are {ends}"
    whole = all(backfill.materialized[name] == days for name, days in backfill.target.items())
    if whole != (backfill.status == "COMPLETED_SUCCESS"):
        yield f"backfill {backfill_id} is {backfill.status}; all materialized: {whole}"


def _partitions(
    found: evidence.Evidence, backfill_id: str, backfill: evidence.Backfill, asset: str
) -> Iterator[str]:
    """Each partition is requested once, and again only after a failure; all of it is known."""
    runs: dict[str, list[str]] = collections.defaultdict(list)
    for run_id, run in found.runs.items():
        if run.backfill == backfill_id and asset in run.assets:
            runs[run.partition].append(run_id)
    named = f"of {asset} of backfill {backfill_id}"
    for day in sorted(set(runs) - backfill.target[asset]):
        yield f"partition {day!r} {named} was requested, but is not part of it"
    if backfill.requested[asset] != frozenset(runs):
        yield f"what was requested {named} and its runs differ"
    made = {
        day
        for day in runs
        if any(run_id in runs[day] for _, run_id in found.made.get((asset, day), ()))
    }
    if backfill.materialized[asset] != made:
        yield f"what was materialized {named} and its runs' events differ"
    if backfill.status in COMPLETED and backfill.failed[asset] != frozenset(runs) - made:
        yield f"what failed {named} and its runs' events differ"
    for day, each in runs.items():
        yield from (f"partition {day} {named}: {text}" for text in _again(found, asset, day, each))


def _again(found: evidence.Evidence, asset: str, day: str, runs: list[str]) -> Iterator[str]:
    """Say where a partition was requested again though the run before did not fail."""
    ordered = sorted(runs, key=found.queued)
    for before, after in itertools.pairwise(ordered):
        if found.runs[before].status != "FAILURE" or found.ended(before) > found.queued(after):
            yield f"run {after} was requested beside run {before}"
        is_retry = found.runs[after].parent == before
        good = any(
            run_id in runs and event_id < found.queued(after)
            for event_id, run_id in found.made.get((asset, day), ())
        )
        if good and not is_retry:
            yield f"run {after} was requested though it was materialized"


def _order(
    found: evidence.Evidence,
    backfill_id: str,
    backfill: evidence.Backfill,
    upstream: str,
    downstream: str,
) -> Iterator[str]:
    """Nothing is requested before what it needs, nor left out once that is there."""
    for run_id, run in found.runs.items():
        if run.backfill != backfill_id or downstream not in run.assets:
            continue
        needed = [
            event_id
            for event_id, maker in found.made.get((upstream, run.partition), ())
            if found.runs[maker].backfill == backfill_id
        ]
        if not needed or min(needed) > found.queued(run_id):
            yield f"run {run_id} was requested before {upstream} of {run.partition} was there"
    if backfill.status in COMPLETED:
        if backfill.target[upstream] != backfill.requested[upstream]:
            yield f"backfill {backfill_id} left out some of {upstream}"
        ready = backfill.materialized[upstream] & backfill.target[downstream]
        if ready != backfill.requested[downstream]:
            yield f"backfill {backfill_id} left out some of {downstream}"


def _limit(found: evidence.Evidence, limit: int) -> Iterator[str]:
    """Never are more runs of backfills active than their limit lets."""
    active: set[str] = set()
    for event_id, run_id, event in found.events:
        if run_id not in found.runs or not found.runs[run_id].backfill:
            continue
        body = event.WhichOneof("body")
        if body == "run_starting":
            active.add(run_id)
        elif body in evidence.FINAL_BODIES:
            active.discard(run_id)
        if len(active) > limit:
            yield f"at event {event_id} more than {limit} runs of backfills are active"
            return

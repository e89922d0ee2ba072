"""Looks into the database after the storm and says everything that must not be.

Called by the chaos tests with a plain connection; it knows the tables and nothing of how they were
written, so that a mistake in the stores cannot hide itself.
"""

import collections
import dataclasses
import re

import psycopg

from atoll.api.v1 import automation_pb2
from atoll.events.v1 import events_pb2
from tests.chaos import (
    backfill_verification,
    condition_verification,
    evidence,
    run_sensor_verification,
)

NO_LIMIT = 1_000_000
FINAL_BODIES = evidence.FINAL_BODIES

_LEFT_OUT = re.compile(r"(\d+) ticks?, .* missed and (?:is|are) not made up for")


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What stands in the database, and what is wrong with it."""

    violations: list[str]
    runs_by_status: dict[str, int]
    materializations: int
    sensor_runs: int
    events: int
    backfills: int
    backfill_runs: int
    condition_runs: int
    runs_seen: int
    retries: int


@dataclasses.dataclass(frozen=True, slots=True)
class Automation:
    """What else of automation locations define, and the limits that hold for it."""

    schedule_name: str
    condition_sensor: str
    condition_asset: str
    backfilled: tuple[str, str]
    """An asset, and one that needs it."""
    run_sensors: tuple[tuple[str, str], ...]
    """Sensors on runs, each with the status that it watches."""
    monitored_location: str
    active_backfill_runs: int = NO_LIMIT


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What locations define, and the limits that hold."""

    watched_asset: str
    sensor_name: str
    slots: int = NO_LIMIT
    """Of the pool that all steps are of."""
    automation: Automation | None = None
    """None where there is no more than the sensor."""


def examine(url: str, expected: Expected) -> Findings:
    """Check every promise that the database can show."""
    watched_asset, sensor_name = expected.watched_asset, expected.sensor_name
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        events = _events(connection)
        runs = {
            row[0]: row[1:]
            for row in connection.execute(
                "SELECT run_id, status, sensor_name, run_key, start_time IS NOT NULL FROM runs"
            )
        }
        slots_left = list(connection.execute("SELECT run_id, step_key FROM pool_slots"))
        ticks = list(
            connection.execute(
                "SELECT event_id, status FROM ticks WHERE sensor_name = %s", (sensor_name,)
            )
        )
        found = evidence.read(connection)
        automation = expected.automation
        wrong = [] if automation is None else _automation(connection, found, automation)
    violations = [
        *_events_of_runs(events, runs),
        *_ends_of_runs(events, runs),
        *_runs_per_key(runs),
        *_decisions(events, ticks, runs, watched_asset),
        *_slots(events, expected.slots),
        *(f"the slot of step {step} of run {run_id} was left" for run_id, step in slots_left),
        *wrong,
    ]
    statuses = collections.Counter(status for status, *_ in runs.values())
    return Findings(
        violations=violations,
        runs_by_status=dict(statuses),
        materializations=len(_materializations(events, watched_asset)),
        sensor_runs=sum(1 for _, sensor, *_ in runs.values() if sensor == sensor_name),
        events=len(events),
        backfills=len(found.backfills),
        backfill_runs=sum(1 for run in found.runs.values() if run.backfill),
        condition_runs=sum(
            1 for run in found.runs.values() if condition_verification.TAG in run.tags
        ),
        runs_seen=sum(1 for tick in found.ticks if tick.triggering_run_id),
        retries=sum(1 for run in found.runs.values() if run.parent),
    )


def _automation(
    connection: psycopg.Connection, found: evidence.Evidence, expected: Automation
) -> list[str]:
    upstream, downstream = expected.backfilled
    return [
        *_minutes(connection, expected.schedule_name),
        *backfill_verification.violations(
            found, upstream, downstream, expected.active_backfill_runs
        ),
        *backfill_verification.retry_violations(found),
        *condition_verification.violations(
            found, expected.condition_sensor, upstream, expected.condition_asset
        ),
        *(
            each
            for sensor, status in expected.run_sensors
            for each in run_sensor_verification.violations(
                found, sensor, expected.monitored_location, status
            )
        ),
    ]


def _minutes(connection: psycopg.Connection, schedule_name: str) -> list[str]:
    """Each minute since the first was decided on once, or counted as left out, and made one run."""
    rows = connection.execute(
        "SELECT payload FROM ticks WHERE schedule_name = %s AND status <> 3", (schedule_name,)
    )
    ticks = [automation_pb2.Tick.FromString(row[0]) for row in rows]
    runs = collections.Counter(
        row[0]
        for row in connection.execute(
            "SELECT tags->>'atoll/scheduled_execution_time' FROM runs "
            "WHERE tags->>'atoll/schedule_name' = %s",
            (schedule_name,),
        )
    )
    decided: collections.Counter[int] = collections.Counter()
    for tick in ticks:
        minute = tick.scheduled_time.seconds // 60
        left_out = _LEFT_OUT.match(tick.skip_reason)
        count = int(left_out.group(1)) if left_out else 1
        decided.update(range(minute - count + 1, minute + 1))
    wrong = [f"minute {minute} was decided {n} times" for minute, n in decided.items() if n > 1]
    if decided:
        missing = set(range(min(decided), max(decided))) - set(decided)
        wrong += [f"minute {minute} was never decided" for minute in sorted(missing)]
    wrong += [f"{count} runs for {time}" for time, count in runs.items() if count > 1]
    made = sum(len(tick.run_ids) for tick in ticks)
    if made != runs.total():
        wrong.append(f"{made} runs by the ticks of the schedule, {runs.total()} in the queue")
    return wrong


def _events(connection: psycopg.Connection) -> list[tuple[int, str, int, events_pb2.Event]]:
    rows = connection.execute("SELECT id, run_id, seq, payload FROM events ORDER BY id")
    return [(row[0], row[1] or "", row[2], events_pb2.Event.FromString(row[3])) for row in rows]


def _events_of_runs(events: list, runs: dict) -> list[str]:
    """Each run's events are stored once, in order, and without gaps."""
    seen: dict[str, int] = {}
    wrong = []
    for event_id, run_id, seq, _ in events:
        if not run_id or seq == 0:
            continue
        if run_id not in runs:
            wrong.append(f"event {event_id} belongs to run {run_id}, which does not exist")
        expected = seen.get(run_id, 0) + 1
        if seq != expected:
            wrong.append(f"run {run_id}: event {event_id} has seq {seq}, expected {expected}")
        seen[run_id] = seq
    return wrong


def _ends_of_runs(events: list, runs: dict) -> list[str]:
    """Every run ended, once, in the state that its own last event says."""
    wrong = []
    ends: dict[str, list[str]] = collections.defaultdict(list)
    lasts: dict[str, str] = {}
    for _, run_id, seq, event in events:
        body = event.WhichOneof("body")
        if body in FINAL_BODIES:
            ends[run_id].append(FINAL_BODIES[body])
        if seq:
            lasts[run_id] = body
    for run_id, (status, *_, started) in runs.items():
        if status not in FINAL_BODIES.values():
            wrong.append(f"run {run_id} never ended: {status}")
        elif ends[run_id] != [status]:
            wrong.append(f"run {run_id} is {status} but its ends are {ends[run_id]}")
        if started and lasts.get(run_id) not in FINAL_BODIES:
            wrong.append(f"run {run_id} ends with {lasts.get(run_id)}")
    return wrong


def _runs_per_key(runs: dict) -> list[str]:
    counts = collections.Counter(
        (sensor, run_key) for _, sensor, run_key, *_ in runs.values() if sensor and run_key
    )
    return [f"{count} runs for {key}" for key, count in counts.items() if count > 1]


def _slots(events: list, slots: int) -> list[str]:
    """Never do more steps run than there are slots: what ends one comes before the next begins."""
    running: set[tuple[str, str]] = set()
    wrong = []
    for event_id, run_id, _, event in events:
        body = event.WhichOneof("body")
        if body == "step_started":
            running.add((run_id, event.step_key))
        elif body in {"step_succeeded", "step_failed", "step_up_for_retry"}:
            running.discard((run_id, event.step_key))
        elif body in FINAL_BODIES:
            running = {each for each in running if each[0] != run_id}
        if len(running) > slots:
            wrong.append(f"at event {event_id} more than {slots} steps run: {sorted(running)}")
    return wrong


def _materializations(events: list, watched_asset: str) -> dict[int, str]:
    """The materializations of the asset, each with its run, the run key of what it leads to."""
    return {
        event_id: run_id
        for event_id, run_id, _, event in events
        if event.WhichOneof("body") == "asset_materialization"
        and "/".join(event.asset_materialization.asset_key.path) == watched_asset
    }


def _decisions(events: list, ticks: list, runs: dict, watched_asset: str) -> list[str]:
    """Every materialization was decided on once, and the decision made its run."""
    decided = collections.Counter(event_id for event_id, status in ticks if status != 3)
    wanted = _materializations(events, watched_asset)
    keys = {run_key for _, sensor, run_key, *_ in runs.values() if sensor}
    wrong = [
        f"materialization {event_id} was decided {decided[event_id]} times"
        for event_id in wanted
        if decided[event_id] != 1
    ]
    wrong += [
        f"materialization {event_id} has no run"
        for event_id, run_id in wanted.items()
        if run_id not in keys
    ]
    wrong += [
        f"event {event_id} was decided on but is no materialization"
        for event_id in decided
        if event_id not in wanted
    ]
    return wrong

"""What the database holds of automation after a storm, as plain data.

Read once by `verification`, looked at by the modules that know what must be so; made by hand in the
tests of these.
"""

import collections
import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping, Sequence

import psycopg

from atoll.api.v1 import automation_pb2, backfills_pb2, conditions_pb2
from atoll.events.v1 import events_pb2

FINAL_BODIES = {
    "run_succeeded": "SUCCESS",
    "run_failed": "FAILURE",
    "run_canceled": "CANCELED",
}
FAILED_TICK = automation_pb2.TICK_STATUS_FAILURE
DAY = dt.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run, as far as automation is concerned."""

    status: str
    location: str = ""
    job: str = ""
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    assets: Sequence[str] = ()
    partition: str = ""
    parent: str = ""
    retry_decided: bool = False

    @property
    def backfill(self) -> str:
        return self.tags.get("atoll/backfill", "")


@dataclasses.dataclass(frozen=True)
class Backfill:
    """A backfill: its state, the partitions of each asset, and what became of them."""

    status: str
    target: Mapping[str, frozenset[str]]
    requested: Mapping[str, frozenset[str]]
    materialized: Mapping[str, frozenset[str]]
    failed: Mapping[str, frozenset[str]]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """Everything; events in the order of their ids."""

    runs: Mapping[str, Run]
    events: Sequence[tuple[int, str, events_pb2.Event]]
    ticks: Sequence[automation_pb2.Tick] = ()
    backfills: Mapping[str, Backfill] = dataclasses.field(default_factory=dict)
    open_runs: Sequence[tuple[str, str]] = ()
    """Runs that backfills have still to account for, each with its backfill."""
    evaluations: Sequence[conditions_pb2.ConditionEvaluation] = ()
    held: Sequence[str] = ()
    """Targets of conditions with a request that waits."""

    @functools.cached_property
    def made(self) -> dict[tuple[str, str], list[tuple[int, str]]]:
        """The materializations of each asset and partition: ids and runs."""
        found: dict[tuple[str, str], list[tuple[int, str]]] = collections.defaultdict(list)
        for event_id, run_id, event in self.events:
            if event.WhichOneof("body") == "asset_materialization":
                body = event.asset_materialization
                found[name_of(body.asset_key), body.partition].append((event_id, run_id))
        return dict(found)

    @functools.cached_property
    def firsts(self) -> dict[tuple[str, str], int]:
        """The id of the first event of a kind that each run has, by run and kind."""
        found: dict[tuple[str, str], int] = {}
        for event_id, run_id, event in self.events:
            found.setdefault((run_id, event.WhichOneof("body") or ""), event_id)
        return found

    def queued(self, run_id: str) -> int:
        """When a run was queued, as a position in the log."""
        return self.firsts.get((run_id, "run_enqueued"), 0)

    def ended(self, run_id: str) -> int:
        """When a run ended, as a position in the log; 0 for not at all."""
        ends = [self.firsts.get((run_id, body), 0) for body in FINAL_BODIES]
        return min((end for end in ends if end), default=0)


def read(connection: psycopg.Connection) -> Evidence:
    """Read all of it, in the transaction of the connection."""
    events = connection.execute("SELECT id, run_id, payload FROM events ORDER BY id")
    runs = connection.execute(
        "SELECT run_id, status, location_name, job_name, tags, asset_selection, partition_key, "
        "parent_run_id, retry_decided FROM runs ORDER BY queue_order"
    )
    backfills = connection.execute("SELECT backfill_id, status, target, progress FROM backfills")
    ticks = connection.execute("SELECT payload FROM ticks ORDER BY start_time")
    evaluations = connection.execute(
        "SELECT payload FROM condition_evaluations ORDER BY evaluation_id"
    )
    held = connection.execute("SELECT target_key FROM condition_state WHERE held IS NOT NULL")
    return Evidence(
        runs={
            row[0]: Run(*row[1:5], ["/".join(path) for path in row[5]], *row[6:]) for row in runs
        },
        events=[(row[0], row[1] or "", events_pb2.Event.FromString(row[2])) for row in events],
        ticks=[automation_pb2.Tick.FromString(row[0]) for row in ticks],
        backfills={row[0]: _backfill(*row[1:]) for row in backfills},
        open_runs=list(connection.execute("SELECT run_id, backfill_id FROM backfill_runs")),
        evaluations=[conditions_pb2.ConditionEvaluation.FromString(row[0]) for row in evaluations],
        held=[row[0] for row in held],
    )


def name_of(key: object) -> str:
    """Return the name of an asset key."""
    return "/".join(key.path)


def _backfill(status: str, target: bytes, progress: bytes) -> Backfill:
    parts = backfills_pb2.BackfillTarget.FromString(target).parts
    became = backfills_pb2.BackfillProgress.FromString(progress).parts
    names = [name_of(part.asset_key) for part in parts]
    return Backfill(
        status,
        {name: _days(part.partitions) for name, part in zip(names, parts, strict=True)},
        {name: _days(part.requested) for name, part in zip(names, became, strict=True)},
        {name: _days(part.materialized) for name, part in zip(names, became, strict=True)},
        {name: _days(part.failed) for name, part in zip(names, became, strict=True)},
    )


def _days(subset: object) -> frozenset[str]:
    """Return the days of a set of daily partitions."""
    found = set()
    for window in subset.time_windows.windows:
        day, end = window.start.ToDatetime(), window.end.ToDatetime()
        while day < end:
            found.add(day.date().isoformat())
            day += DAY
    return frozenset(found)

"""Which assets a run left out that failed or was canceled, and the events that tell so.

Called by `appending` and `run_store` under the append lock, in the transaction that ends the run:
however it ends (its own last event, the death of its worker, a verdict of the host), what it did
not materialize is told in the same commit, and told once, since a run ends once. A worker could not
do it: the one that is killed tells nothing. What must not come in: deciding that a run has ended.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

from atoll.events.v1 import events_pb2
from atoll_storage import connections, records, run_rows, schema

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_TOLD = f"""
SELECT id, payload FROM events
WHERE run_id = ANY(%s) AND kind IN ({schema.OF_RUNS})
    AND kind IN ({schema.KIND_PLANNED}, {schema.KIND_MATERIALIZATION})
ORDER BY id
""".encode()
_RUNS = f"SELECT {run_rows.NAMES} FROM runs WHERE run_id = ANY(%s)".encode()

_PLANNED = "asset_materialization_planned"
_MATERIALIZED = "asset_materialization"

Asset = tuple[tuple[str, ...], str]
"""The path of a key, and a partition, empty for none."""


@dataclasses.dataclass(slots=True)
class Account:
    """What a run planned and what it did.

    Attributes:
        run: The run.
        planned: The ids of its plans.
        made: What it materialized.
    """

    run: records.RunRecord
    planned: dict[Asset, int] = dataclasses.field(default_factory=dict[Asset, int])
    made: set[Asset] = dataclasses.field(default_factory=set[Asset])

    def hear(self, event_id: int, event: events_pb2.Event) -> None:
        """Take an event of the run into account."""
        kind = event.WhichOneof("body")
        if kind == _PLANNED:
            plan = event.asset_materialization_planned
            self.planned.setdefault((tuple(plan.asset_key.path), plan.partition), event_id)
        elif kind == _MATERIALIZED:
            made = event.asset_materialization
            self.made.add((tuple(made.asset_key.path), made.partition))

    def left_out(self) -> list[tuple[Asset, int]]:
        """Return what was planned and not made, with the ids of the plans, in their order.

        A run that ended before it planned anything was to make the assets that it was asked for.
        """
        run = self.run
        planned = self.planned or {(path, run.partition_key): 0 for path in run.asset_selection}
        # The partitions of a range are made in its order.
        last = run.target.partition_range_end
        return [
            ((path, partition), plan_id)
            for (path, partition), plan_id in planned.items()
            if (path, partition or last) not in self.made
        ]

    def events(self, *, canceled: bool, now: dt.datetime) -> list[events_pb2.Event]:
        """Return the events that tell what the run left out."""
        run = self.run
        target = run.target
        reason = "the run was canceled" if canceled else "the run failed"
        told: list[events_pb2.Event] = []
        for (path, partition), plan_id in self.left_out():
            name = "/".join(path) + (f" ({partition})" if partition else "")
            event = run_rows.event_about(
                run.run_id, run.job_name, f"Did not materialize {name}: {reason}.", now
            )
            body = event.asset_failed_to_materialize
            body.asset_key.path.extend(path)
            body.partition, body.reason = partition, reason
            body.canceled, body.planned_event_id = canceled, plan_id
            if not partition:
                body.partition_range_start = target.partition_range_start
                body.partition_range_end = target.partition_range_end
            told.append(event)
        return told


async def accounts(raw: connections.RawConnection, run_ids: Sequence[str]) -> dict[str, Account]:
    """Return what runs planned and did, as far as it is stored.

    Args:
        raw: The connection of the transaction.
        run_ids: The runs.
    """
    async with raw.pipeline():
        runs = await raw.execute(_RUNS, [list(run_ids)], prepare=True)
        told = await raw.execute(_TOLD, [list(run_ids)], prepare=True)
    records_of = (run_rows.record_of(row) for row in await runs.fetchall())
    found = {run.run_id: Account(run) for run in records_of}
    for event_id, payload in await told.fetchall():
        event = events_pb2.Event.FromString(payload)
        found[event.run_id].hear(event_id, event)
    return found

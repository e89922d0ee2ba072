"""What ticks bring about: runs, events and changes of dynamic partitions, stored with the ticks.

Called by the stores of sensors, schedules and conditions, in the transaction in which each moves
its own state on, against the version that was decided on. That state stays out.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import psycopg

from atoll.api.v1 import automation_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    connections,
    log_writer,
    partition_store,
    records,
    run_rows,
)

_Cursor = psycopg.AsyncCursor[tuple[Any, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class Effects:
    """What ticks bring about.

    Attributes:
        runs: The runs to create, but for those whose sensor and run key, or request, have one.
        asset_events: Events that are reported.
        dynamic_partitions: Changes of dynamic partitions, made in order.
        location_name: Whose ticks they are; empty where each run tells it by its own location.
    """

    runs: Sequence[records.NewRun] = ()
    asset_events: Sequence[events_pb2.Event] = ()
    dynamic_partitions: Sequence[records.DynamicPartitionsChange] = ()
    location_name: str = ""


class Sent:
    """Effects whose statements were sent, in a transaction that is still open."""

    def __init__(
        self,
        effects: Effects,
        inserted: Sequence[_Cursor],
        changed: partition_store.Applied,
        head: log_writer.HeadCursor | None,
    ) -> None:
        self._effects = effects
        self._inserted = inserted
        self._changed = changed
        self._head = head

    async def created(self) -> list[records.NewRun]:
        """Return the runs that were created; to be asked once."""
        return [
            run
            for run, cursor in zip(self._effects.runs, self._inserted, strict=True)
            if await cursor.fetchone() is not None
        ]

    async def commit(
        self,
        raw: connections.RawConnection,
        announcer: announcing.Announcer,
        created: Sequence[records.NewRun],
        statements: Sequence[tuple[connections.Statement, Sequence[object]]],
    ) -> None:
        """Write what the log tells of the effects, commit, and tell.

        Args:
            raw: The connection that they were sent on.
            announcer: Tells others.
            created: The runs that were created.
            statements: What else to store, such as the ticks.
        """
        if self._head is None:
            async with raw.pipeline():
                for statement, values in statements:
                    await raw.execute(statement, values, prepare=True)
                await raw.execute("COMMIT", prepare=False)
            return
        writer = await log_writer.LogWriter.of(raw, self._head)
        for statement, values in statements:
            writer.also(statement, values)
        writer.add_all(await self._changed.events(), "")
        run_rows.tell_queued(writer, created)
        writer.add_all(self._effects.asset_events, self._effects.location_name)
        await writer.commit(announcer)


async def send(raw: connections.RawConnection, effects: Effects) -> Sent:
    """Send the statements that bring effects about; fit for a pipeline, as the last of it."""
    inserted = [
        await raw.execute(
            run_rows.INSERT_OF_SENSOR,
            run_rows.values_of(run, effects.location_name),
            prepare=True,
        )
        for run in effects.runs
    ]
    changed = await partition_store.apply_all(raw, effects.dynamic_partitions)
    # Last of all: the append lock is held to the commit.
    writes = effects.runs or effects.asset_events or effects.dynamic_partitions
    head = await log_writer.request_lock(raw) if writes else None
    return Sent(effects, inserted, changed, head)


def complete(
    tick: automation_pb2.Tick,
    runs: Sequence[records.NewRun],
    created: Sequence[records.NewRun],
    end_time: dt.datetime,
) -> automation_pb2.Tick:
    """Return a tick with what only its commit knows.

    Args:
        tick: The tick.
        runs: The runs that it asked for.
        created: Those that were created.
        end_time: When it was stored.
    """
    completed = automation_pb2.Tick()
    completed.CopyFrom(tick)
    completed.end_time.FromDatetime(end_time)
    if not completed.HasField("start_time"):
        completed.start_time.CopyFrom(completed.end_time)
    run_ids = [run.run_id for run in created]
    has_run = frozenset(run_ids)
    completed.run_ids[:] = run_ids
    completed.skipped_run_keys[:] = [run.run_key for run in runs if run.run_id not in has_run]
    return completed

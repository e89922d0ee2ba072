"""Runs and their queue.

Called by the host's launcher, its API and its watch over sessions. Whatever changes the status of a
run takes the append lock first and writes its event in the same transaction, so the log and the
runs never disagree, and no change overtakes another. Events of code servers change runs too: see
`acceptance`, which also draws the states.
"""

import builtins
import datetime as dt
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import connections, locks, log_writer, records, run_rows, schema

_RUNS = schema.runs.c
_PRODUCERS = schema.producers.c
_STATUS = records.RunStatus
_ACTIVE = "status IN ('STARTING', 'STARTED', 'CANCELING')"  # spelled as in the index
_QUEUED = "status = 'QUEUED'"

# The queue of each location by itself, so that a long one hides no other. A run's turn is its place
# in its location's queue behind the location's active runs: locations take turns, and the idle one
# comes first.
_CANDIDATES = sa.text(
    """
    SELECT queued.run_id
    FROM unnest(CAST(:locations AS text[]), CAST(:rooms AS int[]), CAST(:actives AS int[]))
        AS location (name, room, active)
    CROSS JOIN LATERAL (
        SELECT run_id, queue_order, row_number() OVER (ORDER BY queue_order) AS place
        FROM runs
        WHERE status = 'QUEUED' AND location_name = location.name
        ORDER BY queue_order
        LIMIT location.room
    ) AS queued
    ORDER BY queued.place + location.active, queued.queue_order
    LIMIT :room
    """
)


class RunStore:
    """Runs: the queue, and every change of status that the host decides."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def create(self, run: records.NewRun) -> records.RunRecord:
        """Put a run into the queue, with its event. The same request id returns the first run."""
        async with connections.transaction(self._engine, "creating a run") as connection:
            insert = (
                postgresql.insert(schema.runs)
                .values(run_rows.values_of(run))
                .on_conflict_do_nothing(constraint="runs_request")
                .returning(*run_rows.COLUMNS)
            )
            row = (await connection.execute(insert)).one_or_none()
            if row is None:
                first = sa.select(*run_rows.COLUMNS).where(_RUNS.request_id == run.request_id)
                return run_rows.record_of((await connection.execute(first)).one())
            writer = await log_writer.open_writer(connection)
            writer.add(run_rows.enqueued(run.run_id, run.job_name, writer.now), run.location_name)
            writer.notify_runs(run.run_id)
            await writer.write()
            return run_rows.record_of(row)

    async def get(self, run_id: str) -> records.RunRecord | None:
        """Return one run."""
        found = await self._select(
            sa.select(*run_rows.COLUMNS).where(_RUNS.run_id == run_id.replace("\0", "\ufffd"))
        )
        return found[0] if found else None

    async def list(
        self,
        query: records.RunQuery,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
    ) -> builtins.list[records.RunRecord]:
        """Return runs, newest first, `before` being the (create time, id) of the last one seen."""
        statement = sa.select(*run_rows.COLUMNS)
        if query.location_name is not None:
            statement = statement.where(_RUNS.location_name == query.location_name)
        if query.job_name is not None:
            statement = statement.where(_RUNS.job_name == query.job_name)
        if query.statuses:
            statement = statement.where(_RUNS.status.in_([s.value for s in query.statuses]))
        if before is not None:
            statement = statement.where(
                sa.tuple_(_RUNS.create_time, _RUNS.run_id) < sa.tuple_(*before)
            )
        order = (_RUNS.create_time.desc(), _RUNS.run_id.desc())
        return await self._select(statement.order_by(*order).limit(limit))

    async def claim(
        self, servers: Mapping[str, str], limits: records.ClaimLimits, *, batch_max: int
    ) -> builtins.list[records.RunRecord]:
        """Hand queued runs to code servers under the limits: QUEUED -> STARTING.

        Args:
            servers: The server id that takes runs, by location.
            limits: How many runs may be active.
            batch_max: How many runs to claim at the most.

        Returns:
            The claimed runs, bound to their servers, in the order in which they are to be started.
        """
        if not servers or batch_max <= 0:
            return []
        async with connections.transaction(self._engine, "claiming runs") as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(locks.CLAIM)))
            run_ids = await _candidates(connection, servers, limits, batch_max)
            if not run_ids:
                return []
            writer = await log_writer.open_writer(connection)
            claimed = await _hand_over(connection, run_ids, servers)
            for run in claimed:
                event = run_rows.event_about(
                    run.run_id,
                    run.job_name,
                    f"The run goes to its location (attempt {run.attempt}).",
                    writer.now,
                )
                event.run_starting.server_id = run.server_id
                writer.add(event, run.location_name)
                writer.notify_runs(run.run_id)
            await writer.write()
            return claimed

    async def requeue(self, run_id: str, *, attempt: int, reason: str) -> bool:
        """STARTING of that attempt -> QUEUED, unless its worker gave a sign of life already."""
        async with self._changing(run_id, "requeueing a run", {_STATUS.STARTING}) as change:
            if change is None or change.run.attempt != attempt or await change.high_water() > 0:
                return False
            await change.connection.execute(
                sa.delete(schema.producers).where(_PRODUCERS.run_id == run_id)
            )
            await change.set(_STATUS.QUEUED, server_id="")
            change.tell(f"The run waits again: {reason}", lambda e: e.engine_event.SetInParent())
            return True

    async def fail(
        self, run_id: str, failure: values_pb2.Failure, *, expected: frozenset[records.RunStatus]
    ) -> bool:
        """Fail a run by the host's own verdict, if its status is in `expected` and not final."""
        expected = frozenset(status for status in expected if not status.is_final)
        async with self._changing(run_id, "failing a run", expected) as change:
            if change is None:
                return False
            await change.set(
                _STATUS.FAILURE, end_time=change.writer.now, failure=failure.SerializeToString()
            )
            change.tell(failure.message, lambda e: e.run_failed.failure.CopyFrom(failure))
            return True

    async def request_cancel(self, run_id: str, reason: str) -> records.RunRecord | None:
        """QUEUED -> CANCELED at once, STARTING or STARTED -> CANCELING, else unchanged.

        Returns:
            The run as it is then, None when there is no such run.
        """
        expected = {_STATUS.QUEUED, _STATUS.STARTING, _STATUS.STARTED}
        async with self._changing(run_id, "canceling a run", expected) as change:
            if change is not None:
                change.tell(
                    f"Asked to cancel the run: {reason}" if reason else "Asked to cancel the run.",
                    lambda e: e.run_canceling.CopyFrom(events_pb2.RunCanceling(reason=reason)),
                )
                if change.run.status is _STATUS.QUEUED:
                    await change.cancel("The run was canceled before it began.")
                else:
                    await change.set(_STATUS.CANCELING)
        return await self.get(run_id)

    async def finish_cancel(self, run_id: str) -> bool:
        """CANCELING -> CANCELED, for a run that never began."""
        async with self._changing(run_id, "canceling a run", {_STATUS.CANCELING}) as change:
            if change is None:
                return False
            await change.cancel("The run was canceled.")
            return True

    async def active(self) -> builtins.list[records.RunRecord]:
        """Return the runs that are STARTING, STARTED or CANCELING."""
        statement = sa.select(*run_rows.COLUMNS).where(sa.text(_ACTIVE))
        return await self._select(statement.order_by(_RUNS.queue_order))

    async def queued_counts(self) -> dict[str, int]:
        """Return how many runs wait, by location."""
        return await self._counts(_QUEUED)

    async def active_counts(self) -> dict[str, int]:
        """Return how many runs are active, by location."""
        return await self._counts(_ACTIVE)

    async def _counts(self, condition: str) -> dict[str, int]:
        async with connections.transaction(self._engine, "counting runs") as connection:
            return await _counts(connection, condition)

    async def _select(self, statement: sa.Select[Any]) -> builtins.list[records.RunRecord]:
        async with connections.transaction(self._engine, "reading runs") as connection:
            return [run_rows.record_of(row) for row in (await connection.execute(statement)).all()]

    @asynccontextmanager
    async def _changing(
        self, run_id: str, doing: str, expected: Collection[records.RunStatus]
    ) -> AsyncGenerator["_Change | None"]:
        """Open a change of a run's status; None if there is none or its status is another."""
        async with connections.transaction(self._engine, doing) as connection:
            writer = await log_writer.open_writer(connection)
            # Exact without a row lock: all that change a status hold the append lock.
            statement = sa.select(*run_rows.COLUMNS).where(
                _RUNS.run_id == run_id.replace("\0", "\ufffd")
            )
            row = (await connection.execute(statement)).one_or_none()
            run = None if row is None else run_rows.record_of(row)
            if run is None or run.status not in expected:
                yield None
                return
            yield _Change(connection, writer, run)
            await writer.write()


class _Change:
    """A change of one run's status, in its transaction."""

    def __init__(
        self,
        connection: sa_asyncio.AsyncConnection,
        writer: log_writer.LogWriter,
        run: records.RunRecord,
    ) -> None:
        self.connection = connection
        self.writer = writer
        self.run = run

    async def high_water(self) -> int:
        """Return how many events the run's worker has stored."""
        statement = sa.select(_PRODUCERS.high_water).where(_PRODUCERS.run_id == self.run.run_id)
        return await self.connection.scalar(statement) or 0

    async def set(self, status: records.RunStatus, **values: object) -> None:
        """Give the run its new status and other values."""
        await self.connection.execute(
            sa.update(schema.runs)
            .where(_RUNS.run_id == self.run.run_id)
            .values(status=status.value, **values)
        )
        self.writer.notify_runs(self.run.run_id)

    def tell(self, message: str, fill: Callable[[events_pb2.Event], object]) -> None:
        """Write an event about it; `fill` sets the body."""
        event = run_rows.event_about(self.run.run_id, self.run.job_name, message, self.writer.now)
        fill(event)
        self.writer.add(event, self.run.location_name)

    async def cancel(self, message: str) -> None:
        """End the run as canceled."""
        await self.set(_STATUS.CANCELED, end_time=self.writer.now)
        self.tell(message, lambda event: event.run_canceled.SetInParent())


async def _counts(connection: sa_asyncio.AsyncConnection, condition: str) -> dict[str, int]:
    statement = (
        sa.select(_RUNS.location_name, sa.func.count())
        .where(sa.text(condition))
        .group_by(_RUNS.location_name)
    )
    return {row[0]: row[1] for row in (await connection.execute(statement)).all()}


async def _candidates(
    connection: sa_asyncio.AsyncConnection,
    servers: Mapping[str, str],
    limits: records.ClaimLimits,
    batch_max: int,
) -> builtins.list[str]:
    """Choose the runs whose turn it is. Under the claim lock nothing else raises the counts."""
    active = await _counts(connection, _ACTIVE)
    room = min(batch_max, limits.active_max - sum(active.values()))
    rooms = {name: limits.active_per_location_max - active.get(name, 0) for name in servers}
    names = sorted(name for name, free in rooms.items() if free > 0)
    if room <= 0 or not names:
        return []
    chosen = await connection.scalars(
        _CANDIDATES,
        {
            "locations": names,
            "rooms": [min(rooms[name], room) for name in names],
            "actives": [active.get(name, 0) for name in names],
            "room": room,
        },
    )
    return builtins.list(chosen)


async def _hand_over(
    connection: sa_asyncio.AsyncConnection,
    run_ids: builtins.list[str],
    servers: Mapping[str, str],
) -> builtins.list[records.RunRecord]:
    """Bind runs to the servers of their locations; those that were canceled meanwhile stay out."""
    server_id = sa.case(dict(servers), value=_RUNS.location_name)
    update = (
        sa.update(schema.runs)
        .where(_RUNS.run_id.in_(run_ids), sa.text(_QUEUED))
        .values(status=_STATUS.STARTING.value, server_id=server_id, attempt=_RUNS.attempt + 1)
        .returning(*run_rows.COLUMNS)
    )
    claimed = [run_rows.record_of(row) for row in (await connection.execute(update)).all()]
    if claimed:
        bindings = [
            {
                "run_id": run.run_id,
                "server_id": run.server_id,
                "attempt": run.attempt,
                "high_water": 0,
            }
            for run in claimed
        ]
        await connection.execute(sa.insert(schema.producers), bindings)
    turns = {run_id: turn for turn, run_id in enumerate(run_ids)}
    return sorted(claimed, key=lambda run: turns[run.run_id])

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
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    claiming,
    connections,
    errors,
    left_out,
    log_writer,
    pool_store,
    queue_records,
    records,
    run_claims,
    run_queries,
    run_rows,
    schema,
)

_RUNS = schema.runs.c
_STATUS = records.RunStatus
_ACTIVE = "status IN ('STARTING', 'STARTED', 'CANCELING')"  # spelled as in the index
_QUEUED = "status = 'QUEUED'"

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_SELECT = f"SELECT {run_rows.NAMES} FROM runs"
_GET = f"{_SELECT} WHERE run_id = %s".encode()
_GET_OF_REQUEST = f"{_SELECT} WHERE request_id = %s".encode()
_GET_ACTIVE = f"{_SELECT} WHERE {_ACTIVE} ORDER BY queue_order".encode()
_COUNT = "SELECT location_name, count(*) FROM runs WHERE {} GROUP BY location_name"
_COUNT_ACTIVE = _COUNT.format(_ACTIVE).encode()
_COUNT_QUEUED = _COUNT.format(_QUEUED).encode()
# Against whoever deletes it meanwhile; see `run_deletion`.
_KEEP_PARENT = "SELECT run_id FROM runs WHERE run_id = %s FOR KEY SHARE"
_UNBIND = "DELETE FROM producers WHERE run_id = %s"
_GET_TO_CHANGE = (
    f"SELECT coalesce(producers.high_water, 0), {run_rows.NAMES} "
    "FROM runs LEFT JOIN producers USING (run_id) WHERE run_id = %s"
).encode()
_SET_PENDING = "UPDATE runs SET pending_failure = %b WHERE run_id = %s"
_CHANGE = """
UPDATE runs SET status = %s, server_id = coalesce(%s, server_id),
    end_time = coalesce(%s, end_time), failure = coalesce(%b, failure),
    update_time = clock_timestamp()
WHERE run_id = %s
"""


class RunStore:
    """Runs: the queue, and every change of status that the host decides."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer
        self._claims = run_claims.Claims(engine, announcer)

    async def create(self, run: records.NewRun) -> records.RunRecord:
        """Put a run into the queue, with its event. The same request id returns the first run.

        Raises:
            UnknownParent: The run that it runs again is gone.
        """
        parent_run_id = run.target.parent_run_id
        async with connections.driver_connection(self._engine, "creating a run") as raw:
            if parent_run_id:
                parent = await raw.execute(_KEEP_PARENT, [parent_run_id], prepare=True)
                if await parent.fetchone() is None:
                    raise errors.UnknownParent(parent_run_id)
            async with raw.pipeline():
                inserted = await raw.execute(
                    run_rows.INSERT_OF_REQUEST, run_rows.values_of(run), prepare=True
                )
                head = await log_writer.request_lock(raw)
            row = await inserted.fetchone()
            if row is None:
                await raw.rollback()
                # On this connection: many who repeat one request would wait for each other's.
                found = await raw.execute(_GET_OF_REQUEST, [run.request_id])
                return next(run_rows.record_of(each) for each in await found.fetchall())
            writer = await log_writer.LogWriter.of(raw, head)
            run_rows.tell_queued(writer, [run])
            await writer.commit(self._announcer)
            return run_rows.record_of(row)

    async def get(self, run_id: str) -> records.RunRecord | None:
        """Return one run."""
        found = await self._fetch(_GET, [run_id.replace("\0", "\ufffd")])
        return found[0] if found else None

    async def list(
        self,
        query: records.RunQuery,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
    ) -> builtins.list[records.RunRecord]:
        """Return runs, newest first, `before` being the (create time, id) of the last one seen."""
        statement = sa.select(*run_rows.COLUMNS).where(*run_queries.conditions(query))
        if before is not None:
            statement = statement.where(
                sa.tuple_(_RUNS.create_time, _RUNS.run_id) < sa.tuple_(*before)
            )
        order = (_RUNS.create_time.desc(), _RUNS.run_id.desc())
        return await self._select(statement.order_by(*order).limit(limit))

    async def page(
        self,
        query: records.RunQuery,
        *,
        order: records.RunOrder = records.RunOrder.CREATE_TIME,
        ascending: bool = False,
        after_run_id: str = "",
        limit: int,
    ) -> tuple[builtins.list[records.RunRecord], bool]:
        """Return runs in an order, after one of them, and whether there are more."""
        statement = sa.select(*run_rows.COLUMNS).where(*run_queries.conditions(query))
        statement = run_queries.ordered(
            statement, order, ascending=ascending, after_run_id=after_run_id
        )
        found = await self._select(statement.limit(limit + 1))
        return found[:limit], len(found) > limit

    async def counts(
        self, query: records.RunQuery
    ) -> builtins.list[tuple[str, records.RunStatus, int]]:
        """Return how many runs there are by location and status, in order."""
        keys = (_RUNS.location_name, _RUNS.status)
        statement = sa.select(*keys, sa.func.count()).where(*run_queries.conditions(query))
        statement = statement.group_by(*keys).order_by(*keys)
        async with connections.transaction(self._engine, "counting runs") as connection:
            rows = (await connection.execute(statement)).all()
        return [(row[0], records.RunStatus(row[1]), row[2]) for row in rows]

    async def count(self, query: records.RunQuery) -> int:
        """Return how many runs there are."""
        statement = sa.select(sa.func.count()).select_from(schema.runs)
        statement = statement.where(*run_queries.conditions(query))
        async with connections.transaction(self._engine, "counting runs") as connection:
            return (await connection.execute(statement)).scalar_one()

    async def claim(
        self, servers: Mapping[str, str], limits: queue_records.ClaimLimits, *, batch_max: int
    ) -> builtins.list[records.RunRecord]:
        """Hand queued runs to code servers under the limits: QUEUED -> STARTING. See `claiming`.

        Args:
            servers: The server id that takes runs, by location.
            limits: How many runs may be active.
            batch_max: How many runs to claim at the most.

        Returns:
            The claimed runs, bound to their servers, in the order in which they are to be started.
        """
        return await self._claims.claim(servers, limits, batch_max=batch_max)

    async def requeue(self, run_id: str, *, attempt: int, reason: str) -> bool:
        """STARTING of that attempt -> QUEUED, unless its worker gave a sign of life already."""
        async with self._changing(run_id, "requeueing a run", {_STATUS.STARTING}) as change:
            if change is None or change.run.attempt != attempt or change.high_water > 0:
                return False
            change.writer.also(_UNBIND, [run_id])
            change.set(_STATUS.QUEUED, server_id="")
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
            await change.tell_left_out()
            change.end(_STATUS.FAILURE, failure)
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
                    await change.tell_left_out(canceled=True)
                    change.cancel("The run was canceled before it began.")
                else:
                    change.set(_STATUS.CANCELING)
        return await self.get(run_id)

    async def time_out(self, run_id: str, failure: values_pb2.Failure) -> bool:
        """STARTED -> CANCELING, to fail once it has stopped: it went on for too long."""
        async with self._changing(run_id, "timing a run out", {_STATUS.STARTED}) as change:
            if change is None:
                return False
            change.writer.also(_SET_PENDING, [failure.SerializeToString(), run_id])
            change.set(_STATUS.CANCELING)
            reason = failure.message
            change.tell(
                reason, lambda e: e.run_canceling.CopyFrom(events_pb2.RunCanceling(reason=reason))
            )
            return True

    async def finish_cancel(self, run_id: str) -> bool:
        """CANCELING -> CANCELED, or FAILURE where it is to fail, for a run that nobody has."""
        async with self._changing(run_id, "canceling a run", {_STATUS.CANCELING}) as change:
            if change is None:
                return False
            pending = change.run.pending_failure
            await change.tell_left_out(canceled=pending is None)
            if pending is not None:
                change.end(_STATUS.FAILURE, pending)
                change.tell(pending.message, lambda e: e.run_failed.failure.CopyFrom(pending))
                return True
            change.cancel("The run was canceled.")
            return True

    async def active(self) -> builtins.list[records.RunRecord]:
        """Return the runs that are STARTING, STARTED or CANCELING."""
        return await self._fetch(_GET_ACTIVE)

    async def queued_counts(self) -> dict[str, int]:
        """Return how many runs wait, by location."""
        return dict(await connections.fetch(self._engine, "counting runs", _COUNT_QUEUED))

    async def claim_counts(self, limits: queue_records.ClaimLimits) -> claiming.Counts:
        """Return what a claim would count now: it tells which limits are full."""
        return await run_claims.read(self._engine, limits)

    async def active_counts(self) -> dict[str, int]:
        """Return how many runs are active, by location."""
        return dict(await connections.fetch(self._engine, "counting runs", _COUNT_ACTIVE))

    async def _fetch(
        self, statement: connections.Statement, parameters: builtins.list[object] | None = None
    ) -> builtins.list[records.RunRecord]:
        rows = await connections.fetch(self._engine, "reading runs", statement, parameters or ())
        return [run_rows.record_of(row) for row in rows]

    async def _select(self, statement: sa.Select[Any]) -> builtins.list[records.RunRecord]:
        async with connections.transaction(self._engine, "reading runs") as connection:
            return [run_rows.record_of(row) for row in (await connection.execute(statement)).all()]

    @asynccontextmanager
    async def _changing(
        self, run_id: str, doing: str, expected: Collection[records.RunStatus]
    ) -> AsyncGenerator["_Change | None"]:
        """Open a change of a run's status; None if there is none or its status is another."""
        async with connections.driver_connection(self._engine, doing) as raw:
            async with raw.pipeline():
                head = await log_writer.request_lock(raw)
                # Exact without a row lock: all that change a status hold the append lock.
                found = await raw.execute(
                    _GET_TO_CHANGE, [run_id.replace("\0", "\ufffd")], prepare=True
                )
            row = await found.fetchone()
            run = None if row is None else run_rows.record_of(row[1:])
            if row is None or run is None or run.status not in expected:
                yield None
                return
            change = _Change(raw, await log_writer.LogWriter.of(raw, head), run, row[0])
            yield change
            if change.made:
                await change.writer.commit(self._announcer)


class _Change:
    """A change of one run's status, in its transaction.

    Attributes:
        writer: Stores it.
        run: The run before it.
        high_water: How many events the run's worker has stored.
        made: Whether anything is to be stored.
    """

    def __init__(
        self,
        raw: connections.RawConnection,
        writer: log_writer.LogWriter,
        run: records.RunRecord,
        high_water: int,
    ) -> None:
        self._raw = raw
        self.writer = writer
        self.run = run
        self.high_water = high_water
        self.made = False

    def set(
        self,
        status: records.RunStatus,
        *,
        server_id: str | None = None,
        end_time: dt.datetime | None = None,
        failure: bytes | None = None,
    ) -> None:
        """Give the run its new status and other values; None leaves one as it is."""
        self.made = True
        self.writer.also(_CHANGE, [status.value, server_id, end_time, failure, self.run.run_id])
        self.writer.tell_status(status)

    def tell(self, message: str, fill: Callable[[events_pb2.Event], object]) -> None:
        """Write an event about it; `fill` sets the body."""
        event = run_rows.event_about(self.run.run_id, self.run.job_name, message, self.writer.now)
        fill(event)
        self.writer.add(event, self.run.location_name)

    async def tell_left_out(self, *, canceled: bool = False) -> None:
        """Write events about what the run was to materialize and did not."""
        accounts = await left_out.accounts(self._raw, [self.run.run_id])
        told = accounts[self.run.run_id].events(canceled=canceled, now=self.writer.now)
        self.writer.add_all(told, self.run.location_name)

    def end(self, status: records.RunStatus, failure: values_pb2.Failure | None = None) -> None:
        """Give the run its last status."""
        encoded = None if failure is None else failure.SerializeToString()
        self.writer.also(*pool_store.free_of_runs([self.run.run_id]))
        self.set(status, end_time=self.writer.now, failure=encoded)

    def cancel(self, message: str) -> None:
        """End the run as canceled."""
        self.end(_STATUS.CANCELED)
        self.tell(message, lambda event: event.run_canceled.SetInParent())

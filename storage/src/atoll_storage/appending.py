"""Storing events of code servers: group commit, exactly once.

Called by `event_log`. Calls that come while a transaction is under way wait and share the next one,
so that many small batches cost as few commits as one large batch. Each transaction is one round
trip to take the append lock and read what must be known (`_begin`), one COPY where there are many
events, and one round trip for everything that follows, commit included, however many events and
runs there are. What is accepted is decided in `acceptance`; `synchronous_commit` stays as the
server has it (on).
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
import logging
from collections.abc import Mapping, Sequence

import psycopg
from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import (
    acceptance,
    announcing,
    connections,
    errors,
    left_out,
    log_writer,
    pool_store,
    records,
    run_rows,
)

logger = logging.getLogger(__name__)

EVENTS_PER_TRANSACTION_MAX = 8_000
_STEP_ENDS = frozenset({"step_succeeded", "step_failed", "step_skipped", "step_up_for_retry"})
CALLS_WAITING_MAX = 1_024

_PRODUCERS = """
SELECT r.run_id, r.location_name, r.status, p.server_id, coalesce(p.attempt, 0),
coalesce(p.high_water, 0), r.pending_failure
FROM runs r LEFT JOIN producers p USING (run_id) WHERE r.run_id = ANY(%s::text[])
"""
_EPOCH = "SELECT epoch FROM servers WHERE location_name = %s AND server_id = %s"
# One parameter for all rows: the driver takes its time over each array.
_SET_HIGH_WATER = """
UPDATE producers SET high_water = new.high_water
FROM jsonb_to_recordset(%s) AS new (run_id text, high_water bigint)
WHERE producers.run_id = new.run_id
"""
_SET_RUNS = """
UPDATE runs SET
    status = new.status,
    start_time = coalesce(new.start_time, runs.start_time),
    end_time = coalesce(new.end_time, runs.end_time),
    build_id = coalesce(new.build_id, runs.build_id),
    failure = coalesce(decode(new.failure, 'hex'), runs.failure),
    update_time = clock_timestamp()
FROM jsonb_to_recordset(%s) AS new (
    run_id text, status text, start_time timestamptz, end_time timestamptz, build_id text,
    failure text
)
WHERE runs.run_id = new.run_id
"""


@dataclasses.dataclass(slots=True)
class _Call:
    """One call of `append` that waits for its transaction."""

    batches: Sequence[records.EventBatch]
    outcome: asyncio.Future[list[records.BatchOutcome]]
    size: int


class Appender:
    """Stores events of code servers. Its task lives only while calls wait."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer
        self._calls: collections.deque[_Call] = collections.deque()
        self._slots = asyncio.Semaphore(CALLS_WAITING_MAX)
        self._task: asyncio.Task[None] | None = None

    async def append(self, batches: Sequence[records.EventBatch]) -> list[records.BatchOutcome]:
        """Store batches in one transaction, maybe together with those of other calls."""
        async with self._slots:
            outcome: asyncio.Future[list[records.BatchOutcome]] = (
                asyncio.get_running_loop().create_future()
            )
            size = sum(len(batch.events) for batch in batches)
            self._calls.append(_Call(batches, outcome, size))
            if self._task is None:
                self._task = asyncio.create_task(self._drain(), name="atoll-append")
            return await outcome

    async def close(self) -> None:
        """Wait for the calls under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        """Store what waits until nothing does."""
        try:
            while self._calls:
                with contextlib.suppress(errors.StorageError):  # Every call has been told.
                    await self._drain_on_one_connection()
        finally:
            self._task = None
            for call in self._calls:  # Only when this task was cancelled.
                _fail([call], errors.StorageUnavailable("Storage was closed. Try again."))
            self._calls.clear()

    async def _drain_on_one_connection(self) -> None:
        calls: list[_Call] = []
        try:
            async with connections.driver_connection(self._engine, "storing events") as raw:
                while calls := self._next_calls():
                    await self._store(raw, calls)
                    calls = []
        except errors.StorageError as error:
            _fail(calls or self._next_calls(), error)
            raise
        except BaseException:
            _fail(calls, errors.StorageUnavailable("Storing events was interrupted. Try again."))
            raise

    def _next_calls(self) -> list[_Call]:
        """Take the calls of the next transaction: at least one, then as many as fit."""
        calls: list[_Call] = []
        size = 0
        while self._calls and (
            not calls or size + self._calls[0].size <= EVENTS_PER_TRANSACTION_MAX
        ):
            call = self._calls.popleft()
            if not call.outcome.done():
                calls.append(call)
                size += call.size
        return calls

    async def _store(self, raw: connections.RawConnection, calls: list[_Call]) -> None:
        """Store calls in one transaction; if their content is at fault, one by one."""
        try:
            batches = [batch for call in calls for batch in call.batches]
            outcomes = await _append(batches, raw, self._announcer)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            await raw.rollback()
            if len(calls) == 1:
                _fail(calls, connections.translated(error, "storing events"))
                return
            logger.warning(
                "storing batches one by one, since one of them cannot be stored",
                extra={"action": "append_split", "calls": len(calls)},
            )
            for call in calls:
                await self._store(raw, [call])
            return
        for call in calls:
            mine, outcomes = outcomes[: len(call.batches)], outcomes[len(call.batches) :]
            if not call.outcome.done():
                call.outcome.set_result(mine)


def _fail(calls: Sequence[_Call], error: errors.StorageError) -> None:
    for call in calls:
        if not call.outcome.done():
            call.outcome.set_exception(error)


async def _append(
    batches: Sequence[records.EventBatch],
    raw: connections.RawConnection,
    announcer: announcing.Announcer,
) -> list[records.BatchOutcome]:
    writer, producers, epochs = await _begin(batches, raw)
    before = {run_id: producer.high_water for run_id, producer in producers.items()}
    verdicts = acceptance.judge(batches, epochs, producers, writer.now)
    cut_short = [run.run_id for run in producers.values() if run.changed and run.cut_short]
    accounts = await left_out.accounts(raw, cut_short) if cut_short else {}
    outcomes: list[records.BatchOutcome] = []
    for verdict in verdicts:
        for event in verdict.taken:
            _add(event, producers[event.run_id], writer, accounts)
        outcomes.append(
            records.BatchOutcome(
                acknowledged={run_id: producers[run_id].high_water for run_id in verdict.runs},
                fenced=verdict.fenced,
                stale_epoch=verdict.stale_epoch,
                last_event_id=writer.head if verdict.taken else 0,
            )
        )
    _free_slots(verdicts, writer)
    _tell_timeouts(verdicts, producers, writer)
    _move_on([run for run in producers.values() if run.high_water != before[run.run_id]], writer)
    await writer.commit(announcer)
    return outcomes


def _add(
    event: events_pb2.Event,
    producer: acceptance.Producer,
    writer: log_writer.LogWriter,
    accounts: dict[str, left_out.Account],
) -> None:
    """Add an event; before the one that ends a run, what the run left out."""
    location_name = producer.location_name
    if not accounts or event.run_id not in accounts:
        writer.add(event, location_name)
        return
    if acceptance.ends_a_run(event):
        account = accounts.pop(event.run_id)
        canceled = producer.status is records.RunStatus.CANCELED
        writer.add_all(account.events(canceled=canceled, now=writer.now), location_name)
        writer.add(event, location_name)
        return
    accounts[event.run_id].hear(writer.add(event, location_name), event)


async def _begin(
    batches: Sequence[records.EventBatch], raw: connections.RawConnection
) -> tuple[log_writer.LogWriter, dict[str, acceptance.Producer], dict[tuple[str, str], int]]:
    """Take the append lock and read what the decision needs, in one round trip."""
    # Ids with characters that Postgres cannot hold are of no run and of no server.
    run_ids = {event.run_id for batch in batches for event in batch.events}
    known = sorted(run_id for run_id in run_ids if run_id and "\0" not in run_id)
    sources = sorted({(batch.location_name, batch.server_id) for batch in batches})
    sources = [source for source in sources if "\0" not in "".join(source)]
    async with raw.pipeline():
        head_cursor = await log_writer.request_lock(raw)
        producer_cursor = await raw.execute(_PRODUCERS, [known], prepare=True)
        epoch_cursors = [await raw.execute(_EPOCH, source, prepare=True) for source in sources]
    writer = await log_writer.LogWriter.of(raw, head_cursor)
    producers = {
        row[0]: acceptance.Producer(
            run_id=row[0],
            location_name=row[1],
            status=records.RunStatus(row[2]),
            server_id=row[3],
            attempt=row[4],
            high_water=row[5],
            pending_failure=row[6],
        )
        for row in await producer_cursor.fetchall()
    }
    epochs: dict[tuple[str, str], int] = {}
    for source, cursor in zip(sources, epoch_cursors, strict=True):
        row = await cursor.fetchone()
        if row is not None:
            epochs[source] = row[0]
    return writer, producers, epochs


def _tell_timeouts(
    verdicts: Sequence[acceptance.Verdict],
    producers: Mapping[str, acceptance.Producer],
    writer: log_writer.LogWriter,
) -> None:
    """Tell behind its cancellation that a run failed which was canceled in order to."""
    for verdict in verdicts:
        for event in verdict.taken:
            producer = producers[event.run_id]
            pending = producer.pending_failure
            if pending is None or event.WhichOneof("body") != "run_canceled":
                continue
            failure = values_pb2.Failure.FromString(pending)
            told = run_rows.event_about(event.run_id, event.job_name, failure.message, writer.now)
            told.run_failed.failure.CopyFrom(failure)
            writer.add(told, producer.location_name)


def _free_slots(verdicts: Sequence[acceptance.Verdict], writer: log_writer.LogWriter) -> None:
    """Give back with the commit the slots of steps that ended."""
    ended = {
        (event.run_id, event.step_key)
        for verdict in verdicts
        for event in verdict.taken
        if event.WhichOneof("body") in _STEP_ENDS
    }
    if ended:
        writer.also(*pool_store.free_of_steps(ended))


def _move_on(advanced: Sequence[acceptance.Producer], writer: log_writer.LogWriter) -> None:
    """Store with the commit how far the events of runs go now, and what they made of the runs."""
    if advanced:
        marks = [{"run_id": run.run_id, "high_water": run.high_water} for run in advanced]
        writer.also(_SET_HIGH_WATER, [psycopg_json.Jsonb(marks)])
    changed = [producer for producer in advanced if producer.changed]
    if changed:
        writer.also(_SET_RUNS, [psycopg_json.Jsonb([_changes_of(run) for run in changed])])
    final = [producer.run_id for producer in changed if producer.status.is_final]
    if final:
        writer.also(*pool_store.free_of_runs(final))
    for producer in changed:
        writer.tell_status(producer.status)


def _changes_of(run: acceptance.Producer) -> dict[str, str | None]:
    return {
        "run_id": run.run_id,
        "status": run.status.value,
        "start_time": _text_of(run.start_time),
        "end_time": _text_of(run.end_time),
        "build_id": run.build_id,
        "failure": None if run.failure is None else run.failure.hex(),
    }


def _text_of(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

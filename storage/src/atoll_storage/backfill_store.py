"""Backfills, their progress and their runs.

Called by the host's backfills. `commit` is the heart: the progress, the runs that are requested and
their events are stored in one transaction, against the version that was decided on; so two hosts,
crashes and repeats request nothing twice. Runs are queued by the hundred, with one statement and
one COPY of their events.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from psycopg.types import json as psycopg_json
from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    backfill_records,
    backfill_schema,
    connections,
    errors,
    log_writer,
    notifications,
    records,
    run_rows,
    schema,
)

_BACKFILLS = backfill_schema.backfills.c
_STATUS = records.RunStatus

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_FIELDS = [field.name for field in dataclasses.fields(backfill_records.BackfillRecord)]
_NAMES = ", ".join(_FIELDS)
_ACTIVE = "status IN ('REQUESTED', 'PAUSED', 'CANCELING')"  # spelled as in the index
# A run that failed is no end until it is decided that no other takes its place.
_ENDED = "status IN ('SUCCESS', 'FAILURE', 'CANCELED') AND (status <> 'FAILURE' OR retry_decided)"
_INSERT = f"""
INSERT INTO backfills (backfill_id, status, title, tags, target, progress, request_id)
VALUES (%s, 'REQUESTED', %s, %s, %b, %b, %s)
ON CONFLICT ON CONSTRAINT backfills_request DO NOTHING
RETURNING {_NAMES}
""".encode()
_GET = f"SELECT {_NAMES} FROM backfills WHERE backfill_id = %s".encode()
_GET_OF_REQUEST = f"SELECT {_NAMES} FROM backfills WHERE request_id = %s".encode()
_HEADS = f"""
SELECT backfill_id, status, version FROM backfills WHERE {_ACTIVE}
ORDER BY create_time, backfill_id LIMIT %s
""".encode()
_COUNTS = f"""
SELECT backfill_id, coalesce(location_name, ''), count(*) FILTER (WHERE status = 'QUEUED'),
    count(*), count(*) FILTER (WHERE status IS NULL OR ({_ENDED}))
FROM backfill_runs LEFT JOIN runs USING (run_id) GROUP BY 1, 2
""".encode()
_GET_ENDED = f"""
SELECT backfill_runs.run_id, {run_rows.NAMES} FROM backfill_runs LEFT JOIN runs USING (run_id)
WHERE backfill_id = %s AND (status IS NULL OR ({_ENDED})) LIMIT %s
""".encode()
_GET_ACTIVE = """
SELECT run_id FROM backfill_runs JOIN runs USING (run_id)
WHERE backfill_id = %s AND status IN ('STARTING', 'STARTED') LIMIT %s
"""
_GET_MATERIALIZED = f"""
SELECT payload FROM events WHERE run_id = ANY(%s::text[]) AND kind = {schema.KIND_MATERIALIZATION}
""".encode()
_ADVANCE = """
UPDATE backfills SET version = version + 1, status = %s, progress = %b,
    failure = CASE WHEN %s THEN NULL ELSE coalesce(%b, failure) END, run_count = run_count + %s,
    update_time = clock_timestamp(), end_time = CASE WHEN %s THEN clock_timestamp() END
WHERE backfill_id = %s AND version = %s
RETURNING version, title, failure
"""
_VERSION = "SELECT version FROM backfills WHERE backfill_id = %s"
_REMEMBER = "INSERT INTO backfill_runs (run_id, backfill_id) SELECT unnest(%s::text[]), %s"
_FORGET = "DELETE FROM backfill_runs WHERE run_id = ANY(%s::text[]) AND backfill_id = %s"
_CANCEL_QUEUED = """
UPDATE runs SET status = 'CANCELED', end_time = clock_timestamp(), update_time = clock_timestamp()
WHERE run_id IN (
    SELECT run_id FROM backfill_runs JOIN runs USING (run_id)
    WHERE backfill_id = %s AND status = 'QUEUED' LIMIT %s
)
RETURNING run_id, job_name, location_name
"""
JOIN_RETRY = f"""
INSERT INTO backfill_runs (run_id, backfill_id)
SELECT %s, backfill_id FROM backfills WHERE backfill_id = %s AND {_ACTIVE}
ON CONFLICT DO NOTHING
""".encode()
"""Has a backfill wait for a run that tries one of its runs again: the run, and its backfill. It
belongs into the transaction that queues the run, so that nobody accounts for one without the
other."""


class BackfillStore:
    """What the host remembers of backfills."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def create(
        self, backfill: backfill_records.NewBackfill
    ) -> backfill_records.BackfillRecord:
        """Store a new backfill. The same request id returns the first one."""
        values = [
            backfill.backfill_id,
            backfill.title,
            psycopg_json.Jsonb(dict(backfill.tags)),
            backfill.target,
            backfill.progress,
            backfill.request_id or None,
        ]
        async with connections.driver_connection(self._engine, "creating a backfill") as raw:
            async with raw.pipeline():
                inserted = await raw.execute(_INSERT, values, prepare=True)
                await self._notify(raw, backfill.backfill_id)
                await raw.execute("COMMIT", prepare=False)
            row = await inserted.fetchone()
        if row is not None:
            return _record_of(row)
        return (await self._fetch(_GET_OF_REQUEST, [backfill.request_id]))[0]

    async def get(self, backfill_id: str) -> backfill_records.BackfillRecord | None:
        """Return one backfill."""
        found = await self._fetch(_GET, [backfill_id.replace("\0", "\ufffd")])
        return found[0] if found else None

    async def of_request(self, request_id: str) -> backfill_records.BackfillRecord | None:
        """Return the backfill that a request began."""
        found = await self._fetch(_GET_OF_REQUEST, [request_id])
        return found[0] if found else None

    async def page(
        self,
        *,
        statuses: Sequence[backfill_records.BackfillStatus] = (),
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
    ) -> list[backfill_records.BackfillRecord]:
        """Return backfills, newest first; `before` is the (create time, id) of the last seen."""
        columns = [_BACKFILLS[name] for name in _FIELDS]
        statement = sa.select(*columns)
        if statuses:
            statement = statement.where(
                _BACKFILLS.status.in_([status.value for status in statuses])
            )
        if before is not None:
            statement = statement.where(
                sa.tuple_(_BACKFILLS.create_time, _BACKFILLS.backfill_id) < sa.tuple_(*before)
            )
        order = (_BACKFILLS.create_time.desc(), _BACKFILLS.backfill_id.desc())
        statement = statement.order_by(*order).limit(limit)
        async with connections.transaction(self._engine, "reading backfills") as connection:
            return [_record_of(row) for row in (await connection.execute(statement)).all()]

    async def heads(self, *, limit: int) -> list[backfill_records.BackfillHead]:
        """Return the active backfills, oldest first, with the numbers of their open runs."""
        heads, counts = await connections.fetch_each(
            self._engine, "reading backfills", (_HEADS, [limit]), (_COUNTS, [])
        )
        queued: dict[str, dict[str, int]] = {}
        open_counts: dict[str, int] = {}
        ended_counts: dict[str, int] = {}
        for backfill_id, location_name, waiting, total, ended in counts:
            queued.setdefault(backfill_id, {})[location_name] = waiting
            open_counts[backfill_id] = open_counts.get(backfill_id, 0) + total
            ended_counts[backfill_id] = ended_counts.get(backfill_id, 0) + ended
        return [
            backfill_records.BackfillHead(
                backfill_id,
                backfill_records.BackfillStatus(status),
                version,
                queued.get(backfill_id, {}),
                open_counts.get(backfill_id, 0),
                ended_counts.get(backfill_id, 0),
            )
            for backfill_id, status, version in heads
        ]

    async def ended(
        self, backfill_id: str, *, limit: int
    ) -> list[tuple[str, records.RunRecord | None]]:
        """Return runs that ended and that the progress does not hold yet.

        Returns:
            The id and the run; None for one that was deleted.
        """
        rows = await connections.fetch(
            self._engine, "reading runs", _GET_ENDED, [backfill_id, limit]
        )
        return [(row[0], None if row[1] is None else run_rows.record_of(row[1:])) for row in rows]

    async def active_runs(self, backfill_id: str, *, limit: int) -> list[str]:
        """Return the runs of a backfill that are STARTING or STARTED."""
        values = [backfill_id, limit]
        rows = await connections.fetch(self._engine, "reading runs", _GET_ACTIVE, values)
        return [row[0] for row in rows]

    async def materialized(self, run_ids: Sequence[str]) -> list[backfill_records.Materialized]:
        """Return what runs materialized, as far as the log still tells."""
        rows = await connections.fetch(
            self._engine, "reading the log", _GET_MATERIALIZED, [list(run_ids)]
        )
        events = [events_pb2.Event.FromString(row[0]) for row in rows]
        return [
            backfill_records.Materialized(
                event.run_id,
                tuple(event.asset_materialization.asset_key.path),
                event.asset_materialization.partition,
            )
            for event in events
        ]

    async def commit(self, commit: backfill_records.BackfillCommit) -> int:
        """Store what was decided for a backfill, queue its runs: all or nothing.

        Returns:
            The new version.

        Raises:
            StaleBackfill: The backfill moved since it was read.
            UnknownBackfill: There is no such backfill.
        """
        async with connections.driver_connection(self._engine, "storing a backfill") as raw:
            async with raw.pipeline():
                advanced = await raw.execute(_ADVANCE, _values_of(commit), prepare=True)
                if commit.accounted:
                    values = [list(commit.accounted), commit.backfill_id]
                    await raw.execute(_FORGET, values, prepare=True)
                await self._notify(raw, commit.backfill_id)
            row = await advanced.fetchone()
            if row is None:
                raise await _stale(raw, commit)
            if commit.runs:
                await self._queue(raw, commit)
            elif commit.status.is_final:
                await self._tell_end(raw, _end_of(commit, *row[1:]))
            else:
                await raw.execute("COMMIT", prepare=False)
            return int(row[0])

    async def cancel_queued(self, backfill_id: str, *, limit: int) -> int:
        """Cancel runs of a backfill that wait in the queue; return how many it were."""
        async with connections.driver_connection(self._engine, "canceling runs") as raw:
            async with raw.pipeline():
                head = await log_writer.request_lock(raw)
                canceled = await raw.execute(_CANCEL_QUEUED, [backfill_id, limit], prepare=True)
            rows = await canceled.fetchall()
            if not rows:
                return 0
            writer = await log_writer.LogWriter.of(raw, head)
            for run_id, job_name, location_name in rows:
                event = run_rows.event_about(
                    run_id, job_name, "The run was canceled with its backfill.", writer.now
                )
                event.run_canceled.SetInParent()
                writer.add(event, location_name)
            writer.tell_status(_STATUS.CANCELED)
            await writer.commit(self._announcer)
            return len(rows)

    async def _queue(
        self, raw: connections.RawConnection, commit: backfill_records.BackfillCommit
    ) -> None:
        """Queue the runs of a commit, and commit."""
        run_ids = [run.run_id for run in commit.runs]
        async with raw.pipeline():
            await raw.execute(
                run_rows.INSERT_MANY, run_rows.values_of_many(commit.runs), prepare=True
            )
            await raw.execute(_REMEMBER, [run_ids, commit.backfill_id], prepare=True)
            # Last of all: the append lock is held to the commit.
            head = await log_writer.request_lock(raw)
        writer = await log_writer.LogWriter.of(raw, head)
        run_rows.tell_queued(writer, commit.runs)
        await writer.commit(self._announcer)

    async def _tell_end(self, raw: connections.RawConnection, event: events_pb2.Event) -> None:
        """Write the event of a backfill's end, and commit."""
        head = await log_writer.request_lock(raw)
        writer = await log_writer.LogWriter.of(raw, head)
        event.timestamp.FromDatetime(writer.now)
        writer.add(event, "")
        await writer.commit(self._announcer)

    async def _notify(self, raw: connections.RawConnection, backfill_id: str) -> None:
        notice = self._announcer.notice(notifications.BACKFILLS, backfill_id)
        await raw.execute(*notice, prepare=True)

    async def _fetch(
        self, statement: bytes, values: list[object]
    ) -> list[backfill_records.BackfillRecord]:
        rows = await connections.fetch(self._engine, "reading backfills", statement, values)
        return [_record_of(row) for row in rows]


def _record_of(row: Sequence[Any]) -> backfill_records.BackfillRecord:
    values = dict(zip(_FIELDS, row, strict=True))
    values["status"] = backfill_records.BackfillStatus(values["status"])
    failure = values["failure"]
    values["failure"] = None if failure is None else values_pb2.Failure.FromString(failure)
    return backfill_records.BackfillRecord(**values)


def _values_of(commit: backfill_records.BackfillCommit) -> list[object]:
    failure = commit.failure
    return [
        commit.status.value,
        commit.progress,
        commit.clear_failure,
        None if failure is None else failure.SerializeToString(),
        numeric.Int8(len(commit.runs)),
        commit.status.is_final,
        commit.backfill_id,
        numeric.Int8(commit.expected_version),
    ]


def _end_of(
    commit: backfill_records.BackfillCommit, title: str, failure: bytes | None
) -> events_pb2.Event:
    """Return the event of a backfill's end."""
    words = commit.status.value.lower().replace("_", ", ")
    event = events_pb2.Event(message=f"Backfill {title} ended: {words}")
    event.backfill_ended.backfill_id = commit.backfill_id
    event.backfill_ended.status = commit.status.value
    event.backfill_ended.title = title
    if failure is not None:
        event.backfill_ended.failure.ParseFromString(failure)
    return event


async def _stale(
    raw: connections.RawConnection, commit: backfill_records.BackfillCommit
) -> errors.StorageError:
    """Say why the backfill could not be moved on."""
    cursor = await raw.execute(_VERSION, [commit.backfill_id])
    row = await cursor.fetchone()
    await raw.rollback()
    if row is None:
        return errors.UnknownBackfill(commit.backfill_id)
    return errors.StaleBackfill(commit.backfill_id, commit.expected_version, row[0])

"""Writing to the log: the append lock, the ids, the rows, and what follows from events.

Called by `appending` for code servers and by the stores for the host's own events. Whoever makes a
`LogWriter` holds the append lock until its transaction ends. Ids are given under it, so their order
is the order of commits: a reader that has seen id N will never see a smaller one appear. A rolled
back transaction leaves no hole either, since the head is rolled back too.

A transaction costs two round trips: one that takes the lock and reads what must be known
(`request_lock`, in a pipeline of the caller), and one for everything that follows, commit included
(`LogWriter.commit`). Many events take a COPY in between.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

import psycopg
from psycopg.types import numeric

from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    check_projections,
    connections,
    event_rows,
    locks,
    notifications,
    partitions,
    projections,
    records,
    run_changes,
)

# Rows are encoded while Postgres stores the ones before: small enough to keep both busy and the
# event loop free.
_CHUNK_ROWS = 128
INSERTED_MAX = 8
"""Up to so many events, an INSERT each in the pipeline is quicker than a COPY's round trips."""

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
# A statement of its own: its snapshot must be taken after the lock.
_HEAD = "SELECT head, partitioned_to, clock_timestamp() FROM log_head"
_SET_HEAD = "WITH moved AS (UPDATE log_head SET head = %s) SELECT pg_notify(%s, %s)"
_SET_HEAD_OF_RUNS = f"{_SET_HEAD}, pg_notify(%s, %s)".encode()

HeadCursor = psycopg.AsyncCursor[tuple[int, int, dt.datetime]]


async def request_lock(raw: connections.RawConnection) -> HeadCursor:
    """Send the statements that take the append lock and read the head; fit for a pipeline."""
    await raw.execute(_LOCK, [locks.APPEND], prepare=True)
    return await raw.execute(_HEAD, prepare=True)


async def open_writer(raw: connections.RawConnection) -> "LogWriter":
    """Take the append lock in the transaction of a connection."""
    async with raw.pipeline():
        cursor = await request_lock(raw)
    return await LogWriter.of(raw, cursor)


class LogWriter:
    """One transaction's right to write to the log.

    Attributes:
        head: The id of the newest event, those added here included.
        now: The time of the database when the lock was taken, which is the stored time of the
            events.
    """

    def __init__(
        self, raw: connections.RawConnection, head: int, partitioned_to: int, now: dt.datetime
    ) -> None:
        self.head = head
        self.now = now
        self._raw = raw
        self._partitioned_to = partitioned_to
        self._first_id = head + 1
        self._added: list[tuple[events_pb2.Event, str]] = []
        self._rows: list[Sequence[object]] = []
        self._assets = projections.AssetProjections()
        self._checks = check_projections.CheckProjections()
        self._statuses: set[records.RunStatus] = set()
        self._run_changes: list[tuple[int, records.RunChange]] = []
        self._statements: list[tuple[connections.Statement, Sequence[object]]] = []

    @classmethod
    async def of(cls, raw: connections.RawConnection, cursor: HeadCursor) -> "LogWriter":
        """Make a writer from the answer to `request_lock`."""
        row = await cursor.fetchone()
        if row is None:
            raise AssertionError("log_head has one row from the first migration on")
        return cls(raw, *row)

    def add(self, event: events_pb2.Event, location_name: str) -> int:
        """Put an event behind the others; return its id."""
        self.head += 1
        change = run_changes.told_by(event, location_name)
        if change is not None:
            self._run_changes.append((self.head, change))
        self._added.append((event, location_name))
        return self.head

    def add_all(self, events: Iterable[events_pb2.Event], location_name: str) -> None:
        """Put events behind the others."""
        for event in events:
            self.add(event, location_name)

    def also(self, statement: connections.Statement, parameters: Sequence[object]) -> None:
        """Have a statement run with the commit; nobody sees its result."""
        self._statements.append((statement, parameters))

    def tell_status(self, status: records.RunStatus) -> None:
        """Have listeners told, after the commit, that a run got a status."""
        self._statuses.add(status)

    async def ensure_partitions(self) -> None:
        """Create partitions when the ids given here come near the end of those that exist."""
        if self.head + partitions.SIZE // 2 >= self._partitioned_to:
            self._partitioned_to = await partitions.extend(
                self._raw, self.head, self._partitioned_to
            )

    async def commit(self, announcer: announcing.Announcer) -> None:
        """Store the added events and all that follows from them, commit, and tell."""
        try:
            await self._store_events()
            async with self._raw.pipeline():
                await self._finish(announcer)
        except BaseException:
            announcer.tell(records.STORED_UNKNOWN)
            raise
        announcer.tell(
            records.Stored(
                after_id=self._first_id - 1,
                last_id=self.head,
                materializations=tuple(self._assets.materialized),
                statuses=frozenset(self._statuses),
                run_changes=tuple(self._run_changes),
            )
        )

    async def _store_events(self) -> None:
        """Store the added events, or prepare to: a few are stored with the commit."""
        if not self._added:
            return
        await self.ensure_partitions()
        if len(self._added) <= INSERTED_MAX:
            for event_id, (event, location_name) in enumerate(self._added, self._first_id):
                payload = event.SerializeToString()
                row = event_rows.values(event_id, event, location_name, payload)
                self._rows.append((*row, self.now))
                self._assets.add(event_id, event, location_name, payload)
                self._checks.add(event_id, event, location_name, payload)
            return
        encoder = event_rows.RowEncoder(self.now)
        async with self._raw.cursor() as cursor, cursor.copy(event_rows.COPY_STATEMENT) as copy:
            chunk = [event_rows.COPY_HEADER]
            for event_id, (event, location_name) in enumerate(self._added, self._first_id):
                payload = event.SerializeToString()
                chunk.append(encoder.encode(event_id, event, location_name, payload))
                self._assets.add(event_id, event, location_name, payload)
                self._checks.add(event_id, event, location_name, payload)
                if len(chunk) >= _CHUNK_ROWS:
                    await copy.write(b"".join(chunk))
                    chunk.clear()
            chunk.append(event_rows.COPY_TRAILER)
            await copy.write(b"".join(chunk))

    async def _finish(self, announcer: announcing.Announcer) -> None:
        """Send what goes with the commit. Runs in a pipeline."""
        cursor = self._raw.cursor()  # nobody looks at the results
        for row in self._rows:
            await cursor.execute(event_rows.INSERT_STATEMENT, row, prepare=True)
        for statement, parameters in self._statements:
            await cursor.execute(statement, parameters, prepare=True)
        for statement, parameters in (
            *self._assets.changes(self.now),
            *self._checks.changes(self.now),
        ):
            await cursor.execute(statement, parameters, prepare=True)
        if self._added:
            told: list[object] = [
                numeric.Int8(self.head),
                notifications.EVENTS,
                announcer.payload(str(self.head)),
            ]
            if self._statuses:
                hint = announcer.payload(",".join(sorted(self._statuses)))
                told += [notifications.RUNS, hint]
            statement = _SET_HEAD_OF_RUNS if self._statuses else _SET_HEAD
            await cursor.execute(statement, told, prepare=True)
        # Not `commit()`, which would wait for an answer of its own.
        await cursor.execute("COMMIT", prepare=False)

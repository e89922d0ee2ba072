"""Dynamic partitions: partition keys that are data, in the order in which they were added.

Called by the host for user code, people and ticks. A definition belongs to no location: its name
means the same keys everywhere. Keys are changed by set operations in the database, whatever their
number. What changed is told by an event, in the same transaction.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import announcing, connections, locks, log_writer, records, request_rows

_KIND = records.DynamicPartitionsChangeKind

_LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
# Positions are given after the sort, so they follow the order of the keys.
_ADD = """
WITH added AS (
    INSERT INTO dynamic_partitions (partitions_def_name, partition_key)
    SELECT %s, new.key FROM unnest(%s::text[]) WITH ORDINALITY AS new (key, place) ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM added
"""
_DELETE = """
WITH deleted AS (
    DELETE FROM dynamic_partitions
    WHERE partitions_def_name = %s AND partition_key = ANY(%s::text[])
    RETURNING 1
)
SELECT count(*) FROM deleted
"""
_STATEMENTS: dict[records.DynamicPartitionsChangeKind, connections.Statement] = {
    _KIND.ADD: _ADD,
    _KIND.DELETE: _DELETE,
}
_LIST = """
SELECT partition_key, position, create_time FROM dynamic_partitions
WHERE partitions_def_name = %s AND position > %s ORDER BY position LIMIT %s
"""
_LIST_DESCENDING = """
SELECT partition_key, position, create_time FROM dynamic_partitions
WHERE partitions_def_name = %s AND position < %s ORDER BY position DESC LIMIT %s
"""
_EXISTING = """
SELECT partition_key, position, create_time FROM dynamic_partitions
WHERE partitions_def_name = %s AND partition_key = ANY(%s::text[]) ORDER BY position
"""
_POSITION_MAX = 2**63 - 1

_Sent = tuple[records.DynamicPartitionsChange, psycopg.AsyncCursor[tuple[Any, ...]]]


class PartitionStore:
    """Keys of dynamic partitions definitions."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def change(self, change: records.DynamicPartitionsChange, *, request_id: str = "") -> int:
        """Add keys or take them out.

        Args:
            change: What to change. Keys that are there already, or are not there, are left alone.
            request_id: Makes it exactly once: repeats change nothing and return the first answer.

        Returns:
            How many keys were added or taken out.
        """
        doing = "changing dynamic partitions"
        async with connections.driver_connection(self._engine, doing) as raw:
            async with raw.pipeline():
                await _lock(raw, change.partitions_def_name)
                earlier = await request_rows.find(raw, request_id)
            result = await request_rows.result_of(earlier)
            if result is not None:
                await raw.rollback()
                return result
            async with raw.pipeline():
                applied = await _apply(raw, change)
                head = await log_writer.request_lock(raw)
            writer = await log_writer.LogWriter.of(raw, head)
            told = [event async for event in _told([(change, applied)])]
            counts = [event.dynamic_partitions_changed for event in told]
            result = sum(each.added_count + each.deleted_count for each in counts)
            writer.add_all(told, "")
            for statement, parameters in request_rows.changes(request_id, result):
                writer.also(statement, parameters)
            await writer.commit(self._announcer)
            return result

    async def page(
        self, partitions_def_name: str, *, after: int = 0, limit: int, descending: bool = False
    ) -> tuple[list[records.DynamicPartition], bool]:
        """Return keys in the order in which they were added, and whether there are more.

        Args:
            partitions_def_name: The definition.
            after: Go on after this position; 0 begins.
            limit: How many at the most.
            descending: Newest first.
        """
        statement = _LIST_DESCENDING if descending else _LIST
        bound = after or (_POSITION_MAX if descending else 0)
        values = [partitions_def_name, bound, limit + 1]
        rows = await connections.fetch(
            self._engine, "reading dynamic partitions", statement, values
        )
        return [records.DynamicPartition(*row) for row in rows[:limit]], len(rows) > limit

    async def existing(
        self, partitions_def_name: str, partition_keys: Sequence[str]
    ) -> list[records.DynamicPartition]:
        """Return those of the keys that there are, in the order in which they were added."""
        values = [partitions_def_name, list(partition_keys)]
        rows = await connections.fetch(
            self._engine, "reading dynamic partitions", _EXISTING, values
        )
        return [records.DynamicPartition(*row) for row in rows]


class Applied:
    """Changes that a transaction makes, once their statements were sent."""

    def __init__(self, sent: Sequence[_Sent]) -> None:
        self._sent = sent

    async def events(self) -> list[events_pb2.Event]:
        """Return the events that tell of them; none for a change that found nothing to do."""
        return [event async for event in _told(self._sent)]


async def apply_all(
    raw: connections.RawConnection, changes: Sequence[records.DynamicPartitionsChange]
) -> Applied:
    """Make changes in order, in the transaction of a connection; fit for a pipeline."""
    for name in sorted({change.partitions_def_name for change in changes}):
        await _lock(raw, name)
    return Applied([(change, await _apply(raw, change)) for change in changes])


async def _lock(raw: connections.RawConnection, partitions_def_name: str) -> None:
    await raw.execute(_LOCK, [locks.PARTITIONS, partitions_def_name], prepare=True)


async def _apply(
    raw: connections.RawConnection, change: records.DynamicPartitionsChange
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    values = [change.partitions_def_name, list(change.partition_keys)]
    return await raw.execute(_STATEMENTS[change.kind], values, prepare=True)


async def _told(sent: Iterable[_Sent]) -> AsyncIterator[events_pb2.Event]:
    for change, cursor in sent:
        row = await cursor.fetchone()
        count = int(row[0]) if row is not None else 0
        if not count:
            continue
        adds = change.kind is _KIND.ADD
        done = "added to" if adds else "taken out of"
        name = change.partitions_def_name
        event = events_pb2.Event(message=f"{count} partitions were {done} {name!r}.")
        body = event.dynamic_partitions_changed
        body.partitions_def_name = name
        body.added_count, body.deleted_count = (count, 0) if adds else (0, count)
        yield event

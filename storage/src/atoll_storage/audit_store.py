"""The audit log: calls that change something or are refused, written before and after.

Called by the host's audit. An entry is durable before its call changes anything; how the call ended
is written without waiting for the disk, since an entry without an end says just that.
"""

import datetime as dt
from collections.abc import Sequence

from psycopg.types import json as psycopg_json
from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import access_records, connections

_INSERT = b"""
INSERT INTO audit_entries (begin_time, end_time, caller, caller_kind, credential_id, rpc,
    location_names, arguments, outcome, reason)
VALUES (clock_timestamp(), CASE WHEN %s THEN clock_timestamp() END, %s, %s, %s, %s, %s, %s, %s, %s)
RETURNING entry_id
"""
_END = b"""
UPDATE audit_entries SET end_time = clock_timestamp(), outcome = %s, reason = %s,
    location_names = ARRAY(SELECT DISTINCT unnest(location_names || %s::text[]) ORDER BY 1)
WHERE entry_id = %s
"""
_UNHURRIED = b"SET LOCAL synchronous_commit = off"
_PAGE = b"""
SELECT entry_id, begin_time, end_time, caller, caller_kind, credential_id, rpc, location_names,
    arguments, outcome, reason
FROM audit_entries
WHERE (%(before)s::bigint IS NULL OR entry_id < %(before)s)
AND (%(caller)s = '' OR caller = %(caller)s OR credential_id = %(caller)s)
AND (%(rpc)s = '' OR rpc = %(rpc)s OR rpc LIKE %(ending)s)
AND (%(location)s = '' OR %(location)s = ANY(location_names))
AND (%(start)s::timestamptz IS NULL OR begin_time >= %(start)s)
AND (%(end)s::timestamptz IS NULL OR begin_time < %(end)s)
ORDER BY entry_id DESC LIMIT %(limit)s
"""


class AuditStore:
    """What is remembered of calls."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def add(self, entry: access_records.NewEntry, *, ended: bool) -> int:
        """Write a call down, durably; return the id of the entry.

        Args:
            entry: The call.
            ended: Whether nothing more will be written of it.
        """
        values = [
            ended,
            entry.caller,
            entry.caller_kind,
            entry.credential_id,
            entry.rpc,
            list(entry.location_names),
            psycopg_json.Jsonb(dict(entry.arguments)),
            entry.outcome,
            entry.reason,
        ]
        async with connections.driver_connection(self._engine, "writing the audit log") as raw:
            async with raw.pipeline():
                cursor = await raw.execute(_INSERT, values, prepare=True)
                await raw.execute("COMMIT", prepare=False)
            row = await cursor.fetchone()
        assert row is not None  # noqa: S101 - an insert returns its row
        return int(row[0])

    async def end(
        self, entry_id: int, *, outcome: int, reason: str, locations: Sequence[str] = ()
    ) -> None:
        """Write down how a call ended.

        Args:
            entry_id: The entry of the call.
            outcome: What became of it.
            reason: The reason of the error that ended it; empty where none did.
            locations: Further locations that it was about.
        """
        values = [outcome, reason, list(locations), numeric.Int8(entry_id)]
        async with (
            connections.driver_connection(self._engine, "writing the audit log") as raw,
            raw.pipeline(),
        ):
            await raw.execute(_UNHURRIED, prepare=False)
            await raw.execute(_END, values, prepare=True)
            await raw.execute("COMMIT", prepare=False)

    async def page(
        self, query: access_records.EntryQuery, *, before_id: int | None, limit: int
    ) -> list[access_records.EntryRecord]:
        """Return entries, newest first, from before an id."""
        values: dict[str, str | int | dt.datetime | None] = {
            "before": before_id,
            "caller": query.caller,
            "rpc": query.rpc,
            "ending": "%." + _literally(query.rpc),
            "location": query.location_name,
            "start": query.start_time,
            "end": query.end_time,
            "limit": limit,
        }
        async with connections.driver_connection(self._engine, "reading the audit log") as raw:
            rows = await (await raw.execute(_PAGE, values)).fetchall()
            await raw.rollback()
        return [access_records.EntryRecord(*row) for row in rows]


def _literally(text: str) -> str:
    """Return a text as LIKE takes it for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

"""Requests that were granted already, so that repeating one changes nothing.

Called by the stores whose changes carry a request id, in the transaction of the change. Asking for
an id takes a lock that lets no two requests of one id through at once, whatever they change.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.types import numeric

from atoll_storage import connections, locks

_LOCK = "SELECT pg_advisory_xact_lock(%s, hashtext(%s))"
_FIND = "SELECT result FROM requests WHERE request_id = %s"
_REMEMBER = "INSERT INTO requests (request_id, result) VALUES (%s, %s)"
# A few old ones with each new one: the table neither grows without end nor needs a service.
_FORGET = """
DELETE FROM requests WHERE request_id IN (
    SELECT request_id FROM requests WHERE create_time < now() - interval '1 day'
    ORDER BY create_time LIMIT 20 FOR UPDATE SKIP LOCKED
)
"""


async def find(
    raw: connections.RawConnection, request_id: str
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    """Ask for the answer to an earlier request of that id; fit for a pipeline."""
    if request_id:
        await raw.execute(_LOCK, [locks.REQUESTS, request_id], prepare=True)
    return await raw.execute(_FIND, [request_id], prepare=True)


async def result_of(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> int | None:
    """Return the answer to the earlier request; None where there was none."""
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


def changes(request_id: str, result: int) -> list[tuple[connections.Statement, Sequence[object]]]:
    """Return the statements that remember a request and its answer; none without an id."""
    if not request_id:
        return []
    return [(_REMEMBER, [request_id, numeric.Int8(result)]), (_FORGET, [])]

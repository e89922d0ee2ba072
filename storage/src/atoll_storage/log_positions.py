"""Positions in the log that are named by a time.

Called by `event_log` and `sensor_store`. Times of events grow with their ids, so a position is
found by halving, without an index over times.
"""

import datetime as dt

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import connections, records

_BOUNDS = "SELECT pruned_through, head FROM log_head"
_FROM = "SELECT id, stored_time FROM events WHERE id >= %s ORDER BY id LIMIT 1"


async def before(engine: sa_asyncio.AsyncEngine, moment: dt.datetime) -> int:
    """Return the id of the newest event that was stored before a time.

    Args:
        engine: Where the log is.
        moment: The time. What was pruned counts as stored before it.
    """
    rows = await connections.fetch(engine, "looking for a position", _BOUNDS)
    low, high = rows[0]
    # All up to `low` was stored before, and nothing above `high` was.
    while low < high:
        middle = (low + high + 1) // 2
        found = await connections.fetch(engine, "looking for a position", _FROM, [middle])
        if not found or found[0][1] >= moment:
            high = middle - 1
        else:
            low = found[0][0]
    return int(low)


async def of_start(engine: sa_asyncio.AsyncEngine, start: records.StartPosition) -> int | None:
    """Return the position that a start means; None for the newest event, whichever that is then."""
    if start.earliest:
        return 0
    return None if start.time is None else await before(engine, start.time)

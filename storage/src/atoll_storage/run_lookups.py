"""Which runs there are already of those that somebody would ask for.

Called by dry runs of sensors and schedules, which make none: whoever makes runs finds out in the
transaction that does.
"""

import hashlib
from collections.abc import Sequence

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import connections, records

_OF_SENSOR = b"""
SELECT run_key FROM runs
WHERE sensor_location_name = %s AND sensor_name = %s AND run_key_digest = ANY(%s)
"""
_OF_REQUESTS = b"SELECT request_id FROM runs WHERE request_id = ANY(%s)"


class RunLookups:
    """Finds runs by what makes them one of their kind."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def run_keys(self, key: records.SensorKey, run_keys: Sequence[str]) -> frozenset[str]:
        """Return those of the run keys under which a sensor has a run."""
        if not run_keys:
            return frozenset()
        digests = [hashlib.sha256(each.encode()).digest() for each in run_keys]
        values = [key.location_name, key.sensor_name, digests]
        rows = await connections.fetch(self._engine, "looking for runs", _OF_SENSOR, values)
        return frozenset(row[0] for row in rows)

    async def request_ids(self, request_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the request ids that made a run."""
        if not request_ids:
            return frozenset()
        values = [[each.replace("\0", "\ufffd") for each in request_ids]]
        rows = await connections.fetch(self._engine, "looking for runs", _OF_REQUESTS, values)
        return frozenset(row[0] for row in rows)

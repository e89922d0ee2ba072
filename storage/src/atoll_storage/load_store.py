"""Loads of code locations: which builds were loaded when, and which could not be.

Written by `location_store`, in the transactions in which code servers tell what they serve; read by
the host's API. A code server that tells the same again makes no second entry. The newest loads of
each location are kept.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import connections, records

KEPT_MAX = 500
"""So many loads of a location are kept."""

_DOING = "reading loads of a location"
_LAST_ID = 2**63 - 1
_NOTE = sa.text(
    """
    INSERT INTO location_loads (location_name, server_id, build_id, build, failure)
    SELECT :location_name, :server_id, :build_id, CAST(:build AS bytea), CAST(:failure AS bytea)
    WHERE NOT EXISTS (
        SELECT FROM (
            SELECT build, failure FROM location_loads
            WHERE location_name = :location_name AND server_id = :server_id
            ORDER BY load_id DESC LIMIT 1
        ) AS newest
        WHERE newest.build IS NOT DISTINCT FROM CAST(:build AS bytea)
            AND newest.failure IS NOT DISTINCT FROM CAST(:failure AS bytea)
    )
    """
)
_FORGET = sa.text(
    """
    DELETE FROM location_loads WHERE location_name = :location_name AND load_id <= (
        SELECT load_id FROM location_loads WHERE location_name = :location_name
        ORDER BY load_id DESC OFFSET :kept LIMIT 1
    )
    """
)
_COLUMNS = "load_id, location_name, server_id, create_time, build, failure"
_LIST = f"""
SELECT {_COLUMNS} FROM location_loads
WHERE location_name = %s AND load_id < %s ORDER BY load_id DESC LIMIT %s
"""  # noqa: S608 - put together from constants
_OF_BUILD = f"""
SELECT {_COLUMNS} FROM location_loads
WHERE location_name = %s AND build_id = %s AND failure IS NULL ORDER BY load_id DESC LIMIT 1
"""  # noqa: S608
_BEFORE = f"""
SELECT {_COLUMNS} FROM location_loads
WHERE location_name = %s AND load_id < %s AND failure IS NULL AND build_id <> %s
ORDER BY load_id DESC LIMIT 1
"""  # noqa: S608


@dataclasses.dataclass(frozen=True, slots=True)
class NewLoad:
    """What a code server tells of itself.

    Attributes:
        location_name: The location.
        server_id: The code server.
        build: The build that serves; None for none.
        failure: Why the newest load failed; None where it did not.
    """

    location_name: str
    server_id: str
    build: location_pb2.Build | None
    failure: values_pb2.Failure | None


@dataclasses.dataclass(frozen=True, slots=True)
class LoadRecord:
    """One load. Later ones have higher ids; the rest is as in `NewLoad`."""

    load_id: int
    location_name: str
    server_id: str
    create_time: dt.datetime
    build: location_pb2.Build | None
    failure: values_pb2.Failure | None


class LoadStore:
    """Reads loads."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def page(
        self, location_name: str, *, before_id: int = 0, limit: int
    ) -> tuple[list[LoadRecord], bool]:
        """Return loads of a location, newest first, and whether there are more.

        Args:
            location_name: The location.
            before_id: Only loads before this one; 0 means no bound.
            limit: How many at the most.
        """
        values = [location_name, before_id or _LAST_ID, limit + 1]
        rows = await connections.fetch(self._engine, _DOING, _LIST.encode(), values)
        return [_record(row) for row in rows[:limit]], len(rows) > limit

    async def of_build(self, location_name: str, build_id: str) -> LoadRecord | None:
        """Return the newest load of a build that did well."""
        rows = await connections.fetch(
            self._engine, _DOING, _OF_BUILD.encode(), [location_name, build_id]
        )
        return _record(rows[0]) if rows else None

    async def before(self, load: LoadRecord) -> LoadRecord | None:
        """Return the newest load of another build that did well before a load."""
        build_id = "" if load.build is None else load.build.build_id
        values = [load.location_name, load.load_id, build_id]
        rows = await connections.fetch(self._engine, _DOING, _BEFORE.encode(), values)
        return _record(rows[0]) if rows else None


def of_registration(registration: records.ServerRegistration) -> NewLoad:
    """Return what a registration tells of the build that serves."""
    return NewLoad(
        registration.location_name,
        registration.server_id,
        registration.build,
        registration.load_failure,
    )


async def note(connection: sa_asyncio.AsyncConnection, load: NewLoad) -> None:
    """Remember what a code server tells, unless that is what it told last.

    Args:
        connection: The connection, in the transaction that stores what it tells.
        load: What it tells.
    """
    if load.build is None and load.failure is None:
        return  # it is loading
    values = {
        "location_name": load.location_name,
        "server_id": load.server_id,
        "build_id": "" if load.build is None else load.build.build_id,
        "build": None if load.build is None else load.build.SerializeToString(deterministic=True),
        "failure": None
        if load.failure is None
        else load.failure.SerializeToString(deterministic=True),
    }
    if (await connection.execute(_NOTE, values)).rowcount:
        await connection.execute(_FORGET, {"location_name": load.location_name, "kept": KEPT_MAX})


def _record(row: Sequence[Any]) -> LoadRecord:
    load_id, location_name, server_id, create_time, build, failure = row
    return LoadRecord(
        load_id,
        location_name,
        server_id,
        create_time,
        None if build is None else location_pb2.Build.FromString(build),
        None if failure is None else values_pb2.Failure.FromString(failure),
    )

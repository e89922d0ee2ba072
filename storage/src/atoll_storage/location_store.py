"""Code servers, snapshots and owners of assets.

Called by the host's sessions and its registry of locations. Leases run by the clock of the
database: it is the only one that all hosts share. What must not come in: deciding what a lost lease
means.

Of several code servers of one location, the current one is the newest that does not drain; those
whose lease lives come before those whose lease does not. "Newest" counts starts of code servers,
not sessions: one that merely reconnects does not take the location back from its successor.
"""

import datetime as dt
import functools
import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from psycopg.types import json as psycopg_json
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import (
    announcing,
    asset_keys,
    connections,
    load_store,
    locks,
    notifications,
    records,
    schema,
)

_BUILDS_DECODED_MAX = 1024

_SERVERS = schema.servers.c

_RANK = sa.func.row_number().over(
    partition_by=_SERVERS.location_name,
    order_by=(
        _SERVERS.draining,
        (_SERVERS.lease_expire_time > sa.func.now()).desc(),
        _SERVERS.registration.desc(),
    ),
)
_ALL_SERVERS = sa.select(
    schema.servers, sa.and_(_RANK == 1, sa.not_(_SERVERS.draining)).label("current")
)
_NAMES = tuple(_ALL_SERVERS.selected_columns.keys())
_GET_ALL = connections.compiled(
    _ALL_SERVERS.order_by(_SERVERS.location_name, _SERVERS.registration.desc())
)
_RENEW = """
UPDATE servers SET lease_expire_time = now() + make_interval(secs => %s)
FROM jsonb_to_recordset(%s) AS held (location_name text, server_id text, epoch bigint)
WHERE servers.location_name = held.location_name AND servers.server_id = held.server_id
    AND servers.epoch = held.epoch
"""
# One that is there already counts as new: it is about to be served, and must not be taken for old.
_SAVE_SNAPSHOT = """
INSERT INTO snapshots (digest, snapshot) VALUES (%s, %b)
ON CONFLICT (digest) DO UPDATE SET create_time = excluded.create_time
"""
_LOAD_SNAPSHOT = "SELECT snapshot FROM snapshots WHERE digest = %s"
_OWNERS_OF_ALL = "SELECT path, location_name FROM asset_owners"
_LOCK_OWNERS = "SELECT pg_advisory_xact_lock(%s)"
# Frees what is no longer claimed, and returns what is free or belongs to another location.
_COMPARE_CLAIMS = """
WITH claimed AS MATERIALIZED (SELECT asset_key FROM unnest(%b::text[]) AS keys (asset_key)),
freed AS (
    DELETE FROM asset_owners AS owned WHERE location_name = %s
    AND NOT EXISTS (SELECT FROM claimed WHERE claimed.asset_key = owned.asset_key)
)
SELECT claimed.asset_key, owned.location_name
FROM claimed LEFT JOIN asset_owners AS owned ON owned.asset_key = claimed.asset_key
WHERE owned.location_name IS DISTINCT FROM %s
"""
_CLAIM = """
INSERT INTO asset_owners (location_name, asset_key, path)
SELECT %s, asset_key, ARRAY(SELECT part FROM jsonb_array_elements_text(path::jsonb) AS parts (part))
FROM unnest(%b::text[], %b::text[]) AS new (asset_key, path)
"""


class LocationStore:
    """What the host remembers of locations."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def register(self, registration: records.ServerRegistration) -> records.ServerRecord:
        """Open a session: raises the epoch of the server, which becomes current unless it drains.

        A server that reconnects in the same incarnation keeps its place behind servers that started
        later.
        """
        values = _registration_values(registration)
        insert = postgresql.insert(schema.servers).values(
            location_name=registration.location_name,
            server_id=registration.server_id,
            epoch=1,
            registration=sa.func.nextval("registrations"),
            **values,
        )
        new = insert.excluded
        same = _SERVERS.incarnation_id == new.incarnation_id
        upsert = insert.on_conflict_do_update(
            index_elements=["location_name", "server_id"],
            set_={
                **{name: new[name] for name in values},
                "epoch": _SERVERS.epoch + 1,
                "registration": sa.case((same, _SERVERS.registration), else_=new.registration),
            },
        )
        async with connections.transaction(self._engine, "registering a code server") as connection:
            await connection.execute(upsert)
            await load_store.note(connection, load_store.of_registration(registration))
            await connection.execute(self._notify(registration.location_name))
            return await _read_server(
                connection, registration.location_name, registration.server_id
            )

    async def update(
        self,
        location_name: str,
        server_id: str,
        epoch: int,
        *,
        build: location_pb2.Build | None,
        load_failure: values_pb2.Failure | None,
        draining: bool,
    ) -> bool:
        """Store how a location is doing; False when the epoch is not the newest."""
        statement = (
            sa.update(schema.servers)
            .where(_is(location_name, server_id, epoch))
            .values(build=_encoded(build), load_failure=_encoded(load_failure), draining=draining)
        )
        async with connections.transaction(self._engine, "updating a location") as connection:
            changed = (await connection.execute(statement)).rowcount > 0
            if changed:
                load = load_store.NewLoad(location_name, server_id, build, load_failure)
                await load_store.note(connection, load)
                await connection.execute(self._notify(location_name))
        return changed

    async def renew(self, servers: Sequence[tuple[str, str, int]], lease_ttl_s: float) -> None:
        """Renew the leases of (location, server id, epoch) at once; stale epochs are left alone."""
        if not servers:
            return
        held = [
            {"location_name": name, "server_id": server_id, "epoch": epoch}
            for name, server_id, epoch in servers
        ]
        doing = "renewing leases"
        async with connections.driver_connection(self._engine, doing) as raw, raw.pipeline():
            await raw.execute(_RENEW, [lease_ttl_s, psycopg_json.Jsonb(held)], prepare=True)
            await raw.execute("COMMIT", prepare=False)

    async def release(self, location_name: str, server_id: str, epoch: int) -> None:
        """End a lease now. A stale epoch changes nothing."""
        statement = (
            sa.update(schema.servers)
            .where(_is(location_name, server_id, epoch))
            .values(lease_expire_time=sa.func.now())
        )
        async with connections.transaction(self._engine, "releasing a lease") as connection:
            if (await connection.execute(statement)).rowcount > 0:
                await connection.execute(self._notify(location_name))

    async def servers(self) -> list[records.ServerRecord]:
        """Return all code servers, by location and newest first."""
        rows = await connections.fetch(self._engine, "reading code servers", _GET_ALL)
        return [_server_of(row) for row in rows]

    async def server(self, location_name: str, server_id: str) -> records.ServerRecord | None:
        """Return one code server."""
        async with connections.transaction(self._engine, "reading a code server") as connection:
            row = (await connection.execute(_one_server(location_name, server_id))).one_or_none()
        return None if row is None else _server_of(row)

    async def save_snapshot(self, digest: str, snapshot: bytes) -> None:
        """Store an encoded snapshot under its digest. Repeating it changes nothing."""
        doing = "storing a snapshot"
        async with connections.driver_connection(self._engine, doing) as raw, raw.pipeline():
            await raw.execute(_SAVE_SNAPSHOT, [digest, snapshot])
            await raw.execute("COMMIT", prepare=False)

    async def load_snapshot(self, digest: str) -> bytes | None:
        """Return the snapshot of a digest."""
        rows = await connections.fetch(self._engine, "reading a snapshot", _LOAD_SNAPSHOT, [digest])
        return rows[0][0] if rows else None

    async def owners(self) -> dict[tuple[str, ...], str]:
        """Return the location that owns each executable asset."""
        rows = await connections.fetch(self._engine, "reading owners of assets", _OWNERS_OF_ALL)
        return {tuple(path): location_name for path, location_name in rows}

    async def claim_assets(
        self, location_name: str, keys: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], str]:
        """Claim exactly these assets for a location; return the owner of each already taken.

        The first claim wins. Assets that the location owned and no longer claims are freed.
        """
        paths = {asset_keys.encode(key): key for key in keys}
        async with connections.driver_connection(self._engine, "claiming assets") as raw:
            async with raw.pipeline():
                await raw.execute(_LOCK_OWNERS, [locks.OWNERS], prepare=True)
                found = await raw.execute(
                    _COMPARE_CLAIMS, [list(paths), location_name, location_name], prepare=True
                )
            # Most of what a new build claims was claimed by the one before it.
            others = await found.fetchall()
            new = [text for text, owner in others if owner is None]
            async with raw.pipeline():
                if new:
                    texts = [json.dumps(paths[text]) for text in new]
                    await raw.execute(_CLAIM, [location_name, new, texts], prepare=True)
                await raw.execute("COMMIT", prepare=False)
        return {paths[text]: owner for text, owner in others if owner is not None}

    def _notify(self, location_name: str) -> sa.Select[Any]:
        payload = self._announcer.payload(location_name)
        return sa.select(sa.func.pg_notify(notifications.LOCATIONS, payload))


def _is(location_name: str, server_id: str, epoch: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SERVERS.location_name == location_name,
        _SERVERS.server_id == server_id,
        _SERVERS.epoch == epoch,
    )


def _after(seconds: float) -> sa.ColumnElement[dt.datetime]:
    return sa.func.now() + sa.literal(dt.timedelta(seconds=seconds), sa.Interval)


def _encoded(message: location_pb2.Build | values_pb2.Failure | None) -> bytes | None:
    return None if message is None else message.SerializeToString()


def _registration_values(registration: records.ServerRegistration) -> dict[str, Any]:
    """Return the columns that every session sets anew."""
    return {
        "incarnation_id": registration.incarnation_id,
        "address": registration.address,
        "version": registration.version,
        "protocol_version": registration.protocol_version,
        "features": list(registration.features),
        "host_id": registration.host_id,
        "build": _encoded(registration.build),
        "load_failure": _encoded(registration.load_failure),
        "draining": registration.draining,
        "register_time": sa.func.now(),
        "lease_expire_time": _after(registration.lease_ttl_s),
        "control_token": registration.control_token,
    }


def _one_server(location_name: str, server_id: str) -> sa.Select[Any]:
    """Rank the servers of one location and pick one."""
    ranked = _ALL_SERVERS.where(_SERVERS.location_name == location_name).subquery("ranked")
    return sa.select(ranked).where(ranked.c.server_id == server_id)


async def _read_server(
    connection: sa_asyncio.AsyncConnection, location_name: str, server_id: str
) -> records.ServerRecord:
    return _server_of((await connection.execute(_one_server(location_name, server_id))).one())


@functools.lru_cache(maxsize=_BUILDS_DECODED_MAX)
def _build_of(data: bytes) -> location_pb2.Build:
    """Decode a build. All code servers are read again and again, and few of them change."""
    return location_pb2.Build.FromString(data)


def _server_of(row: Sequence[Any]) -> records.ServerRecord:
    values = dict(zip(_NAMES, row, strict=True))
    for name in ("registration", "protocol_version"):
        del values[name]
    build, failure = values["build"], values["load_failure"]
    values["features"] = tuple(values["features"])
    values["build"] = None if build is None else _build_of(build)
    values["load_failure"] = None if failure is None else values_pb2.Failure.FromString(failure)
    return records.ServerRecord(**values)

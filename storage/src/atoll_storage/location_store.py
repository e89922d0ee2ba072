"""Code servers, snapshots and owners of assets.

Called by the host's sessions and its registry of locations. Leases run by the clock of the
database: it is the only one that all hosts share. What must not come in: deciding what a lost lease
means.

Of several code servers of one location, the current one is the newest that does not drain; those
whose lease lives come before those whose lease does not. "Newest" counts starts of code servers,
not sessions: one that merely reconnects does not take the location back from its successor.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import asset_keys, connections, locks, notifications, records, schema

_SERVERS = schema.servers.c
_OWNERS = schema.asset_owners.c
_TEXTS = postgresql.ARRAY(sa.Text)

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


class LocationStore:
    """What the host remembers of locations."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

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
            await connection.execute(_notify(registration.location_name))
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
                await connection.execute(_notify(location_name))
        return changed

    async def renew(self, servers: Sequence[tuple[str, str, int]], lease_ttl_s: float) -> None:
        """Renew the leases of (location, server id, epoch) at once; stale epochs are left alone."""
        if not servers:
            return
        held = (
            sa.func.unnest(
                sa.cast([server[0] for server in servers], _TEXTS),
                sa.cast([server[1] for server in servers], _TEXTS),
                sa.cast([server[2] for server in servers], postgresql.ARRAY(sa.BigInteger)),
            )
            .table_valued("location_name", "server_id", "epoch")
            .render_derived(name="held")
        )
        statement = (
            sa.update(schema.servers)
            .where(
                _SERVERS.location_name == held.c.location_name,
                _SERVERS.server_id == held.c.server_id,
                _SERVERS.epoch == held.c.epoch,
            )
            .values(lease_expire_time=_after(lease_ttl_s))
        )
        async with connections.transaction(self._engine, "renewing leases") as connection:
            await connection.execute(statement)

    async def release(self, location_name: str, server_id: str, epoch: int) -> None:
        """End a lease now. A stale epoch changes nothing."""
        statement = (
            sa.update(schema.servers)
            .where(_is(location_name, server_id, epoch))
            .values(lease_expire_time=sa.func.now())
        )
        async with connections.transaction(self._engine, "releasing a lease") as connection:
            if (await connection.execute(statement)).rowcount > 0:
                await connection.execute(_notify(location_name))

    async def servers(self) -> list[records.ServerRecord]:
        """Return all code servers, by location and newest first."""
        order = (_SERVERS.location_name, _SERVERS.registration.desc())
        async with connections.transaction(self._engine, "reading code servers") as connection:
            rows = (await connection.execute(_ALL_SERVERS.order_by(*order))).all()
        return [_server_of(row) for row in rows]

    async def server(self, location_name: str, server_id: str) -> records.ServerRecord | None:
        """Return one code server."""
        async with connections.transaction(self._engine, "reading a code server") as connection:
            row = (await connection.execute(_one_server(location_name, server_id))).one_or_none()
        return None if row is None else _server_of(row)

    async def save_snapshot(self, digest: str, snapshot: bytes) -> None:
        """Store an encoded snapshot under its digest. Repeating it changes nothing."""
        statement = postgresql.insert(schema.snapshots).values(digest=digest, snapshot=snapshot)
        async with connections.transaction(self._engine, "storing a snapshot") as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def load_snapshot(self, digest: str) -> bytes | None:
        """Return the snapshot of a digest."""
        column = schema.snapshots.c
        statement = sa.select(column.snapshot).where(column.digest == digest)
        async with connections.transaction(self._engine, "reading a snapshot") as connection:
            return await connection.scalar(statement)

    async def owners(self) -> dict[tuple[str, ...], str]:
        """Return the location that owns each executable asset."""
        statement = sa.select(_OWNERS.path, _OWNERS.location_name)
        async with connections.transaction(self._engine, "reading owners of assets") as connection:
            return {tuple(row[0]): row[1] for row in (await connection.execute(statement)).all()}

    async def claim_assets(
        self, location_name: str, keys: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], str]:
        """Claim exactly these assets for a location; return the owner of each already taken.

        The first claim wins. Assets that the location owned and no longer claims are freed.
        """
        paths = {asset_keys.encode(key): key for key in keys}
        claimed = sa.cast(list(paths), _TEXTS)
        freed = sa.delete(schema.asset_owners).where(
            _OWNERS.location_name == location_name, _OWNERS.asset_key != sa.all_(claimed)
        )
        rows = [
            {"asset_key": text, "path": list(path), "location_name": location_name}
            for text, path in paths.items()
        ]
        taken = sa.select(_OWNERS.asset_key, _OWNERS.location_name).where(
            _OWNERS.asset_key == sa.any_(claimed), _OWNERS.location_name != location_name
        )
        async with connections.transaction(self._engine, "claiming assets") as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(locks.OWNERS)))
            await connection.execute(freed)
            if rows:
                insert = postgresql.insert(schema.asset_owners).on_conflict_do_nothing()
                await connection.execute(insert, rows)
            found = (await connection.execute(taken)).all()
        return {paths[row[0]]: row[1] for row in found}


def _is(location_name: str, server_id: str, epoch: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SERVERS.location_name == location_name,
        _SERVERS.server_id == server_id,
        _SERVERS.epoch == epoch,
    )


def _after(seconds: float) -> sa.ColumnElement[dt.datetime]:
    return sa.func.now() + sa.literal(dt.timedelta(seconds=seconds), sa.Interval)


def _notify(location_name: str) -> sa.Select[Any]:
    return sa.select(sa.func.pg_notify(notifications.LOCATIONS, location_name))


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
    }


def _one_server(location_name: str, server_id: str) -> sa.Select[Any]:
    """Rank the servers of one location and pick one."""
    ranked = _ALL_SERVERS.where(_SERVERS.location_name == location_name).subquery("ranked")
    return sa.select(ranked).where(ranked.c.server_id == server_id)


async def _read_server(
    connection: sa_asyncio.AsyncConnection, location_name: str, server_id: str
) -> records.ServerRecord:
    return _server_of((await connection.execute(_one_server(location_name, server_id))).one())


def _server_of(row: Any) -> records.ServerRecord:
    return records.ServerRecord(
        location_name=row.location_name,
        server_id=row.server_id,
        incarnation_id=row.incarnation_id,
        epoch=row.epoch,
        address=row.address,
        version=row.version,
        features=tuple(row.features),
        host_id=row.host_id,
        build=None if row.build is None else location_pb2.Build.FromString(row.build),
        load_failure=None
        if row.load_failure is None
        else values_pb2.Failure.FromString(row.load_failure),
        draining=row.draining,
        register_time=row.register_time,
        lease_expire_time=row.lease_expire_time,
        current=row.current,
    )

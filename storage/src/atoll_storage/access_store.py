"""Tokens: made, verified against, listed and revoked.

Called by the host's access. Only the digest of a secret is ever here. A revocation is told to all
hosts with the transaction that makes it. Times are those of the database.
"""

import datetime as dt
from collections.abc import Callable
from typing import Any

from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import access_records, announcing, connections, notifications

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_COLUMNS = (
    "token_id, name, kind, digest, grants, location_name, creator, create_time, expire_time, "
    "revoke_time, last_use_time"
)
_INSERT = f"""
INSERT INTO tokens
    (token_id, name, kind, digest, grants, location_name, creator, create_time, expire_time)
VALUES (%s, %s, %s, %b, %s, %s, %s, clock_timestamp(),
    clock_timestamp() + %s * interval '1 second')
RETURNING {_COLUMNS}
""".encode()
_LIVE = """CASE WHEN revoke_time IS NOT NULL THEN 0.0
    ELSE extract(epoch FROM expire_time - clock_timestamp())::float8 END"""
_CHECK = f"SELECT {_COLUMNS}, {_LIVE} FROM tokens WHERE token_id = %s".encode()
_GET = f"SELECT {_COLUMNS} FROM tokens WHERE token_id = %s".encode()
_USED = b"""
UPDATE tokens SET last_use_time = clock_timestamp() WHERE token_id = %s
AND coalesce(last_use_time < clock_timestamp() - %s * interval '1 second', TRUE)
"""
_REVOKE = f"""
UPDATE tokens SET revoke_time = coalesce(revoke_time, clock_timestamp()) WHERE token_id = %s
RETURNING {_COLUMNS}
""".encode()
_PAGE = f"""
SELECT {_COLUMNS} FROM tokens
WHERE (%(ended)s OR revoke_time IS NULL
    AND coalesce(expire_time > clock_timestamp(), TRUE))
AND (%(location)s = '' OR location_name = %(location)s
    OR jsonb_path_exists(grants, '$[*] ? (@.locations == null || @.locations[*] == $name)',
        jsonb_build_object('name', %(location)s::text)))
AND (%(time)s::timestamptz IS NULL OR (create_time, token_id) < (%(time)s, %(id)s))
ORDER BY create_time DESC, token_id DESC LIMIT %(limit)s
""".encode()
_KEEP_KEY = b"""
INSERT INTO signing_keys (name, secret) VALUES (%s, %b) ON CONFLICT (name) DO NOTHING
"""
_KEY = b"SELECT secret FROM signing_keys WHERE name = %s"
_LOCK = b"LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE"
_ANY = b"SELECT EXISTS (SELECT FROM tokens)"


class AccessStore:
    """What is remembered of tokens."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def create(self, token: access_records.NewToken) -> access_records.TokenRecord:
        """Store a token."""
        async with connections.driver_connection(self._engine, "storing a token") as raw:
            cursor = await raw.execute(_INSERT, _values(token))
            row = await cursor.fetchone()
            await raw.commit()
        assert row is not None  # noqa: S101 - an insert returns its row
        return _record(row)

    async def signing_key(self, name: str, new: bytes) -> bytes:
        """Return the key that all hosts sign with, for one purpose.

        Args:
            name: What it is for.
            new: What becomes the key where there is none yet.
        """
        async with connections.driver_connection(self._engine, "reading a signing key") as raw:
            await raw.execute(_KEEP_KEY, [name, new])
            row = await (await raw.execute(_KEY, [name])).fetchone()
            await raw.commit()
        assert row is not None  # noqa: S101 - it was stored if it was not there
        return bytes(row[0])

    async def create_first(
        self, token: access_records.NewToken, about_to: Callable[[], None]
    ) -> bool:
        """Store a token if there is none at all; one of several hosts does it.

        Args:
            token: The token.
            about_to: Called before the token becomes valid, where it will.
        """
        async with connections.driver_connection(self._engine, "storing the first token") as raw:
            await raw.execute(_LOCK)
            row = await (await raw.execute(_ANY)).fetchone()
            if row is None or row[0]:
                await raw.rollback()
                return False
            await raw.execute(_INSERT, _values(token))
            about_to()
            await raw.commit()
        return True

    async def check(self, token_id: str) -> access_records.CheckedToken | None:
        """Return a token and for how long it is valid, None where there is none of that id."""
        rows = await connections.fetch(self._engine, "reading a token", _CHECK, [token_id])
        if not rows:
            return None
        *row, live_s = rows[0]
        return access_records.CheckedToken(_record(tuple(row)), live_s)

    async def get(self, token_id: str) -> access_records.TokenRecord | None:
        """Return a token."""
        rows = await connections.fetch(self._engine, "reading a token", _GET, [token_id])
        return _record(rows[0]) if rows else None

    async def used(self, token_id: str, *, every_s: float) -> None:
        """Remember that a token was used now, unless that was remembered a short while ago."""
        async with connections.driver_connection(self._engine, "noting a use") as raw:
            await raw.execute(_USED, [token_id, every_s], prepare=True)
            await raw.commit()

    async def revoke(self, token_id: str) -> access_records.TokenRecord | None:
        """Have a token end, and tell all hosts; None where there is none of that id."""
        async with connections.driver_connection(self._engine, "revoking a token") as raw:
            row = await (await raw.execute(_REVOKE, [token_id])).fetchone()
            if row is None:
                await raw.rollback()
                return None
            await raw.execute(*self._announcer.notice(notifications.ACCESS, token_id))
            await raw.commit()
        return _record(row)

    async def page(
        self,
        *,
        location_name: str,
        ended: bool,
        before: tuple[dt.datetime, str] | None,
        limit: int,
    ) -> list[access_records.TokenRecord]:
        """Return tokens, newest first.

        Args:
            location_name: Only those that are for something in this location; empty means all.
            ended: Whether to return those too that expired or were revoked.
            before: The time and the id of the last one of the page before.
            limit: How many at the most.
        """
        time, token_id = before or (None, "")
        values = {"location": location_name, "ended": ended, "limit": limit}
        values |= {"time": time, "id": token_id}
        async with connections.driver_connection(self._engine, "listing tokens") as raw:
            rows = await (await raw.execute(_PAGE, values)).fetchall()
            await raw.rollback()
        return [_record(row) for row in rows]


def _values(token: access_records.NewToken) -> list[object]:
    grants = [
        {
            "role": grant.role,
            "locations": None if grant.locations is None else list(grant.locations),
        }
        for grant in token.grants
    ]
    return [
        token.token_id,
        token.name,
        token.kind,
        token.digest,
        psycopg_json.Jsonb(grants),
        token.location_name,
        token.creator,
        token.lifetime_s,
    ]


def _record(row: tuple[Any, ...]) -> access_records.TokenRecord:
    token_id, name, kind, digest, grants, *rest = row
    stored = tuple(
        access_records.StoredGrant(
            grant["role"], None if grant["locations"] is None else tuple(grant["locations"])
        )
        for grant in grants
    )
    return access_records.TokenRecord(token_id, name, kind, bytes(digest), stored, *rest)

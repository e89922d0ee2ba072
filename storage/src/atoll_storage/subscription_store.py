"""Subscriptions to events: what was asked for, the secrets, and who may see what.

Called by the host's API and by its term of subscriptions. What is on its way to receivers lives in
`subscription_delivery_store`. Secrets leave this module only to be signed with. What must not come
in: which events are sent, and when.
"""

import datetime as dt
from collections.abc import Sequence

import psycopg
from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import subscriptions_pb2
from atoll_storage import announcing, connections, notifications, subscription_records

# ruff: noqa: S608 - statements are put together from constants; values are parameters

# Of atoll.api.v1.DeliveryStatus, as statements spell them.
_WAITING = "1"
_DEAD = "3"
_COLUMNS = f"""
subscriptions.payload, location_names, pause, position, complete_after, version, missed_through,
failing_since, delivered_time, error, create_time,
(SELECT count(*) FROM subscription_deliveries AS waiting WHERE status = {_WAITING}
    AND waiting.subscription_id = subscriptions.subscription_id),
(SELECT count(*) FROM subscription_deliveries AS dead WHERE status = {_DEAD}
    AND dead.subscription_id = subscriptions.subscription_id)
"""
_INSERT = """
INSERT INTO subscriptions (subscription_id, name, request_id, payload, location_names, secret,
    position, complete_after)
SELECT %s, %s, %s, %b, %s::text[], %b, coalesce(%s::bigint, head),
    CASE WHEN %s THEN head ELSE 0 END FROM log_head
WHERE (SELECT count(*) FROM subscriptions) < %s
ON CONFLICT DO NOTHING RETURNING subscription_id
"""
_REPEATED = "SELECT name FROM subscriptions WHERE request_id = %s"
_GET = f"SELECT {_COLUMNS} FROM subscriptions WHERE name = %s"
_LOOK = f"SELECT {_COLUMNS} FROM subscriptions WHERE subscription_id = %s"
_LIST = f"SELECT {_COLUMNS} FROM subscriptions WHERE name > %s ORDER BY name LIMIT %s"
_ACTIVE = "SELECT subscription_id FROM subscriptions WHERE pause = 0"
_PAUSED = """
SELECT name, pause, state_time, error FROM subscriptions WHERE pause > 1 ORDER BY name LIMIT %s
"""
_CHANGE = """
UPDATE subscriptions SET payload = %b, version = version + 1
WHERE subscription_id = %s RETURNING subscription_id
"""
_PAUSE = """
UPDATE subscriptions SET pause = 1, version = version + 1, state_time = clock_timestamp()
WHERE name = %s AND pause = 0 RETURNING subscription_id
"""
_RESUME = """
UPDATE subscriptions SET pause = 0, failing_since = NULL, version = version + 1,
    state_time = clock_timestamp()
WHERE name = %s AND pause <> 0 RETURNING subscription_id
"""
_BEGIN_ANEW = f"""
UPDATE subscription_deliveries SET attempts = 0, first_attempt_time = NULL,
    next_attempt_time = clock_timestamp()
WHERE subscription_id = %s AND status = {_WAITING}
"""
_DELETE = "DELETE FROM subscriptions WHERE name = %s RETURNING subscription_id"
_ROTATE = """
UPDATE subscriptions SET secret = %b,
    old_secret = CASE WHEN %s > 0 THEN secret END,
    old_secret_until = CASE WHEN %s > 0 THEN clock_timestamp() + make_interval(secs => %s) END
WHERE name = %s RETURNING old_secret_until, subscription_id
"""
_SIGNING = """
SELECT secret, CASE WHEN old_secret_until > clock_timestamp() THEN old_secret END
FROM subscriptions WHERE name = %s
"""


class SubscriptionStore:
    """What was subscribed to."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def create(
        self, new: subscription_records.NewSubscription, *, subscriptions_max: int
    ) -> bool:
        """Store a subscription; say whether it was.

        It is not where its name or its request id is taken, or where there are so many already.
        """
        told = new.told
        values = [
            told.subscription_id,
            told.name,
            new.request_id or None,
            told.SerializeToString(),
            None if new.location_names is None else sorted(new.location_names),
            new.secret,
            None if new.start.position is None else numeric.Int8(new.start.position),
            new.start.takes_what_is_left,
            subscriptions_max,
        ]
        return await self._change("making a subscription", _INSERT, values) is not None

    async def repeated(self, request_id: str) -> str | None:
        """Return the name of the subscription that a request made, None where none did."""
        rows = await self._fetch(_REPEATED, [request_id])
        return rows[0][0] if rows else None

    async def get(self, name: str) -> subscription_records.SubscriptionRecord | None:
        """Return the subscription of a name."""
        rows = await self._fetch(_GET, [name])
        return _record(rows[0]) if rows else None

    async def look(self, subscription_id: str) -> subscription_records.SubscriptionRecord | None:
        """Return the subscription of an id."""
        rows = await self._fetch(_LOOK, [subscription_id])
        return _record(rows[0]) if rows else None

    async def page(
        self, *, after: str = "", limit: int
    ) -> list[subscription_records.SubscriptionRecord]:
        """Return subscriptions by name."""
        return [_record(row) for row in await self._fetch(_LIST, [after, limit])]

    async def active(self) -> set[str]:
        """Return the ids of the subscriptions that are not paused."""
        return {row[0] for row in await self._fetch(_ACTIVE)}

    async def given_up(self, *, limit: int) -> list[subscription_records.PausedSubscription]:
        """Return the subscriptions that the host paused by itself."""
        rows = await self._fetch(_PAUSED, [limit])
        return [subscription_records.PausedSubscription(*row) for row in rows]

    async def change(self, told: subscriptions_pb2.Subscription) -> None:
        """Store what is asked for from now on."""
        values = [told.SerializeToString(), told.subscription_id]
        await self._change("changing a subscription", _CHANGE, values)

    async def pause(self, name: str) -> None:
        """Send nothing any more. A subscription that is paused stays as it is."""
        await self._change("pausing a subscription", _PAUSE, [name])

    async def resume(self, name: str) -> None:
        """Send again; what waits begins its tries anew."""
        async with connections.driver_connection(self._engine, "resuming a subscription") as raw:
            row = await (await raw.execute(_RESUME, [name])).fetchone()
            if row is not None:
                await raw.execute(_BEGIN_ANEW, [row[0]])
                await raw.execute(*self._announcer.notice(notifications.SUBSCRIPTIONS, row[0]))
            await raw.commit()

    async def delete(self, name: str) -> bool:
        """Forget a subscription and its deliveries; say whether there was one."""
        return await self._change("deleting a subscription", _DELETE, [name]) is not None

    async def rotate(self, name: str, secret: bytes, *, overlap_s: float) -> dt.datetime | None:
        """Sign with a new secret from now on; return until when the one before is used too."""
        values = [secret, overlap_s, overlap_s, overlap_s, name]
        row = await self._change("storing a secret", _ROTATE, values)
        return row[0] if row is not None and isinstance(row[0], dt.datetime) else None

    async def signing(self, name: str) -> subscription_records.Signing:
        """Return what requests to a receiver are signed with."""
        rows = await self._fetch(_SIGNING, [name])
        return signing_of(rows[0]) if rows else subscription_records.Signing(())

    async def _fetch(
        self, statement: connections.Statement, parameters: Sequence[object] = ()
    ) -> connections.Rows:
        return await connections.fetch(
            self._engine, "reading subscriptions", statement, list(parameters)
        )

    async def _change(
        self, doing: str, statement: connections.Statement, values: Sequence[object]
    ) -> tuple[object, ...] | None:
        """Run a statement that returns the row that it changed; tell of it where there is one."""
        async with connections.driver_connection(self._engine, doing) as raw:
            cursor: psycopg.AsyncCursor[tuple[object, ...]] = await raw.execute(statement, values)
            row = await cursor.fetchone()
            if row is not None:
                notice = self._announcer.notice(notifications.SUBSCRIPTIONS, str(row[-1]))
                await raw.execute(*notice)
            await raw.commit()
        return row


def signing_of(row: Sequence[bytes | None]) -> subscription_records.Signing:
    """Return what to sign with, of the two secrets of a row."""
    return subscription_records.Signing(tuple(bytes(each) for each in row if each is not None))


def _record(row: Sequence[object]) -> subscription_records.SubscriptionRecord:
    payload, names, pause, position, complete_after, version, missed, *rest = row
    failing_since, delivered_time, error, create_time, waiting, dead = rest
    told = subscriptions_pb2.Subscription.FromString(payload)  # type: ignore[arg-type]
    told.pause = pause  # type: ignore[assignment]
    told.state = (
        subscriptions_pb2.SUBSCRIPTION_STATE_PAUSED
        if pause
        else subscriptions_pb2.SUBSCRIPTION_STATE_ACTIVE
    )
    told.position, told.missed_through_id = position, missed  # type: ignore[assignment]
    told.waiting_count, told.dead_count = waiting, dead  # type: ignore[assignment]
    told.error = error  # type: ignore[assignment]
    times = (
        ("failing_since_time", failing_since),
        ("delivered_time", delivered_time),
        ("create_time", create_time),
    )
    for field, moment in times:
        if isinstance(moment, dt.datetime):
            getattr(told, field).FromDatetime(moment)
    if names is not None:
        told.narrowed = True
        told.location_names.extend(names)  # type: ignore[arg-type]
    return subscription_records.SubscriptionRecord(
        told=told,
        location_names=None if names is None else frozenset(names),  # type: ignore[call-overload]
        version=version,  # type: ignore[arg-type]
        complete_after=complete_after,  # type: ignore[arg-type]
    )

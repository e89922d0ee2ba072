"""Events on their way to the receivers of subscriptions: decided once, delivered at least once.

Called by the host's term of subscriptions and by its API. What is to be sent is stored in one
transaction with the position up to which the log was looked at, against the version that the
decision began with. Deliveries are claimed for a while, so that one which a host died with is tried
again. What must not come in: whether a failed one is tried again, and sending.
"""

import datetime as dt
from collections.abc import Sequence

from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll_storage import (
    announcing,
    connections,
    notifications,
    subscription_records,
    subscription_store,
)

# ruff: noqa: S608 - statements are put together from constants; values are parameters

# Of atoll.api.v1.DeliveryStatus, as statements spell them.
_WAITING = "1"
_DELIVERED = "2"
_DEAD = "3"
_TRIMMED_AT_ONCE = "100"
_ADVANCE = """
UPDATE subscriptions SET position = greatest(position, %s), version = version + 1,
    missed_through = greatest(missed_through, %s)
WHERE subscription_id = %s AND version = %s AND pause = 0 RETURNING version
"""
_ADD = """
INSERT INTO subscription_deliveries (subscription_id, first_event_id, last_event_id, event_count,
    delivery_id, body) VALUES (%s, %s, %s, %s, %s, %b)
ON CONFLICT DO NOTHING
"""
# Where order counts, the first that waits; what is sent again has no place in the order any more.
_MAY_GO = f"""
(NOT %(ordered)s OR redelivered OR first_event_id = (
    SELECT min(first_event_id) FROM subscription_deliveries
    WHERE subscription_id = %(id)s AND status = {_WAITING} AND NOT redelivered))
"""
_CLAIM = f"""
WITH chosen AS (
    SELECT first_event_id FROM subscription_deliveries
    WHERE subscription_id = %(id)s AND status = {_WAITING}
    AND next_attempt_time <= clock_timestamp()
    AND {_MAY_GO}
    ORDER BY first_event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE subscription_deliveries AS taken SET attempts = attempts + 1,
    first_attempt_time = coalesce(first_attempt_time, clock_timestamp()),
    next_attempt_time = clock_timestamp() + make_interval(secs => %(lease)s)
FROM chosen, subscriptions AS owner
WHERE owner.subscription_id = %(id)s AND owner.pause = 0
AND taken.subscription_id = %(id)s AND taken.first_event_id = chosen.first_event_id
RETURNING taken.delivery_id, taken.first_event_id, taken.body, taken.attempts,
    extract(epoch FROM clock_timestamp() - taken.first_attempt_time)::float8,
    coalesce(extract(epoch FROM clock_timestamp() - owner.failing_since)::float8, 0),
    (SELECT count(*) FROM subscription_deliveries AS dead
        WHERE dead.subscription_id = %(id)s AND dead.status = {_DEAD}),
    owner.secret,
    CASE WHEN owner.old_secret_until > clock_timestamp() THEN owner.old_secret END
"""
_NEXT_DUE = f"""
SELECT extract(epoch FROM min(next_attempt_time) - clock_timestamp())::float8
FROM subscription_deliveries
WHERE subscription_id = %(id)s AND status = {_WAITING} AND {_MAY_GO}
"""
_FINISH = f"""
UPDATE subscription_deliveries SET status = %s, error = %s, http_status = %s, duration_ms = %s,
    next_attempt_time = clock_timestamp() + make_interval(secs => %s),
    end_time = CASE WHEN %s <> {_WAITING} THEN clock_timestamp() END
WHERE subscription_id = %s AND first_event_id = %s AND status = {_WAITING} AND attempts = %s
RETURNING first_event_id
"""
# Paused by the host or not: how the receiver does is told in either case.
_ARRIVED = """
UPDATE subscriptions SET failing_since = NULL, error = '', delivered_time = clock_timestamp()
WHERE subscription_id = %s
"""
_FAILED = """
UPDATE subscriptions SET failing_since = coalesce(failing_since, clock_timestamp()), error = %s,
    pause = CASE WHEN pause = 0 THEN %s ELSE pause END,
    version = version + CASE WHEN pause = 0 AND %s > 0 THEN 1 ELSE 0 END,
    state_time = CASE WHEN pause = 0 AND %s > 0 THEN clock_timestamp() ELSE state_time END
WHERE subscription_id = %s
"""
_TRIM = f"""
DELETE FROM subscription_deliveries WHERE subscription_id = %s AND first_event_id IN (
    SELECT first_event_id FROM subscription_deliveries
    WHERE subscription_id = %s AND status = {_DELIVERED}
    ORDER BY first_event_id DESC OFFSET %s LIMIT {_TRIMMED_AT_ONCE}
)
"""
_SHOWN = (
    "deliveries.delivery_id, status, event_count, first_event_id, last_event_id, attempts, "
    "deliveries.error, http_status, duration_ms, redelivered, deliveries.create_time, "
    f"CASE WHEN status = {_WAITING} THEN next_attempt_time END, end_time"
)
_OF = (
    "subscription_deliveries AS deliveries JOIN subscriptions USING (subscription_id) "
    "WHERE subscriptions.name = %s"
)
_LIST = f"""
SELECT {_SHOWN} FROM {_OF} AND first_event_id < %s
AND (cardinality(%s::smallint[]) = 0 OR status = ANY(%s::smallint[]))
ORDER BY first_event_id DESC LIMIT %s
"""
_GET = f"SELECT {_SHOWN}, body FROM {_OF} AND delivery_id = %s"
_REDELIVER = f"""
UPDATE subscription_deliveries SET status = {_WAITING}, redelivered = true, attempts = 0,
    first_attempt_time = NULL, next_attempt_time = clock_timestamp(), end_time = NULL
WHERE subscription_id = (SELECT subscription_id FROM subscriptions WHERE name = %s)
AND delivery_id = %s AND status <> {_WAITING} RETURNING subscription_id
"""
_LAST_ID = 2**63 - 1


class SubscriptionDeliveryStore:
    """What is on its way to receivers."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def advance(self, advance: subscription_records.Advance) -> int | None:
        """Store what was decided, as a whole; return the version after that.

        None means that it was not to be decided on that version any more.
        """
        subscription_id = advance.subscription_id
        async with connections.driver_connection(self._engine, "storing deliveries") as raw:
            values = [
                numeric.Int8(advance.position),
                numeric.Int8(advance.missed_through),
                subscription_id,
                numeric.Int8(advance.expected_version),
            ]
            row = await (await raw.execute(_ADVANCE, values)).fetchone()
            if row is None:
                await raw.rollback()
                return None
            async with raw.pipeline():
                for each in advance.deliveries:
                    ids = [numeric.Int8(each.first_event_id), numeric.Int8(each.last_event_id)]
                    added = [subscription_id, *ids, each.event_count, each.delivery_id, each.body]
                    await raw.execute(_ADD, added)
            await raw.commit()
        return int(row[0])

    async def claim(
        self, claim: subscription_records.Claim
    ) -> list[subscription_records.ClaimedDelivery]:
        """Take deliveries that are due; they are due again when the lease runs out."""
        values = {
            "id": claim.subscription_id,
            "ordered": claim.ordered,
            "limit": claim.limit,
            "lease": claim.lease_s,
        }
        async with connections.driver_connection(self._engine, "taking deliveries") as raw:
            rows = await (await raw.execute(_CLAIM, values)).fetchall()
            await raw.commit()
        return [
            subscription_records.ClaimedDelivery(
                delivery_id=row[0],
                first_event_id=row[1],
                body=bytes(row[2]),
                attempts=row[3],
                age_s=row[4],
                failing_s=row[5],
                dead_count=row[6],
                signing=subscription_store.signing_of(row[7:]),
            )
            for row in rows
        ]

    async def next_due_in_s(self, subscription_id: str, *, ordered: bool) -> float | None:
        """Return how long until a delivery may go, None where none waits."""
        values = {"id": subscription_id, "ordered": ordered}
        async with connections.driver_connection(self._engine, "looking for deliveries") as raw:
            row = await (await raw.execute(_NEXT_DUE, values)).fetchone()
            await raw.commit()
        return None if row is None or row[0] is None else max(0.0, float(row[0]))

    async def finish(self, outcome: subscription_records.Outcome, *, kept_max: int) -> None:
        """Store how a try went, what it says of the receiver, and forget the oldest that arrived.

        Args:
            outcome: How it went.
            kept_max: How many deliveries that arrived stay to be seen.
        """
        arrived = outcome.status == alerts_pb2.DELIVERY_STATUS_DELIVERED
        values = [
            numeric.Int2(outcome.status),
            outcome.error,
            outcome.http_status,
            outcome.duration_ms,
            outcome.again_after_s,
            numeric.Int2(outcome.status),
            outcome.subscription_id,
            numeric.Int8(outcome.first_event_id),
            outcome.attempts,
        ]
        pause = numeric.Int2(outcome.pause)
        async with connections.driver_connection(self._engine, "storing a delivery") as raw:
            if await (await raw.execute(_FINISH, values)).fetchone() is None:
                await raw.rollback()
                return
            if arrived:
                await raw.execute(_ARRIVED, [outcome.subscription_id])
                trimmed = [outcome.subscription_id, outcome.subscription_id, kept_max]
                await raw.execute(_TRIM, trimmed)
            else:
                failed = [outcome.error, pause, pause, pause, outcome.subscription_id]
                await raw.execute(_FAILED, failed)
            await raw.commit()

    async def page(
        self, name: str, *, limit: int, before: int = 0, statuses: Sequence[int] = ()
    ) -> list[subscriptions_pb2.SubscriptionDelivery]:
        """Return deliveries of a subscription, newest first."""
        wanted = list(statuses)
        values = [name, numeric.Int8(before or _LAST_ID), wanted, wanted, limit]
        rows = await connections.fetch(self._engine, "reading deliveries", _LIST, values)
        return [_delivery(name, row) for row in rows]

    async def get(
        self, name: str, delivery_id: str
    ) -> tuple[subscriptions_pb2.SubscriptionDelivery, bytes] | None:
        """Return a delivery and what is sent with it."""
        rows = await connections.fetch(
            self._engine, "reading a delivery", _GET, [name, delivery_id]
        )
        return (_delivery(name, rows[0]), bytes(rows[0][-1])) if rows else None

    async def redeliver(self, name: str, delivery_id: str) -> None:
        """Send a delivery once more that ended; one that waits stays as it is."""
        async with connections.driver_connection(self._engine, "redelivering") as raw:
            row = await (await raw.execute(_REDELIVER, [name, delivery_id])).fetchone()
            if row is not None:
                await raw.execute(*self._announcer.notice(notifications.SUBSCRIPTIONS, row[0]))
            await raw.commit()


def _delivery(name: str, row: Sequence[object]) -> subscriptions_pb2.SubscriptionDelivery:
    fields = (
        *("delivery_id", "status", "event_count", "first_event_id", "last_event_id", "attempts"),
        *("error", "http_status", "duration_ms", "redelivered"),
    )
    values = dict(zip(fields, row, strict=False))
    delivery = subscriptions_pb2.SubscriptionDelivery(subscription_name=name, **values)  # type: ignore[arg-type]
    times = ("create_time", "next_attempt_time", "end_time")
    for field, moment in zip(times, row[len(fields) :], strict=False):
        if isinstance(moment, dt.datetime):
            getattr(delivery, field).FromDatetime(moment)
    return delivery

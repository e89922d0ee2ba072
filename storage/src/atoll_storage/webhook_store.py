"""Webhook sensors: their secrets, and the deliveries that wait for them.

Called by the host's listener, its API and its dispatcher. Deliveries of one sensor are numbered
under the lock of its row, so the order of numbers is the order of commits, and whoever has seen one
number never sees a smaller one appear. Numbers are above the head of the log, so that a position
means the same for every kind of sensor. A delivery that was decided on stays without its content,
so that a repeat of it is known.
"""

from collections.abc import Sequence

from psycopg.types import json as psycopg_json
from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import announcing, connections, notifications, records, webhook_records

_IS = "location_name = %s AND sensor_name = %s"

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_SIGN_WITH = """
INSERT INTO webhooks (location_name, sensor_name, secret) VALUES (%s, %s, %b)
ON CONFLICT (location_name, sensor_name) DO UPDATE SET
    secret = excluded.secret, create_time = now()
"""
_SIGNED_WITH = f"SELECT secret FROM webhooks WHERE {_IS}"
_STATES = (
    "SELECT location_name, sensor_name, newest, waiting FROM webhooks WHERE "
    "(location_name, sensor_name) IN (SELECT * FROM unnest(%s::text[], %s::text[]))"
)
_NEWEST = "SELECT location_name, sensor_name, newest FROM webhooks WHERE waiting > 0"
_NUMBER = f"""
UPDATE webhooks SET waiting = waiting + 1,
    newest = greatest(newest, (SELECT head FROM log_head)) + 1
WHERE {_IS}
RETURNING newest, waiting
"""
_INSERT = """
INSERT INTO webhook_deliveries (location_name, sensor_name, number, delivery_id, headers, body)
VALUES (%s, %s, %s, %s, %s, %b) ON CONFLICT ON CONSTRAINT webhook_deliveries_once DO NOTHING
RETURNING number
"""
# A few old ones with each new one: the table neither grows without end nor needs a service.
_FORGET = f"""
DELETE FROM webhook_deliveries WHERE (location_name, sensor_name, number) IN (
    SELECT location_name, sensor_name, number FROM webhook_deliveries
    WHERE {_IS} ORDER BY number LIMIT 20
) AND body IS NULL AND receive_time < now() - interval '30 days'
"""
_NEXT = f"""
SELECT number, delivery_id, receive_time, headers, body FROM webhook_deliveries
WHERE {_IS} AND number > %s AND body IS NOT NULL ORDER BY number LIMIT 1
"""


class WebhookStore:
    """What is remembered of webhook sensors."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def set_secret(self, key: records.SensorKey, secret: bytes) -> None:
        """Remember the secret of a sensor, in place of the one before."""
        async with connections.driver_connection(self._engine, "storing a secret") as raw:
            await raw.execute(_SIGN_WITH, [*_named(key), secret])
            await raw.commit()

    async def secret(self, key: records.SensorKey) -> bytes | None:
        """Return the secret of a sensor, None where it has none."""
        rows = await connections.fetch(self._engine, "reading a secret", _SIGNED_WITH, _named(key))
        return bytes(rows[0][0]) if rows else None

    async def states(
        self, keys: Sequence[records.SensorKey]
    ) -> dict[records.SensorKey, webhook_records.WebhookState]:
        """Return what is known of those of the sensors that have a secret."""
        if not keys:
            return {}
        named = [[key.location_name for key in keys], [key.sensor_name for key in keys]]
        rows = await connections.fetch(self._engine, "reading webhooks", _STATES, named)
        return {
            records.SensorKey(row[0], row[1]): webhook_records.WebhookState(row[2], row[3])
            for row in rows
        }

    async def newest(self) -> list[tuple[int, records.SensorKey]]:
        """Return the number of the newest delivery of each sensor for which some wait."""
        rows = await connections.fetch(self._engine, "reading webhooks", _NEWEST)
        return [(row[2], records.SensorKey(row[0], row[1])) for row in rows]

    async def store(
        self, delivery: webhook_records.NewDelivery, *, waiting_max: int
    ) -> webhook_records.DeliveryOutcome:
        """Store a delivery, once for each id.

        Args:
            delivery: The delivery.
            waiting_max: How many may wait for the sensor.

        Returns:
            What became of it. One is refused where too many wait, or where the sensor has no
            secret any more.
        """
        key = delivery.key
        async with connections.driver_connection(self._engine, "storing a delivery") as raw:
            row = await (await raw.execute(_NUMBER, _named(key), prepare=True)).fetchone()
            if row is None:
                await raw.rollback()
                return webhook_records.DeliveryOutcome.REFUSED
            number, waiting = row
            values = [
                *_named(key),
                numeric.Int8(number),
                delivery.delivery_id,
                psycopg_json.Jsonb(dict(delivery.headers)),
                delivery.body,
            ]
            inserted = await (await raw.execute(_INSERT, values, prepare=True)).fetchone()
            if inserted is None or waiting > waiting_max:
                await raw.rollback()
                repeated = inserted is None
                outcomes = webhook_records.DeliveryOutcome
                return outcomes.REPEATED if repeated else outcomes.REFUSED
            async with raw.pipeline():
                await raw.execute(_FORGET, _named(key), prepare=True)
                hint = f"{key.location_name}/{key.sensor_name}"
                notice = self._announcer.notice(notifications.WEBHOOKS, hint)
                await raw.execute(*notice, prepare=True)
                await raw.execute("COMMIT", prepare=False)
        return webhook_records.DeliveryOutcome.STORED

    async def next(self, key: records.SensorKey, after: int) -> webhook_records.Delivery | None:
        """Return the oldest delivery that waits after a number."""
        values = [*_named(key), numeric.Int8(after)]
        rows = await connections.fetch(self._engine, "reading a delivery", _NEXT, values)
        return webhook_records.Delivery(*rows[0]) if rows else None


def _named(key: records.SensorKey) -> list[object]:
    return [key.location_name, key.sensor_name]

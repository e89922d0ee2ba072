"""What a tick does to the webhook delivery that it decided on.

Called by `sensor_store` in the transaction of the tick; deliveries come in by `webhook_store`.
"""

from psycopg.types import numeric

from atoll_storage import connections, records

_EMPTY = """
UPDATE webhook_deliveries SET headers = NULL, body = NULL
WHERE location_name = %s AND sensor_name = %s AND number = %s
"""
_COUNT = """
UPDATE webhooks SET waiting = greatest(0, waiting - 1)
WHERE location_name = %s AND sensor_name = %s
"""


async def consume(raw: connections.RawConnection, key: records.SensorKey, number: int) -> None:
    """Note a delivery as decided on; its content is not kept. Fit for a pipeline."""
    named = [key.location_name, key.sensor_name]
    # The sensor's row first, as whoever stores a delivery: a repeat of this one waits for it then,
    # and not with the lock that the next statement would wait for.
    await raw.execute(_COUNT, named, prepare=True)
    await raw.execute(_EMPTY, [*named, numeric.Int8(number)], prepare=True)

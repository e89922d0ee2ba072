"""Sensors and their ticks, as a host knows them.

For programs that do not await.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Literal

from atoll.api.v1 import automation_pb2
from atoll.client import sensors as original
from atoll.client.sync import portal as portals
from atoll.location.v1 import location_pb2


class Sensors:
    """Lists, starts and stops sensors and shows what they decided."""

    def __init__(self, portal: portals.Portal, inner: original.Sensors) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> Iterator[automation_pb2.Sensor]:
        """Yield the sensors, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(location_name=location_name, limit=limit)
        )

    def get(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Return one sensor."""
        return self._portal.run(self._inner.get(location_name, sensor_name))

    def start(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Make the host evaluate a sensor from now on."""
        return self._portal.run(self._inner.start(location_name, sensor_name))

    def stop(self, location_name: str, sensor_name: str) -> automation_pb2.Sensor:
        """Make the host leave a sensor alone; its cursor stays."""
        return self._portal.run(self._inner.stop(location_name, sensor_name))

    def reset(
        self,
        location_name: str,
        sensor_name: str,
        *,
        cursor: str | None = None,
        start_at: Literal["latest", "earliest"] | dt.datetime | None = None,
    ) -> automation_pb2.Sensor:
        """Set or clear the cursor of a sensor, or where an event-driven one goes on.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            cursor: The cursor. That of a sensor on one asset, or on the status of runs, is the
                position of the last event that it has seen.
            start_at: Where in the log it goes on; not with a cursor. Without either the cursor is
                cleared, and an event-driven sensor goes on with what comes from now on.
        """
        return self._portal.run(
            self._inner.reset(location_name, sensor_name, cursor=cursor, start_at=start_at)
        )

    def create_webhook_secret(
        self, location_name: str, sensor_name: str
    ) -> automation_pb2.CreateWebhookSecretResponse:
        """Make the secret of a webhook sensor, in place of the one before; it is told this once."""
        return self._portal.run(self._inner.create_webhook_secret(location_name, sensor_name))

    def dry_run(
        self,
        location_name: str,
        sensor_name: str,
        *,
        cursor: str | None = None,
        event_id: int = 0,
        webhook_delivery: location_pb2.WebhookDelivery | None = None,
    ) -> automation_pb2.DryRun:
        """Have a sensor evaluated once and return what the tick would decide; nothing is stored.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            cursor: The cursor to evaluate it with; None means the one that it has.
            event_id: For a sensor on an asset or on runs, the position of the event to evaluate it
                for; 0 means the newest.
            webhook_delivery: For a webhook sensor, the delivery to evaluate it for.
        """
        return self._portal.run(
            self._inner.dry_run(
                location_name,
                sensor_name,
                cursor=cursor,
                event_id=event_id,
                webhook_delivery=webhook_delivery,
            )
        )

    def tick(self, location_name: str, sensor_name: str, tick_id: str) -> automation_pb2.Tick:
        """Return one evaluation of a sensor.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            tick_id: The evaluation; the first digits are enough.
        """
        return self._portal.run(self._inner.tick(location_name, sensor_name, tick_id))

    def ticks(
        self,
        location_name: str,
        sensor_name: str,
        *,
        statuses: Sequence[automation_pb2.TickStatus.ValueType] = (),
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[automation_pb2.Tick]:
        """Yield the evaluations of a sensor, newest first.

        Args:
            location_name: The location.
            sensor_name: The sensor.
            statuses: Only evaluations with one of these outcomes; empty means all.
            started_from: Only evaluations that began then or later; None means all.
            started_before: Only evaluations that began before; None means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.ticks(
                location_name,
                sensor_name,
                statuses=statuses,
                started_from=started_from,
                started_before=started_before,
                limit=limit,
            )
        )

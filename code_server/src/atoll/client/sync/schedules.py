"""Schedules and their ticks, as a host knows them.

For programs that do not await.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from atoll.api.v1 import automation_pb2, schedules_pb2
from atoll.client import schedules as original
from atoll.client.sync import portal as portals


class Schedules:
    """Lists, starts and stops schedules and shows what they decided."""

    def __init__(self, portal: portals.Portal, inner: original.Schedules) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> Iterator[schedules_pb2.Schedule]:
        """Yield the schedules, by location and name, each with the time when it is due next.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(location_name=location_name, limit=limit)
        )

    def get(
        self, location_name: str, schedule_name: str, *, next_times_max: int = 0
    ) -> schedules_pb2.Schedule:
        """Return one schedule.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            next_times_max: How many of the next times to tell; 0 means five.
        """
        return self._portal.run(
            self._inner.get(location_name, schedule_name, next_times_max=next_times_max)
        )

    def start(self, location_name: str, schedule_name: str) -> schedules_pb2.Schedule:
        """Make the host evaluate a schedule from now on."""
        return self._portal.run(self._inner.start(location_name, schedule_name))

    def stop(self, location_name: str, schedule_name: str) -> schedules_pb2.Schedule:
        """Make the host leave a schedule alone."""
        return self._portal.run(self._inner.stop(location_name, schedule_name))

    def dry_run(
        self, location_name: str, schedule_name: str, *, scheduled_time: dt.datetime | None = None
    ) -> automation_pb2.DryRun:
        """Have a schedule evaluated once and return what the tick would decide; nothing is stored.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            scheduled_time: The time that the tick is for; None means the next.
        """
        return self._portal.run(
            self._inner.dry_run(location_name, schedule_name, scheduled_time=scheduled_time)
        )

    def tick(self, location_name: str, schedule_name: str, tick_id: str) -> automation_pb2.Tick:
        """Return one tick of a schedule.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            tick_id: The tick; the first digits are enough.
        """
        return self._portal.run(self._inner.tick(location_name, schedule_name, tick_id))

    def ticks(
        self,
        location_name: str,
        schedule_name: str,
        *,
        statuses: Sequence[automation_pb2.TickStatus.ValueType] = (),
        started_from: dt.datetime | None = None,
        started_before: dt.datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[automation_pb2.Tick]:
        """Yield the ticks of a schedule, newest first.

        Args:
            location_name: The location.
            schedule_name: The schedule.
            statuses: Only ticks with one of these outcomes; empty means all.
            started_from: Only ticks that began then or later; None means all.
            started_before: Only ticks that began before; None means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.ticks(
                location_name,
                schedule_name,
                statuses=statuses,
                started_from=started_from,
                started_before=started_before,
                limit=limit,
            )
        )

"""Channel names, and listening to them.

Called by the host's services through `Database.notifications`. Notifications are hints that
something changed, never the truth: a listener that gets one reads the tables, and after
`RECONNECTED` reads them in any case.
"""

import asyncio
import collections
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import psycopg
import sqlalchemy as sa
from psycopg import sql

from atoll_storage import announcing, connections, records

logger = logging.getLogger(__name__)

EVENTS = "atoll_events"
"""New events in the log; the payload is the newest id."""
RUNS = "atoll_runs"
"""Runs came or changed their status; the payload names the new statuses, such as QUEUED,STARTED."""
SENSORS = "atoll_sensors"
"""A sensor was started, stopped or reset; the payload is `location/sensor`."""
SCHEDULES = "atoll_schedules"
"""A schedule was started or stopped; the payload is `location/schedule`."""
BACKFILLS = "atoll_backfills"
"""A backfill was made, steered or went on; the payload is its id."""
LOCATIONS = "atoll_locations"
"""Code servers registered or changed; the payload is the name of the location."""
WEBHOOKS = "atoll_webhooks"
"""A delivery waits for a webhook sensor; the payload is `location/sensor`."""
POOLS = "atoll_pools"
"""Slots of pools were given back or granted, or a limit changed."""
ACCESS = "atoll_access"
"""A token was revoked; the payload is its id."""
SUBSCRIPTIONS = "atoll_subscriptions"
"""A subscription was made or steered; the payload is its id."""
RECONNECTED = "reconnected"
"""No channel of Postgres: the listener's own sign that notifications may have been missed."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_SILENCE_S = 15.0


class Listener:
    """Yields notifications from a connection of its own, which it renews by itself."""

    def __init__(
        self, url: sa.URL, channels: Sequence[str], announcer: announcing.Announcer
    ) -> None:
        self._url = url
        self._channels = channels
        self._announcer = announcer
        self._connection: connections.RawConnection | None = None
        self._waiting: collections.deque[records.Notification] = collections.deque()

    async def open(self) -> None:
        """Listen from now on."""
        connection = await connections.connect_raw(self._url)
        try:
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    def __aiter__(self) -> AsyncIterator[records.Notification]:
        return self

    async def __anext__(self) -> records.Notification:
        while not self._waiting:
            try:
                await self._receive()
            except (psycopg.Error, OSError) as error:
                await self._reopen(error)
        return self._waiting.popleft()

    async def _receive(self) -> None:
        """Take what has arrived; where nothing has, wait until something may have."""
        connection = self._connection
        if connection is None:
            raise psycopg.OperationalError("the listener has no connection")
        async for notify in connection.notifies(timeout=0):
            self._waiting.append(self._announcer.read(notify.channel, notify.payload))
        # The driver's own waiting looks up ten times a second, whatever happens.
        if not self._waiting and not await _is_readable(connection.fileno(), _SILENCE_S):
            # Silence may also mean that the other side is gone.
            await connection.execute("SELECT 1")

    async def _reopen(self, error: BaseException) -> None:
        logger.warning(
            "lost the connection that listens for notifications",
            extra={"action": "listener_lost", "error": type(error).__name__},
        )
        pause_s = _FIRST_PAUSE_S
        while True:
            await self.close()
            try:
                await self.open()
            except (psycopg.Error, OSError):
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            self._waiting.append(records.Notification(RECONNECTED, ""))
            return


async def _is_readable(fileno: int, timeout_s: float) -> bool:
    """Wait until there is something to read; False after so long without."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(fileno, readable.set)
    try:
        async with asyncio.timeout(timeout_s):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fileno)
    return True


@contextlib.asynccontextmanager
async def listening(
    url: sa.URL, channels: Sequence[str], announcer: announcing.Announcer
) -> AsyncGenerator[AsyncIterator[records.Notification]]:
    """Listen to channels for as long as the context lasts, from the moment it is entered.

    Raises:
        StorageUnavailable: The database cannot be reached at the start; later losses heal by
            themselves.
    """
    listener = Listener(url, channels, announcer)
    with connections.translating("listening for notifications"):
        await listener.open()
    try:
        yield listener
    finally:
        await listener.close()

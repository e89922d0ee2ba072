"""Choosing one leader among hosts with a session advisory lock.

Called by the host's engines that must run once in the mesh. The lock belongs to a connection that
does nothing else: when the leader dies or loses its connection, Postgres frees the lock, and a
candidate has it within `_RETRY_S`.

```
candidate --(lock free)--> leader --(connection lost, or silent)--> candidate
```

Candidates ask again and again instead of waiting in the database: a session that waits holds back
vacuum for as long. A leader that lost its connection learns of it within `_PROBE_S` plus
`_PROBE_TIMEOUT_S`. Until then two may believe to lead, as with every lease; so what a leader
decides must also be guarded where it is stored, as `commit_tick` does by version.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

import psycopg
import sqlalchemy as sa

from atoll_storage import connections, locks

logger = logging.getLogger(__name__)

_RETRY_S = 0.5
_PROBE_S = 1.0
_PROBE_TIMEOUT_S = 3.0
# Lets the server notice within about ten seconds that a holder's machine is gone.
_SERVER_KEEPALIVE = (
    "SET tcp_keepalives_idle = 4",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)


class Leadership:
    """A candidacy for leadership: acquires it when it is free, and again after a loss."""

    def __init__(self, url: sa.URL, name: str) -> None:
        self._url = url
        self._name = name
        self._acquired = asyncio.Event()
        self._lost = asyncio.Event()

    @property
    def held(self) -> bool:
        """Whether this candidate leads right now."""
        return self._acquired.is_set()

    @property
    def lost(self) -> asyncio.Event:
        """The event of this term, set when the leadership is lost. Each term has its own."""
        return self._lost

    async def wait_acquired(self) -> None:
        """Wait until this candidate leads."""
        await self._acquired.wait()

    async def run(self) -> None:
        """Take part until cancelled."""
        while True:
            try:
                await self._serve_one_connection()
            except Exception as error:
                # Whatever it was: a candidate that gave up would be missed by nobody.
                expected = isinstance(error, (psycopg.Error, OSError, TimeoutError))
                logger.warning(
                    "lost the connection that leadership depends on",
                    exc_info=not expected,
                    extra={
                        "action": "leadership_lost",
                        "leader": self._name,
                        "error": type(error).__name__,
                    },
                )
            await asyncio.sleep(_RETRY_S)

    async def _serve_one_connection(self) -> None:
        connection = await connections.connect_raw(self._url)
        try:
            for statement in _SERVER_KEEPALIVE:
                await connection.execute(statement)
            while not await self._try_lock(connection):  # noqa: ASYNC110 - held elsewhere
                await asyncio.sleep(_RETRY_S)
            self._begin_term()
            while True:
                await asyncio.sleep(_PROBE_S)
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await connection.execute("SELECT 1")
        finally:
            self._end_term()
            await connection.close()

    async def _try_lock(self, connection: connections.RawConnection) -> bool:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            cursor = await connection.execute(
                "SELECT pg_try_advisory_lock(%s)", [locks.of_leader(self._name)]
            )
            row = await cursor.fetchone()
        return row is not None and row[0]

    def _begin_term(self) -> None:
        logger.info("leads", extra={"action": "leadership_acquired", "leader": self._name})
        self._lost = asyncio.Event()
        self._acquired.set()

    def _end_term(self) -> None:
        if self._acquired.is_set():
            self._acquired.clear()
            self._lost.set()


@contextlib.asynccontextmanager
async def candidacy(url: sa.URL, name: str) -> AsyncGenerator[Leadership]:
    """Take part in the election of the leader called `name` for as long as the context lasts."""
    leadership = Leadership(url, name)
    task = asyncio.create_task(leadership.run(), name=f"atoll-leadership-{name}")
    try:
        yield leadership
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

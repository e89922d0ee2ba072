"""Tells whether a host does its work: whether the database that everything needs answers.

Asked without credentials, so it costs little however often it is asked: an answer is good for a
moment, and only one question is under way.
"""

import asyncio
from typing import Final

from atoll_host import clock as clocks
from atoll_storage import database
from atoll_storage import errors as storage_errors

_GOOD_FOR_S: Final = 1.0
_PATIENCE_S: Final = 2.0


class Readiness:
    """Asks the database, and remembers for a moment what it said."""

    def __init__(self, store: database.Database, clock: clocks.Clock) -> None:
        self._store = store
        self._clock = clock
        self._asking = asyncio.Lock()
        self._asked_at: float | None = None
        self._why = ""

    async def __call__(self) -> str:
        """Return why the host is not ready; empty if it is."""
        async with self._asking:
            now = self._clock.monotonic()
            if self._asked_at is None or now - self._asked_at >= _GOOD_FOR_S:
                self._why = await self._ask()
                self._asked_at = now
            return self._why

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._store.ping()
        except (storage_errors.StorageError, TimeoutError):
            # Why is in the log; who has no credentials learns nothing of the database.
            return "The database does not answer."
        return ""

"""Where the host's services get the time from, so that tests can give them another.

The only module of the host that reads the wall clock. Times that are stored come from the
database's own clock.
"""

import asyncio
import datetime as dt
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it to pass."""

    def now(self) -> dt.datetime:
        """Return the time of day, in UTC and aware of it."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring durations."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait until `delay_s` seconds have passed."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> dt.datetime:
        """Return the time of day, in UTC and aware of it."""
        return dt.datetime.now(dt.UTC)  # noqa: TID251 - this is the clock module

    def monotonic(self) -> float:
        """Return seconds that only ever grow, for measuring durations."""
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait until `delay_s` seconds have passed."""
        await asyncio.sleep(delay_s)

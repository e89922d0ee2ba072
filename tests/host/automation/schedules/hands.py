"""A clock whose hands a test moves."""

import asyncio
import datetime as dt
import heapq
import itertools
from collections.abc import Coroutine


class MovedClock:
    """Stands still until it is moved; sleepers wake as it passes them.

    Args:
        wall: What it shows, in seconds since 1970.
    """

    def __init__(self, wall: float) -> None:
        self._wall = wall
        self._mono = 0.0
        self.sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._order = itertools.count()

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self._wall, dt.UTC)

    def monotonic(self) -> float:
        return self._mono

    def sleep(self, delay_s: float) -> Coroutine[object, object, None]:
        """Sleep from the moment of the call on, however late it is waited for."""
        woken = asyncio.Event()
        if delay_s <= 0:
            woken.set()
        else:
            heapq.heappush(self.sleepers, (self._mono + delay_s, next(self._order), woken))
        return self._until(woken)

    @staticmethod
    async def _until(woken: asyncio.Event) -> None:
        await woken.wait()

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._wall += seconds
        self._mono += seconds
        while self.sleepers and self.sleepers[0][0] <= self._mono:
            heapq.heappop(self.sleepers)[2].set()

    def set_back_or_forth(self, seconds: float) -> None:
        """Set the clock, as somebody does who finds it wrong: no time passes by that."""
        self._wall += seconds

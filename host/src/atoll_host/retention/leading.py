"""The retention term of the leader among hosts: sweeps, and rests until the next sweep.

Made by `automation.dispatching` when leadership was won. Nothing depends on when a sweep comes.
"""

from atoll_host import clock as clocks
from atoll_host.automation import terms
from atoll_host.retention import sweeping

FIRST_AFTER_S = 60.0
"""A host that has just begun has better things to do."""


class Term:
    """One term. `run` does everything and ends only by cancellation, or by a bug."""

    def __init__(
        self,
        sweeper: sweeping.Sweeper,
        clock: clocks.Clock,
        *,
        every_s: float,
        first_after_s: float = FIRST_AFTER_S,
    ) -> None:
        self._sweeper = sweeper
        self._clock = clock
        self._every_s = every_s
        self._first_after_s = first_after_s

    async def run(self) -> None:
        """Sweep again and again; sooner where a sweep left something."""
        pause_s = min(self._first_after_s, self._every_s)
        while True:
            await self._clock.sleep(pause_s)
            sweep = await terms.persist(self._sweeper.sweep, self._clock)
            pause_s = min(self._first_after_s, self._every_s) if sweep.has_more else self._every_s

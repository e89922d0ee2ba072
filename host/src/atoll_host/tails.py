"""What a follower of materializations knows without reading the log.

Filled by `changes`, used by `automation.sensors.leading`. A transaction of this host says which ids
it gave and what was materialized under them. Ids have no holes, so whoever stands right before its
first id knows all there is up to its last one; whoever does not, because another host wrote in
between, has to read. Positions decide, as everywhere: what was heard of twice, or late, changes
nothing.
"""

import collections

from atoll_host import signals
from atoll_storage import records

MATERIALIZATIONS_MAX = 10_000
"""When more than so many wait, all are forgotten and the follower has to read."""

Materialization = tuple[int, tuple[str, ...]]


class Tail:
    """The end of the log, as far as this host wrote it."""

    def __init__(self) -> None:
        """Begin without sight: the first look has to read."""
        self._poke = signals.Poke()
        self._stored: collections.deque[records.Stored] = collections.deque()
        self._size = 0
        self._reaches_to = 0
        self._blind = True

    def add(self, stored: records.Stored) -> None:
        """Hear of a transaction of this host."""
        self._size += 1 + len(stored.materializations)
        if self._size > MATERIALIZATIONS_MAX:
            self._forget()
        else:
            self._stored.append(stored)
        self.hear(stored.last_id)

    def hear(self, newest_id: int) -> None:
        """Hear that the log reaches at least to an id."""
        self._reaches_to = max(self._reaches_to, newest_id)
        self._poke.set()

    def lose_sight(self) -> None:
        """Hear that something may have been missed."""
        self._blind = True
        self._poke.set()

    async def wait(self, timeout_s: float) -> None:
        """Wait for news; without any for so long, the log is to be read in any case."""
        if not await self._poke.wait(timeout_s):
            self._blind = True

    def take(self, position: int) -> tuple[list[Materialization], int, bool]:
        """Return what is known to follow a position, up to where, and whether to read on there."""
        found: list[Materialization] = []
        for stored in self._stored:
            if stored.after_id == position:
                found.extend(stored.materializations)
                position = stored.last_id
            elif stored.last_id > position:
                break
        self._forget()
        blind, self._blind = self._blind, False
        return found, position, blind or self._reaches_to > position

    def _forget(self) -> None:
        self._stored.clear()
        self._size = 0

"""What a follower of the log knows without reading it: materializations, and changes of runs.

Filled by `changes`, used by `automation.sensors.leading`. A transaction of this host says which ids
it gave and what happened under them. Ids have no holes, so whoever stands right before its first id
knows all there is up to its last one; whoever does not, because another host wrote in between, has
to read. Positions decide, as everywhere: what was heard of twice, or late, changes nothing.
"""

import abc
import collections
from collections.abc import Sequence
from typing import Generic, TypeVar

from atoll_host import signals
from atoll_storage import records

MATERIALIZATIONS_MAX = 10_000
"""When more than so many wait, all are forgotten and the follower has to read."""

_T = TypeVar("_T")

Materialization = tuple[int, tuple[str, ...]]
RunChange = tuple[int, records.RunChange]


class OneTail(abc.ABC, Generic[_T]):
    """The end of the log, as far as this host wrote it and as far as one follower cares."""

    def __init__(self) -> None:
        """Begin without sight: the first look has to read."""
        self._poke = signals.Poke()
        self._stored: collections.deque[tuple[int, int, Sequence[tuple[int, _T]]]] = (
            collections.deque()
        )
        self._size = 0
        self._reaches_to = 0
        self._blind = True

    @abc.abstractmethod
    def _picked(self, stored: records.Stored) -> Sequence[tuple[int, _T]]:
        """Return what the follower cares for."""

    def add(self, stored: records.Stored) -> None:
        """Hear of a transaction of this host."""
        picked = self._picked(stored)
        self._size += 1 + len(picked)
        if self._size > MATERIALIZATIONS_MAX:
            self._forget()
        else:
            self._stored.append((stored.after_id, stored.last_id, picked))
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

    def take(self, position: int) -> tuple[list[tuple[int, _T]], int, bool]:
        """Return what is known to follow a position, up to where, and whether to read on there."""
        found: list[tuple[int, _T]] = []
        for after_id, last_id, picked in self._stored:
            if after_id == position:
                found.extend(picked)
                position = last_id
            elif last_id > position:
                break
        self._forget()
        blind, self._blind = self._blind, False
        return found, position, blind or self._reaches_to > position

    def _forget(self) -> None:
        self._stored.clear()
        self._size = 0


class Tail(OneTail[tuple[str, ...]]):
    """The materializations at the end of the log."""

    def _picked(self, stored: records.Stored) -> Sequence[Materialization]:
        return stored.materializations


class RunTail(OneTail[records.RunChange]):
    """The changes of runs at the end of the log."""

    def _picked(self, stored: records.Stored) -> Sequence[RunChange]:
        return stored.run_changes

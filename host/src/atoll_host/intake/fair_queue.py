"""A bounded queue with a lane for each location, taken from in fair shares.

Used by `appending` alone. Start-time fair queueing: every lane has a virtual time that advances by
what was taken of it, and the lane that is furthest behind is served next. A lane that was idle
joins at the present, so that it is served at once but has no claim on the past; a location that
floods only ever waits for itself. No I/O, no tasks: room is waited for by whoever puts.
"""

import asyncio
import collections
import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class _Lane(Generic[T]):
    __slots__ = ("items", "room", "size", "virtual_time", "waiting")

    def __init__(self) -> None:
        self.items: collections.deque[tuple[T, int]] = collections.deque()
        self.size = 0
        self.virtual_time = 0
        self.room = asyncio.Event()
        self.waiting = 0


class FairQueue(Generic[T]):
    """Items with sizes, in lanes by name."""

    def __init__(self, *, lane_size_max: int) -> None:
        """Make an empty queue.

        Args:
            lane_size_max: How much one lane may hold; an item that finds its lane empty always
                fits.
        """
        self._lane_size_max = lane_size_max
        self._lanes: dict[str, _Lane[T]] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._order = 0
        self._virtual_time = 0
        self.size = 0

    def __len__(self) -> int:
        return sum(len(lane.items) for lane in self._lanes.values())

    async def put(self, lane_name: str, item: T, size: int) -> None:
        """Add an item at the end of its lane; wait while the lane is full."""
        lane = self._lanes.get(lane_name)
        if lane is None:
            lane = self._lanes[lane_name] = _Lane()
        while lane.items and lane.size + size > self._lane_size_max:
            lane.room.clear()
            lane.waiting += 1
            try:
                await lane.room.wait()
            finally:
                lane.waiting -= 1
                self._forget_if_idle(lane_name, lane)
            # The lane may have been forgotten while this waited, had another not needed it.
            lane = self._lanes.setdefault(lane_name, lane)
        if not lane.items:
            lane.virtual_time = max(lane.virtual_time, self._virtual_time)
            self._push(lane_name, lane)
        lane.items.append((item, size))
        lane.size += size
        self.size += size

    def take(self, size_max: int) -> list[T]:
        """Take items worth about `size_max`, at least one: fair over lanes, in order in each.

        The last item taken may exceed `size_max`. Returns nothing when the queue is empty.
        """
        taken: list[T] = []
        taken_size = 0
        while self._heap and (not taken or taken_size < size_max):
            self._virtual_time, _, name = heapq.heappop(self._heap)
            lane = self._lanes[name]
            item, size = lane.items.popleft()
            taken.append(item)
            taken_size += size
            lane.size -= size
            lane.virtual_time += size
            lane.room.set()
            if lane.items:
                self._push(name, lane)
            else:
                self._forget_if_idle(name, lane)
        if not self._heap:
            self._forget_idle()
        self.size -= taken_size
        return taken

    def _push(self, name: str, lane: _Lane[T]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (lane.virtual_time, self._order, name))

    def _forget_if_idle(self, name: str, lane: _Lane[T]) -> None:
        # A lane ahead of the present is kept until the present has caught up: else emptying it
        # would forgive a flood.
        if lane.items or lane.waiting or self._lanes.get(name) is not lane:
            return
        if lane.virtual_time <= self._virtual_time or not self._heap:
            del self._lanes[name]

    def _forget_idle(self) -> None:
        # Nobody waits, so nobody is owed anything.
        for name, lane in list(self._lanes.items()):
            self._forget_if_idle(name, lane)

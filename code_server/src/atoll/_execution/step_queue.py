"""Which step runs next: the order of what is ready, and how many run at the same time.

Called by the executor that runs several steps at once. Pure: time is given, nothing is run here.
States of an attempt at a step:

```
put --a place is free--> taken --released--> gone
put_later --its time has come--> put
```
"""

import bisect
import dataclasses
import heapq
import itertools
from collections.abc import Iterator, Sequence

from atoll._definitions import executors
from atoll._execution import planning


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step.

    Attributes:
        step: The step.
        number: How often it failed before, in this run.
    """

    step: planning.Step
    number: int = 0


_Group = tuple[int, str | None]


class StepQueue:
    """Orders attempts by priority, then as they came, and counts those that run.

    Args:
        concurrent_max: How many run at the same time, at the most.
        limits: How many with certain tags do.
    """

    def __init__(self, concurrent_max: int, limits: Sequence[executors.TagLimit] = ()) -> None:
        self._concurrent_max = concurrent_max
        self._limits = limits
        self._ready: list[tuple[int, int, Attempt]] = []
        self._later: list[tuple[float, int, Attempt]] = []
        self._positions = itertools.count()
        self._running = 0
        self._by_group: dict[_Group, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, neither for a place nor for its time."""
        return not self._ready and not self._later

    @property
    def next_due(self) -> float | None:
        """When the next attempt may begin that waits for its time."""
        return self._later[0][0] if self._later else None

    def put(self, attempt: Attempt) -> None:
        """Add an attempt that may begin."""
        bisect.insort(self._ready, (-attempt.step.priority, next(self._positions), attempt))

    def put_later(self, attempt: Attempt, due: float) -> None:
        """Add an attempt that may begin at a time. It takes no place until then."""
        heapq.heappush(self._later, (due, next(self._positions), attempt))

    @property
    def room(self) -> int:
        """How many more attempts may begin, those that may already left out."""
        return max(0, self._concurrent_max - self._running - len(self._ready))

    def take_due(self, now: float) -> list[Attempt]:
        """Take the attempts whose time has come; they have no place yet.

        Args:
            now: The time.
        """
        due: list[Attempt] = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        return due

    def take(self, now: float) -> Attempt | None:
        """Take the next attempt that there is a place for; it holds the place until released.

        Args:
            now: The time.
        """
        while self._later and self._later[0][0] <= now:
            self.put(heapq.heappop(self._later)[2])
        if self._running >= self._concurrent_max:
            return None
        for index, (_, _, attempt) in enumerate(self._ready):
            groups = list(self._groups_of(attempt.step))
            if all(self._by_group.get(one, 0) < self._limits[one[0]].limit for one in groups):
                del self._ready[index]
                self._count(groups, 1)
                return attempt
        return None

    def release(self, attempt: Attempt) -> None:
        """Give back the place of an attempt that has ended."""
        self._count(list(self._groups_of(attempt.step)), -1)

    def _count(self, groups: Sequence[_Group], change: int) -> None:
        self._running += change
        for one in groups:
            self._by_group[one] = self._by_group.get(one, 0) + change

    def _groups_of(self, step: planning.Step) -> Iterator[_Group]:
        for index, limit in enumerate(self._limits):
            value = step.tags.get(limit.key)
            if value is not None and limit.value in (None, value):
                yield index, value if limit.each_value else None

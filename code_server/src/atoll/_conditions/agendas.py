"""Which targets have to be evaluated, and when: what makes ten thousand idle ones cost nothing.

Kept by whoever evaluates again and again, in memory; it can be made anew from what is remembered of
the targets. Does no evaluation itself.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping

from atoll._conditions import entities, plans, states, ticking


class Agenda:
    """The targets of a plan that may come to something else than at their last evaluation.

    Args:
        plan: The targets.
        remembered: What is remembered of them. Those of which nothing is have to be evaluated.
    """

    def __init__(
        self, plan: plans.Plan, remembered: Mapping[entities.Entity, states.TargetState]
    ) -> None:
        self._plan = plan
        self._affected: set[entities.Entity] = set()
        self._settling: set[entities.Entity] = set()
        self._due: dict[entities.Entity, float] = {}
        self._heap: list[tuple[float, entities.Entity]] = []
        for target in plan.targets:
            state = remembered.get(target)
            if state is None:
                self._affected.add(target)
            else:
                self._note(target, state)

    @property
    def plan(self) -> plans.Plan:
        """The targets."""
        return self._plan

    @property
    def is_affected(self) -> bool:
        """Whether something has changed, so that an evaluation should not wait."""
        return bool(self._affected)

    @property
    def is_settling(self) -> bool:
        """Whether the last evaluation has to be followed by another, even if nothing changes.

        That can wait as long as the minimum interval of the sensor that evaluates.
        """
        return bool(self._settling)

    @property
    def next_boundary(self) -> float:
        """When time alone makes an evaluation due, in seconds since 1970; infinity for never."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def changed(self, changed: Iterable[entities.Entity]) -> None:
        """Note that something happened.

        Args:
            changed: The assets, checks and jobs of which something else is known than before: an
                update, a run or backfill that begins or ends, freshness, or their dynamic
                partitions. What materializes an asset changes its checks, which is known here.
        """
        for entity in changed:
            self._affected.update(self._plan.readers(entity))

    def affect(self, targets: Iterable[entities.Entity]) -> None:
        """Note that targets have to be evaluated, whatever happened.

        Args:
            targets: The targets. What the plan does not know is passed over.
        """
        self._affected.update(target for target in targets if target in self._plan.targets)

    def under(
        self, plan: plans.Plan, remembered: Mapping[entities.Entity, states.TargetState]
    ) -> Agenda:
        """Return the agenda for another plan, with everything on it that is on this one.

        Args:
            plan: The plan that takes the place of the one before.
            remembered: What is remembered of the targets.
        """
        made = Agenda(plan, remembered)
        made.affect(self._affected)
        made.affect(plan.differences(self._plan))
        return made

    def take(self, now: float) -> frozenset[entities.Entity]:
        """Return the targets that an evaluation has to look at now.

        They stay on the agenda until `committed` says that they were evaluated.

        Args:
            now: The time of the evaluation, in seconds since 1970.
        """
        while self.next_boundary <= now:
            _, target = heapq.heappop(self._heap)
            del self._due[target]
            self._affected.add(target)
        return frozenset(self._affected | self._settling)

    def committed(self, taken: Iterable[entities.Entity], outcome: ticking.Outcome) -> None:
        """Note that an evaluation is stored.

        Call it before `changed` with what happened since the evaluation's view was made.

        Args:
            taken: What `take` returned for it.
            outcome: What it came to. Targets that failed are taken again when something changes.
        """
        self._affected.difference_update(taken)
        self._settling.difference_update(taken)
        for target, state in outcome.states.items():
            self._note(target, state)

    def _note(self, target: entities.Entity, state: states.TargetState) -> None:
        self._settling.discard(target)
        if state.settling:
            self._settling.add(target)
        due = self._plan.next_boundary(target, state.evaluated_at)
        if self._due.get(target) != due:
            self._due[target] = due
            if due != math.inf:
                heapq.heappush(self._heap, (due, target))

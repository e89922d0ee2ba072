"""Which targets have to be evaluated, and when. Pure.

Kept by `leading`; it is what makes thousands of idle targets cost nothing. A target is *affected*
by what its condition looks at, by the passing of a moment that its condition waits for, and by the
evaluation before, where something was true for that one alone: such a follow-up waits for the
minimum interval of the sensor, and longer after a long round; what happens does not. While a target
*rests* after a failure, or waits for what its location says, nothing has it evaluated:

    affected --take()--> evaluated --done()--> idle --changed(), a moment--> affected
                             |
                             +--failed()--> resting --the pause is over--> affected
                             +--asked()---> waiting --answered()---------> affected
"""

import heapq
import math
from collections.abc import Callable, Iterable

from atoll._conditions import entities, plans, states

Entity = entities.Entity


class Agenda:
    """The targets of a plan and what is due of them.

    Args:
        plan: The targets.
        interval_s: Returns the minimum interval of the sensor of a target.
    """

    def __init__(self, plan: plans.Plan, interval_s: Callable[[Entity], float]) -> None:
        self._plan = plan
        self._interval_s = interval_s
        self._affected: set[Entity] = set()
        self._resting: dict[Entity, float] = {}
        self._waiting: set[Entity] = set()
        self._due: dict[Entity, float] = {}
        self._heap: list[tuple[float, Entity]] = []

    @property
    def next_due(self) -> float:
        """When time alone makes a target due, in seconds since 1970; infinity for never."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def changed(self, changed: Iterable[Entity]) -> None:
        """Hear of assets, checks and jobs of which something else is known than before."""
        for entity in changed:
            self._affected.update(self._plan.readers(entity))

    def mark(self, targets: Iterable[Entity]) -> None:
        """Have targets evaluated, whatever else they look at."""
        known = self._plan.targets
        self._affected.update(target for target in targets if target in known)

    def take(self, now: float) -> frozenset[Entity]:
        """Return the targets that have to be evaluated now; they stay until one says otherwise.

        Args:
            now: The time, in seconds since 1970.
        """
        while self.next_due <= now:
            _, target = heapq.heappop(self._heap)
            del self._due[target]
            self._resting.pop(target, None)
            self._affected.add(target)
        return frozenset(
            target
            for target in self._affected
            if target not in self._resting and target not in self._waiting
        )

    def done(self, target: Entity, state: states.TargetState, took_s: float = 0.0) -> None:
        """Hear that an evaluation of a target is stored.

        Args:
            target: The target.
            state: What the evaluation left.
            took_s: How long the round took, until all of it was stored.
        """
        self._affected.discard(target)
        self._resting.pop(target, None)
        due = self._plan.next_boundary(target, state.evaluated_at)
        if state.settling:
            # Follow-ups of very many leave as much time to what happens as they take themselves.
            pause_s = max(self._interval_s(target), 2 * took_s)
            due = min(due, state.evaluated_at + pause_s)
        self._set_due(target, due)

    def failed(self, target: Entity, until: float) -> None:
        """Hear that an evaluation failed: the next one is not before a moment."""
        self._affected.add(target)
        self._resting[target] = until
        self._set_due(target, until)

    def asked(self, target: Entity) -> None:
        """Hear that the evaluation of a target waits for what its location says."""
        self._affected.add(target)
        self._waiting.add(target)

    def answered(self, target: Entity) -> None:
        """Hear that the evaluation of a target need not wait any longer."""
        self._waiting.discard(target)
        self.mark([target])

    def set_plan(self, plan: plans.Plan) -> None:
        """Take over other targets; what still had to be done of those that stay has to be done."""
        self._plan = plan
        known = plan.targets
        self._affected = {target for target in self._affected if target in known}
        self._waiting = {target for target in self._waiting if target in known}
        for target in [one for one in self._due if one not in known]:
            del self._due[target]
        for target in [one for one in self._resting if one not in known]:
            del self._resting[target]

    def _set_due(self, target: Entity, due: float) -> None:
        if due == math.inf:
            self._due.pop(target, None)
        elif self._due.get(target) != due:
            self._due[target] = due
            heapq.heappush(self._heap, (due, target))

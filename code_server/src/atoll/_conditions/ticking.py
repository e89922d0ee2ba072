"""One evaluation of all that may have changed: what is requested, and what is remembered.

Called by whoever decides: the host, and `evaluate_automation_conditions`. Pure. Targets are taken
in the order of the graph, so that one that waits for another is requested together with it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
from collections.abc import Collection, Iterable, Mapping

from atoll import errors
from atoll._conditions import (
    entities,
    entity_subsets,
    evaluating,
    facts,
    moments,
    operand_answers,
    operator_answers,
    plans,
    shapes,
    states,
    views,
)
from atoll._partitions import contexts

_HANDLERS: evaluating.Handlers = {**operand_answers.HANDLERS, **operator_answers.HANDLERS}

States = Mapping[entities.Entity, states.TargetState]


@dataclasses.dataclass(frozen=True)
class Tick:
    """An evaluation.

    Attributes:
        evaluation_id: Its number; later ones have higher numbers.
        now: Its time.
        position: The position in the log that the view is at. The next evaluation of a target asks
            for the updates behind it.
    """

    evaluation_id: int
    now: dt.datetime
    position: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an evaluation came to.

    Attributes:
        requested: What is to be executed, by asset, check or job. What can only be executed
            together with a requested asset is in it, too, whether it is a target or not.
        states: What is to be remembered of each target that was evaluated. It replaces what was
            remembered of it; what is remembered of the others stays.
        explanations: Why, for each target that was evaluated.
        failures: For each target whose condition could not be evaluated, what was wrong. Nothing is
            requested of it, and what is remembered of it stays.
        raised: The same as errors.
        wanted: Custom conditions whose answers the view did not have. If there are any, the rest of
            the outcome counts for nothing: ask for them, then evaluate again.
    """

    requested: Mapping[entities.Entity, entity_subsets.EntitySubset]
    states: Mapping[entities.Entity, states.TargetState]
    explanations: Mapping[entities.Entity, shapes.Told]
    failures: Mapping[entities.Entity, str]
    raised: Mapping[entities.Entity, errors.Error]
    wanted: tuple[views.CustomCall, ...]


def evaluate(
    plan: plans.Plan,
    view: views.View,
    remembered: States,
    tick: Tick,
    affected: Collection[entities.Entity] | None = None,
) -> Outcome:
    """Evaluate conditions once.

    Args:
        plan: The targets.
        view: What is known.
        remembered: What earlier evaluations of each target want to have remembered; nothing for one
            that was never evaluated.
        tick: Which evaluation it is.
        affected: The targets that may come to something else than before, as `agendas.Agenda` knows
            them; None evaluates all. What follows from their requests is evaluated as well.
    """
    with contexts.partition_loading_context(new_ctx=view.partitions):
        return _Ticking(plan, view, remembered, tick).run(affected)


class _Ticking:
    def __init__(self, plan: plans.Plan, view: views.View, remembered: States, tick: Tick) -> None:
        self._plan = plan
        self._remembered = remembered
        self._tick = tick
        self._requested: dict[entities.Entity, entity_subsets.EntitySubset] = {}
        self._facts = facts.Facts(plan.graph, view)
        self._now = tick.now.timestamp()
        self._evaluation = evaluating.Evaluation(
            handlers=_HANDLERS,
            plan=plan,
            facts=self._facts,
            remembered=remembered,
            requested=self._requested,
            mark=states.Mark(tick.evaluation_id, self._now),
        )
        self._queue: list[tuple[int, entities.Entity]] = []
        self._queued: set[entities.Entity] = set()
        self._states: dict[entities.Entity, states.TargetState] = {}
        self._shapes = shapes.Shapes()
        self._explanations: dict[entities.Entity, shapes.Told] = {}
        self._raised: dict[entities.Entity, errors.Error] = {}
        self._wanted: dict[object, views.CustomCall] = {}

    def run(self, affected: Collection[entities.Entity] | None) -> Outcome:
        """Evaluate, and return what came of it."""
        targets = self._plan.targets
        self._add(targets if affected is None else (one for one in affected if one in targets))
        for target in tuple(self._queued):
            before = self._remembered.get(target)
            if before is not None and before.requested:
                self._add(self._plan.readers(target))
        while self._queue:
            _, target = heapq.heappop(self._queue)
            self._evaluate(target)
            if not self._queue or not self._together(target, self._queue[0][1]):
                self._widen(target)
        return Outcome(
            {entity: found for entity, found in self._requested.items() if found},
            self._states,
            self._explanations,
            {target: str(error) for target, error in self._raised.items()},
            self._raised,
            tuple(self._wanted.values()),
        )

    def _add(self, targets: Iterable[entities.Entity]) -> None:
        known = self._plan.targets
        for target in targets:
            if target in self._queued:
                continue
            unit = self._plan.graph.node(target).unit
            for one in (target, *unit):
                if one in known and one not in self._queued:
                    self._queued.add(one)
                    heapq.heappush(self._queue, (self._plan.graph.rank(one), one))

    def _evaluate(self, target: entities.Entity) -> None:
        tree = self._plan.tree(target)
        partitions_def = self._plan.graph.node(target).partitions_def
        scope = evaluating.Scope(target, self._evaluation)
        try:
            result = scope.evaluate(tree, self._facts.existing(target))
        except errors.Error as error:
            self._raised[target] = error
            return
        self._wanted.update((call[:4], call) for call in scope.wanted)
        self._explanations[target] = self._shapes.told(result.explanation)
        self._request(result.true)
        self._states[target] = states.TargetState(
            evaluation_id=self._tick.evaluation_id,
            evaluated_at=self._now,
            position=self._tick.position,
            partitions=moments.kind_of(partitions_def),
            requested=result.true.value,
            settling=scope.passing or bool(result.true),
            nodes=scope.nodes,
        )

    def _together(self, one: entities.Entity, other: entities.Entity) -> bool:
        return other in self._plan.graph.node(one).unit

    def _widen(self, last: entities.Entity) -> None:
        """Request all of a unit where any of it is, once all of it was evaluated."""
        unit = self._plan.graph.node(last).unit
        for one in sorted(unit) or (last,):
            found = self._requested.get(one)
            for other in unit:
                if found and other != one:
                    self._request(self._facts.same(found, other))
        for one in unit or (last,):
            found = self._requested.get(one)
            state = self._states.get(one)
            if not found:
                continue
            self._add(
                reader
                for reader in self._plan.readers(one)
                if self._plan.graph.rank(reader) > self._plan.graph.rank(last)
            )
            if state is not None and state.requested != found.value:
                self._states[one] = dataclasses.replace(state, requested=found.value, settling=True)

    def _request(self, subset: entity_subsets.EntitySubset) -> None:
        before = self._requested.get(subset.entity)
        self._requested[subset.entity] = subset if before is None else before | subset

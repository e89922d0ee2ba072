"""What one condition comes to for one target.

Called by `ticking`. What nodes answer is in `operand_answers` and `operator_answers`: functions
that are given the scope.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

from atoll._conditions import (
    compiling,
    conditions,
    entities,
    entity_subsets,
    explanations,
    facts,
    plans,
    states,
    views,
)


class Result(NamedTuple):
    """What a node came to.

    Attributes:
        true: For what it is true.
        timing: Since when, where that is known.
        explanation: The same for people.
    """

    true: entity_subsets.EntitySubset
    timing: entity_subsets.Timing
    explanation: explanations.Explanation


class Answer(NamedTuple):
    """What a handler says.

    Attributes:
        true: For what the node is true. What was not asked about counts for nothing.
        timing: Since when, where that is known.
        children: What the nodes below came to.
        trigger: Of a `since`, when the trigger last came true.
        reset: Of a `since`, when the reset did.
    """

    true: entity_subsets.EntitySubset
    timing: entity_subsets.Timing = ()
    children: tuple[explanations.Explanation, ...] = ()
    trigger: states.Mark | None = None
    reset: states.Mark | None = None


Handler = Callable[["Scope", compiling.Compiled, entity_subsets.EntitySubset], Answer]
Handlers = Mapping[type[conditions.Condition], Handler]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What the targets of one evaluation have in common.

    Attributes:
        handlers: What answers for each kind of node.
        plan: The graph's targets.
        facts: Partitions.
        remembered: What earlier evaluations of all targets want to have remembered.
        requested: What this evaluation requests so far; it grows.
        mark: Its number and its time.
    """

    handlers: Handlers
    plan: plans.Plan
    facts: facts.Facts
    remembered: Mapping[entities.Entity, states.TargetState]
    requested: Mapping[entities.Entity, entity_subsets.EntitySubset]
    mark: states.Mark

    @property
    def now(self) -> float:
        """Its time, in seconds since 1970."""
        return self.mark.timestamp


class Scope:
    """The evaluation of one target.

    Attributes:
        target: The target.
        evaluation: What it has in common with others.
        plan: The graph's targets.
        facts: Partitions.
        view: What is known.
        before: What is remembered of the target, None at its first evaluation.
        nodes: What the nodes want to have remembered.
        passing: Whether something was true that is true of this evaluation alone.
        wanted: Custom conditions whose answers are not known.
        owner: Whose condition is being evaluated: another's below `any_downstream_conditions`.
        open: The conditions that are being evaluated, from the root down.
    """

    def __init__(self, target: entities.Entity, evaluation: Evaluation) -> None:
        self.target = target
        self.evaluation = evaluation
        self.plan = evaluation.plan
        self.facts = evaluation.facts
        self.view = evaluation.facts.view
        self.before = evaluation.remembered.get(target)
        self.nodes: dict[states.NodeKey, states.NodeState] = {}
        self.passing = False
        self.wanted: list[views.CustomCall] = []
        self.owner = target
        self.open: list[str] = [self.plan.tree(target).full]

    def evaluate(self, node: compiling.Compiled, candidates: entity_subsets.EntitySubset) -> Result:
        """Return what a node comes to.

        Args:
            node: The node.
            candidates: What it is asked about.
        """
        if not candidates and not node.remembers:
            empty = self.facts.empty(candidates.entity)
            return Result(empty, (), explanations.Explanation(node.words, candidates, empty))
        answer = self.evaluation.handlers[type(node.condition)](self, node, candidates)
        true = answer.true & candidates
        timing = answer.timing
        if timing:
            kept = [(moment, subset & true) for moment, subset in timing]
            timing = [one for one in kept if one[1]]
        told = explanations.Explanation(
            node.words, candidates, true, answer.children, answer.trigger, answer.reset
        )
        return Result(true, timing, told)

    def state_before(
        self, node: compiling.Compiled, entity: entities.Entity
    ) -> states.NodeState | None:
        """Return what a node remembers, None where it was never evaluated.

        Args:
            node: The node.
            entity: What it is evaluated for.
        """
        if self.before is None:
            return None
        return self.before.nodes.get((node.identity, entity))

    def remember(
        self, node: compiling.Compiled, entity: entities.Entity, state: states.NodeState
    ) -> None:
        """Have something remembered.

        Args:
            node: The node.
            entity: What it was evaluated for.
            state: What to remember.
        """
        self.nodes[node.identity, entity] = state

    def passes(self, subset: entity_subsets.EntitySubset) -> entity_subsets.EntitySubset:
        """Return what is true of this evaluation alone, noting that there was such.

        Args:
            subset: What is true.
        """
        if subset:
            self.passing = True
        return subset

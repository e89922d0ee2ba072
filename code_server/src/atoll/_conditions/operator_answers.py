"""What the operators of a condition answer: those that put other nodes together.

Called by the scope of an evaluation. Nodes that remember are always asked about everything, so that
they miss no change that happens while others keep the target back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from atoll._conditions import (
    compiling,
    conditions,
    entities,
    entity_subsets,
    evaluating,
    explanations,
    states,
)

_Scope = evaluating.Scope
_Subset = entity_subsets.EntitySubset
_Answer = evaluating.Answer


def _and(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    true = candidates
    told: list[explanations.Explanation] = []
    timings: list[entity_subsets.Timing] = []
    for child in node.children:
        result = scope.evaluate(child, true)
        told.append(result.explanation)
        timings.append(result.timing)
        true = result.true
    # All of it is true since the last of its parts is.
    return _Answer(true, entity_subsets.merged(timings), tuple(told))


def _or(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    true = scope.facts.empty(candidates.entity)
    told: list[explanations.Explanation] = []
    timings: list[entity_subsets.Timing] = []
    for child in node.children:
        result = scope.evaluate(child, candidates)
        true = true | result.true
        told.append(result.explanation)
        timings.append(result.timing)
    return _Answer(true, entity_subsets.merged(timings), tuple(told))


def _not(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    result = scope.evaluate(node.children[0], candidates)
    return _Answer(candidates - result.true, children=(result.explanation,))


def _newly_true(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    entity = candidates.entity
    result = scope.evaluate(node.children[0], scope.facts.existing(entity))
    before = _remembered(scope, node, entity)
    scope.remember(node, entity, states.NodeState(result.true.value))
    return _Answer(scope.passes(result.true - before), children=(result.explanation,))


def _since(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    entity = candidates.entity
    everything = scope.facts.existing(entity)
    trigger, reset = (scope.evaluate(child, everything) for child in node.children)
    true = (_remembered(scope, node, entity) | trigger.true) - reset.true
    both = trigger.true & reset.true
    if both and trigger.timing and reset.timing:
        # What was asked for before it was triggered again is not yet handled.
        empty = scope.facts.empty(entity)
        true = true | (entity_subsets.later(trigger.timing, reset.timing, empty))
    before = scope.state_before(node, entity) or states.NodeState()
    mark = scope.evaluation.mark
    state = states.NodeState(
        value=true.value,
        trigger=mark if trigger.true else before.trigger,
        reset=mark if reset.true else before.reset,
    )
    scope.remember(node, entity, state)
    told = (trigger.explanation, reset.explanation)
    return _Answer(true, trigger.timing, told, state.trigger, state.reset)


def _any_of(
    scope: _Scope, node: compiling.Compiled, candidates: _Subset, asked: Iterable[entities.Entity]
) -> _Answer:
    true = scope.facts.empty(candidates.entity)
    timings: list[entity_subsets.Timing] = []
    told: list[explanations.Explanation] = []
    for entity in asked:
        answer = _mapped(scope, node.children[0], candidates, entity)
        true = true | answer.true
        timings.append(answer.timing)
        told += answer.children
    return _Answer(true, entity_subsets.merged(timings), tuple(told))


def _all_of(
    scope: _Scope, node: compiling.Compiled, candidates: _Subset, asked: Iterable[entities.Entity]
) -> _Answer:
    true = candidates
    told: list[explanations.Explanation] = []
    for entity in asked:
        answer = _mapped(scope, node.children[0], candidates, entity)
        true = true & answer.true
        told += answer.children
    return _Answer(true, children=tuple(told))


def _mapped(
    scope: _Scope, child: compiling.Compiled, candidates: _Subset, entity: entities.Entity
) -> _Answer:
    """Return what a node comes to for the partitions of another that belong to the candidates."""
    asked = scope.facts.mapped(candidates, entity)
    result = scope.evaluate(child, asked)
    own = candidates.entity
    timing = tuple(
        (moment, scope.facts.mapped_back(subset, own)) for moment, subset in result.timing
    )
    true = scope.facts.mapped_back(result.true, own)
    return _Answer(true, timing, (result.explanation,))


def _deps(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    asked: Sequence[entities.Entity] = ()
    if isinstance(condition, conditions.Selecting):
        asked = scope.plan.dependencies(condition, candidates.entity)
    combine = _any_of if condition.operator == conditions.OR else _all_of
    return combine(scope, node, candidates, asked)


def _job_roots(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    asked = scope.plan.job_roots(candidates.entity)
    combine = _any_of if node.condition.operator == conditions.OR else _all_of
    return combine(scope, node, candidates, asked)


def _asset_matches(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    if not isinstance(condition, conditions.AssetMatches):
        return _Answer(candidates)
    return _mapped(scope, node.children[0], candidates, entities.asset(condition.path))


def _any_downstream(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    true = scope.facts.empty(candidates.entity)
    told: list[explanations.Explanation] = []
    owner = scope.owner
    for tree, owners in scope.plan.downstream_conditions(candidates.entity):
        if tree.full in scope.open:
            continue
        scope.open.append(tree.full)
        scope.owner = owners[0]
        result = scope.evaluate(tree, candidates)
        scope.owner = owner
        scope.open.pop()
        true = true | result.true
        words = explanations.Words(", ".join(map(str, owners)))
        told.append(explanations.Explanation(words, candidates, result.true, (result.explanation,)))
    return _Answer(true, children=tuple(told))


def _remembered(scope: _Scope, node: compiling.Compiled, entity: entities.Entity) -> _Subset:
    """Return what a node was true for at the evaluation before, of what there still is."""
    before = scope.state_before(node, entity)
    if before is None or before.value is None:
        return scope.facts.empty(entity)
    return scope.facts.current(entity, before.value) & scope.facts.existing(entity)


HANDLERS: evaluating.Handlers = {
    conditions.And: _and,
    conditions.Or: _or,
    conditions.Not: _not,
    conditions.NewlyTrue: _newly_true,
    conditions.Since: _since,
    conditions.AnyDeps: _deps,
    conditions.AllDeps: _deps,
    conditions.AnyChecks: _deps,
    conditions.AllChecks: _deps,
    conditions.AnyJobRoots: _job_roots,
    conditions.AllJobRoots: _job_roots,
    conditions.AssetMatches: _asset_matches,
    conditions.AnyDownstream: _any_downstream,
}

"""What the leaves of a condition answer.

Called by the scope of an evaluation. A leaf that is true of one evaluation alone says so by
`Scope.passes`: the target then has to be evaluated once more, even if nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from atoll._conditions import (
    compiling,
    entities,
    entity_subsets,
    evaluating,
    moments,
    operands,
    states,
    views,
)

_Scope = evaluating.Scope
_Subset = entity_subsets.EntitySubset
_Answer = evaluating.Answer


def _known(
    ask: Callable[[views.View, entities.Entity], entity_subsets.Value],
) -> evaluating.Handler:
    """Return a handler for what the view knows by itself."""

    def handler(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
        del node
        if not candidates:
            return _Answer(candidates)
        value = ask(scope.view, candidates.entity)
        return _Answer(scope.facts.current(candidates.entity, value))

    return handler


def _missing(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    if not candidates:
        return _Answer(candidates)
    present = scope.view.present(candidates.entity)
    return _Answer(candidates - scope.facts.current(candidates.entity, present))


def _check_result(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    if not candidates or not isinstance(condition, operands.CheckResult):
        return _Answer(candidates)
    value = scope.view.check_result(candidates.entity, passed=condition.passed)
    return _Answer(scope.facts.current(candidates.entity, value))


def _freshness(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    if (
        candidates
        and isinstance(condition, operands.Freshness)
        and scope.view.freshness(candidates.entity) == condition.state
    ):
        return _Answer(candidates)
    return _Answer(scope.facts.empty(candidates.entity))


def _initial_evaluation(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    before = scope.before
    partitions_def = scope.plan.graph.node(scope.target).partitions_def
    if before is None or before.partitions != moments.kind_of(partitions_def):
        return _Answer(scope.passes(candidates), _timed(scope.evaluation.now, candidates))
    return _Answer(scope.facts.empty(candidates.entity))


def _in_latest_time_window(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    if not candidates or not isinstance(condition, operands.InLatestTimeWindow):
        return _Answer(candidates)
    return _Answer(scope.facts.in_latest_time_window(candidates.entity, condition.lookback_s))


def _will_be_requested(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    entity = candidates.entity
    found = scope.evaluation.requested.get(entity)
    if not found or not candidates:
        return _Answer(scope.facts.empty(entity))
    # What only observes an asset may find that nothing changed, so it is no update to count on.
    makes = entity.kind != entities.ASSET or scope.plan.graph.node(entity).materializable
    if not makes or not scope.facts.executable_together(scope.target, entity):
        return _Answer(scope.facts.empty(entity))
    found = scope.passes(found & candidates)
    return _Answer(found, _timed(scope.evaluation.now, found))


def _newly_requested(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    entity = candidates.entity
    before = scope.evaluation.remembered.get(entity)
    if before is None or not candidates:
        return _Answer(scope.facts.empty(entity))
    found = scope.passes(scope.facts.current(entity, before.requested) & candidates)
    return _Answer(found, _timed(before.evaluated_at, found))


def _newly_updated(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    found = _updates(scope, candidates)
    return _timed_union(scope, candidates, found)


def _data_version_changed(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    found = [update for update in _updates(scope, candidates) if update.new_data]
    return _timed_union(scope, candidates, found)


def _code_version_changed(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    entity = candidates.entity
    before = scope.state_before(node, entity)
    version = scope.plan.graph.node(entity).code_version or ""
    scope.remember(node, entity, states.NodeState(text=version))
    if before is None or before.text == version:
        return _Answer(scope.facts.empty(entity))
    return _Answer(scope.passes(candidates))


def _cron_tick_passed(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    if scope.before is not None and candidates and isinstance(condition, operands.CronTickPassed):
        latest = moments.latest_tick(
            condition.cron_schedule, condition.cron_timezone, scope.evaluation.now
        )
        if latest > scope.before.evaluated_at:
            return _Answer(scope.passes(candidates), _timed(latest, candidates))
    return _Answer(scope.facts.empty(candidates.entity))


def _executed_with_root(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    del node
    if candidates.entity == scope.target:
        # Of one that depends on itself, a run has other partitions than the one it is asked about.
        return _Answer(scope.facts.empty(candidates.entity))
    return _last_run(scope, candidates, lambda run: scope.target in run.targets)


def _executed_with_tags(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    return _last_run(scope, candidates, lambda run: _has_tags(run, condition))


def _any_new_update(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    found = [
        update
        for update in _updates(scope, candidates)
        if _run_has_tags(scope, update.run_id, condition)
    ]
    return _Answer(_timed_union(scope, candidates, found).true)


def _all_new_updates(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    found = _updates(scope, candidates)
    others = [update for update in found if not _run_has_tags(scope, update.run_id, condition)]
    updated = _timed_union(scope, candidates, found).true
    return _Answer(updated - _timed_union(scope, candidates, others).true)


def _custom(scope: _Scope, node: compiling.Compiled, candidates: _Subset) -> _Answer:
    condition = node.condition
    entity = candidates.entity
    before = scope.state_before(node, entity)
    # Nobody knows what it looks at, so it is asked at every evaluation.
    scope.passing = True
    call = views.CustomCall(
        target=scope.target,
        owner=scope.owner,
        ordinal=node.ordinal,
        name=condition.name,
        candidates=candidates,
        cursor=None if before is None else before.text,
        evaluated_at=None if scope.before is None else scope.before.evaluated_at,
        implementation=getattr(condition, "implementation", None),
    )
    answer = scope.view.custom(call)
    if answer is None:
        scope.wanted.append(call)
        return _Answer(scope.facts.empty(entity))
    scope.remember(node, entity, states.NodeState(text=answer.cursor))
    return _Answer(scope.facts.current(entity, answer.value))


def _updates(scope: _Scope, candidates: _Subset) -> Sequence[views.Update]:
    if scope.before is None or not candidates:
        return ()
    return scope.view.updates(candidates.entity, scope.before.position)


def _timed_union(scope: _Scope, candidates: _Subset, updates: Sequence[views.Update]) -> _Answer:
    """Return what was updated, each partition at the time of its last update."""
    entity = candidates.entity
    found = scope.facts.empty(entity)
    if not updates:
        return _Answer(found)
    timing: list[tuple[float, _Subset]] = []
    for update in reversed(updates):
        own = (scope.facts.current(entity, update.value) & candidates) - found
        if own:
            found = found | own
            timing.append((update.timestamp, own))
    return _Answer(scope.passes(found), tuple(reversed(timing)))


def _timed(moment: float, subset: _Subset) -> entity_subsets.Timing:
    return ((moment, subset),) if subset else ()


def _last_run(
    scope: _Scope, candidates: _Subset, fits: Callable[[views.RunFacts], bool]
) -> _Answer:
    found = scope.facts.empty(candidates.entity)
    if not candidates:
        return _Answer(found)
    for run_id, value in scope.view.latest_runs(candidates.entity, candidates.value):
        run = scope.view.run(run_id)
        if run is not None and fits(run):
            found = found | scope.facts.current(candidates.entity, value)
    return _Answer(found)


def _run_has_tags(scope: _Scope, run_id: str, condition: Any) -> bool:
    run = scope.view.run(run_id) if run_id else None
    return run is not None and _has_tags(run, condition)


def _has_tags(run: views.RunFacts, condition: Any) -> bool:
    keys: Sequence[str] = condition.tag_keys or ()
    values: Sequence[tuple[str, str]] = condition.tag_values or ()
    return all(key in run.tags for key in keys) and all(
        run.tags.get(key) == value for key, value in values
    )


HANDLERS: evaluating.Handlers = {
    operands.Missing: _missing,
    operands.RunInProgress: _known(lambda view, entity: view.run_in_progress(entity)),
    operands.BackfillInProgress: _known(lambda view, entity: view.backfill_in_progress(entity)),
    operands.ExecutionFailed: _known(lambda view, entity: view.execution_failed(entity)),
    operands.CheckResult: _check_result,
    operands.Freshness: _freshness,
    operands.InitialEvaluation: _initial_evaluation,
    operands.InLatestTimeWindow: _in_latest_time_window,
    operands.WillBeRequested: _will_be_requested,
    operands.NewlyRequested: _newly_requested,
    operands.NewlyUpdated: _newly_updated,
    operands.DataVersionChanged: _data_version_changed,
    operands.CodeVersionChanged: _code_version_changed,
    operands.CronTickPassed: _cron_tick_passed,
    operands.ExecutedWithRootTarget: _executed_with_root,
    operands.ExecutedWithTags: _executed_with_tags,
    operands.AnyNewUpdateHasRunTags: _any_new_update,
    operands.AllNewUpdatesHaveRunTags: _all_new_updates,
    operands.Custom: _custom,
}

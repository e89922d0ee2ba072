"""Evaluating the conditions of definitions in this process, as tests do.

Called by users: `evaluate_automation_conditions` says what the host would request, given what an
instance knows, one evaluation after the other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._conditions import (
    entities,
    entity_subsets,
    explanations,
    plans,
    states,
    ticking,
)
from atoll._conditions import graph as condition_graph
from atoll._definitions import (
    asset_selection,
    automation_contexts,
    condition_entities,
    definitions,
    keys,
)
from atoll._execution import condition_graphs, condition_views
from atoll._instance import instance as instances
from atoll._partitions import contexts


class EvaluationCursor(records.Record):
    """What is remembered from one evaluation to the next.

    Attributes:
        evaluation_id: The number of the evaluation.
        states: What is remembered of each target.
    """

    evaluation_id: int
    states: Mapping[entities.Entity, states.TargetState]


class ConditionResult:
    """What the condition of one asset, check or job came to.

    Attributes:
        key: The asset, check or job.
        true_subset: What is requested of it.
        explanation: Why: what each part of the condition was true for.
    """

    def __init__(
        self,
        true_subset: automation_contexts.EntitySubset,
        explanation: explanations.Explanation,
    ) -> None:
        self.key = true_subset.key
        self.true_subset = true_subset
        self.explanation = explanation

    def pprint(self, indent: int = 0) -> str:
        """Return why, as lines of text, one for each part of the condition.

        Args:
            indent: By how much to indent the lines.
        """
        return "\n".join(_lines(self.explanation, indent))

    def __repr__(self) -> str:
        return f"ConditionResult({self.key!r}, {self.true_subset.value!r})"


class EvaluateAutomationConditionsResult:
    """What the conditions of definitions came to. Made by `evaluate_automation_conditions`.

    Attributes:
        cursor: What to give to the next evaluation.
        results: What each condition came to, by asset, check and job.
    """

    def __init__(
        self,
        cursor: EvaluationCursor,
        results: Iterable[ConditionResult],
        requested: Mapping[entities.Entity, entity_subsets.EntitySubset],
    ) -> None:
        self.cursor = cursor
        self.results: Sequence[ConditionResult] = list(results)
        self._requested = requested

    @property
    def total_requested(self) -> int:
        """How many partitions of assets, and how many assets, checks and jobs without, in all."""
        return sum(found.size for found in self._requested.values())

    def get_requested_partitions(self, asset_key: Any) -> AbstractSet[str | None]:
        """Return the partitions that are requested of an asset; None for one without partitions.

        Args:
            asset_key: The asset; or a check, or a job, by its key.
        """
        found = self._requested.get(condition_entities.entity_of(_key(asset_key)))
        return set() if found is None else set(found.partition_keys())

    def get_num_requested(self, asset_key: Any) -> int:
        """Return how many partitions are requested of an asset.

        Args:
            asset_key: The asset; or a check, or a job, by its key.
        """
        return len(self.get_requested_partitions(asset_key))


def evaluate_automation_conditions(
    defs: definitions.Definitions | Sequence[Any],
    instance: instances.Instance,
    asset_selection: asset_selection.CoercibleToAssetSelection | None = None,
    evaluation_time: dt.datetime | None = None,
    cursor: EvaluationCursor | None = None,
) -> EvaluateAutomationConditionsResult:
    """Evaluate the conditions of definitions once, as the host would.

    Args:
        defs: The definitions, or assets.
        instance: What is known of the assets.
        asset_selection: Only the conditions of these assets and checks, and of jobs; all where not
            given.
        evaluation_time: When to evaluate; now where not given.
        cursor: What the evaluation before gave. Without it, this is the first one.

    Returns:
        What is requested, why, and the cursor for the next evaluation.

    Raises:
        UserCodeExecutionError: A condition of the user's own raised.
        Error: Another condition could not be evaluated.

    Example:
        `evaluate_automation_conditions([orders], Instance.ephemeral()).total_requested`
    """
    defined = defs if isinstance(defs, definitions.Definitions) else definitions.Definitions(defs)
    known = condition_graphs.of_definitions(defined)
    now = contexts.PartitionLoadingContext(evaluation_time).now
    context = contexts.PartitionLoadingContext(now, instance)
    view = condition_views.InstanceView(instance, known, context)
    plan = plans.Plan(_only(known, defined, asset_selection))
    before = cursor or EvaluationCursor(0, {})
    tick = ticking.Tick(before.evaluation_id + 1, now, view.position)
    outcome = ticking.evaluate(plan, view, before.states, tick)
    _raise(outcome)
    results = [
        ConditionResult(
            automation_contexts.EntitySubset(
                entity_subsets.EntitySubset(target, state.requested),
                known.node(target).partitions_def,
                context,
            ),
            outcome.explanations[target].explanation(),
        )
        for target, state in sorted(outcome.states.items())
    ]
    remembered = {**before.states, **outcome.states}
    return EvaluateAutomationConditionsResult(
        EvaluationCursor(tick.evaluation_id, remembered), results, outcome.requested
    )


def _raise(outcome: ticking.Outcome) -> None:
    """Raise what went wrong: in a test, a condition that cannot be evaluated is what to look at."""
    raised = [error for _, error in sorted(outcome.raised.items(), key=lambda item: item[0])]
    if len(raised) == 1:
        raise raised[0]
    if raised:
        told = "\n".join(f"  {target}: {why}" for target, why in sorted(outcome.failures.items()))
        raise errors.InvariantViolationError(
            f"{len(raised)} automation conditions could not be evaluated:\n{told}"
        ) from raised[0]


def _only(
    known: condition_graph.Graph,
    defined: definitions.Definitions,
    chosen: asset_selection.CoercibleToAssetSelection | None,
) -> condition_graph.Graph:
    """Return the graph with conditions on what is selected, and on jobs, alone."""
    if chosen is None:
        return known
    selection = asset_selection.AssetSelection.from_coercible(chosen)
    selected: set[keys.EntityKey] = {
        *selection.resolve(defined.graph.selectable),
        *selection.resolve_checks(defined.graph.selectable),
    }
    wanted = {condition_entities.entity_of(key) for key in selected}
    return condition_graph.Graph(
        node
        if entity in wanted or entity.kind == entities.JOB
        else condition_graph.without_condition(node)
        for entity, node in known.nodes.items()
    )


def _key(given: Any) -> keys.EntityKey:
    if isinstance(given, (keys.AssetCheckKey, keys.AssetJobKey)):
        return given
    return keys.AssetKey.from_coercible(given)


def _lines(explanation: explanations.Explanation, indent: int) -> Iterable[str]:
    told = explanation.label or explanation.name
    whose = f" [{explanation.entity}]"
    yield f"{' ' * indent}{told}{whose}: {_told(explanation.true)}"
    for child in explanation.children:
        yield from _lines(child, indent + 2)


def _told(subset: entity_subsets.EntitySubset) -> str:
    if subset.is_partitioned:
        return repr(subset.value) if subset else "no partition"
    return "true" if subset else "false"

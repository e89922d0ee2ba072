"""What a condition of a user's own is asked, and what it answers.

Called by conditions of users; made by whoever evaluates them: their location when the host asks, or
`evaluate_automation_conditions`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from atoll import errors
from atoll._conditions import entity_subsets
from atoll._definitions import condition_entities, keys
from atoll._partitions import contexts, definitions

if TYPE_CHECKING:
    import logging


class EntitySubset:
    """Some partitions of an asset or a check; of one without partitions, it or nothing.

    Args:
        subset: The same, as evaluations have it.
        partitions_def: The partitions; None for none.
        partition_context: The time and the dynamic partitions by which they are told.
    """

    __slots__ = ("_context", "_partitions_def", "_subset")

    def __init__(
        self,
        subset: entity_subsets.EntitySubset,
        partitions_def: definitions.PartitionsDefinition | None = None,
        partition_context: contexts.PartitionLoadingContext | None = None,
    ) -> None:
        self._subset = subset
        self._partitions_def = partitions_def
        self._context = partition_context or contexts.resolve()

    @property
    def key(self) -> keys.EntityKey:
        """The asset, check or job."""
        return condition_entities.key_of(self._subset.entity)

    @property
    def partitions_def(self) -> definitions.PartitionsDefinition | None:
        """The partitions that these are from, None for none."""
        return self._partitions_def

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return self._subset.is_empty

    @property
    def is_partitioned(self) -> bool:
        """Whether it is of partitions."""
        return self._subset.is_partitioned

    @property
    def size(self) -> int:
        """How many partitions are in it; one or none where there are no partitions."""
        return self._subset.size

    @property
    def value(self) -> entity_subsets.Value:
        """The set of partitions; whether it is meant at all, where there are none."""
        return self._subset.value

    def get_internal_value(self) -> entity_subsets.Value:
        """Return the set of partitions; whether it is meant at all, where there are none."""
        return self._subset.value

    def expensively_compute_partition_keys(self) -> AbstractSet[str]:
        """Return the keys of the partitions, one by one; nothing where there are none."""
        return {key for key in self._subset.partition_keys() if key is not None}

    def compute_union(self, other: EntitySubset) -> EntitySubset:
        """Return what is in either."""
        return self._with(self._subset | other._subset)

    def compute_intersection(self, other: EntitySubset) -> EntitySubset:
        """Return what is in both."""
        return self._with(self._subset & other._subset)

    def compute_difference(self, other: EntitySubset) -> EntitySubset:
        """Return what is in this one and not in the other."""
        return self._with(self._subset - other._subset)

    def compute_intersection_with_partition_keys(
        self, partition_keys: AbstractSet[str]
    ) -> EntitySubset:
        """Return those of some partitions that are in it.

        Args:
            partition_keys: Their keys.
        """
        if self._partitions_def is None:
            return self._with(self._subset - self._subset)
        known = self._partitions_def.filter_valid_partition_keys(
            partition_keys, self._context.effective_dt, self._context.dynamic_partitions_store
        )
        chosen = self._partitions_def.subset_with_partition_keys(known)
        return self._with(self._subset & entity_subsets.EntitySubset(self._subset.entity, chosen))

    def __or__(self, other: EntitySubset) -> EntitySubset:
        return self.compute_union(other)

    def __and__(self, other: EntitySubset) -> EntitySubset:
        return self.compute_intersection(other)

    def __sub__(self, other: EntitySubset) -> EntitySubset:
        return self.compute_difference(other)

    def __bool__(self) -> bool:
        return not self.is_empty

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntitySubset) and self._subset == other._subset

    def __hash__(self) -> int:
        return hash(self._subset)

    def __repr__(self) -> str:
        return f"EntitySubset({self.key!r}, {self.value!r})"

    def _with(self, subset: entity_subsets.EntitySubset) -> EntitySubset:
        return EntitySubset(subset, self._partitions_def, self._context)


class AutomationContext:
    """What a condition of a user's own is asked.

    Args:
        condition: The condition.
        candidate_subset: Which partitions it is asked about. What it says about others counts for
            nothing.
        cursor: What it wanted to remember at the evaluation before, None at the first.
        evaluation_time: When the evaluation is.
        previous_evaluation_time: When the one before was, None at the first.
        instance: Answers questions about assets and runs.
        log: The log of the evaluation.
    """

    def __init__(  # what a context has; nobody else makes one
        self,
        *,
        condition: Any,
        candidate_subset: EntitySubset,
        cursor: str | None,
        evaluation_time: dt.datetime,
        previous_evaluation_time: dt.datetime | None,
        instance: Any,
        log: logging.Logger,
    ) -> None:
        self.condition = condition
        self.candidate_subset = candidate_subset
        self.cursor = cursor
        self.evaluation_time = evaluation_time
        self.previous_evaluation_time = previous_evaluation_time
        self.instance = instance
        self.log = log

    @property
    def key(self) -> keys.EntityKey:
        """The asset, check or job that the condition is asked about."""
        return self.candidate_subset.key

    @property
    def partitions_def(self) -> definitions.PartitionsDefinition | None:
        """The partitions that the condition is asked about, None for none."""
        return self.candidate_subset.partitions_def

    def get_empty_subset(self) -> EntitySubset:
        """Return a set with nothing in it: true for none of the candidates."""
        return self.candidate_subset.compute_difference(self.candidate_subset)

    def get_subset(self, partition_keys: Iterable[str]) -> EntitySubset:
        """Return those of the candidates that have some keys.

        Args:
            partition_keys: The keys of partitions.
        """
        return self.candidate_subset.compute_intersection_with_partition_keys(set(partition_keys))


class AutomationResult:
    """What a condition came to.

    Args:
        context: What it was asked.
        true_subset: For which of the candidates it is true.
        cursor: What it wants to remember until the next evaluation.
        child_results: What the conditions that it is made of came to.

    Raises:
        InvariantViolationError: The set is of another asset or check than it was asked about.
    """

    def __init__(
        self,
        context: AutomationContext,
        true_subset: EntitySubset,
        cursor: str | None = None,
        child_results: Sequence[AutomationResult] | None = None,
    ) -> None:
        # Not all users check types.
        given: Any = true_subset
        if not isinstance(given, EntitySubset) or given.key != context.key:
            raise errors.InvariantViolationError(
                f"The condition {context.condition.name!r} was asked about"
                f" {context.key.to_user_string()!r} and answered with {true_subset!r}. Return"
                " AutomationResult(context, true_subset=...) with a part of"
                " context.candidate_subset."
            )
        kept: Any = cursor
        if kept is not None and not isinstance(kept, str):
            raise errors.InvariantViolationError(
                f"The cursor of the condition {context.condition.name!r} is {cursor!r}. Give a"
                " string, or None."
            )
        self.context = context
        self.true_subset = true_subset
        self.cursor = cursor
        self.child_results: Sequence[AutomationResult] = tuple(child_results or ())

    @property
    def key(self) -> keys.EntityKey:
        """The asset, check or job that it is about."""
        return self.true_subset.key

    @property
    def condition(self) -> Any:
        """The condition."""
        return self.context.condition

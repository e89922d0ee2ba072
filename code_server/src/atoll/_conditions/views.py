"""What conditions are evaluated over: what is known of assets, checks and runs at one moment.

Implemented by the host over what it remembers of the log, by `evaluate_automation_conditions` over
an instance, and by tests. A view answers for one position in the log and does no I/O when asked, or
only what the caller accepts. Values are those of `entity_subsets`: sets of partitions of the
definition that the graph has for the entity, or truth values where it has no partitions. A set may
hold partitions that are gone; whoever asks cuts it to those there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from atoll._conditions import entities, entity_subsets
from atoll._partitions import contexts


class Update(NamedTuple):
    """Something that was materialized, observed with a new data version, or evaluated as a check.

    Attributes:
        timestamp: When, in seconds since 1970.
        value: Which partitions.
        run_id: The run that did it; empty for a report from outside.
        new_data: Whether it has another data version than the update before it of these partitions;
            a first one has, and so has one without a version.
    """

    timestamp: float
    value: entity_subsets.Value
    run_id: str = ""
    new_data: bool = False


class RunFacts(NamedTuple):
    """What conditions look at in a run.

    Attributes:
        run_id: The run.
        tags: Its tags.
        targets: The assets and checks that it was to execute.
    """

    run_id: str
    tags: Mapping[str, str]
    targets: frozenset[entities.Entity]


class CustomCall(NamedTuple):
    """A condition of a user's own that has to be evaluated where its code is.

    Attributes:
        target: What the whole condition belongs to.
        owner: Whose condition holds the one to evaluate; differs from the target only below
            `any_downstream_conditions`. Its location evaluates.
        ordinal: Which of the custom conditions in the owner's tree it is, counted from 0 in the
            order in which the tree is written.
        name: What the condition calls itself.
        candidates: Among which partitions of which entity it is asked.
        cursor: What it remembered at the evaluation before; None at the first.
        evaluated_at: When the target was evaluated before, in seconds since 1970; None at first.
        implementation: The user's object, in the process that has it.
    """

    target: entities.Entity
    owner: entities.Entity
    ordinal: int
    name: str
    candidates: entity_subsets.EntitySubset
    cursor: str | None
    evaluated_at: float | None
    implementation: Any = None


class CustomAnswer(NamedTuple):
    """What a custom condition said.

    Attributes:
        value: Which of the candidates it is true for.
        cursor: What it wants to remember.
    """

    value: entity_subsets.Value
    cursor: str | None = None


class View(Protocol):
    """What is known at one position of the log."""

    @property
    def partitions(self) -> contexts.PartitionLoadingContext:
        """The time and the dynamic partitions by which partitions are told. The time is set."""
        ...

    def present(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what is not missing.

        Of an asset, what was ever materialized, or observed where it is only observed. Of a check,
        what was evaluated, or is being evaluated, for the latest materialization of its asset.
        """
        ...

    def run_in_progress(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what a run that has not ended is to execute and has not executed yet."""
        ...

    def backfill_in_progress(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what a backfill that has not ended is to execute and has not executed yet."""
        ...

    def execution_failed(self, entity: entities.Entity) -> entity_subsets.Value:
        """Return what the latest run that was to execute it failed to execute."""
        ...

    def check_result(self, entity: entities.Entity, *, passed: bool) -> entity_subsets.Value:
        """Return what a check passed, or failed, for the latest materialization of its asset."""
        ...

    def freshness(self, entity: entities.Entity) -> str:
        """Return "pass", "warn" or "fail", empty for an asset whose freshness is not known."""
        ...

    def updates(self, entity: entities.Entity, after: int) -> Sequence[Update]:
        """Return what was updated behind a position of the log, oldest first.

        Args:
            entity: The asset or check.
            after: The position; the view's own position is the end.
        """
        ...

    def latest_runs(
        self, entity: entities.Entity, value: entity_subsets.Value
    ) -> Sequence[tuple[str, entity_subsets.Value]]:
        """Return the runs that last updated some partitions, each with those that it updated.

        Args:
            entity: The asset or check.
            value: The partitions. Those that no run updated last are left out.
        """
        ...

    def run(self, run_id: str) -> RunFacts | None:
        """Return a run, None where it is not known any more."""
        ...

    def custom(self, call: CustomCall) -> CustomAnswer | None:
        """Return what a custom condition says, None where its location has to be asked first.

        The evaluation then gives the call back in its outcome, for the caller to ask and to
        evaluate again over a view that knows.
        """
        ...

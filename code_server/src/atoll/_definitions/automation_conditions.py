"""Automation conditions: when an asset, a check or a job is to be executed by itself.

Called by users. A condition holds a tree of data, and `atoll._conditions` says what it comes to.
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic

from typing_extensions import TypeVar

from atoll import errors
from atoll._conditions import composites, conditions, operands
from atoll._definitions import asset_selection, automation_contexts, condition_selections, keys
from atoll._partitions import timelines

Key = TypeVar("Key", default=Any)


class AutomationCondition(abc.ABC, Generic[Key]):
    """Says when something is to be executed by itself.

    Made by the static methods, and of each other by `&`, `|`, `~`, `since` and `newly_true`. A
    subclass with an `evaluate` of its own is evaluated in its code location.

    Example:
        `@asset(automation_condition=AutomationCondition.eager())`
    """

    @abc.abstractmethod
    def evaluate(
        self, context: automation_contexts.AutomationContext
    ) -> automation_contexts.AutomationResult:
        """Say for which of the candidates the condition is true.

        Args:
            context: What is asked: the candidates, the cursor, and the instance.

        Returns:
            The answer, and the cursor for the next evaluation.
        """

    @property
    def name(self) -> str:
        """What the condition is. One of a user's own is called like its class."""
        return type(self).__name__

    @property
    def description(self) -> str:
        """What the condition means, in words; may be empty."""
        return ""

    @property
    def node(self) -> conditions.Condition:
        """The condition as data."""
        return operands.Custom(own_name=self.name, meaning=self.description, implementation=self)

    @property
    def children(self) -> Sequence[AutomationCondition[Any]]:
        """The conditions that it is made of."""
        return ()

    @property
    def operator_type(self) -> str:
        """How the children make the result: "and", "or", "not", or "identity" for another way."""
        return self.node.operator or "identity"

    def get_label(self) -> str | None:
        """Return what its author calls it."""
        return self.node.label

    def with_label(self, label: str | None) -> BuiltinAutomationCondition:
        """Return the condition with a label, which explanations show.

        Args:
            label: The label; None takes it away.
        """
        return BuiltinAutomationCondition(composites.labelled(self.node, label))

    def since(self, reset_condition: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        """Return what is true if this was true since another condition last was.

        Args:
            reset_condition: The other condition.
        """
        return BuiltinAutomationCondition(
            conditions.Since(trigger=self.node, reset=_node(reset_condition))
        )

    def newly_true(self) -> BuiltinAutomationCondition:
        """Return what is true at the evaluation at which this comes true."""
        return BuiltinAutomationCondition(conditions.NewlyTrue(operand=self.node))

    def since_last_handled(self) -> BuiltinAutomationCondition:
        """Return what is true if this was true since the target was last requested or updated.

        What was true when the condition was evaluated for the first time counts as handled.
        """
        return BuiltinAutomationCondition(composites.since_last_handled(self.node))

    def replace(
        self, old: AutomationCondition[Any] | str, new: AutomationCondition[Any]
    ) -> BuiltinAutomationCondition:
        """Return the condition with another in place of some of its parts.

        Args:
            old: What to replace: a condition, or the name or label of some.
            new: What comes in its place.
        """
        wanted = old if isinstance(old, str) else _node(old)
        return BuiltinAutomationCondition(composites.replaced(self.node, wanted, _node(new)))

    def __and__(self, other: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        return BuiltinAutomationCondition(composites.all_of(self.node, _node(other)))

    def __or__(self, other: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        return BuiltinAutomationCondition(composites.any_of(self.node, _node(other)))

    def __invert__(self) -> BuiltinAutomationCondition:
        return BuiltinAutomationCondition(composites.negation(self.node))

    @staticmethod
    def eager() -> BuiltinAutomationCondition:
        """Execute the target when a dependency is updated, or when it comes to be missing.

        Not while a dependency is missing or anything is in progress. Of partitions in time, only
        the latest.
        """
        return BuiltinAutomationCondition(composites.eager())

    @staticmethod
    def on_cron(cron_schedule: str, cron_timezone: str = "UTC") -> BuiltinAutomationCondition:
        """Execute the target once for each tick, as soon as all dependencies were updated since.

        Args:
            cron_schedule: The schedule.
            cron_timezone: Its time zone.

        Raises:
            InvalidDefinitionError: The schedule or the time zone cannot be.
        """
        timelines.timeline(cron_schedule, cron_timezone)
        return BuiltinAutomationCondition(composites.on_cron(cron_schedule, cron_timezone))

    @staticmethod
    def on_missing() -> BuiltinAutomationCondition:
        """Execute partitions of the target that are added, as soon as no dependency is missing.

        What is missing when the condition is evaluated first stays so. Of partitions in time, only
        the latest.
        """
        return BuiltinAutomationCondition(composites.on_missing())

    @staticmethod
    def any_deps_match(condition: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        """Return what is true where a condition is for a partition of any dependency.

        Args:
            condition: What is asked of each dependency.
        """
        return BuiltinAutomationCondition(conditions.AnyDeps(operand=_node(condition)))

    @staticmethod
    def all_deps_match(condition: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        """Return what is true where a condition is for a partition of each dependency.

        Args:
            condition: What is asked of each dependency.
        """
        return BuiltinAutomationCondition(conditions.AllDeps(operand=_node(condition)))

    @staticmethod
    def any_checks_match(
        condition: AutomationCondition[Any],
        blocking_only: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> BuiltinAutomationCondition:
        """Return what is true where a condition is for any check of the asset.

        Args:
            condition: What is asked of each check.
            blocking_only: Whether only blocking checks are asked.
        """
        return BuiltinAutomationCondition(
            conditions.AnyChecks(operand=_node(condition), blocking_only=blocking_only)
        )

    @staticmethod
    def all_checks_match(
        condition: AutomationCondition[Any],
        blocking_only: bool = False,  # noqa: FBT001, FBT002 - the field's signature
    ) -> BuiltinAutomationCondition:
        """Return what is true where a condition is for all checks of the asset.

        Args:
            condition: What is asked of each check.
            blocking_only: Whether only blocking checks are asked.
        """
        return BuiltinAutomationCondition(
            conditions.AllChecks(operand=_node(condition), blocking_only=blocking_only)
        )

    @staticmethod
    def any_job_root_assets_match(
        condition: AutomationCondition[Any],
    ) -> BuiltinAutomationCondition:
        """Return what is true of a job where a condition is for any of its root assets.

        Args:
            condition: What is asked of each asset that depends on no other of the job.
        """
        return BuiltinAutomationCondition(composites.any_job_roots(_node(condition)))

    @staticmethod
    def all_job_root_assets_match(
        condition: AutomationCondition[Any],
    ) -> BuiltinAutomationCondition:
        """Return what is true of a job where a condition is for all of its root assets.

        Args:
            condition: What is asked of each asset that depends on no other of the job.
        """
        return BuiltinAutomationCondition(composites.all_job_roots(_node(condition)))

    @staticmethod
    def asset_matches(
        key: keys.CoercibleToAssetKey, condition: AutomationCondition[Any]
    ) -> BuiltinAutomationCondition:
        """Return what is true where a condition is for another asset.

        Args:
            key: The other asset, in any location.
            condition: What is asked of it.
        """
        path = tuple(keys.AssetKey.from_coercible(key).path)
        return BuiltinAutomationCondition(
            conditions.AssetMatches(operand=_node(condition), path=path)
        )

    @staticmethod
    def any_downstream_conditions() -> BuiltinAutomationCondition:
        """Return what is true where the condition of anything downstream is."""
        return BuiltinAutomationCondition(conditions.AnyDownstream())

    @staticmethod
    def missing() -> BuiltinAutomationCondition:
        """Return what is true of what was never executed."""
        return BuiltinAutomationCondition(operands.Missing())

    @staticmethod
    def newly_missing() -> BuiltinAutomationCondition:
        """Return what is true at the evaluation at which something comes to be missing."""
        return BuiltinAutomationCondition(composites.newly_missing())

    @staticmethod
    def in_progress() -> BuiltinAutomationCondition:
        """Return what is true of what a run or a backfill has still to execute."""
        return BuiltinAutomationCondition(composites.in_progress())

    @staticmethod
    def run_in_progress() -> BuiltinAutomationCondition:
        """Return what is true of what a run has still to execute."""
        return BuiltinAutomationCondition(operands.RunInProgress())

    @staticmethod
    def backfill_in_progress() -> BuiltinAutomationCondition:
        """Return what is true of what a backfill has still to execute."""
        return BuiltinAutomationCondition(operands.BackfillInProgress())

    @staticmethod
    def execution_failed() -> BuiltinAutomationCondition:
        """Return what is true of what the latest run failed to execute."""
        return BuiltinAutomationCondition(operands.ExecutionFailed())

    @staticmethod
    def check_passed() -> BuiltinAutomationCondition:
        """Return what is true of a check that passed for its asset's latest materialization."""
        return BuiltinAutomationCondition(operands.CheckResult(passed=True))

    @staticmethod
    def check_failed() -> BuiltinAutomationCondition:
        """Return what is true of a check that failed for its asset's latest materialization."""
        return BuiltinAutomationCondition(operands.CheckResult(passed=False))

    @staticmethod
    def freshness_passed() -> BuiltinAutomationCondition:
        """Return what is true of an asset that is as fresh as its policy wants."""
        return BuiltinAutomationCondition(operands.Freshness(state=conditions.PASS))

    @staticmethod
    def freshness_warned() -> BuiltinAutomationCondition:
        """Return what is true of an asset that its policy warns of."""
        return BuiltinAutomationCondition(operands.Freshness(state=conditions.WARN))

    @staticmethod
    def freshness_failed() -> BuiltinAutomationCondition:
        """Return what is true of an asset that is older than its policy allows."""
        return BuiltinAutomationCondition(operands.Freshness(state=conditions.FAIL))

    @staticmethod
    def initial_evaluation() -> BuiltinAutomationCondition:
        """Return what is true when the condition is evaluated first, or over other partitions."""
        return BuiltinAutomationCondition(operands.InitialEvaluation())

    @staticmethod
    def in_latest_time_window(
        lookback_delta: dt.timedelta | None = None,
    ) -> BuiltinAutomationCondition:
        """Return what is true of the latest partition in time, and of what has no time.

        Args:
            lookback_delta: How far before the end of the latest window others may start.
        """
        seconds = lookback_delta.total_seconds() if lookback_delta else None
        return BuiltinAutomationCondition(operands.InLatestTimeWindow(lookback_s=seconds))

    @staticmethod
    def will_be_requested() -> BuiltinAutomationCondition:
        """Return what is true of what this evaluation requests together with the target."""
        return BuiltinAutomationCondition(operands.WillBeRequested())

    @staticmethod
    def newly_requested() -> BuiltinAutomationCondition:
        """Return what is true of what the evaluation before requested."""
        return BuiltinAutomationCondition(operands.NewlyRequested())

    @staticmethod
    def newly_updated() -> BuiltinAutomationCondition:
        """Return what is true of what was updated since the evaluation before."""
        return BuiltinAutomationCondition(operands.NewlyUpdated())

    @staticmethod
    def code_version_changed() -> BuiltinAutomationCondition:
        """Return what is true when an asset has another code version than before."""
        return BuiltinAutomationCondition(operands.CodeVersionChanged())

    @staticmethod
    def data_version_changed() -> BuiltinAutomationCondition:
        """Return what is true of what got another data version since the evaluation before."""
        return BuiltinAutomationCondition(operands.DataVersionChanged())

    @staticmethod
    def cron_tick_passed(
        cron_schedule: str, cron_timezone: str = "UTC"
    ) -> BuiltinAutomationCondition:
        """Return what is true at the first evaluation after a tick of a schedule.

        Args:
            cron_schedule: The schedule.
            cron_timezone: Its time zone.

        Raises:
            InvalidDefinitionError: The schedule or the time zone cannot be.
        """
        timelines.timeline(cron_schedule, cron_timezone)
        return BuiltinAutomationCondition(
            operands.CronTickPassed(cron_schedule=cron_schedule, cron_timezone=cron_timezone)
        )

    @staticmethod
    def executed_with_root_target() -> BuiltinAutomationCondition:
        """Return what is true of what was last updated by a run that executes the target, too."""
        return BuiltinAutomationCondition(operands.ExecutedWithRootTarget())

    @staticmethod
    def executed_with_tags(
        *,
        tag_keys: AbstractSet[str] | None = None,
        tag_values: Mapping[str, str] | None = None,
    ) -> BuiltinAutomationCondition:
        """Return what is true of what was last updated by a run with tags.

        Args:
            tag_keys: Tags that the run has to have.
            tag_values: Tags that it has to have with these values.
        """
        return _run_tags(operands.ExecutedWithTags, tag_keys, tag_values)

    @staticmethod
    def any_new_update_has_run_tags(
        *,
        tag_keys: AbstractSet[str] | None = None,
        tag_values: Mapping[str, str] | None = None,
    ) -> BuiltinAutomationCondition:
        """Return what is true of what a run with tags updated since the evaluation before.

        Args:
            tag_keys: Tags that the run has to have.
            tag_values: Tags that it has to have with these values.
        """
        return _run_tags(operands.AnyNewUpdateHasRunTags, tag_keys, tag_values)

    @staticmethod
    def all_new_updates_have_run_tags(
        *,
        tag_keys: AbstractSet[str] | None = None,
        tag_values: Mapping[str, str] | None = None,
    ) -> BuiltinAutomationCondition:
        """Return what is true of what only runs with tags updated since the evaluation before.

        Args:
            tag_keys: Tags that the runs have to have.
            tag_values: Tags that they have to have with these values.
        """
        return _run_tags(operands.AllNewUpdatesHaveRunTags, tag_keys, tag_values)

    @staticmethod
    def any_deps_updated() -> BuiltinAutomationCondition:
        """Return what is true where a dependency was updated, or will be together with the target.

        An update by a run that executes the target as well does not count.
        """
        return BuiltinAutomationCondition(composites.any_deps_updated())

    @staticmethod
    def any_deps_missing() -> BuiltinAutomationCondition:
        """Return what is true where a dependency is missing and will not be requested."""
        return BuiltinAutomationCondition(composites.any_deps_missing())

    @staticmethod
    def any_deps_in_progress() -> BuiltinAutomationCondition:
        """Return what is true where a dependency is in progress."""
        return BuiltinAutomationCondition(composites.any_deps_in_progress())

    @staticmethod
    def all_deps_updated_since_cron(
        cron_schedule: str, cron_timezone: str = "UTC"
    ) -> BuiltinAutomationCondition:
        """Return what is true where all dependencies were updated since a schedule last ticked.

        Args:
            cron_schedule: The schedule.
            cron_timezone: Its time zone.

        Raises:
            InvalidDefinitionError: The schedule or the time zone cannot be.
        """
        timelines.timeline(cron_schedule, cron_timezone)
        return BuiltinAutomationCondition(
            composites.all_deps_updated_since_cron(cron_schedule, cron_timezone)
        )

    @staticmethod
    def all_deps_blocking_checks_passed() -> BuiltinAutomationCondition:
        """Return what is true where all blocking checks of dependencies passed, or will run."""
        return BuiltinAutomationCondition(composites.all_deps_blocking_checks_passed())


class BuiltinAutomationCondition(AutomationCondition[Any]):
    """A condition that the host evaluates by itself.

    Args:
        node: What it says, as data.
    """

    def __init__(self, node: conditions.Condition) -> None:
        self._node = node

    @property
    def node(self) -> conditions.Condition:
        """The condition as data."""
        return self._node

    @property
    def name(self) -> str:
        """What the condition is."""
        return self._node.name

    @property
    def description(self) -> str:
        """What the condition means, in words; may be empty."""
        return self._node.description

    @property
    def children(self) -> Sequence[AutomationCondition[Any]]:
        """The conditions that it is made of."""
        return [_wrapped(child) for child in self._node.children]

    operands = children

    def evaluate(
        self, context: automation_contexts.AutomationContext
    ) -> automation_contexts.AutomationResult:
        """Say that only the host, or a test, can evaluate this one.

        Raises:
            InvalidInvocationError: Always.
        """
        raise errors.InvalidInvocationError(
            f"The condition {self.name!r} needs to know about all assets, so it cannot be evaluated"
            " by itself. Call evaluate_automation_conditions(defs=..., instance=...)."
        )

    def without(self, condition: AutomationCondition[Any]) -> BuiltinAutomationCondition:
        """Return a conjunction or an alternative without one of its parts.

        Args:
            condition: The part to leave out.

        Raises:
            InvalidDefinitionError: It is not among the parts, or no two would be left.
        """
        node, unwanted = self._node, _node(condition)
        left = tuple(part for part in node.children if part != unwanted)
        if not isinstance(node, conditions.And | conditions.Or) or left == node.children:
            raise errors.InvalidDefinitionError(
                f"The condition {unwanted.label or unwanted.name!r} is no part of"
                f" {node.label or node.name!r}, which is made of"
                f" {', '.join(part.label or part.name for part in node.children) or 'nothing'}."
                " Leave out one of these."
            )
        if len(left) < 2:  # noqa: PLR2004  # a conjunction of one is that one
            raise errors.InvalidDefinitionError(
                f"Without {unwanted.label or unwanted.name!r}, only one part is left. Use that"
                " one by itself."
            )
        return BuiltinAutomationCondition(node.changed(operands=left))

    def allow(
        self, selection: asset_selection.CoercibleToAssetSelection
    ) -> BuiltinAutomationCondition:
        """Return the condition looking only at dependencies, or checks, within a selection.

        It goes through all parts that look at dependencies or checks. Several selections add up.

        Args:
            selection: The selection. It may name assets of other locations.
        """
        return self._selecting("allow", selection)

    def ignore(
        self, selection: asset_selection.CoercibleToAssetSelection
    ) -> BuiltinAutomationCondition:
        """Return the condition not looking at dependencies, or checks, within a selection.

        It goes through all parts that look at dependencies or checks. Several selections add up.

        Args:
            selection: The selection. It may name assets of other locations.
        """
        return self._selecting("ignore", selection)

    def _selecting(self, field: str, selection: Any) -> BuiltinAutomationCondition:
        data = condition_selections.of(selection)
        if not any(isinstance(one, conditions.Selecting) for one in conditions.walk(self._node)):
            raise errors.InvalidDefinitionError(
                f"The condition {self.get_label() or self.name!r} looks at no dependencies and no"
                f" checks, so there is nothing to {field}. Call it on one that does, such as"
                " AutomationCondition.any_deps_updated()."
            )
        return BuiltinAutomationCondition(composites.with_selection(self._node, field, data))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BuiltinAutomationCondition) and self._node == other.node

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        return f"<AutomationCondition {self._node.label or self._node.name}>"


def data_of(condition: Any, whose: str) -> conditions.Condition | None:
    """Return the condition of something as data, None where it has none.

    Args:
        condition: What was given.
        whose: What it was given to, for the error.

    Raises:
        InvalidDefinitionError: It is no condition.
    """
    return None if condition is None else _node(condition, whose)


def _node(condition: Any, whose: str = "this expression") -> conditions.Condition:
    if not isinstance(condition, AutomationCondition):
        raise errors.InvalidDefinitionError(
            f"The automation_condition of {whose} is {condition!r}. Give an AutomationCondition,"
            " such as AutomationCondition.eager()."
        )
    return condition.node


def _wrapped(node: conditions.Condition) -> AutomationCondition[Any]:
    if isinstance(node, operands.Custom) and node.implementation is not None and not node.label:
        own: AutomationCondition[Any] = node.implementation
        return own
    return BuiltinAutomationCondition(node)


def _run_tags(
    kind: type[operands.RunTags],
    tag_keys: AbstractSet[str] | None,
    tag_values: Mapping[str, str] | None,
) -> BuiltinAutomationCondition:
    return BuiltinAutomationCondition(composites.run_tags(kind, tag_keys, tag_values))

"""Conditions without other conditions below them: the leaves of the tree, as data.

Part of the data described in `conditions`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from atoll._conditions import conditions


class Named(conditions.Condition):
    """The base of leaves that are told by their name alone."""

    @property
    def name(self) -> str:
        """What the node is."""
        return _NAMES[type(self)]

    @property
    def description(self) -> str:
        """What the node means."""
        return _DESCRIPTIONS[type(self)]


class Missing(Named):
    """True of what was never materialized, observed or evaluated."""


class RunInProgress(Named):
    """True of what a run is to execute that has not executed it yet."""


class BackfillInProgress(Named):
    """True of what a backfill is to execute that has not executed it yet."""


class ExecutionFailed(Named):
    """True of what the latest run failed to execute."""


class InitialEvaluation(Named):
    """True of everything when its condition is evaluated first, or over other partitions."""


class WillBeRequested(Named):
    """True of what this evaluation requests, if one run can hold it together with the target."""


class NewlyRequested(Named):
    """True of what the evaluation before requested."""


class NewlyUpdated(Named):
    """True of what was updated since the evaluation before."""


class DataVersionChanged(Named):
    """True of what got another data version since the evaluation before."""


class CodeVersionChanged(Named):
    """True of an asset that has another code version than at the evaluation before."""


class ExecutedWithRootTarget(Named):
    """True of what was last updated by a run that executes the target, too."""


_NAMES: dict[type[Named], str] = {
    Missing: "missing",
    RunInProgress: "run_in_progress",
    BackfillInProgress: "backfill_in_progress",
    ExecutionFailed: "execution_failed",
    InitialEvaluation: "initial_evaluation",
    WillBeRequested: "will_be_requested",
    NewlyRequested: "newly_requested",
    NewlyUpdated: "newly_updated",
    DataVersionChanged: "data_version_changed",
    CodeVersionChanged: "code_version_changed",
    ExecutedWithRootTarget: "executed_with_root_target",
}
_DESCRIPTIONS: dict[type[Named], str] = {
    Missing: "Never executed",
    RunInProgress: "Part of a run that has not executed it yet",
    BackfillInProgress: "Part of a backfill that has not executed it yet",
    ExecutionFailed: "Its latest execution failed",
    InitialEvaluation: "First evaluation",
    WillBeRequested: "Will be requested by this evaluation",
    NewlyRequested: "Was requested by the evaluation before",
    NewlyUpdated: "Updated since the evaluation before",
    DataVersionChanged: "Has another data version since the evaluation before",
    CodeVersionChanged: "Has another code version since the evaluation before",
    ExecutedWithRootTarget: "Last updated together with the target",
}


class CheckResult(conditions.Condition):
    """True of a check that passed, or failed, for the latest materialization of its asset."""

    passed: bool = True

    @property
    def name(self) -> str:
        """What the node is."""
        return "check_passed" if self.passed else "check_failed"


class Freshness(conditions.Condition):
    """True of an asset whose freshness is in a state.

    Attributes:
        state: `conditions.PASS`, `WARN` or `FAIL`.
    """

    state: str = conditions.PASS

    @property
    def name(self) -> str:
        """What the node is."""
        return f"freshness_{_FRESHNESS[self.state]}"


_FRESHNESS = {
    conditions.PASS: "passed",
    conditions.WARN: "warned",
    conditions.FAIL: "failed",
}


class InLatestTimeWindow(conditions.Condition):
    """True of the latest partition in time, and of everything that has no time.

    Attributes:
        lookback_s: How far before the end of the latest window others may start, in seconds.
    """

    lookback_s: float | None = None

    @property
    def name(self) -> str:
        """What the node is."""
        if self.lookback_s is None:
            return "in_latest_time_window"
        return f"in_latest_time_window(lookback_delta={dt.timedelta(seconds=self.lookback_s)})"

    @property
    def description(self) -> str:
        """What the node means."""
        if self.lookback_s is None:
            return "Within the latest time window"
        lookback = dt.timedelta(seconds=self.lookback_s)
        return f"Within {lookback} of the end of the latest time window"


class CronTickPassed(conditions.Condition):
    """True of everything at the first evaluation after a tick of a cron schedule.

    Attributes:
        cron_schedule: The schedule.
        cron_timezone: The time zone that it is in.
    """

    cron_schedule: str = ""
    cron_timezone: str = "UTC"

    @property
    def name(self) -> str:
        """What the node is."""
        return f"cron_tick_passed({self.cron_schedule}, {self.cron_timezone})"


class RunTags(conditions.Condition):
    """The base of what looks at the tags of runs.

    Attributes:
        tag_keys: Tags that the run has to have; None for any.
        tag_values: Tags that it has to have with these values, sorted; None for any.
    """

    tag_keys: tuple[str, ...] | None = None
    tag_values: tuple[tuple[str, str], ...] | None = None

    @property
    def name(self) -> str:
        """What the node is."""
        told: list[str] = []
        if self.tag_keys is not None:
            told.append(f"tag_keys={{{', '.join(self.tag_keys)}}}")
        if self.tag_values is not None:
            pairs = ", ".join(f"{key}: {value}" for key, value in self.tag_values)
            told.append(f"tag_values={{{pairs}}}")
        return f"{self.base_name}({', '.join(told)})" if told else self.base_name

    @property
    def base_name(self) -> str:
        """What the node is, apart from the tags."""
        raise NotImplementedError


class ExecutedWithTags(RunTags):
    """True of what was last updated by a run with tags."""

    @property
    def base_name(self) -> str:
        """What the node is."""
        return "executed_with_tags"


class AnyNewUpdateHasRunTags(RunTags):
    """True of what a run with tags updated since the evaluation before."""

    @property
    def base_name(self) -> str:
        """What the node is."""
        return "any_new_update_has_run_tags"


class AllNewUpdatesHaveRunTags(RunTags):
    """True of what was updated since the evaluation before, and by runs with tags only."""

    @property
    def base_name(self) -> str:
        """What the node is."""
        return "all_new_updates_have_run_tags"


class Custom(conditions.Condition):
    """A condition of a user's own, which only its location can evaluate.

    Attributes:
        own_name: What it calls itself.
        meaning: What it means, in words.
        implementation: The user's object, in a process that has it.
    """

    own_name: str = ""
    meaning: str = ""
    implementation: Any = None

    @property
    def name(self) -> str:
        """What the node is."""
        return self.own_name

    @property
    def description(self) -> str:
        """What the node means."""
        return self.meaning

"""The conditions that the field has names for, put together of nodes.

Called by `AutomationCondition`. The same name gives the same object, so that ten thousand assets
with one condition share one tree.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from atoll._conditions import conditions, operands, selections

Condition = conditions.Condition


def labelled(condition: Condition, label: str | None) -> Condition:
    """Return a condition with a label.

    Args:
        condition: The condition.
        label: The label; None takes it away.
    """
    return condition.changed(label=label)


def all_of(*parts: Condition) -> conditions.And:
    """Return what is true where all parts are. Conjunctions without a label are opened.

    Args:
        parts: The parts.
    """
    opened: list[Condition] = []
    for part in parts:
        opened += part.operands if isinstance(part, conditions.And) and not part.label else (part,)
    return conditions.And(operands=tuple(opened))


def any_of(*parts: Condition) -> conditions.Or:
    """Return what is true where any part is. Alternatives without a label are opened.

    Args:
        parts: The parts.
    """
    opened: list[Condition] = []
    for part in parts:
        opened += part.operands if isinstance(part, conditions.Or) and not part.label else (part,)
    return conditions.Or(operands=tuple(opened))


def replaced(condition: Condition, old: Condition | str, new: Condition) -> Condition:
    """Return a condition with another in place of some of its parts.

    Args:
        condition: The condition.
        old: What to replace: a condition, or the name or label of some.
        new: What comes in its place.
    """
    if old in (condition, condition.name, condition.label):
        return new
    children = tuple(replaced(child, old, new) for child in condition.children)
    return condition if children == condition.children else condition.with_children(children)


def negation(condition: Condition) -> conditions.Not:
    """Return what is true where a condition is not.

    Args:
        condition: The condition.
    """
    return conditions.Not(operand=condition)


def any_job_roots(condition: Condition) -> Condition:
    """Return what is true of a job where a condition is for any of its root assets.

    Args:
        condition: The condition.
    """
    label = f"any_job_root_assets_match({condition.label or condition.name})"
    return conditions.AnyJobRoots(operand=condition, label=label)


def all_job_roots(condition: Condition) -> Condition:
    """Return what is true of a job where a condition is for all of its root assets.

    Args:
        condition: The condition.
    """
    label = f"all_job_root_assets_match({condition.label or condition.name})"
    return conditions.AllJobRoots(operand=condition, label=label)


def run_tags(
    kind: type[operands.RunTags],
    tag_keys: AbstractSet[str] | None,
    tag_values: Mapping[str, str] | None,
) -> Condition:
    """Return a condition on the tags of runs.

    Args:
        kind: Which runs it looks at.
        tag_keys: Tags that a run has to have.
        tag_values: Tags that it has to have with these values.
    """
    return kind(
        tag_keys=None if tag_keys is None else tuple(sorted(tag_keys)),
        tag_values=None if tag_values is None else tuple(sorted(tag_values.items())),
    )


def since_last_handled(condition: Condition) -> conditions.Since:
    """Return what is true since a condition was, until the target is requested or updated.

    Args:
        condition: The condition.
    """
    handled = any_of(
        operands.NewlyRequested(), operands.NewlyUpdated(), operands.InitialEvaluation()
    )
    return conditions.Since(trigger=condition, reset=labelled(handled, "handled"))


@functools.cache
def in_progress() -> Condition:
    """Return what is true of what a run or a backfill is to execute."""
    return labelled(any_of(operands.RunInProgress(), operands.BackfillInProgress()), "in_progress")


@functools.cache
def newly_missing() -> Condition:
    """Return what is true at the evaluation at which something comes to be missing."""
    return conditions.NewlyTrue(operand=operands.Missing(), label="newly_missing")


@functools.cache
def any_deps_updated() -> Condition:
    """Return what is true where a dependency was updated or will be.

    An update by a run that executes the target as well does not count: it has happened already.
    """
    updated = all_of(operands.NewlyUpdated(), negation(operands.ExecutedWithRootTarget()))
    return conditions.AnyDeps(
        operand=any_of(labelled(updated, "newly_updated_without_root"), operands.WillBeRequested()),
        label="any_deps_updated",
    )


@functools.cache
def any_deps_missing() -> Condition:
    """Return what is true where a dependency is missing and will not be requested."""
    return conditions.AnyDeps(
        operand=all_of(operands.Missing(), negation(operands.WillBeRequested())),
        label="any_deps_missing",
    )


@functools.cache
def any_deps_in_progress() -> Condition:
    """Return what is true where a dependency is in progress."""
    return conditions.AnyDeps(operand=in_progress(), label="any_deps_in_progress")


@functools.cache
def all_deps_blocking_checks_passed() -> Condition:
    """Return what is true where all blocking checks of dependencies passed, or will be requested.

    Those that will be run together with the target stop it themselves if they fail.
    """
    passed = any_of(operands.CheckResult(passed=True), operands.WillBeRequested())
    checks = conditions.AllChecks(
        operand=passed, blocking_only=True, label="all_blocking_checks_passed"
    )
    return conditions.AllDeps(operand=checks, label="all_deps_blocking_checks_passed")


@functools.lru_cache(maxsize=4096)
def all_deps_updated_since_cron(cron_schedule: str, cron_timezone: str) -> Condition:
    """Return what is true where all dependencies were updated since a schedule ticked, or will be.

    Args:
        cron_schedule: The schedule.
        cron_timezone: Its time zone.
    """
    ticked = operands.CronTickPassed(cron_schedule=cron_schedule, cron_timezone=cron_timezone)
    updated = conditions.Since(trigger=operands.NewlyUpdated(), reset=ticked)
    return conditions.AllDeps(
        operand=any_of(updated, operands.WillBeRequested()),
        label=f"all_deps_updated_since_cron({cron_schedule}, {cron_timezone})",
    )


@functools.cache
def eager() -> Condition:
    """Return what executes a target when a dependency is updated or it comes to be missing."""
    return labelled(
        all_of(
            operands.InLatestTimeWindow(),
            since_last_handled(any_of(newly_missing(), any_deps_updated())),
            negation(any_deps_missing()),
            negation(any_deps_in_progress()),
            negation(in_progress()),
        ),
        "eager",
    )


@functools.lru_cache(maxsize=4096)
def on_cron(cron_schedule: str, cron_timezone: str) -> Condition:
    """Return what executes a target once for each tick, when all dependencies were updated since.

    Args:
        cron_schedule: The schedule.
        cron_timezone: Its time zone.
    """
    ticked = operands.CronTickPassed(cron_schedule=cron_schedule, cron_timezone=cron_timezone)
    return labelled(
        all_of(
            operands.InLatestTimeWindow(),
            since_last_handled(ticked),
            all_deps_updated_since_cron(cron_schedule, cron_timezone),
        ),
        f"on_cron({cron_schedule}, {cron_timezone})",
    )


@functools.cache
def on_missing() -> Condition:
    """Return what executes targets that come to be missing, once their dependencies are there."""
    newly = since_last_handled(conditions.NewlyTrue(operand=operands.Missing()))
    return labelled(
        all_of(
            operands.InLatestTimeWindow(),
            labelled(newly, "missing_since_last_handled"),
            negation(any_deps_missing()),
        ),
        "on_missing",
    )


def with_selection(condition: Condition, field: str, selection: selections.Selection) -> Condition:
    """Return a condition with all that looks at dependencies or checks looking at others.

    What is below such a part is asked of the dependencies, and stays as it is.

    Args:
        condition: The condition.
        field: "allow" or "ignore".
        selection: What is allowed or ignored, beside what is so already.
    """
    if isinstance(condition, conditions.Selecting):
        before = getattr(condition, field)
        joined = selection if before is None else selections.Either((selection, before))
        return condition.changed(**{field: joined})
    # Only operators pass it on: a selection says nothing about the dependencies of others.
    if not isinstance(condition, _PASSING_ON):
        return condition
    children = tuple(with_selection(child, field, selection) for child in condition.children)
    return condition.with_children(children)


_PASSING_ON = (
    conditions.And,
    conditions.Or,
    conditions.Not,
    conditions.Since,
    conditions.NewlyTrue,
)

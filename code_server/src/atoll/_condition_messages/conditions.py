"""Conditions to messages and back.

Called by the snapshot of a location, which writes them, and by the host, which evaluates them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2

from atoll import errors
from atoll._condition_messages import selections as selection_messages
from atoll._conditions import conditions, operands, selections
from atoll.definitions.v1 import conditions_pb2, values_pb2

_Message = conditions_pb2.AutomationCondition
_NANOS = 1_000_000_000

_SIMPLE: dict[type[conditions.Condition], conditions_pb2.SimpleConditionKind.ValueType] = {
    operands.Missing: conditions_pb2.SIMPLE_CONDITION_KIND_MISSING,
    operands.RunInProgress: conditions_pb2.SIMPLE_CONDITION_KIND_RUN_IN_PROGRESS,
    operands.BackfillInProgress: conditions_pb2.SIMPLE_CONDITION_KIND_BACKFILL_IN_PROGRESS,
    operands.ExecutionFailed: conditions_pb2.SIMPLE_CONDITION_KIND_EXECUTION_FAILED,
    operands.InitialEvaluation: conditions_pb2.SIMPLE_CONDITION_KIND_INITIAL_EVALUATION,
    operands.WillBeRequested: conditions_pb2.SIMPLE_CONDITION_KIND_WILL_BE_REQUESTED,
    operands.NewlyRequested: conditions_pb2.SIMPLE_CONDITION_KIND_NEWLY_REQUESTED,
    operands.NewlyUpdated: conditions_pb2.SIMPLE_CONDITION_KIND_NEWLY_UPDATED,
    operands.DataVersionChanged: conditions_pb2.SIMPLE_CONDITION_KIND_DATA_VERSION_CHANGED,
    operands.CodeVersionChanged: conditions_pb2.SIMPLE_CONDITION_KIND_CODE_VERSION_CHANGED,
    operands.ExecutedWithRootTarget: (
        conditions_pb2.SIMPLE_CONDITION_KIND_EXECUTED_WITH_ROOT_TARGET
    ),
}
_PASSED = conditions_pb2.SIMPLE_CONDITION_KIND_CHECK_PASSED
_FAILED = conditions_pb2.SIMPLE_CONDITION_KIND_CHECK_FAILED
_FRESHNESS = {
    conditions.PASS: conditions_pb2.SIMPLE_CONDITION_KIND_FRESHNESS_PASSED,
    conditions.WARN: conditions_pb2.SIMPLE_CONDITION_KIND_FRESHNESS_WARNED,
    conditions.FAIL: conditions_pb2.SIMPLE_CONDITION_KIND_FRESHNESS_FAILED,
}
_OF_SIMPLE: dict[int, conditions.Condition] = {
    **{int(number): kind() for kind, number in _SIMPLE.items()},
    int(_PASSED): operands.CheckResult(passed=True),
    int(_FAILED): operands.CheckResult(passed=False),
    **{int(number): operands.Freshness(state=state) for state, number in _FRESHNESS.items()},
}
_RUN_TAGS: dict[type[operands.RunTags], conditions_pb2.RunTagsKind.ValueType] = {
    operands.ExecutedWithTags: conditions_pb2.RUN_TAGS_KIND_LATEST_RUN,
    operands.AnyNewUpdateHasRunTags: conditions_pb2.RUN_TAGS_KIND_ANY_NEW_UPDATE,
    operands.AllNewUpdatesHaveRunTags: conditions_pb2.RUN_TAGS_KIND_ALL_NEW_UPDATES,
}
_OF_RUN_TAGS: dict[int, type[operands.RunTags]] = {
    int(number): kind for kind, number in _RUN_TAGS.items()
}


def to_message(condition: conditions.Condition) -> conditions_pb2.AutomationCondition:
    """Return a condition as a message.

    Args:
        condition: The condition.

    Raises:
        InvalidDefinitionError: It has too many levels.
    """
    if conditions.depth(condition) > conditions.DEPTH_MAX:
        raise errors.InvalidDefinitionError(
            f"An automation condition has {conditions.depth(condition)} levels, and more than"
            f" {conditions.DEPTH_MAX} cannot be sent. Write it with fewer parts within parts."
        )
    return _encoded(condition)


def _encoded(condition: conditions.Condition) -> _Message:
    message = _ENCODERS[type(condition)](condition)
    if condition.label is not None:
        message.label = condition.label
    return message


def from_message(message: conditions_pb2.AutomationCondition) -> conditions.Condition:
    """Return the condition that a message holds.

    Args:
        message: The message.

    Raises:
        InvalidInvocationError: It is of a kind that this release does not know, or too deep.
    """
    return _decoded(message, conditions.DEPTH_MAX)


def _decoded(message: _Message, depth: int) -> conditions.Condition:
    if depth == 0:
        raise errors.InvalidInvocationError(
            f"A condition has more than {conditions.DEPTH_MAX} levels. Make it simpler."
        )
    kind = message.WhichOneof("node")
    label = message.label if message.HasField("label") else None
    if kind is None:
        raise _unknown("is of a kind")
    return _DECODERS[kind](getattr(message, kind), label, depth - 1)


def _unknown(what: str) -> errors.InvalidInvocationError:
    return errors.InvalidInvocationError(
        f"The automation condition {what} that this release does not know; its code location runs"
        " a newer one. Upgrade this side."
    )


def _all(parts: tuple[conditions.Condition, ...]) -> list[_Message]:
    return [_encoded(part) for part in parts]


def _selection(
    selection: selections.Selection | None,
) -> conditions_pb2.ConditionSelection | None:
    return None if selection is None else selection_messages.to_message(selection)


def _simple(condition: conditions.Condition) -> _Message:
    simple = conditions_pb2.SimpleCondition(kind=_SIMPLE[type(condition)])
    return _Message(simple=simple)


def _check_result(condition: operands.CheckResult) -> _Message:
    kind = _PASSED if condition.passed else _FAILED
    return _Message(simple=conditions_pb2.SimpleCondition(kind=kind))


def _freshness(condition: operands.Freshness) -> _Message:
    return _Message(simple=conditions_pb2.SimpleCondition(kind=_FRESHNESS[condition.state]))


def _since(condition: conditions.Since) -> _Message:
    return _Message(
        since=conditions_pb2.SinceCondition(
            trigger=_encoded(condition.trigger), reset=_encoded(condition.reset)
        )
    )


def _dependencies(condition: conditions.Selecting) -> _Message:
    return _Message(
        dependencies=conditions_pb2.DependenciesCondition(
            operand=_encoded(condition.operand),
            all=isinstance(condition, conditions.AllDeps),
            allow=_selection(condition.allow),
            ignore=_selection(condition.ignore),
        )
    )


def _checks(condition: conditions.SelectingChecks) -> _Message:
    return _Message(
        checks=conditions_pb2.ChecksCondition(
            operand=_encoded(condition.operand),
            all=isinstance(condition, conditions.AllChecks),
            blocking_only=condition.blocking_only,
            allow=_selection(condition.allow),
            ignore=_selection(condition.ignore),
        )
    )


def _job_roots(condition: conditions.Over) -> _Message:
    return _Message(
        job_roots=conditions_pb2.JobRootsCondition(
            operand=_encoded(condition.operand),
            all=isinstance(condition, conditions.AllJobRoots),
        )
    )


def _asset_matches(condition: conditions.AssetMatches) -> _Message:
    return _Message(
        asset_matches=conditions_pb2.AssetMatchesCondition(
            asset_key=values_pb2.AssetKey(path=condition.path),
            operand=_encoded(condition.operand),
        )
    )


def _latest_time_window(condition: operands.InLatestTimeWindow) -> _Message:
    message = conditions_pb2.LatestTimeWindowCondition()
    if condition.lookback_s is not None:
        nanos = round(condition.lookback_s * _NANOS)
        message.lookback.CopyFrom(
            duration_pb2.Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)
        )
    return _Message(in_latest_time_window=message)


def _cron_tick_passed(condition: operands.CronTickPassed) -> _Message:
    return _Message(
        cron_tick_passed=conditions_pb2.CronTickPassedCondition(
            cron_schedule=condition.cron_schedule, cron_timezone=condition.cron_timezone
        )
    )


def _run_tags(condition: operands.RunTags) -> _Message:
    message = conditions_pb2.RunTagsCondition(kind=_RUN_TAGS[type(condition)])
    if condition.tag_keys is not None:
        message.tag_keys.CopyFrom(conditions_pb2.RunTagKeys(keys=condition.tag_keys))
    if condition.tag_values is not None:
        values = conditions_pb2.RunTagValues(values=dict(condition.tag_values))
        message.tag_values.CopyFrom(values)
    return _Message(run_tags=message)


def _custom(condition: operands.Custom) -> _Message:
    return _Message(
        custom=conditions_pb2.CustomCondition(
            name=condition.own_name, description=condition.meaning
        )
    )


_ENCODERS: dict[type[conditions.Condition], Callable[[Any], _Message]] = {
    conditions.And: lambda one: _Message(
        all_of=conditions_pb2.AllOfCondition(operands=_all(one.operands))
    ),
    conditions.Or: lambda one: _Message(
        any_of=conditions_pb2.AnyOfCondition(operands=_all(one.operands))
    ),
    conditions.Not: lambda one: _Message(
        negation=conditions_pb2.NotCondition(operand=_encoded(one.operand))
    ),
    conditions.NewlyTrue: lambda one: _Message(
        newly_true=conditions_pb2.NewlyTrueCondition(operand=_encoded(one.operand))
    ),
    conditions.Since: _since,
    conditions.AnyDeps: _dependencies,
    conditions.AllDeps: _dependencies,
    conditions.AnyChecks: _checks,
    conditions.AllChecks: _checks,
    conditions.AnyJobRoots: _job_roots,
    conditions.AllJobRoots: _job_roots,
    conditions.AssetMatches: _asset_matches,
    conditions.AnyDownstream: lambda _: _Message(
        any_downstream=conditions_pb2.AnyDownstreamCondition()
    ),
    **dict.fromkeys(_SIMPLE, _simple),
    operands.CheckResult: _check_result,
    operands.Freshness: _freshness,
    operands.InLatestTimeWindow: _latest_time_window,
    operands.CronTickPassed: _cron_tick_passed,
    **dict.fromkeys(_RUN_TAGS, _run_tags),
    operands.Custom: _custom,
}


def _from_operands(message: Any, depth: int) -> tuple[conditions.Condition, ...]:
    return tuple(_decoded(part, depth) for part in message.operands)


def _from_simple(
    message: conditions_pb2.SimpleCondition, label: str | None, depth: int
) -> conditions.Condition:
    del depth
    found = _OF_SIMPLE.get(message.kind)
    if found is None:
        raise _unknown(f"has the number {message.kind}")
    return found.changed(label=label)


def _from_dependencies(
    message: conditions_pb2.DependenciesCondition, label: str | None, depth: int
) -> conditions.Condition:
    kind = conditions.AllDeps if message.all else conditions.AnyDeps
    return kind(label=label, operand=_decoded(message.operand, depth), **_selected(message))


def _from_checks(
    message: conditions_pb2.ChecksCondition, label: str | None, depth: int
) -> conditions.Condition:
    kind = conditions.AllChecks if message.all else conditions.AnyChecks
    return kind(
        label=label,
        operand=_decoded(message.operand, depth),
        blocking_only=message.blocking_only,
        **_selected(message),
    )


def _selected(message: Any) -> dict[str, Any]:
    return {
        name: selection_messages.from_message(getattr(message, name))
        for name in ("allow", "ignore")
        if message.HasField(name)
    }


def _from_latest_time_window(
    message: conditions_pb2.LatestTimeWindowCondition, label: str | None, depth: int
) -> conditions.Condition:
    del depth
    lookback = message.lookback.seconds + message.lookback.nanos / _NANOS
    return operands.InLatestTimeWindow(
        label=label, lookback_s=lookback if message.HasField("lookback") else None
    )


def _from_run_tags(
    message: conditions_pb2.RunTagsCondition, label: str | None, depth: int
) -> conditions.Condition:
    del depth
    kind = _OF_RUN_TAGS.get(message.kind)
    if kind is None:
        raise _unknown(f"looks at runs of the kind {message.kind}")
    keys = tuple(message.tag_keys.keys) if message.HasField("tag_keys") else None
    values = message.tag_values.values if message.HasField("tag_values") else None
    return kind(
        label=label,
        tag_keys=keys,
        tag_values=None if values is None else tuple(sorted(values.items())),
    )


_DECODERS: dict[str, Callable[[Any, str | None, int], conditions.Condition]] = {
    "all_of": lambda one, label, depth: conditions.And(
        label=label, operands=_from_operands(one, depth)
    ),
    "any_of": lambda one, label, depth: conditions.Or(
        label=label, operands=_from_operands(one, depth)
    ),
    "negation": lambda one, label, depth: conditions.Not(
        label=label, operand=_decoded(one.operand, depth)
    ),
    "newly_true": lambda one, label, depth: conditions.NewlyTrue(
        label=label, operand=_decoded(one.operand, depth)
    ),
    "since": lambda one, label, depth: conditions.Since(
        label=label, trigger=_decoded(one.trigger, depth), reset=_decoded(one.reset, depth)
    ),
    "dependencies": _from_dependencies,
    "checks": _from_checks,
    "job_roots": lambda one, label, depth: (
        conditions.AllJobRoots if one.all else conditions.AnyJobRoots
    )(label=label, operand=_decoded(one.operand, depth)),
    "asset_matches": lambda one, label, depth: conditions.AssetMatches(
        label=label, operand=_decoded(one.operand, depth), path=tuple(one.asset_key.path)
    ),
    "any_downstream": lambda _, label, __: conditions.AnyDownstream(label=label),
    "simple": _from_simple,
    "in_latest_time_window": _from_latest_time_window,
    "cron_tick_passed": lambda one, label, _: operands.CronTickPassed(
        label=label, cron_schedule=one.cron_schedule, cron_timezone=one.cron_timezone
    ),
    "run_tags": _from_run_tags,
    "custom": lambda one, label, _: operands.Custom(
        label=label, own_name=one.name, meaning=one.description
    ),
}

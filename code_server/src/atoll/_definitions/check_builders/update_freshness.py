"""Checks that an asset was updated lately, or in time before a deadline.

Called by users. An update is a materialization, or an observation that tells of a change.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from atoll import _records as records
from atoll._definitions import asset_checks, events, keys
from atoll._definitions import assets as asset_definitions
from atoll._definitions.check_builders import builtin_checks, deadlines

# So many observations are looked through for the one at which the data changed.
_OBSERVATIONS_MAX = 1_000


class _Terms(records.Record):
    """By when an asset has to be updated."""

    delta_s: float
    deadlines: deadlines.Deadlines | None
    timezone: str
    severity: asset_checks.AssetCheckSeverity


def build_last_update_freshness_checks(
    *,
    assets: Sequence[builtin_checks.CheckedAsset],
    lower_bound_delta: dt.timedelta,
    deadline_cron: str | None = None,
    timezone: str = "UTC",
    severity: asset_checks.AssetCheckSeverity = asset_checks.AssetCheckSeverity.WARN,
    blocking: bool = False,
) -> Sequence[asset_definitions.AssetChecksDefinition]:
    """Build checks that fail when an asset was not updated for too long.

    Without a deadline the last update may be as old as `lower_bound_delta`. With one, the asset has
    to be updated in each span of that length before a deadline.

    Args:
        assets: The assets, of any location.
        lower_bound_delta: How old the last update may be, now or at the deadline.
        deadline_cron: The deadlines, as a cron schedule.
        timezone: The time zone of the deadlines.
        severity: How bad it is.
        blocking: Whether a failed check of severity ERROR stops what is downstream in the run.

    Returns:
        The checks, for `Definitions(asset_checks=...)`.

    Raises:
        InvalidDefinitionError: No asset is given, one twice, or a time cannot be used.

    Example:
        `build_last_update_freshness_checks(assets=[orders], lower_bound_delta=timedelta(hours=1))`
    """
    params: dict[str, Any] = {
        "timezone": deadlines.checked_timezone(timezone),
        "lower_bound_delta_seconds": deadlines.checked_delta(lower_bound_delta).total_seconds(),
    }
    if deadline_cron is not None:
        params["deadline_cron"] = deadline_cron
    terms = _Terms(
        params["lower_bound_delta_seconds"],
        None if deadline_cron is None else deadlines.Deadlines(deadline_cron, timezone),
        timezone,
        builtin_checks.severity_of(severity),
    )

    def evaluate(context: Any, key: keys.AssetKey) -> asset_checks.AssetCheckResult:
        return _result(_last_update(context.instance, key), terms)

    span = deadlines.span_in_words(terms.delta_s)
    by = "" if deadline_cron is None else f" before each deadline ({deadline_cron}, {timezone})"
    kind = builtin_checks.Kind(
        "freshness_check",
        deadlines.CHECK_NAME,
        f"Whether the asset was updated in the {span}{by or ' before now'}.",
        bool(blocking),
        {deadlines.PARAMS: params},
    )
    targets = builtin_checks.checked_assets(assets, "build_last_update_freshness_checks")
    return builtin_checks.build(kind, targets, evaluate)


def _result(updated: float | None, terms: _Terms) -> asset_checks.AssetCheckResult:
    now = deadlines.now()
    deadline = now if terms.deadlines is None else terms.deadlines.latest(now)
    lower_bound = deadline - terms.delta_s
    metadata: dict[str, Any] = {deadlines.LOWER_BOUND: deadlines.timestamp(lower_bound)}
    if terms.deadlines is not None:
        metadata[deadlines.LATEST_DEADLINE] = deadlines.timestamp(deadline)
    if updated is not None:
        metadata[deadlines.LAST_UPDATED] = deadlines.timestamp(updated)
    if updated is not None and updated >= lower_bound:
        until = updated + terms.delta_s
        if terms.deadlines is not None:
            until = terms.deadlines.following(now)
        metadata[deadlines.FRESH_UNTIL] = deadlines.timestamp(until)
        description = (
            f"Fresh: updated {deadlines.span_in_words(max(0.0, now - updated))} ago, and fresh "
            f"until {deadlines.moment_in_words(until, terms.timezone)}."
        )
        return asset_checks.AssetCheckResult(
            passed=True, severity=terms.severity, metadata=metadata, description=description
        )
    description = "The asset was never updated, as far as the log tells."
    if updated is not None:
        late = now - (updated + terms.delta_s if terms.deadlines is None else deadline)
        metadata[deadlines.OVERDUE_SECONDS] = late
        description = _overdue(updated, late, deadline, terms)
    return asset_checks.AssetCheckResult(
        passed=False, severity=terms.severity, metadata=metadata, description=description
    )


def _overdue(updated: float, late: float, deadline: float, terms: _Terms) -> str:
    last = deadlines.moment_in_words(updated, terms.timezone)
    span = deadlines.span_in_words(terms.delta_s)
    if terms.deadlines is None:
        due = f"and an update was due {span} later"
    else:
        told = deadlines.moment_in_words(deadline, terms.timezone)
        due = f"and an update was due in the {span} before the deadline at {told}"
    return f"Overdue by {deadlines.span_in_words(late)}: the last update was at {last}, {due}."


def _last_update(instance: Any, key: keys.AssetKey) -> float | None:
    """Return when an asset was last updated, None where nothing tells of an update."""
    record = instance.get_latest_materialization_records([key]).get(key)
    made = None if record is None else record.timestamp
    seen = _last_observed_change(instance, key)
    return max((one for one in (made, seen) if one is not None), default=None)


def _last_observed_change(instance: Any, key: keys.AssetKey) -> float | None:
    newest = instance.fetch_observations(key, limit=1).records
    told = newest[0].asset_observation if newest else None
    if told is None:
        return None
    value = told.metadata.get(deadlines.LAST_UPDATED)
    if value is not None and isinstance(value.value, (int, float)):
        return float(value.value)
    if told.data_version is None:
        return None
    # The data changed when its version was seen for the first time.
    changed_at: float | None = None
    page: Sequence[events.EventLogRecord]
    page = instance.fetch_observations(key, limit=_OBSERVATIONS_MAX).records
    for record in page:
        one = record.asset_observation
        if one is None or one.data_version != told.data_version:
            break
        changed_at = record.timestamp
    return changed_at

"""Checks that the newest partition of an asset is there by a deadline.

Called by users.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from atoll import errors
from atoll._definitions import asset_checks, events, keys, specs
from atoll._definitions import assets as asset_definitions
from atoll._definitions.check_builders import builtin_checks, deadlines
from atoll._partitions import time_window_partitions

_Partitions = time_window_partitions.TimeWindowPartitionsDefinition


def build_time_partition_freshness_checks(
    *,
    assets: Sequence[builtin_checks.CheckedAsset],
    deadline_cron: str,
    timezone: str = "UTC",
    severity: asset_checks.AssetCheckSeverity = asset_checks.AssetCheckSeverity.WARN,
    blocking: bool = False,
) -> Sequence[asset_definitions.AssetChecksDefinition]:
    """Build checks that fail when a partition is not there by its deadline.

    At each deadline the last partition that has ended by then has to be materialized or observed.

    Args:
        assets: The assets, of any location, whose partitions are windows of time.
        deadline_cron: The deadlines, as a cron schedule.
        timezone: The time zone of the deadlines.
        severity: How bad it is.
        blocking: Whether a failed check of severity ERROR stops what is downstream in the run.

    Returns:
        The checks, for `Definitions(asset_checks=...)`.

    Raises:
        InvalidDefinitionError: No asset is given, one twice, one has other partitions, or a time
            cannot be used.

    Example:
        `build_time_partition_freshness_checks(assets=[daily], deadline_cron="0 9 * * *")`
    """
    due = deadlines.Deadlines(deadline_cron, timezone)
    bad = builtin_checks.severity_of(severity)
    known = _known_partitions(assets)

    def evaluate(context: Any, key: keys.AssetKey) -> asset_checks.AssetCheckResult:
        partitions = known.get(key) or _partitions_here(context, key)
        deadline = due.latest(deadlines.now())
        metadata: dict[str, Any] = {deadlines.LATEST_DEADLINE: deadlines.timestamp(deadline)}
        expected = partitions.get_last_partition_key(
            dt.datetime.fromtimestamp(deadline, dt.timezone.utc)
        )
        if expected is None:
            return asset_checks.AssetCheckResult(
                passed=True,
                severity=bad,
                metadata=metadata,
                description="No partition was due by the last deadline.",
            )
        return _result(_updated_at(context.instance, key, expected), expected, due, bad, metadata)

    kind = builtin_checks.Kind(
        "freshness_check",
        deadlines.CHECK_NAME,
        f"Whether the newest partition is there by each deadline ({deadline_cron}, {timezone}).",
        bool(blocking),
        {deadlines.PARAMS: {"timezone": timezone, "deadline_cron": deadline_cron}},
    )
    targets = builtin_checks.checked_assets(assets, "build_time_partition_freshness_checks")
    return builtin_checks.build(kind, targets, evaluate)


def _result(
    updated: float | None,
    expected: str,
    due: deadlines.Deadlines,
    severity: asset_checks.AssetCheckSeverity,
    metadata: dict[str, Any],
) -> asset_checks.AssetCheckResult:
    now = deadlines.now()
    metadata["expected_partition"] = expected
    if updated is None:
        late = now - due.latest(now)
        metadata[deadlines.OVERDUE_SECONDS] = late
        return asset_checks.AssetCheckResult(
            passed=False,
            severity=severity,
            metadata=metadata,
            description=f"Overdue by {deadlines.span_in_words(late)}: the partition {expected!r} "
            "is not there.",
        )
    metadata[deadlines.LAST_UPDATED] = deadlines.timestamp(updated)
    metadata[deadlines.FRESH_UNTIL] = deadlines.timestamp(due.following(now))
    return asset_checks.AssetCheckResult(
        passed=True,
        severity=severity,
        metadata=metadata,
        description=f"Fresh: the partition {expected!r} is there.",
    )


def _updated_at(instance: Any, key: keys.AssetKey, partition: str) -> float | None:
    chosen = events.AssetRecordsFilter(key, asset_partitions=[partition])
    found = [
        record.timestamp
        for fetch in (instance.fetch_materializations, instance.fetch_observations)
        for record in fetch(chosen, limit=1).records
    ]
    return max(found, default=None)


def _known_partitions(
    given: Sequence[builtin_checks.CheckedAsset],
) -> Mapping[keys.AssetKey, _Partitions]:
    """Return the partitions of the assets that were given with what they are."""
    found: dict[keys.AssetKey, _Partitions] = {}
    for one in given:
        own: Sequence[specs.AssetSpec] = ()
        if isinstance(one, specs.AssetSpec):
            own = (one,)
        elif isinstance(one, asset_definitions.AssetsDefinition):
            own = one.specs
        for spec in own:
            # A bare spec of an asset of another location may leave its partitions out.
            if spec.partitions_def is not None or spec is not one:
                found[spec.key] = _of_time(spec.key, spec.partitions_def)
    return found


def _partitions_here(context: Any, key: keys.AssetKey) -> _Partitions:
    layer = context.job_def.asset_layer
    return _of_time(key, None if layer is None else layer.graph.partitions_def_of(key))


def _of_time(key: keys.AssetKey, partitions_def: object) -> _Partitions:
    if _is_of_time(partitions_def):
        return partitions_def
    told = "none" if partitions_def is None else repr(partitions_def)
    raise errors.InvalidDefinitionError(
        f"The freshness of {key.to_user_string()!r} cannot be told by its partitions: they have to "
        f"be windows of time, and it has {told}. Give the asset, or here an AssetSpec, its "
        "partitions_def, or use build_last_update_freshness_checks."
    )


def _is_of_time(partitions_def: object) -> TypeGuard[_Partitions]:
    return isinstance(partitions_def, _Partitions)

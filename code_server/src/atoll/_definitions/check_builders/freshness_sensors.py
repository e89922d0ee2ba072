"""The sensor that has checks of freshness evaluated when they may have become overdue.

Called by users. Whatever else materializes an asset evaluates its checks too; this sensor is for
assets that nothing updates.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import (
    asset_checks,
    asset_selection,
    assets,
    events,
    jobs,
    keys,
    run_requests,
    sensors,
)
from atoll._definitions.check_builders import deadlines

_NOTHING_DUE = (
    "No freshness check has to be evaluated now: each is being evaluated, has failed and its asset "
    "was not updated since, or is known to be fresh still."
)
# A run that was asked for and evaluated nothing in this time may never do so: it is asked for anew.
_ASK_AGAIN_AFTER_S = 3_600.0


class _Asked(records.Record):
    """What the sensor asked for last for one check: after which evaluation, and when."""

    evaluation_id: int
    asked_at: float


def build_sensor_for_freshness_checks(
    *,
    freshness_checks: Sequence[assets.AssetChecksDefinition],
    minimum_interval_seconds: int | None = None,
    name: str = "freshness_checks_sensor",
    default_status: sensors.DefaultSensorStatus = sensors.DefaultSensorStatus.STOPPED,
    tags: Mapping[str, str] | None = None,
) -> sensors.SensorDefinition:
    """Build a sensor that has checks evaluated once what they found may no longer hold.

    Args:
        freshness_checks: Checks from `build_last_update_freshness_checks` and
            `build_time_partition_freshness_checks`.
        minimum_interval_seconds: The least time between two evaluations; 30 where not given.
        name: The name of the sensor.
        default_status: Whether it is evaluated until somebody starts or stops it.
        tags: Labels of the runs that it asks for.

    Returns:
        The sensor, for `Definitions(sensors=...)`.

    Raises:
        InvalidDefinitionError: There are no checks, one is given twice, or one is of another kind.
    """
    check_keys = _checked(freshness_checks)

    def evaluate(context: Any) -> run_requests.SensorResult:
        now = deadlines.now()
        known = context.instance.get_latest_asset_check_evaluation_records(check_keys)
        asked = _read(context.cursor)
        updated = _updated_since(context.instance, known)
        due: list[keys.AssetCheckKey] = []
        for key in check_keys:
            record = known.get(key)
            evaluation_id = 0 if record is None else record.storage_id
            last = asked.get(key.to_user_string())
            waits = (
                last is not None
                and last.evaluation_id == evaluation_id
                and now < last.asked_at + _ASK_AGAIN_AFTER_S
            )
            if not waits and _is_due(record, now, updated=key in updated):
                due.append(key)
                asked[key.to_user_string()] = _Asked(evaluation_id, now)
        if not due:
            return run_requests.SensorResult(skip_reason=_NOTHING_DUE)
        request = run_requests.RunRequest(
            job_name=jobs.ASSET_JOB_NAME, asset_selection=[], asset_check_keys=due, tags=tags
        )
        return run_requests.SensorResult([request], cursor=_written(asked, check_keys))

    return sensors.SensorDefinition(
        name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=minimum_interval_seconds,
        description="Has freshness checks evaluated when they may have become overdue.",
        asset_selection=asset_selection.AssetSelection.checks(*check_keys),
        default_status=default_status,
    )


def _is_due(record: events.EventLogRecord | None, now: float, *, updated: bool) -> bool:
    told = None if record is None else record.event_log_entry.asset_check_evaluation
    if told is None or updated:
        return True
    until = told.metadata.get(deadlines.FRESH_UNTIL)
    if until is not None:
        return bool(now >= until.value)
    # A failed one stays so until the asset is updated; one that passed without a limit is looked
    # at again.
    return told.passed


def _updated_since(
    instance: Any, known: Mapping[keys.AssetCheckKey, events.EventLogRecord]
) -> set[keys.AssetCheckKey]:
    """Return the failed checks whose assets were materialized since."""
    failed = {key: record for key, record in known.items() if not _evaluation_of(record).passed}
    made = instance.get_latest_materialization_records([key.asset_key for key in failed])
    return {
        key
        for key, record in failed.items()
        if (newest := made.get(key.asset_key)) is not None and newest.storage_id > record.storage_id
    }


def _evaluation_of(record: events.EventLogRecord) -> asset_checks.AssetCheckEvaluation:
    told = record.event_log_entry.asset_check_evaluation
    if told is None:
        raise errors.InvariantViolationError(
            f"The record {record.storage_id} is no evaluation of a check."
        )
    return told


def _checked(given: Iterable[assets.AssetChecksDefinition]) -> list[keys.AssetCheckKey]:
    found: dict[keys.AssetCheckKey, None] = {}
    for one in given:
        for spec in one.check_specs:
            if deadlines.PARAMS not in spec.metadata:
                raise errors.InvalidDefinitionError(
                    f"The check {spec.key.to_user_string()!r} is no freshness check. Give what "
                    "build_last_update_freshness_checks or build_time_partition_freshness_checks "
                    "returned."
                )
            if spec.key in found:
                raise errors.InvalidDefinitionError(
                    f"The check {spec.key.to_user_string()!r} is given twice. Give it once."
                )
            found[spec.key] = None
    if not found:
        raise errors.InvalidDefinitionError(
            "The sensor has no freshness checks to look at. Give at least one."
        )
    return sorted(found)


def _read(cursor: str | None) -> dict[str, _Asked]:
    if not cursor:
        return {}
    return {name: _Asked(*told) for name, told in json.loads(cursor).items()}


def _written(asked: Mapping[str, _Asked], check_keys: Iterable[keys.AssetCheckKey]) -> str:
    names = [key.to_user_string() for key in check_keys]
    return json.dumps(
        {name: [asked[name].evaluation_id, asked[name].asked_at] for name in names if name in asked}
    )

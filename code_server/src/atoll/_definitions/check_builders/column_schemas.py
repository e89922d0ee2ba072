"""Checks that tell when the columns of a table changed.

Called by users. They compare the metadata `atoll/column_schema` of the two newest materializations.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll._definitions import asset_checks, events, keys, table_metadata, tables
from atoll._definitions import assets as asset_definitions
from atoll._definitions.check_builders import builtin_checks

_CHECK_NAME = "column_schema_change"


def build_column_schema_change_checks(
    *,
    assets: Sequence[builtin_checks.CheckedAsset],
    severity: asset_checks.AssetCheckSeverity = asset_checks.AssetCheckSeverity.WARN,
) -> Sequence[asset_definitions.AssetChecksDefinition]:
    """Build checks that fail when the columns of an asset changed with its last materialization.

    A materialization tells its columns by the metadata `atoll/column_schema`. Their order does not
    matter. An asset that was not materialized twice yet passes.

    Args:
        assets: The assets, of any location.
        severity: How bad a change is.

    Returns:
        The checks, for `Definitions(asset_checks=...)`.

    Raises:
        InvalidDefinitionError: No asset is given, or one twice.
    """
    bad = builtin_checks.severity_of(severity)

    def evaluate(context: Any, key: keys.AssetKey) -> asset_checks.AssetCheckResult:
        page = context.instance.fetch_materializations(key, limit=2)
        return _compared(page.records, bad)

    kind = builtin_checks.Kind(
        "column_schema_change",
        _CHECK_NAME,
        "Whether the columns are still those of the materialization before.",
    )
    targets = builtin_checks.checked_assets(assets, "build_column_schema_change_checks")
    return builtin_checks.build(kind, targets, evaluate)


def _compared(
    newest_first: Sequence[events.EventLogRecord], severity: asset_checks.AssetCheckSeverity
) -> asset_checks.AssetCheckResult:
    if len(newest_first) < 2:  # noqa: PLR2004 - what is compared
        return asset_checks.AssetCheckResult(
            passed=True,
            severity=severity,
            description="There are no two materializations to compare yet.",
        )
    schemas: list[tables.TableSchema] = []
    for record, which in zip(newest_first, ("newest", "previous"), strict=True):
        schema = _schema_of(record)
        if schema is None:
            return asset_checks.AssetCheckResult(
                passed=False,
                severity=severity,
                description=f"The {which} materialization does not tell its columns: it has no "
                f"metadata {table_metadata.COLUMN_SCHEMA!r}.",
            )
        schemas.append(schema)
    newest, previous = ({one.name: one.type for one in schema.columns} for schema in schemas)
    return _result(previous, newest, severity)


def _result(
    previous: Mapping[str, str],
    newest: Mapping[str, str],
    severity: asset_checks.AssetCheckSeverity,
) -> asset_checks.AssetCheckResult:
    added = [name for name in newest if name not in previous]
    removed = [name for name in previous if name not in newest]
    changed = {
        name: f"{previous[name]} -> {kind}"
        for name, kind in newest.items()
        if name in previous and previous[name] != kind
    }
    if not (added or removed or changed):
        return asset_checks.AssetCheckResult(
            passed=True, severity=severity, description="The columns are as they were."
        )
    retyped = [f"{name} ({told})" for name, told in changed.items()]
    told = [
        f"{what}: {', '.join(names)}"
        for what, names in (("added", added), ("removed", removed), ("other type", retyped))
        if names
    ]
    return asset_checks.AssetCheckResult(
        passed=False,
        severity=severity,
        description=f"The columns changed. {'; '.join(told)}.",
        metadata={"added": added, "removed": removed, "changed_types": changed},
    )


def _schema_of(record: events.EventLogRecord) -> tables.TableSchema | None:
    told = record.asset_materialization
    value = None if told is None else told.metadata.get(table_metadata.COLUMN_SCHEMA)
    schema = None if value is None else value.value
    return schema if isinstance(schema, tables.TableSchema) else None

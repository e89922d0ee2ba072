"""What a program reported of assets, checks and metadata, made into the results of a step.

Called by `messages` and `session`. The form in which it arrives is that of docs/reference/pipes.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import atoll_pipes
from atoll import errors
from atoll._definitions import asset_checks, asset_events, data_versions, keys, tables
from atoll._definitions import metadata as metadata_values

PipesExecutionResult: TypeAlias = asset_events.MaterializeResult | asset_checks.AssetCheckResult
Metadata: TypeAlias = Mapping[str, metadata_values.MetadataValue[Any]]


class UnreadableMessageError(ValueError):
    """A message does not follow the protocol."""


def field(params: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """Return a parameter of a message that has to be there and of a type."""
    value = params.get(name)
    if not isinstance(value, kind):
        raise UnreadableMessageError(f"{name} is a {kind.__name__}, got {value!r}")
    return value


def optional_text(params: Mapping[str, Any], name: str) -> str | None:
    """Return a text of a message that may be missing."""
    return None if params.get(name) is None else cast("str", field(params, name, str))


def materialization(
    params: Mapping[str, Any],
) -> asset_events.MaterializeResult[Any]:
    """Make the result of a materialization that was reported."""
    return materialize_result(
        keys.AssetKey.from_user_string(field(params, "asset_key", str)),
        metadata(params.get("metadata")),
        data_version=optional_text(params, "data_version"),
    )


def check_result(params: Mapping[str, Any]) -> asset_checks.AssetCheckResult:
    """Make the result of a check that was reported."""
    severity = params.get("severity", "ERROR")
    if severity not in asset_checks.AssetCheckSeverity.__members__:
        raise UnreadableMessageError(f"severity is ERROR or WARN, got {severity!r}")
    return asset_checks.AssetCheckResult(
        passed=field(params, "passed", bool),
        asset_key=keys.AssetKey.from_user_string(field(params, "asset_key", str)),
        check_name=field(params, "check_name", str),
        severity=asset_checks.AssetCheckSeverity(severity),
        metadata=metadata(params.get("metadata")),
    )


def materialize_result(
    asset_key: keys.AssetKey | None,
    attached: Metadata | None = None,
    *,
    data_version: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> asset_events.MaterializeResult[Any]:
    """Make a result: the one place that knows how a result carries its data version."""
    version = None if data_version is None else data_versions.DataVersion(data_version)
    return asset_events.MaterializeResult(
        asset_key=asset_key, metadata=attached, data_version=version, tags=tags
    )


def with_checks(
    result: asset_events.MaterializeResult[Any],
    checks: Sequence[asset_checks.AssetCheckResult],
) -> asset_events.MaterializeResult[Any]:
    """Put results of checks into the result of their asset: the one place that knows how."""
    return asset_events.MaterializeResult(
        asset_key=result.asset_key,
        metadata=result.metadata,
        check_results=[*result.check_results, *checks],
        data_version=result.data_version,
        tags=result.tags,
    )


def with_metadata(result: PipesExecutionResult, attached: Metadata) -> PipesExecutionResult:
    """Return a result with more metadata; what the program reported itself is kept."""
    if not attached:
        return result
    merged = {**attached, **result.metadata}
    if isinstance(result, asset_checks.AssetCheckResult):
        return result.with_metadata(merged)
    return asset_events.MaterializeResult(
        asset_key=result.asset_key,
        metadata=merged,
        check_results=result.check_results,
        data_version=result.data_version,
        tags=result.tags,
    )


def metadata(raw: Any) -> dict[str, metadata_values.MetadataValue[Any]]:
    """Make typed metadata of what a message carries.

    Args:
        raw: Names to values, each with its type or, from programs that say none, plain.
    """
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UnreadableMessageError(f"metadata maps names to values, got {raw!r}")
    named = cast("dict[str, Any]", raw)
    return {name: _metadata_value(name, value) for name, value in named.items()}


def _metadata_value(name: str, value: Any) -> metadata_values.MetadataValue[Any]:
    kind, raw = atoll_pipes.PIPES_METADATA_TYPE_INFER, value
    if isinstance(value, dict) and value.keys() == {"raw_value", "type"}:
        typed = cast("dict[str, Any]", value)
        kind, raw = str(typed["type"]), typed["raw_value"]
    try:
        if kind == atoll_pipes.PIPES_METADATA_TYPE_INFER:
            return metadata_values.coerce(name, raw)
        return _MAKERS[kind](raw)
    except KeyError as error:
        raise UnreadableMessageError(
            f"the metadata entry {name!r} of type {kind!r} lacks or does not know {error}; types "
            f"are {', '.join(_MAKERS)}"
        ) from error
    except (errors.Error, TypeError, ValueError, AttributeError) as error:
        raise UnreadableMessageError(f"the metadata entry {name!r}: {error}") from error


def _table_schema(raw: Any) -> tables.TableSchema:
    columns: Sequence[Any] = (
        cast("dict[str, Any]", raw)["columns"] if isinstance(raw, dict) else raw
    )
    return tables.TableSchema([_column(one) for one in columns])


def _column(raw: Any) -> tables.TableColumn:
    if isinstance(raw, str):
        return tables.TableColumn(raw)
    given = cast("dict[str, Any]", dict(raw))
    constraints = given.pop("constraints", None)
    if constraints is not None:
        given["constraints"] = tables.TableColumnConstraints(**constraints)
    return tables.TableColumn(**given)


def _table(raw: Any) -> metadata_values.TableMetadataValue:
    records = [tables.TableRecord(one) for one in raw["records"]]
    schema = _table_schema(raw["schema"]) if raw.get("schema") is not None else None
    return metadata_values.TableMetadataValue(records, schema)


_MAKERS: Mapping[str, Callable[[Any], metadata_values.MetadataValue[Any]]] = {
    "text": metadata_values.TextMetadataValue,
    "url": metadata_values.UrlMetadataValue,
    "path": metadata_values.PathMetadataValue,
    "notebook": metadata_values.NotebookMetadataValue,
    "json": metadata_values.JsonMetadataValue,
    "md": metadata_values.MarkdownMetadataValue,
    "float": metadata_values.FloatMetadataValue,
    "int": metadata_values.IntMetadataValue,
    "bool": metadata_values.BoolMetadataValue,
    "timestamp": metadata_values.TimestampMetadataValue,
    "run": metadata_values.RunMetadataValue,
    "job": metadata_values.JobMetadataValue,
    "asset": lambda raw: metadata_values.AssetMetadataValue(keys.AssetKey.from_user_string(raw)),
    "table": _table,
    "table_schema": lambda raw: metadata_values.TableSchemaMetadataValue(_table_schema(raw)),
    "null": lambda _: metadata_values.NullMetadataValue(),
}

"""What a step hands over to a program, asked from whichever context the step has.

Called by `session`. A context needs a log and a run; whatever else it offers (assets, partitions,
retries) is used where it is there, so that the contexts of assets, ops and checks all fit.
"""

import datetime as dt
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import atoll_pipes
from atoll import errors
from atoll._definitions import assets, keys, runs


class StepContext(Protocol):
    """What every context of a step offers."""

    @property
    def log(self) -> logging.Logger:
        """The log of the step."""
        ...

    @property
    def run(self) -> runs.Run:
        """The run."""
        ...


# Contexts are asked for one harmless member each: properties that do not apply to a step raise.
@runtime_checkable
class _OfAssets(Protocol):
    @property
    def selected_asset_keys(self) -> Collection[keys.AssetKey]: ...


@runtime_checkable
class _MayBelongToAssets(Protocol):
    @property
    def has_assets_def(self) -> bool: ...


class _BelongsToAssets(Protocol):
    @property
    def assets_def(self) -> assets.AssetsDefinition: ...


@runtime_checkable
class _Retried(Protocol):
    @property
    def retry_number(self) -> int: ...


@runtime_checkable
class _MayHavePartition(Protocol):
    @property
    def has_partition_key(self) -> bool: ...


@runtime_checkable
class _MayHavePartitionRange(Protocol):
    @property
    def has_partition_key_range(self) -> bool: ...


class _Range(Protocol):
    @property
    def start(self) -> Any: ...

    @property
    def end(self) -> Any: ...


class _Partitioned(Protocol):
    @property
    def partition_key(self) -> str: ...

    @property
    def partition_key_range(self) -> _Range: ...

    @property
    def partition_time_window(self) -> _Range: ...


class _DataVersion(Protocol):
    @property
    def value(self) -> str: ...


class _Provenance(Protocol):
    @property
    def code_version(self) -> str: ...

    @property
    def input_data_versions(self) -> Mapping[keys.AssetKey, _DataVersion]: ...

    @property
    def is_user_provided(self) -> bool: ...


@runtime_checkable
class _KnowsProvenance(Protocol):
    def get_asset_provenance(self, asset_key: keys.AssetKey) -> _Provenance | None: ...


def asset_keys(context: StepContext) -> tuple[keys.AssetKey, ...]:
    """Return the assets that the step is to materialize, in order; none for an op or a check."""
    return tuple(sorted(context.selected_asset_keys)) if isinstance(context, _OfAssets) else ()


def context_data(
    context: StepContext, extras: Mapping[str, Any] | None
) -> atoll_pipes.PipesContextData:
    """Return what a program is told of the step that runs it.

    Args:
        context: The context of the step.
        extras: What the user gives along; anything that JSON can hold.
    """
    told = asset_keys(context)
    run = context.run
    partition_key, partition_range, window = _partitions(context)
    return {
        "asset_keys": [key.to_user_string() for key in told] or None,
        "code_version_by_asset_key": _code_versions(context, told) if told else None,
        "provenance_by_asset_key": _provenances(context, told) if told else None,
        "partition_key": partition_key,
        "partition_key_range": partition_range,
        "partition_time_window": window,
        "run_id": run.run_id,
        "job_name": run.job_name,
        "retry_number": context.retry_number if isinstance(context, _Retried) else 0,
        "extras": dict(extras or {}),
    }


def _code_versions(context: StepContext, told: Collection[keys.AssetKey]) -> dict[str, str | None]:
    specs: Mapping[keys.AssetKey, Any] = {}
    if isinstance(context, _MayBelongToAssets) and context.has_assets_def:
        specs = cast("_BelongsToAssets", context).assets_def.specs_by_key
    return {key.to_user_string(): specs[key].code_version if key in specs else None for key in told}


def _provenances(
    context: StepContext, told: Collection[keys.AssetKey]
) -> dict[str, atoll_pipes.PipesDataProvenance | None]:
    if not isinstance(context, _KnowsProvenance):
        return {key.to_user_string(): None for key in told}
    return {key.to_user_string(): _provenance(context.get_asset_provenance(key)) for key in told}


def _provenance(known: _Provenance | None) -> atoll_pipes.PipesDataProvenance | None:
    if known is None:
        return None
    return {
        "code_version": known.code_version,
        "input_data_versions": {
            key.to_user_string(): str(version.value)
            for key, version in known.input_data_versions.items()
        },
        "is_user_provided": known.is_user_provided,
    }


def _partitions(
    context: StepContext,
) -> tuple[
    str | None, atoll_pipes.PipesPartitionKeyRange | None, atoll_pipes.PipesTimeWindow | None
]:
    has_key = isinstance(context, _MayHavePartition) and context.has_partition_key
    has_range = isinstance(context, _MayHavePartitionRange) and context.has_partition_key_range
    if not (has_key or has_range):
        return None, None, None
    partitioned = cast("_Partitioned", context)
    if has_range:
        told = partitioned.partition_key_range
        ends: atoll_pipes.PipesPartitionKeyRange = {"start": str(told.start), "end": str(told.end)}
    else:
        key = str(partitioned.partition_key)
        ends = {"start": key, "end": key}
    single = ends["start"] if ends["start"] == ends["end"] else None
    return single, ends, _time_window(partitioned)


def _time_window(partitioned: _Partitioned) -> atoll_pipes.PipesTimeWindow | None:
    try:
        window = partitioned.partition_time_window
    except (errors.Error, AttributeError, ValueError):
        # The partitions are not those of time.
        return None
    return {"start": _iso(window.start), "end": _iso(window.end)}


def _iso(moment: dt.datetime) -> str:
    return moment.isoformat()

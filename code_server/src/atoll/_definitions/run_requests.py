"""What a sensor may return: run requests, reasons to skip, and results.

Called by users from sensors. Holds data only; what a combination of them means stands in `ticks`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from atoll._definitions import asset_events as events_of_assets
from atoll._definitions import errors, keys, records
from atoll._definitions import run_config as run_configs

SENSOR_NAME_TAG = "atoll/sensor_name"


class RunRequest(records.Record):
    """Asks for one run.

    Attributes:
        run_key: At most one run is made for a sensor and run key; None asks for a run whatever came
            before.
        run_config: The plain run configuration; empty means the job's default.
        tags: Labels of the run.
        job_name: The job; None means the only job of the sensor.
        asset_selection: The assets to materialize; None means all of the job.
        partition_key: The partition, None for none.
    """

    run_key: str | None
    run_config: Mapping[str, Any]
    tags: Mapping[str, str]
    job_name: str | None
    asset_selection: Sequence[keys.AssetKey] | None
    partition_key: str | None

    def __init__(
        self,
        run_key: str | None = None,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        tags: Mapping[str, str] | None = None,
        job_name: str | None = None,
        asset_selection: Sequence[keys.CoercibleToAssetKey] | None = None,
        partition_key: str | None = None,
    ) -> None:
        if run_key is not None and not isinstance(run_key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvariantViolationError(
                f"The run key of a run request is a string, got {run_key!r} of type "
                f"{type(run_key).__name__}."
            )
        assign = object.__setattr__
        assign(self, "run_key", run_key)
        assign(self, "run_config", run_configs.to_plain(run_config))
        assign(self, "tags", events_of_assets.checked_tags(tags))
        assign(self, "job_name", job_name)
        selected = (
            None
            if asset_selection is None
            else tuple(keys.AssetKey.from_coercible(key) for key in asset_selection)
        )
        assign(self, "asset_selection", selected)
        assign(self, "partition_key", partition_key)

    def with_replaced_attrs(self, **attributes: Any) -> "RunRequest":
        """Return the request with some attributes replaced."""
        known = {name: getattr(self, name) for name in self.record_fields}
        return RunRequest(**{**known, **attributes})


class SkipReason(records.Record):
    """Says why a sensor asks for nothing.

    Attributes:
        skip_message: Why.
    """

    skip_message: str | None = None


AssetEvent: TypeAlias = events_of_assets.AssetMaterialization | events_of_assets.AssetObservation


class SensorResult(records.Record):
    """Everything that one evaluation of a sensor decides.

    Attributes:
        run_requests: The runs that the sensor asks for.
        skip_reason: Why it asks for nothing.
        cursor: The new cursor; None leaves it as it was.
        asset_events: Materializations and observations that the sensor reports.
    """

    run_requests: Sequence[RunRequest]
    skip_reason: SkipReason | None
    cursor: str | None
    asset_events: Sequence[AssetEvent]

    def __init__(
        self,
        run_requests: Sequence[RunRequest] | None = None,
        skip_reason: str | SkipReason | None = None,
        cursor: str | None = None,
        asset_events: Sequence[AssetEvent] | None = None,
    ) -> None:
        reason = SkipReason(skip_reason) if isinstance(skip_reason, str) else skip_reason
        if run_requests and reason is not None:
            raise errors.InvariantViolationError(
                "A SensorResult holds either run requests or a skip reason, got both."
            )
        assign = object.__setattr__
        assign(self, "run_requests", tuple(run_requests or ()))
        assign(self, "skip_reason", reason)
        assign(self, "cursor", cursor)
        assign(self, "asset_events", tuple(asset_events or ()))

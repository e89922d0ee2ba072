"""What sensors and schedules may return: run requests, reasons to skip, and results.

Called by users from sensors and schedules. Holds data only; what a combination of them means stands
in `ticks`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from atoll import _records as records
from atoll import errors
from atoll._definitions import asset_events as events_of_assets
from atoll._definitions import keys, runs
from atoll._definitions import run_config as run_configs
from atoll._partitions import contexts, dynamic_requests, partition_keys

SENSOR_NAME_TAG = "atoll/sensor_name"
SCHEDULE_NAME_TAG = "atoll/schedule_name"


class Partitioned(Protocol):
    """A job, as far as the partitions of its runs go."""

    @property
    def name(self) -> str:
        """The name."""
        ...

    def validate_partition_key(
        self,
        partition_key: str,
        selected_asset_keys: Sequence[keys.AssetKey] | None = None,
        context: contexts.PartitionLoadingContext | None = None,
    ) -> None:
        """Say so if the job has no such partition."""
        ...

    def get_run_config_for_partition_key(self, partition_key: str) -> Mapping[str, Any]:
        """Return the run configuration of a partition."""
        ...

    def get_tags_for_partition_key(
        self, partition_key: str, selected_asset_keys: Sequence[keys.AssetKey] | None = None
    ) -> Mapping[str, str]:
        """Return the labels of a run of a partition."""
        ...


class RunRequest(records.Record):
    """Asks for one run.

    Attributes:
        run_key: At most one run is made for a sensor, or for a tick of a schedule, and run key;
            None asks for a run whatever came before.
        run_config: The plain run configuration; empty means the job's default.
        tags: Labels of the run.
        job_name: The job; None means the only job of the sensor or schedule.
        asset_selection: The assets to materialize; None means all of the job.
        stale_assets_only: Whether to leave out assets that are up to date already.
        partition_key: The partition, None for none.
        asset_check_keys: The checks to evaluate; None means those of the assets.
    """

    run_key: str | None
    run_config: Mapping[str, Any]
    tags: Mapping[str, str]
    job_name: str | None
    asset_selection: Sequence[keys.AssetKey] | None
    stale_assets_only: bool
    partition_key: str | None
    asset_check_keys: Sequence[keys.AssetCheckKey] | None

    def __init__(
        self,
        run_key: str | None = None,
        run_config: run_configs.CoercibleToRunConfig | None = None,
        tags: Mapping[str, str] | None = None,
        job_name: str | None = None,
        asset_selection: Sequence[keys.CoercibleToAssetKey] | None = None,
        stale_assets_only: bool = False,  # noqa: FBT001, FBT002 - the field's signature
        partition_key: str | None = None,
        asset_check_keys: Sequence[keys.AssetCheckKey] | None = None,
    ) -> None:
        _check_text("run key", run_key)
        _check_text("partition key", partition_key)
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
        assign(self, "stale_assets_only", bool(stale_assets_only))
        assign(self, "partition_key", partition_key)
        assign(self, "asset_check_keys", _checked_checks(asset_check_keys))

    @property
    def entity_keys(self) -> Sequence[keys.AssetKey | keys.AssetCheckKey]:
        """The assets and the checks together."""
        return (*(self.asset_selection or ()), *(self.asset_check_keys or ()))

    @property
    def partition_key_range(self) -> partition_keys.PartitionKeyRange | None:
        """The range of partitions that the labels tell, None for none."""
        first = self.tags.get(runs.PARTITION_RANGE_START_TAG)
        last = self.tags.get(runs.PARTITION_RANGE_END_TAG)
        if first is None or last is None:
            return None
        return partition_keys.PartitionKeyRange(first, last)

    def has_resolved_partition(self) -> bool:
        """Tell whether the labels name the partition, so that nothing about it is left to do."""
        named = self.tags.get(runs.PARTITION_TAG)
        return self.partition_key is None or named == self.partition_key

    def with_replaced_attrs(self, **attributes: Any) -> "RunRequest":
        """Return the request with some attributes replaced."""
        known = {name: getattr(self, name) for name in self.record_fields}
        return RunRequest(**{**known, **attributes})

    def with_resolved_tags_and_config(
        self,
        target_definition: Partitioned,
        dynamic_partitions_requests: Sequence[dynamic_requests.DynamicPartitionsRequest] = (),
        dynamic_partitions_store: contexts.DynamicPartitionsStore | None = None,
    ) -> "RunRequest":
        """Return the request with the labels and the configuration of its partition.

        Labels and configuration that the request has itself come before those.

        Args:
            target_definition: The job.
            dynamic_partitions_requests: Changes of dynamic partitions that are made before the run.
            dynamic_partitions_store: What knows dynamic partitions, such as an instance.

        Raises:
            InvariantViolationError: The request names no partition, or the job has none.
            UnknownPartitionError: The job has no such partition.
        """
        key = self.partition_key
        if key is None:
            raise errors.InvariantViolationError(
                "The run request names no partition, so it has none to resolve. Give it a "
                "partition_key."
            )
        ambient = contexts.resolve(None, dynamic_partitions_store)
        store = dynamic_requests.StoreAfter(
            ambient.dynamic_partitions_store, dynamic_partitions_requests
        )
        context = contexts.PartitionLoadingContext(ambient.effective_dt, store)
        target_definition.validate_partition_key(key, self.asset_selection, context)
        with contexts.partition_loading_context(new_ctx=context):
            of_partition = target_definition.get_tags_for_partition_key(key, self.asset_selection)
            config = self.run_config or target_definition.get_run_config_for_partition_key(key)
        return self.with_replaced_attrs(
            job_name=self.job_name or target_definition.name,
            tags={**of_partition, **self.tags, runs.PARTITION_TAG: str(key)},
            run_config=config,
        )


def _check_text(what: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise errors.InvariantViolationError(
            f"The {what} of a run request is a string, got {value!r} of type "
            f"{type(value).__name__}."
        )


def _checked_checks(
    given: Sequence[keys.AssetCheckKey] | None,
) -> tuple[keys.AssetCheckKey, ...] | None:
    for one in given or ():
        if not isinstance(one, keys.AssetCheckKey):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise errors.InvariantViolationError(
                f"The asset_check_keys of a run request hold {one!r}. Give AssetCheckKeys, such as "
                "the check_keys of a check."
            )
    return None if given is None else tuple(given)


class SkipReason(records.Record):
    """Says why a sensor or a schedule asks for nothing.

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
        dynamic_partitions_requests: Changes of dynamic partitions, in order. They are made before
            the runs are, which may be for partitions that they add.
    """

    run_requests: Sequence[RunRequest]
    skip_reason: SkipReason | None
    cursor: str | None
    asset_events: Sequence[AssetEvent]
    dynamic_partitions_requests: Sequence[dynamic_requests.DynamicPartitionsRequest]

    def __init__(
        self,
        run_requests: Sequence[RunRequest] | None = None,
        skip_reason: str | SkipReason | None = None,
        cursor: str | None = None,
        dynamic_partitions_requests: (
            Sequence[dynamic_requests.DynamicPartitionsRequest] | None
        ) = None,
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
        assign(self, "dynamic_partitions_requests", _checked(dynamic_partitions_requests))


def _checked(
    requests: Sequence[dynamic_requests.DynamicPartitionsRequest] | None,
) -> tuple[dynamic_requests.DynamicPartitionsRequest, ...]:
    """Return requests, or say which of them is none."""
    for request in requests or ():
        if not isinstance(request, _DYNAMIC_PARTITIONS_REQUESTS):
            raise errors.InvariantViolationError(
                f"A SensorResult's dynamic_partitions_requests holds {request!r} of type "
                f"{type(request).__name__}. Give AddDynamicPartitionsRequest or "
                "DeleteDynamicPartitionsRequest, as build_add_request and build_delete_request of "
                "the definition make them."
            )
    return tuple(requests or ())


_DYNAMIC_PARTITIONS_REQUESTS: tuple[type[object], ...] = (
    dynamic_requests.AddDynamicPartitionsRequest,
    dynamic_requests.DeleteDynamicPartitionsRequest,
)


SensorReturnTypesUnion: TypeAlias = (
    Iterator[SkipReason | RunRequest]
    | Sequence[RunRequest]
    | SkipReason
    | RunRequest
    | SensorResult
    | None
)

"""Filters over events of the log that are not about one asset only.

Called by user code that asks the instance. Holds data only; the filter over the records of one
asset stands in `events`.
"""

from collections.abc import Sequence

from atoll import _records as records
from atoll import errors
from atoll._definitions import events, keys

RUN_STATUS_EVENTS = frozenset(
    {
        events.EventType.RUN_ENQUEUED,
        events.EventType.RUN_STARTING,
        events.EventType.RUN_START,
        events.EventType.RUN_SUCCESS,
        events.EventType.RUN_FAILURE,
        events.EventType.RUN_CANCELING,
        events.EventType.RUN_CANCELED,
    }
)
"""The events that tell of a new status of a run."""


class EventRecordsFilter(records.Record):
    """Chooses records of the log by the kind of their events.

    Attributes:
        event_type: The kind.
        asset_key: Only events about this asset.
        asset_partitions: Only these partitions of the asset.
        after_cursor: Only what stands after this position in the log.
        before_cursor: Only what stands before this position in the log.
        after_timestamp: Only what happened after, in seconds since 1970.
        before_timestamp: Only what happened before, in seconds since 1970.
        storage_ids: Only these.
    """

    event_type: events.EventType
    asset_key: keys.AssetKey | None
    asset_partitions: Sequence[str] | None
    after_cursor: int | None
    before_cursor: int | None
    after_timestamp: float | None
    before_timestamp: float | None
    storage_ids: Sequence[int] | None

    def __init__(
        self,
        event_type: events.EventType,
        asset_key: keys.CoercibleToAssetKey | None = None,
        asset_partitions: Sequence[str] | None = None,
        after_cursor: int | None = None,
        before_cursor: int | None = None,
        after_timestamp: float | None = None,
        before_timestamp: float | None = None,
        storage_ids: Sequence[int] | None = None,
    ) -> None:
        if asset_partitions is not None and asset_key is None:
            raise errors.InvalidInvocationError(
                f"The filter names the partitions {list(asset_partitions)[:3]!r} of no asset. Give "
                "asset_key too."
            )
        assign = object.__setattr__
        assign(self, "event_type", events.EventType(event_type))
        key = None if asset_key is None else keys.AssetKey.from_coercible(asset_key)
        assign(self, "asset_key", key)
        assign(self, "asset_partitions", asset_partitions)
        assign(self, "after_cursor", after_cursor)
        assign(self, "before_cursor", before_cursor)
        assign(self, "after_timestamp", after_timestamp)
        assign(self, "before_timestamp", before_timestamp)
        assign(self, "storage_ids", storage_ids)


class RunStatusChangeRecordsFilter(records.Record):
    """Chooses records that tell of a new status of a run.

    Attributes:
        event_type: The kind, which stands for the status.
        after_timestamp: Only what happened after, in seconds since 1970.
        before_timestamp: Only what happened before, in seconds since 1970.
        after_storage_id: Only what stands after in the log.
        before_storage_id: Only what stands before in the log.
        storage_ids: Only these.
        job_names: Only runs of these jobs.
    """

    event_type: events.EventType
    after_timestamp: float | None
    before_timestamp: float | None
    after_storage_id: int | None
    before_storage_id: int | None
    storage_ids: Sequence[int] | None
    job_names: Sequence[str] | None

    def __init__(
        self,
        event_type: events.EventType,
        after_timestamp: float | None = None,
        before_timestamp: float | None = None,
        after_storage_id: int | None = None,
        before_storage_id: int | None = None,
        storage_ids: Sequence[int] | None = None,
        job_names: Sequence[str] | None = None,
    ) -> None:
        kind = events.EventType(event_type)
        if kind not in RUN_STATUS_EVENTS:
            raise errors.InvalidInvocationError(
                f"{kind.value} tells of no new status of a run. Give one of "
                f"{', '.join(sorted(one.value for one in RUN_STATUS_EVENTS))}."
            )
        assign = object.__setattr__
        assign(self, "event_type", kind)
        assign(self, "after_timestamp", after_timestamp)
        assign(self, "before_timestamp", before_timestamp)
        assign(self, "after_storage_id", after_storage_id)
        assign(self, "before_storage_id", before_storage_id)
        assign(self, "storage_ids", storage_ids)
        assign(self, "job_names", job_names)

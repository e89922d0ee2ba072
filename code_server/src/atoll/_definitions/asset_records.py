"""What the instance knows of assets as wholes and of their partitions.

Called by user code that asks the instance, and by what answers it. Holds data only.
"""

import enum

from atoll import _records as records
from atoll._definitions import events, keys


class AssetPartitionStatus(str, enum.Enum):
    """How a partition of an asset is doing."""

    MATERIALIZED = "MATERIALIZED"
    IN_PROGRESS = "IN_PROGRESS"
    FAILED = "FAILED"


class AssetEntry(records.Record):
    """The newest events of an asset.

    Attributes:
        asset_key: The asset.
        last_materialization_record: The newest materialization, None where there is none.
        last_observation_record: The newest observation that is still in the log.
        last_planned_materialization_storage_id: The position of the newest plan to materialize it.
        last_planned_materialization_run_id: The run of the newest plan.
    """

    asset_key: keys.AssetKey
    last_materialization_record: events.EventLogRecord | None = None
    last_observation_record: events.EventLogRecord | None = None
    last_planned_materialization_storage_id: int | None = None
    last_planned_materialization_run_id: str | None = None

    @property
    def last_materialization(self) -> events.EventLogEntry | None:
        """The newest materialization, None where there is none."""
        record = self.last_materialization_record
        return record.event_log_entry if record is not None else None

    @property
    def last_materialization_storage_id(self) -> int | None:
        """The position of the newest materialization, None where there is none."""
        record = self.last_materialization_record
        return record.storage_id if record is not None else None

    @property
    def last_observation(self) -> events.EventLogEntry | None:
        """The newest observation, None where there is none."""
        record = self.last_observation_record
        return record.event_log_entry if record is not None else None

    @property
    def last_event_storage_id(self) -> int | None:
        """The position of the newest of all these, None where there is none."""
        observed = self.last_observation_record
        ids = (
            self.last_materialization_storage_id,
            observed.storage_id if observed is not None else None,
            self.last_planned_materialization_storage_id,
        )
        return max((one for one in ids if one is not None), default=None)

    @property
    def last_run_id(self) -> str | None:
        """The run that last materialized it, or is going to; None where none is known."""
        if self.last_planned_materialization_run_id is not None:
            return self.last_planned_materialization_run_id
        record = self.last_materialization_record
        return (record.run_id or None) if record is not None else None


class AssetRecord(records.Record):
    """An asset that the log ever spoke of.

    Attributes:
        storage_id: The position of the newest event about it.
        asset_entry: Its newest events.
    """

    storage_id: int
    asset_entry: AssetEntry


class AssetPartition(records.Record):
    """What the log says of one partition of an asset. Ids are 0 where there is none.

    Attributes:
        partition: The partition.
        materialization_id: The position of its newest materialization.
        materialization_count: How often it was materialized.
        observation_id: The position of its newest observation.
        planned_id: The position of the newest plan to materialize it.
        planned_run_id: The run of the newest plan.
        planned_run_status: The status of that run, by name; empty where it is not known.
    """

    partition: str
    materialization_id: int = 0
    materialization_count: int = 0
    observation_id: int = 0
    planned_id: int = 0
    planned_run_id: str = ""
    planned_run_status: str = ""

    @property
    def status(self) -> AssetPartitionStatus | None:
        """How the partition is doing: by its newest plan while it is not fulfilled."""
        if self.planned_id > self.materialization_id:
            if self.planned_run_status in _ACTIVE:
                return AssetPartitionStatus.IN_PROGRESS
            if self.planned_run_status == "FAILURE":
                return AssetPartitionStatus.FAILED
        return AssetPartitionStatus.MATERIALIZED if self.materialization_id else None


_ACTIVE = frozenset({"QUEUED", "STARTING", "STARTED", "CANCELING"})

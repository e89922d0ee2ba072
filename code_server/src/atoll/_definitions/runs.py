"""Runs as user code sees them, and filters over them.

Called by contexts, the instance and the execution of runs. Holds data only.
"""

import dataclasses
import datetime as dt
import enum
import os
from collections.abc import Mapping, Sequence
from typing import Any

from atoll import _records as records
from atoll import errors
from atoll._definitions import keys

PARTITION_TAG = "atoll/partition"
PARTITION_RANGE_START_TAG = "atoll/asset_partition_range_start"
PARTITION_RANGE_END_TAG = "atoll/asset_partition_range_end"
PARENT_RUN_TAG = "atoll/parent_run_id"
ROOT_RUN_TAG = "atoll/root_run_id"
BACKFILL_TAG = "atoll/backfill"
MAX_RUNTIME_SECONDS_TAG = "atoll/max_runtime"
RESUME_RETRY_TAG = "atoll/is_resume_retry"


class RunStatus(str, enum.Enum):
    """The state of a run."""

    NOT_STARTED = "NOT_STARTED"
    QUEUED = "QUEUED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"

    @property
    def is_final(self) -> bool:
        """Whether a run in this state has ended."""
        return self in (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED)


IN_PROGRESS_STATUSES = (
    RunStatus.QUEUED,
    RunStatus.STARTING,
    RunStatus.STARTED,
    RunStatus.CANCELING,
)
"""The states of runs that are going to end."""


def make_run_id() -> str:
    """Return the id of a new run: a UUID of random bits."""
    # Without the module uuid, whose import would be a good part of what `import atoll` costs.
    bits = bytearray(os.urandom(16))
    bits[6], bits[8] = bits[6] & 0x0F | 0x40, bits[8] & 0x3F | 0x80
    text = bits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a job.

    What a run is for by its tags (partition, range, parent, root) stands in its fields too, however
    it was made: a field that is not given is read from its tag.

    Attributes:
        job_name: The job.
        run_id: The id of the run; a new one where not given.
        run_config: The run configuration; empty means the job's default.
        asset_selection: The assets to materialize; None means all of the job.
        asset_check_selection: The checks to evaluate; None leaves it to the assets.
        op_selection: The ops to run, as a selection over the job; None means all.
        resolved_op_selection: The ops that the selection comes to; None means all.
        step_keys_to_execute: The steps to run; None means all.
        status: How the run is doing.
        tags: Labels.
        root_run_id: The first of the runs that were run again one after the other.
        parent_run_id: The run that this one runs again.
        location_name: The location that runs it; empty for runs in the process of whoever asked.
        partition_key: The partition, None for none.
        partition_range_start: The first partition of a range, None for none.
        partition_range_end: The last partition of a range, itself included.
    """

    job_name: str
    run_id: str = dataclasses.field(default_factory=make_run_id)
    run_config: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    asset_selection: frozenset[keys.AssetKey] | None = None
    asset_check_selection: frozenset[keys.AssetCheckKey] | None = None
    op_selection: Sequence[str] | None = None
    resolved_op_selection: frozenset[str] | None = None
    step_keys_to_execute: Sequence[str] | None = None
    status: RunStatus = RunStatus.NOT_STARTED
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    root_run_id: str | None = None
    parent_run_id: str | None = None
    location_name: str = ""
    partition_key: str | None = None
    partition_range_start: str | None = None
    partition_range_end: str | None = None

    def __post_init__(self) -> None:
        for name, tag in _TAGS_OF_FIELDS:
            if getattr(self, name) is None and tag in self.tags:
                object.__setattr__(self, name, self.tags[tag])

    def has_tag(self, key: str) -> bool:
        """Tell whether the run has the tag."""
        return key in self.tags

    def get_tag(self, key: str) -> str | None:
        """Return the value of a tag, None where the run has none of that name."""
        return self.tags.get(key)

    def get_parent_run_id(self) -> str | None:
        """Return the run that this one runs again, None for none."""
        return self.parent_run_id

    def get_root_run_id(self) -> str | None:
        """Return the first of the runs that were run again one after the other, None for none."""
        return self.root_run_id

    def with_status(self, status: RunStatus) -> "Run":
        """Return the run with another status."""
        return dataclasses.replace(self, status=status)

    def with_tags(self, tags: Mapping[str, str]) -> "Run":
        """Return the run with other tags."""
        return dataclasses.replace(self, tags=dict(tags))

    @property
    def previous_run_id(self) -> str | None:
        """The run that this one runs again, None for none."""
        return self.parent_run_id

    @property
    def entity_selection(self) -> frozenset[keys.AssetKey | keys.AssetCheckKey] | None:
        """The selected assets and checks together; None means all of the job."""
        if self.asset_selection is None and self.asset_check_selection is None:
            return None
        return frozenset((*(self.asset_selection or ()), *(self.asset_check_selection or ())))

    @property
    def is_partitioned(self) -> bool:
        """Whether the run is for one partition or for a range of them."""
        return self.partition_key is not None or self.partition_range_start is not None

    @property
    def is_resume_retry(self) -> bool:
        """Whether the run goes on where its parent failed."""
        return self.tags.get(RESUME_RETRY_TAG) == "true"

    @property
    def is_success(self) -> bool:
        """Whether the run succeeded."""
        return self.status is RunStatus.SUCCESS

    @property
    def is_failure(self) -> bool:
        """Whether the run failed."""
        return self.status is RunStatus.FAILURE

    @property
    def is_failure_or_canceled(self) -> bool:
        """Whether the run failed or was canceled."""
        return self.status in (RunStatus.FAILURE, RunStatus.CANCELED)

    @property
    def is_cancelable(self) -> bool:
        """Whether the run waits or is under way, and nobody asked it to stop yet."""
        return self.status in (RunStatus.QUEUED, RunStatus.STARTING, RunStatus.STARTED)

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended."""
        return self.status.is_final


_TAGS_OF_FIELDS = (
    ("partition_key", PARTITION_TAG),
    ("partition_range_start", PARTITION_RANGE_START_TAG),
    ("partition_range_end", PARTITION_RANGE_END_TAG),
    ("parent_run_id", PARENT_RUN_TAG),
    ("root_run_id", ROOT_RUN_TAG),
)


class RunsFilter(records.Record):
    """Chooses runs; all given conditions must hold.

    Attributes:
        run_ids: Only these.
        job_name: Only runs of this job.
        statuses: Only runs in one of these states; empty means any.
        tags: Only runs with all of these tags; where a value is a list, one of it is enough.
        updated_after: Only runs whose status changed after this time.
        updated_before: Only runs whose status changed before this time.
        created_after: Only runs created after this time.
        created_before: Only runs created before this time.
        exclude_subruns: Leave out runs of backfills.
    """

    run_ids: Sequence[str] | None
    job_name: str | None
    statuses: Sequence[RunStatus]
    tags: Mapping[str, str | Sequence[str]]
    updated_after: dt.datetime | None
    updated_before: dt.datetime | None
    created_after: dt.datetime | None
    created_before: dt.datetime | None
    exclude_subruns: bool | None

    def __init__(
        self,
        run_ids: Sequence[str] | None = None,
        job_name: str | None = None,
        statuses: Sequence[RunStatus] | None = None,
        tags: Mapping[str, str | Sequence[str]] | None = None,
        snapshot_id: str | None = None,
        updated_after: dt.datetime | None = None,
        updated_before: dt.datetime | None = None,
        created_after: dt.datetime | None = None,
        created_before: dt.datetime | None = None,
        exclude_subruns: bool | None = None,  # noqa: FBT001 - the field's signature
    ) -> None:
        if snapshot_id is not None:
            raise errors.UnsupportedParameterError(
                f"Runs are not found by snapshot_id, got {snapshot_id!r}. Filter by job_name.",
                "snapshot_id",
            )
        if run_ids is not None and not run_ids:
            raise errors.InvalidInvocationError(
                "run_ids is an empty list, which would choose no run. Give ids, or leave it out."
            )
        assign = object.__setattr__
        assign(self, "run_ids", None if run_ids is None else tuple(run_ids))
        assign(self, "job_name", job_name)
        assign(self, "statuses", tuple(RunStatus(status) for status in statuses or ()))
        assign(self, "tags", dict(tags or {}))
        assign(self, "exclude_subruns", exclude_subruns)
        bounds = {
            "updated_after": updated_after,
            "updated_before": updated_before,
            "created_after": created_after,
            "created_before": created_before,
        }
        for name, moment in bounds.items():
            assign(self, name, _in_utc(moment))


class RunRecord(records.Record):
    """A run as it is stored.

    Attributes:
        storage_id: Its position among all runs.
        run: The run.
        create_timestamp: When it was created.
        update_timestamp: When its status last changed.
        start_time: When it began, in seconds since 1970; None where it has not.
        end_time: When it ended, in seconds since 1970; None where it has not.
    """

    storage_id: int
    run: Run
    create_timestamp: dt.datetime
    update_timestamp: dt.datetime
    start_time: float | None = None
    end_time: float | None = None


def _in_utc(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a point in time with its zone; one without is taken to be in UTC."""
    if moment is None:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.timezone.utc)

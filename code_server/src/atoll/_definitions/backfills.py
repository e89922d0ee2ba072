"""Backfills as user code sees them.

Returned by the instance. Only the host makes and steers them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from atoll import _records as records
from atoll._definitions import keys


class BulkActionStatus(enum.Enum):
    """The state of a backfill."""

    REQUESTED = "REQUESTED"
    PAUSED = "PAUSED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    COMPLETED_SUCCESS = "COMPLETED_SUCCESS"
    COMPLETED_FAILED = "COMPLETED_FAILED"
    FAILED = "FAILED"


class PartitionBackfill(records.Record):
    """A backfill.

    Attributes:
        backfill_id: The id, which its runs carry as the tag `atoll/backfill`.
        status: The state.
        title: What it is for, None where nobody said.
        tags: Labels of all its runs.
        asset_selection: The assets; empty for a backfill of a job.
        job_name: The job; None for one of assets.
        backfill_timestamp: When it was made, in seconds since 1970.
        backfill_end_timestamp: When it ended; None while it goes on.
    """

    backfill_id: str
    status: BulkActionStatus
    title: str | None
    tags: Mapping[str, str]
    asset_selection: Sequence[keys.AssetKey]
    job_name: str | None
    backfill_timestamp: float
    backfill_end_timestamp: float | None

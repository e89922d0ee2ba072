"""What storage takes and gives of backfills, as plain frozen data.

Called by the host's backfills and by `backfill_store`. What a backfill is to do and what became of
it are messages that only the host reads: storage keeps them encoded.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence

from atoll.definitions.v1 import values_pb2
from atoll_storage import records

BACKFILL_TAG = "atoll/backfill"
"""The tag that names the backfill of a run."""


class BackfillStatus(enum.StrEnum):
    """The state of a backfill; the values are the names of `atoll.api.v1.BackfillStatus`."""

    REQUESTED = "REQUESTED"
    PAUSED = "PAUSED"
    CANCELING = "CANCELING"
    CANCELED = "CANCELED"
    COMPLETED_SUCCESS = "COMPLETED_SUCCESS"
    COMPLETED_FAILED = "COMPLETED_FAILED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether a backfill in this state goes on only if somebody asks for it."""
        return self not in ACTIVE


ACTIVE = frozenset({BackfillStatus.REQUESTED, BackfillStatus.PAUSED, BackfillStatus.CANCELING})
"""Those in which runs may still be requested, or are under way."""


@dataclasses.dataclass(frozen=True, slots=True)
class NewBackfill:
    """A backfill to begin. The same request id returns the first one."""

    backfill_id: str
    title: str
    tags: Mapping[str, str]
    target: bytes
    progress: bytes
    request_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class BackfillRecord:
    """A backfill as stored.

    Attributes:
        version: Raised by each commit; decisions are stored only against the version that they were
            made on.
        target: What it is to request.
        progress: What became of it.
        failure: What stopped it, or the first thing that went wrong with it.
        run_count: How many runs it requested.
    """

    backfill_id: str
    status: BackfillStatus
    version: int
    title: str
    tags: Mapping[str, str]
    target: bytes
    progress: bytes
    failure: values_pb2.Failure | None
    run_count: int
    create_time: dt.datetime
    update_time: dt.datetime
    end_time: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class BackfillHead:
    """What tells whether there is anything to do for an active backfill.

    Attributes:
        queued: How many of its runs wait, by location.
        open_count: How many of its runs the progress does not hold yet.
        ended_count: How many of these ended, or are gone.
    """

    backfill_id: str
    status: BackfillStatus
    version: int
    queued: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    open_count: int = 0
    ended_count: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class BackfillCommit:
    """What was decided for a backfill, to be stored as a whole or not at all.

    Attributes:
        expected_version: The version that it was decided on.
        status: The status from now on.
        progress: The progress from now on.
        runs: The runs to queue, at most `RUNS_MAX`.
        accounted: The ended runs that the progress holds now.
        failure: What went wrong; None leaves what is stored, and `clear_failure` removes it.
        clear_failure: Whether to forget what went wrong.
    """

    backfill_id: str
    expected_version: int
    status: BackfillStatus
    progress: bytes
    runs: Sequence[records.NewRun] = ()
    accounted: Sequence[str] = ()
    failure: values_pb2.Failure | None = None
    clear_failure: bool = False


RUNS_MAX = 1000
"""So many runs are queued in one transaction at the most."""


@dataclasses.dataclass(frozen=True, slots=True)
class Materialized:
    """That a run materialized an asset, or one partition of it. An empty partition means none."""

    run_id: str
    path: records.AssetPath
    partition: str

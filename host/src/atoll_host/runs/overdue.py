"""Which runs go on for longer than they may. Pure; called by `watching`."""

import datetime as dt

from atoll.definitions.v1 import values_pb2
from atoll_host.runs import run_tags
from atoll_storage import records

FAILURE_TYPE = "MaxRuntimeExceeded"


def failure_of(
    run: records.RunRecord, now: dt.datetime, default_s: float | None
) -> values_pb2.Failure | None:
    """Return what a run fails with that goes on for too long, None for one that does not.

    Args:
        run: The run.
        now: The time.
        default_s: How long a run may go on whose tags say nothing; None means without limit.
    """
    if run.status is not records.RunStatus.STARTED or run.start_time is None:
        return None
    limit_s = run_tags.max_runtime_s(run.tags, default_s)
    if limit_s is None or (now - run.start_time).total_seconds() < limit_s:
        return None
    return values_pb2.Failure(
        type=FAILURE_TYPE,
        message=f"The run went on for more than {limit_s:g} s, so it was canceled. Give it more "
        f"time with the tag {run_tags.MAX_RUNTIME_TAG!r}, or find out what takes so long.",
    )

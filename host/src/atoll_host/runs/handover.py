"""What the answer to a hand-over means for the run. Pure.

Called by `launching` for each answer of a code server to StartRun.

    accepted                 nothing to do: events tell the rest
    definite refusal         the run can never begin there as it is: it fails with the location's
        words
    refused for now          it did not begin: back into the queue, and the location rests for a
        while
    superseded               somebody else deals with the run: nothing to do
    unknown                  nobody knows whether it began: the same code server is asked again
"""

import enum

from atoll._rpc import reasons
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.runs import config_schemas
from atoll_storage import records


class Verdict(enum.Enum):
    """What to do with a run whose hand-over was answered."""

    ACCEPTED = "accepted"
    FAIL = "fail"
    REQUEUE = "requeue"
    SUPERSEDED = "superseded"
    ASK_AGAIN = "ask_again"


_NOT_NOW = frozenset(
    {
        reasons.BUSY,
        reasons.DRAINING,
        reasons.HOST_UNAVAILABLE,
        reasons.HOST_UNPROVEN,
        reasons.NO_BUILD,
        reasons.STATE_DIRECTORY_UNUSABLE,
        reasons.WRONG_SERVER,
    }
)


def judge(error: errors.LocationError) -> Verdict:
    """Return what a failed hand-over means."""
    if not isinstance(error, errors.LocationRefused):
        return Verdict.ASK_AGAIN
    if error.reason == reasons.RUN_ALREADY_ENDED:
        return Verdict.ACCEPTED
    if error.reason == reasons.STALE_ATTEMPT:
        return Verdict.SUPERSEDED
    return Verdict.REQUEUE if error.reason in _NOT_NOW else Verdict.FAIL


def failure(error: errors.LocationError) -> values_pb2.Failure:
    """Return the failure of a run that its location refused."""
    return values_pb2.Failure(
        type=error.reason, message=f"The location refused to start the run. {error}"
    )


def plan(run: records.RunRecord) -> location_pb2.RunPlan:
    """Return what a code server needs to know to run a run."""
    message = location_pb2.RunPlan(
        run_id=run.run_id,
        job_name=run.job_name,
        tags=dict(run.tags),
        partition_key=run.partition_key,
        attempt=run.attempt,
        partition_range_start=run.target.partition_range_start,
        partition_range_end=run.target.partition_range_end,
        op_selection=run.target.op_selection,
        step_keys=run.target.step_keys,
        parent_run_id=run.target.parent_run_id,
        root_run_id=run.target.root_run_id,
    )
    for path, name in run.target.asset_check_selection:
        message.asset_check_selection.add(asset_key=values_pb2.AssetKey(path=path), name=name)
    for path in run.asset_selection:
        message.asset_selection.add(path=path)
    if run.run_config is not None:
        message.run_config.content_type = config_schemas.CONTENT_TYPE
        message.run_config.data = run.run_config
    return message

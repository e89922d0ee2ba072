"""Makes the launch that runs an ended run again. Pure; called by the runs servicer.

What is launched goes the way of every launch, so that it is checked against what its location
defines now. What the host itself does after a failure is decided in `runs.retrying`.
"""

from collections.abc import Mapping

from atoll.api.v1 import runs_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import errors
from atoll_host.automation.schedules import deciding
from atoll_host.runs import requests, run_tags
from atoll_storage import backfill_records, records

STEP_KEYS_MAX = 10_000
ORIGIN_TAGS = frozenset(
    {
        backfill_records.BACKFILL_TAG,
        deciding.SCHEDULE_NAME_TAG,
        deciding.SCHEDULED_TIME_TAG,
        requests.SENSOR_NAME_TAG,
        requests.TICK_TAG,
        requests.RUN_KEY_TAG,
        requests.PARENT_RUN_TAG,
        requests.ROOT_RUN_TAG,
        requests.RESUME_TAG,
        run_tags.RETRY_NUMBER_TAG,
        run_tags.DID_RETRY_TAG,
        run_tags.RETRY_RUN_TAG,
    }
)
"""The tags that say where a run came from and what became of it: the next one is another's."""

_SELECTED = runs_pb2.REEXECUTION_STRATEGY_SELECTED_STEPS
_FROM_FAILURE = runs_pb2.REEXECUTION_STRATEGY_FROM_FAILURE


def launch_of(
    run: records.RunRecord, request: runs_pb2.ReexecuteRunRequest
) -> runs_pb2.LaunchRunRequest:
    """Return the launch of what is to run again.

    Raises:
        errors.InvalidRequest: The strategy and the steps do not go together.
        errors.RunNotEnded: The run has not ended.
    """
    _check(request)
    if not run.status.is_final:
        raise errors.RunNotEnded(run.run_id, run.status.value, "run it again")
    target = run.target
    selected = request.strategy == _SELECTED
    message = runs_pb2.LaunchRunRequest(
        request_id=request.request_id,
        location_name=run.location_name,
        job_name=run.job_name,
        tags=_tags(run.tags, request),
        asset_selection=[values_pb2.AssetKey(path=path) for path in run.asset_selection],
        partition_key=run.partition_key,
        partition_range_start=target.partition_range_start,
        partition_range_end=target.partition_range_end,
        op_selection=target.op_selection,
        asset_check_selection=[
            values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=path), name=name)
            for path, name in target.asset_check_selection
        ],
        step_keys=request.step_keys if selected else target.step_keys,
        parent_run_id=run.run_id,
    )
    if run.run_config is not None:
        message.run_config.content_type = "application/json"
        message.run_config.data = run.run_config
    return message


def _tags(tags: Mapping[str, str], request: runs_pb2.ReexecuteRunRequest) -> dict[str, str]:
    kept = {key: value for key, value in tags.items() if key not in ORIGIN_TAGS}
    kept |= dict(request.tags)
    if request.strategy == _FROM_FAILURE:
        kept[requests.RESUME_TAG] = "true"
    return kept


def _check(request: runs_pb2.ReexecuteRunRequest) -> None:
    strategies = runs_pb2.ReexecutionStrategy
    if request.strategy not in strategies.values():
        raise errors.InvalidRequest(
            f"{request.strategy} is no strategy. Name one of atoll.api.v1.ReexecutionStrategy.",
            field="strategy",
        )
    selected = request.strategy == _SELECTED
    if selected != bool(request.step_keys) or len(request.step_keys) > STEP_KEYS_MAX:
        name = strategies.Name(request.strategy)
        raise errors.InvalidRequest(
            f"The strategy is {name}, and {len(request.step_keys)} steps are named. Name 1 to "
            f"{STEP_KEYS_MAX} steps with {strategies.Name(_SELECTED)}, and none otherwise.",
            field="step_keys",
        )
    if request.tags.get(requests.RESUME_TAG):
        raise errors.InvalidRequest(
            f"The tag {requests.RESUME_TAG!r} is given. Say what runs again with the strategy.",
            field="tags",
        )

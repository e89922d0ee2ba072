"""Runs, as a host knows them: launch, look at, follow, wait for, run again, cancel, delete."""

import asyncio
import contextlib
import dataclasses
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, cast

import grpc
import grpc.aio

from atoll._rpc import errors as rpc_errors
from atoll.api.v1 import events_pb2, runs_pb2, runs_pb2_grpc
from atoll.client import calls, documents, errors, watches
from atoll.client import events as event_log
from atoll.definitions.v1 import values_pb2

FINAL_STATUSES: Final = frozenset(
    {
        runs_pb2.RUN_STATUS_SUCCESS,
        runs_pb2.RUN_STATUS_FAILURE,
        runs_pb2.RUN_STATUS_CANCELED,
    }
)
RESUME_TAG: Final = "atoll/is_resume_retry"
"""The tag of a run that executes again what did not end well in its parent."""
_OWN_TAGS: Final = "atoll/"
FINAL_KINDS: Final = ("run_succeeded", "run_failed", "run_canceled")
OUTPUT_DEADLINE_S: Final = 60.0
# Should a final event ever be pruned while somebody waits, the state of the run still tells.
_LOOK_EVERY_S: Final = 5.0
# How long a host may be away while somebody waits for a run.
_PATIENCE_S: Final = 60.0
# The beginning of a run's id, as lines for people show it, and how far back it is looked up.
_BEGINNING: Final = re.compile(r"[0-9a-f][0-9a-f-]{3,34}")
_LOOKED_THROUGH_MAX: Final = 1000


@dataclasses.dataclass(frozen=True)
class Launch:
    """What to run.

    Attributes:
        job_name: The job; empty with assets means the implicit job of their location.
        location_name: The location; may be empty where only one has a job of that name.
        run_config: The run configuration; None means the job's default.
        tags: Labels.
        asset_selection: The assets to materialize; empty means all of the job.
        partition_key: The partition; empty means none.
        partition_range: The first and the last partition of a range; None means none.
        op_selection: The ops to run, as a selection over the job; empty means all.
        asset_check_selection: The checks to evaluate; empty leaves it to the assets.
        step_keys: The steps to run; empty means all.
        parent_run_id: The run that this one runs again; empty means none.
        request_id: Makes the launch idempotent: repeating it returns the first run.
    """

    job_name: str = ""
    location_name: str = ""
    run_config: Mapping[str, Any] | None = None
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    asset_selection: Sequence[values_pb2.AssetKey] = ()
    partition_key: str = ""
    partition_range: tuple[str, str] | None = None
    op_selection: Sequence[str] = ()
    asset_check_selection: Sequence[values_pb2.AssetCheckKey] = ()
    step_keys: Sequence[str] = ()
    parent_run_id: str = ""
    request_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


def again(
    run: runs_pb2.Run, *, step_keys: Sequence[str] = (), from_failure: bool = False
) -> Launch:
    """Return the launch that runs a run again: the same job, selection, partition and config.

    Args:
        run: The run.
        step_keys: Only these steps; empty means all. What others gave is taken from the run.
        from_failure: Only the steps that did not end well.
    """
    tags = {key: run.tags[key] for key in run.tags if not key.startswith(_OWN_TAGS)}
    if from_failure:
        tags[RESUME_TAG] = "true"
    start, end = run.partition_range_start, run.partition_range_end
    has_config = run.HasField("run_config")
    return Launch(
        job_name=run.job_name,
        location_name=run.location_name,
        run_config=json.loads(run.run_config.data) if has_config else None,
        tags=tags,
        asset_selection=list(run.asset_selection),
        partition_key=run.partition_key,
        partition_range=(start, end) if start else None,
        op_selection=list(run.op_selection),
        asset_check_selection=list(run.asset_check_selection),
        step_keys=step_keys,
        parent_run_id=run.run_id,
    )


class Runs:
    """Launches, lists, shows, follows and cancels runs."""

    def __init__(
        self, channel: grpc.aio.Channel, caller: calls.Caller, events: event_log.Events
    ) -> None:
        self._stub = cast(
            "runs_pb2_grpc.RunsServiceAsyncStub", runs_pb2_grpc.RunsServiceStub(channel)
        )
        self._caller = caller
        self._events = events

    async def launch(self, launch: Launch) -> runs_pb2.Run:
        """Put a run into the queue; what was sent twice is one run."""
        request = runs_pb2.LaunchRunRequest(
            request_id=launch.request_id,
            location_name=launch.location_name,
            job_name=launch.job_name,
            tags=launch.tags,
            asset_selection=launch.asset_selection,
            partition_key=launch.partition_key,
            op_selection=launch.op_selection,
            asset_check_selection=launch.asset_check_selection,
            step_keys=launch.step_keys,
            parent_run_id=launch.parent_run_id,
        )
        if launch.partition_range is not None:
            request.partition_range_start, request.partition_range_end = launch.partition_range
        if launch.run_config is not None:
            request.run_config.content_type = "application/json"
            request.run_config.data = json.dumps(launch.run_config).encode()
        return (await self._caller.unary(self._stub.LaunchRun, request)).run

    async def get(self, run_id: str) -> runs_pb2.Run:
        """Return one run."""
        request = runs_pb2.GetRunRequest(run_id=run_id)
        return (await self._caller.unary(self._stub.GetRun, request)).run

    async def full_id(self, text: str) -> str:
        """Return the id of the run that a text names: all of the id, or enough of its beginning.

        Args:
            text: The id or its beginning. Only the newest runs are known by the beginning.

        Returns:
            The id; the text itself where no such run is known, so that the host can say so.

        Raises:
            errors.InvalidArgumentError: Several runs begin with the text.
        """
        if not _BEGINNING.fullmatch(text):
            return text
        newest = self.list(limit=_LOOKED_THROUGH_MAX)
        found = [run.run_id async for run in newest if run.run_id.startswith(text)]
        if len(found) > 1:
            raise errors.InvalidArgumentError(
                f"{len(found)} runs begin with {text!r}, {found[0]} and {found[1]} among them. "
                "Give more of the id."
            )
        return found[0] if found else text

    def list(
        self,
        *,
        location_name: str = "",
        job_name: str = "",
        statuses: Sequence["runs_pb2.RunStatus.ValueType"] = (),
        query: runs_pb2.RunFilter | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[runs_pb2.Run]:
        """Yield runs, newest first.

        Args:
            location_name: Only those of this location; empty means all.
            job_name: Only those of this job; empty means all.
            statuses: Only those in one of these states; empty means all.
            query: Only those that this chooses as well; None means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[runs_pb2.Run], str]:
            request = runs_pb2.ListRunsRequest(
                page_size=size,
                page_token=token,
                location_name=location_name,
                job_name=job_name,
                statuses=statuses,
                filter=query,
            )
            answer = await self._caller.unary(self._stub.ListRuns, request)
            return answer.runs, answer.next_page_token

        return calls.paged(fetch, limit)

    async def counts(self, query: runs_pb2.RunFilter | None = None) -> Sequence[runs_pb2.RunCount]:
        """Return how many runs there are, by location and status."""
        request = runs_pb2.CountRunsRequest(filter=query)
        return (await self._caller.unary(self._stub.CountRuns, request)).counts

    def watch(
        self, run_id: str, *, resume_token: str = "", patience_s: float | None = 60.0
    ) -> watches.Watch[runs_pb2.Run]:
        """Return an iterator over a run as it is, and as it is after each change, to its end.

        Args:
            run_id: The run.
            resume_token: Goes on after what the holder of the token has seen.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        stream = watches.Stream(self._stub.WatchRun, _run_of, self._caller.address, ends=True)
        request = runs_pb2.WatchRunRequest(run_id=run_id, resume_token=resume_token)
        return watches.Watch(stream, request, patience_s=patience_s)

    async def reexecute(
        self,
        run_id: str,
        *,
        from_failure: bool = False,
        step_keys: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> runs_pb2.Run:
        """Run an ended run again: the same job, selection, partition, configuration and tags.

        Args:
            run_id: The run.
            from_failure: Only what did not end well, with what the rest of the run gave.
            step_keys: Only these steps, with what the others gave; not with `from_failure`.
            tags: Labels in place of those of the run, or besides them.
            request_id: Makes the call idempotent; empty makes one for it.
        """
        if from_failure and step_keys:
            raise errors.InvalidArgumentError(
                f"Give either from_failure or step_keys, got {list(step_keys)!r} too."
            )
        strategy = runs_pb2.REEXECUTION_STRATEGY_ALL_STEPS
        if from_failure:
            strategy = runs_pb2.REEXECUTION_STRATEGY_FROM_FAILURE
        elif step_keys:
            strategy = runs_pb2.REEXECUTION_STRATEGY_SELECTED_STEPS
        request = runs_pb2.ReexecuteRunRequest(
            request_id=request_id or str(uuid.uuid4()),
            run_id=run_id,
            strategy=strategy,
            step_keys=step_keys,
            tags=tags,
        )
        return (await self._caller.unary(self._stub.ReexecuteRun, request)).run

    async def cancel_all(
        self, query: runs_pb2.RunFilter, *, reason: str = ""
    ) -> AsyncIterator[runs_pb2.Run]:
        """Cancel the runs of a filter that have not ended, and yield each as it is then.

        Args:
            query: Which runs; one condition at least.
            reason: Why, in words.
        """
        token = ""
        while True:
            request = runs_pb2.CancelRunsRequest(filter=query, reason=reason, page_token=token)
            answer = await self._caller.unary(self._stub.CancelRuns, request)
            for run in answer.runs:
                yield run
            token = answer.next_page_token
            if not token:
                return

    async def delete(self, run_id: str) -> None:
        """Remove a run that has ended and that nothing needs, and its captured output."""
        request = runs_pb2.DeleteRunRequest(run_id=run_id)
        # Sent again, it would say that there is no such run.
        await self._caller.unary(self._stub.DeleteRun, request, repeatable=False)

    async def cancel(self, run_id: str, *, reason: str = "") -> runs_pb2.Run:
        """Cancel a run that waits, or ask a running one to stop."""
        request = runs_pb2.CancelRunRequest(run_id=run_id, reason=reason)
        return (await self._caller.unary(self._stub.CancelRun, request)).run

    async def wait(
        self, run_id: str, *, timeout_s: float | None = None, check: bool = False
    ) -> runs_pb2.Run:
        """Return a run once it has ended.

        Args:
            run_id: The run.
            timeout_s: How long it may take; None means for ever.
            check: Whether a run that ended otherwise than well raises.

        Raises:
            errors.WaitTimeoutError: It did not end in time.
            errors.RunFailedError: It did not end well, and that was to be checked.
        """
        try:
            run = await asyncio.wait_for(self._wait(run_id), timeout_s)
        except asyncio.TimeoutError as error:
            raise errors.WaitTimeoutError(run_id, timeout_s or 0.0) from error
        if check and run.status != runs_pb2.RUN_STATUS_SUCCESS:
            failure = documents.failure_line(run.failure) if run.HasField("failure") else ""
            raise errors.RunFailedError(run_id, documents.enum_name(run, "status"), failure)
        return run

    def watch_output(
        self,
        run_id: str,
        *,
        step_key: str = "",
        resume_token: str = "",
        patience_s: float | None = 60.0,
    ) -> watches.Watch[runs_pb2.GetRunOutputResponse]:
        """Return an iterator over what the steps of a run write, as it arrives, to its end.

        Args:
            run_id: The run.
            step_key: Only this step; empty means all.
            resume_token: Goes on after what the holder of the token has seen.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        stream = watches.Stream(
            self._stub.WatchRunOutput, _pieces_of, self._caller.address, ends=True
        )
        request = runs_pb2.WatchRunOutputRequest(
            run_id=run_id, step_key=step_key, resume_token=resume_token
        )
        return watches.Watch(stream, request, patience_s=patience_s)

    async def output(
        self, run_id: str, *, step_key: str = ""
    ) -> AsyncIterator[runs_pb2.GetRunOutputResponse]:
        """Yield what the steps of a run wrote, in order for each step and stream.

        Args:
            run_id: The run.
            step_key: Only this step; empty means all.
        """
        request = runs_pb2.GetRunOutputRequest(run_id=run_id, step_key=step_key)
        call = self._stub.GetRunOutput(request, timeout=OUTPUT_DEADLINE_S)
        try:
            async for piece in call:
                yield piece
        except grpc.aio.AioRpcError as error:
            raise rpc_errors.from_call(error, peer=self._caller.address) from error
        finally:
            call.cancel()

    async def _wait(self, run_id: str) -> runs_pb2.Run:
        run = await self._get_patiently(run_id)
        if run.status in FINAL_STATUSES:
            return run
        query = events_pb2.EventFilter(run_id=run_id, kinds=FINAL_KINDS)
        async with self._events.watch(query, from_beginning=True, patience_s=None) as watch:
            ended = asyncio.ensure_future(anext(watch))
            try:
                while run.status not in FINAL_STATUSES:
                    await asyncio.wait({ended}, timeout=_LOOK_EVERY_S)
                    if ended.done():
                        ended.result()
                    run = await self._get_patiently(run_id)
            finally:
                ended.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await ended
        return run

    async def _get_patiently(self, run_id: str) -> runs_pb2.Run:
        """Return a run as it is; a host that is started anew is waited for."""
        now = asyncio.get_running_loop().time
        ends_at = now() + _PATIENCE_S
        attempt = 0
        while True:
            attempt += 1
            pause_s = calls.backoff_s(attempt)
            try:
                return await self.get(run_id)
            except errors.UnavailableError:
                if now() + pause_s > ends_at:
                    raise
            await asyncio.sleep(pause_s)


def _run_of(answer: runs_pb2.WatchRunResponse) -> Sequence[runs_pb2.Run]:
    return [answer.run] if answer.HasField("run") else []


def _pieces_of(
    answer: runs_pb2.WatchRunOutputResponse,
) -> Sequence[runs_pb2.GetRunOutputResponse]:
    return answer.pieces

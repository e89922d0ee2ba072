"""RunsService: launch runs, look at them, follow them, run them again, cancel and delete them."""

from collections.abc import AsyncIterator, Mapping, Sequence

from atoll.api.v1 import runs_pb2, runs_pb2_grpc
from atoll_host import errors
from atoll_host import settings as host_settings
from atoll_host.access import callers
from atoll_host.api import (
    launching,
    pages,
    reexecuting,
    rendering,
    run_filters,
    run_streams,
)
from atoll_host.locations import registry as registries
from atoll_host.runs import waiting
from atoll_host.servicers import contexts
from atoll_storage import claiming, database, records, run_deletion

_CANCEL_REASON_DEFAULT = "canceled through the API"
_REASON_LENGTH_MAX = 2000
_CANCELED_AT_ONCE_MAX = 100
_NOT_ENDED = tuple(status for status in records.RunStatus if not status.is_final)
_NEEDS: Mapping[run_deletion.Need, str] = {
    run_deletion.Need.RETRY: "it failed, and the host has not decided yet whether to run it "
    "again. Try again in a moment.",
    run_deletion.Need.RUN_KEY: "a sensor asked for it under a run key, for which there is one "
    "run for ever. Keep it as long as there is the sensor.",
    run_deletion.Need.ASSET: "it says why an asset, or a partition of one, has no data. "
    "Materialize that first.",
    run_deletion.Need.RUN: "a run that has not ended goes back to it. Wait for the end of that.",
    run_deletion.Need.BACKFILL: "its backfill has not counted it yet, or needs it. Wait for the "
    "end of the backfill.",
}


class RunsServicer(runs_pb2_grpc.RunsServiceServicer):
    """Launches and shows runs."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        settings: host_settings.Settings,
        watches: run_streams.RunStreams,
    ) -> None:
        self._store = store
        self._watches = watches
        self._registry = registry
        self._limits = settings.claim_limits()
        self._launching = launching.Launching(store.runs, registry, store.partitions)

    async def LaunchRun(
        self, request: runs_pb2.LaunchRunRequest, context: contexts.Context
    ) -> runs_pb2.LaunchRunResponse:
        """Put a run into the queue."""
        record = await self._launching.launch(request)
        return runs_pb2.LaunchRunResponse(run=await self._rendered_one(record))

    async def GetRun(
        self, request: runs_pb2.GetRunRequest, context: contexts.Context
    ) -> runs_pb2.GetRunResponse:
        """Return one run."""
        record = await self._store.runs.get(request.run_id)
        if record is None:
            raise errors.UnknownRun(request.run_id)
        return runs_pb2.GetRunResponse(run=await self._rendered_one(record))

    async def ListRuns(
        self, request: runs_pb2.ListRunsRequest, context: contexts.Context
    ) -> runs_pb2.ListRunsResponse:
        """Return runs, newest first."""
        page = pages.Page(request)
        found, token = await self._page(page, run_filters.of_list(request))
        return runs_pb2.ListRunsResponse(runs=await self._rendered(found), next_page_token=token)

    async def CountRuns(
        self, request: runs_pb2.CountRunsRequest, context: contexts.Context
    ) -> runs_pb2.CountRunsResponse:
        """Return how many runs there are, by location and status."""
        counts = await self._store.runs.counts(run_filters.of(request.filter))
        return runs_pb2.CountRunsResponse(
            counts=[
                runs_pb2.RunCount(
                    location_name=location_name, status=rendering.status_number(status), count=count
                )
                for location_name, status, count in counts
            ]
        )

    async def WatchRun(
        self, request: runs_pb2.WatchRunRequest, context: contexts.Context
    ) -> AsyncIterator[runs_pb2.WatchRunResponse]:
        """Send a run whenever its status changed, until it has ended."""
        async for record, token in self._watches.states(request.run_id, request.resume_token):
            run = None if record is None else await self._rendered_one(record)
            yield runs_pb2.WatchRunResponse(run=run, resume_token=token)

    async def ReexecuteRun(
        self, request: runs_pb2.ReexecuteRunRequest, context: contexts.Context
    ) -> runs_pb2.ReexecuteRunResponse:
        """Queue a run that runs an ended one again."""
        parent = await self._store.runs.get(request.run_id)
        if parent is None:
            raise errors.UnknownRun(request.run_id)
        record = await self._launching.launch(reexecuting.launch_of(parent, request))
        return runs_pb2.ReexecuteRunResponse(run=await self._rendered_one(record))

    async def CancelRun(
        self, request: runs_pb2.CancelRunRequest, context: contexts.Context
    ) -> runs_pb2.CancelRunResponse:
        """Cancel a run that waits, or have a running one stopped."""
        record = await self._store.runs.request_cancel(request.run_id, _reason(request.reason))
        if record is None:
            raise errors.UnknownRun(request.run_id)
        return runs_pb2.CancelRunResponse(run=await self._rendered_one(record))

    async def CancelRuns(
        self, request: runs_pb2.CancelRunsRequest, context: contexts.Context
    ) -> runs_pb2.CancelRunsResponse:
        """Cancel a page of the runs of a filter that have not ended."""
        if not request.filter.ListFields():
            raise errors.InvalidRequest(
                "The filter is empty, which would cancel every run. Give a location, a job, a tag "
                "or another condition.",
                field="filter",
            )
        page = pages.Page(request, size_max=_CANCELED_AT_ONCE_MAX)
        query = run_filters.of(request.filter, only=_NOT_ENDED)
        found, token = await self._page(page, query)
        callers.current().require(callers.Role.LAUNCHER, {run.location_name for run in found})
        reason = _reason(request.reason)
        canceled: list[records.RunRecord] = []
        for run in found:
            record = await self._store.runs.request_cancel(run.run_id, reason)
            if record is not None:
                canceled.append(record)
        return runs_pb2.CancelRunsResponse(
            runs=await self._rendered(canceled), next_page_token=token
        )

    async def DeleteRun(
        self, request: runs_pb2.DeleteRunRequest, context: contexts.Context
    ) -> runs_pb2.DeleteRunResponse:
        """Remove a run that has ended and that nothing needs."""
        outcome = await self._store.run_deletion.delete(request.run_id)
        if outcome is None:
            raise errors.UnknownRun(request.run_id)
        if isinstance(outcome, run_deletion.Need):
            raise errors.RunNeeded(request.run_id, _NEEDS[outcome])
        if not outcome.is_final:
            raise errors.RunNotEnded(request.run_id, outcome.value, "delete it")
        return runs_pb2.DeleteRunResponse()

    async def WatchRunOutput(
        self, request: runs_pb2.WatchRunOutputRequest, context: contexts.Context
    ) -> AsyncIterator[runs_pb2.WatchRunOutputResponse]:
        """Send what the steps of a run write as it arrives, until the run has ended."""
        parts = self._watches.output(request.run_id, request.step_key, request.resume_token)
        async for pieces, token in parts:
            yield runs_pb2.WatchRunOutputResponse(
                pieces=[_output(piece) for piece in pieces], resume_token=token
            )

    async def GetRunOutput(
        self, request: runs_pb2.GetRunOutputRequest, context: contexts.Context
    ) -> AsyncIterator[runs_pb2.GetRunOutputResponse]:
        """Return what the steps of a run wrote to standard output and error."""
        if await self._store.runs.get(request.run_id) is None:
            raise errors.UnknownRun(request.run_id)
        async for piece in self._store.outputs.read(request.run_id, request.step_key or None):
            yield _output(piece)

    async def _page(
        self, page: pages.Page, query: records.RunQuery
    ) -> tuple[Sequence[records.RunRecord], str]:
        """Return the runs of a page, newest first, and the token of the next."""
        found = await self._store.runs.list(query, limit=page.size + 1, before=page.before)
        return page.fitting(found, lambda each: (each.create_time.isoformat(), each.run_id))

    async def _rendered(self, found: Sequence[records.RunRecord]) -> list[runs_pb2.Run]:
        waits = any(record.status is records.RunStatus.QUEUED for record in found)
        counts = claiming.Counts(self._limits)
        if waits:
            counts = await self._store.runs.claim_counts(self._limits)
        views = self._registry.locations()
        return [
            rendering.run(
                record,
                waiting_reason=waiting.reason(record, views.get(record.location_name), counts),
            )
            for record in found
        ]

    async def _rendered_one(self, record: records.RunRecord) -> runs_pb2.Run:
        return (await self._rendered([record]))[0]


def _reason(text: str) -> str:
    return text[:_REASON_LENGTH_MAX] or _CANCEL_REASON_DEFAULT


def _output(piece: records.OutputPiece) -> runs_pb2.GetRunOutputResponse:
    return runs_pb2.GetRunOutputResponse(
        step_key=piece.step_key,
        stream=piece.stream,  # type: ignore[arg-type] # stored as its number
        offset=piece.offset,
        data=piece.data,
    )

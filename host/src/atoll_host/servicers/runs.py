"""RunsService: launch runs, look at them, cancel them."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence

from atoll.api.v1 import runs_pb2, runs_pb2_grpc
from atoll_host import errors
from atoll_host import settings as host_settings
from atoll_host.api import launching, pages, rendering
from atoll_host.locations import registry as registries
from atoll_host.runs import waiting
from atoll_host.servicers import contexts
from atoll_storage import claiming, database, records

_CANCEL_REASON_DEFAULT = "canceled through the API"
_REASON_LENGTH_MAX = 2000


class RunsServicer(runs_pb2_grpc.RunsServiceServicer):
    """Launches and shows runs."""

    def __init__(
        self,
        store: database.Database,
        registry: registries.Registry,
        settings: host_settings.Settings,
    ) -> None:
        self._store = store
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
        before = None
        if page.after:
            before = (dt.datetime.fromisoformat(str(page.after[0])), str(page.after[1]))
        query = records.RunQuery(
            location_name=request.location_name or None,
            job_name=request.job_name or None,
            statuses=tuple(_status(number) for number in request.statuses),
        )
        found = await self._store.runs.list(query, limit=page.size + 1, before=before)
        shown = found[: page.size]
        token = ""
        if len(found) > page.size:
            token = page.token(shown[-1].create_time.isoformat(), shown[-1].run_id)
        return runs_pb2.ListRunsResponse(runs=await self._rendered(shown), next_page_token=token)

    async def CancelRun(
        self, request: runs_pb2.CancelRunRequest, context: contexts.Context
    ) -> runs_pb2.CancelRunResponse:
        """Cancel a run that waits, or have a running one stopped."""
        reason = request.reason[:_REASON_LENGTH_MAX] or _CANCEL_REASON_DEFAULT
        record = await self._store.runs.request_cancel(request.run_id, reason)
        if record is None:
            raise errors.UnknownRun(request.run_id)
        return runs_pb2.CancelRunResponse(run=await self._rendered_one(record))

    async def GetRunOutput(
        self, request: runs_pb2.GetRunOutputRequest, context: contexts.Context
    ) -> AsyncIterator[runs_pb2.GetRunOutputResponse]:
        """Return what the steps of a run wrote to standard output and error."""
        if await self._store.runs.get(request.run_id) is None:
            raise errors.UnknownRun(request.run_id)
        async for piece in self._store.outputs.read(request.run_id, request.step_key or None):
            yield runs_pb2.GetRunOutputResponse(
                step_key=piece.step_key,
                stream=piece.stream,  # type: ignore[arg-type] # stored as its number
                offset=piece.offset,
                data=piece.data,
            )

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


def _status(number: int) -> records.RunStatus:
    status = rendering.run_status(number)
    if status is None:
        raise errors.InvalidRequest(
            f"{number} is no status of a run. Name one of atoll.api.v1.RunStatus.", field="statuses"
        )
    return status

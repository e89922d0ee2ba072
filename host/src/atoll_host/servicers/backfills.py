"""BackfillsService: backfills, for everyone."""

from atoll.api.v1 import backfills_pb2, backfills_pb2_grpc
from atoll.definitions.v1 import values_pb2
from atoll_host import errors, moments
from atoll_host.api import backfilling, pages
from atoll_host.automation.backfills import counting, targets
from atoll_host.servicers import contexts
from atoll_storage import backfill_records, backfill_store

_CHOICES = {
    backfills_pb2.BACKFILL_CHOICE_UNSPECIFIED: targets.Choice.NAMED,
    backfills_pb2.BACKFILL_CHOICE_ALL: targets.Choice.ALL,
    backfills_pb2.BACKFILL_CHOICE_MISSING: targets.Choice.MISSING,
    backfills_pb2.BACKFILL_CHOICE_FAILED: targets.Choice.FAILED,
}
_PREFIX = "BACKFILL_STATUS_"


class BackfillsServicer(backfills_pb2_grpc.BackfillsServiceServicer):
    """Makes, shows and steers backfills."""

    def __init__(
        self, backfills: backfilling.Backfilling, store: backfill_store.BackfillStore
    ) -> None:
        self._backfills = backfills
        self._store = store

    async def CreateBackfill(
        self, request: backfills_pb2.CreateBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.CreateBackfillResponse:
        """Begin a backfill, or tell what it would be."""
        choice = _CHOICES.get(request.choice)
        if choice is None:
            raise errors.InvalidRequest(
                f"{request.choice} is no choice of partitions. Give one of BackfillChoice.",
                field="choice",
            )
        asked = targets.Asked(
            paths=tuple(dict.fromkeys(tuple(key.path) for key in request.asset_keys)),
            job_name=request.job_name,
            location_name=request.location_name,
            partition_keys=tuple(request.partition_keys),
            ranges=tuple((each.start, each.end) for each in request.partition_ranges),
            choice=choice,
        )
        wish = backfilling.Wish(
            asked, request.title, dict(request.tags), request.request_id, request.dry_run
        )
        shown = await self._backfills.create(wish)
        return backfills_pb2.CreateBackfillResponse(backfill=_full(shown))

    async def GetBackfill(
        self, request: backfills_pb2.GetBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.GetBackfillResponse:
        """Return one backfill with its progress."""
        shown = await self._backfills.show(request.backfill_id)
        return backfills_pb2.GetBackfillResponse(backfill=_full(shown))

    async def ListBackfills(
        self, request: backfills_pb2.ListBackfillsRequest, context: contexts.Context
    ) -> backfills_pb2.ListBackfillsResponse:
        """Return backfills, newest first."""
        page = pages.Page(request)
        found = await self._store.page(
            statuses=[_status_of(each) for each in request.statuses],
            limit=page.size + 1,
            before=page.before,
        )
        shown, token = page.fitting(
            found, lambda each: (each.create_time.isoformat(), each.backfill_id)
        )
        return backfills_pb2.ListBackfillsResponse(
            backfills=[_of_record(each) for each in shown], next_page_token=token
        )

    async def ListBackfillPartitions(
        self, request: backfills_pb2.ListBackfillPartitionsRequest, context: contexts.Context
    ) -> backfills_pb2.ListBackfillPartitionsResponse:
        """Return partitions of one part of a backfill."""
        page = pages.Page(request)
        shown = await self._backfills.show(request.backfill_id)
        planned, progress = shown.planned, shown.progress
        path = tuple(request.asset_key.path)
        place = None
        if planned is not None and progress is not None:
            paths = [part.path for part in planned.parts]
            place = paths.index(path) if path in paths else None
        if planned is None or progress is None or place is None:
            name = "/".join(path)
            raise errors.UnknownAsset(
                f"Backfill {request.backfill_id!r} has no asset {name!r} that is defined now. "
                "Look at the backfill.",
                asset_key=name,
            )
        start = page.after_id
        found, more = counting.page(
            planned.parts[place].subset,
            counting.by_state(planned, progress)[place],
            request.state,
            start=start,
            size=page.size,
        )
        return backfills_pb2.ListBackfillPartitionsResponse(
            partitions=found, next_page_token=page.token(start + len(found)) if more else ""
        )

    async def CancelBackfill(
        self, request: backfills_pb2.CancelBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.CancelBackfillResponse:
        """End a backfill."""
        record = await self._backfills.cancel(request.backfill_id)
        return backfills_pb2.CancelBackfillResponse(backfill=_of_record(record))

    async def PauseBackfill(
        self, request: backfills_pb2.PauseBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.PauseBackfillResponse:
        """Have a backfill request nothing more for now."""
        record = await self._backfills.pause(request.backfill_id)
        return backfills_pb2.PauseBackfillResponse(backfill=_of_record(record))

    async def ResumeBackfill(
        self, request: backfills_pb2.ResumeBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.ResumeBackfillResponse:
        """Have a paused backfill go on."""
        record = await self._backfills.resume(request.backfill_id)
        return backfills_pb2.ResumeBackfillResponse(backfill=_of_record(record))

    async def RetryBackfill(
        self, request: backfills_pb2.RetryBackfillRequest, context: contexts.Context
    ) -> backfills_pb2.RetryBackfillResponse:
        """Have a backfill request again what failed."""
        record = await self._backfills.retry(request.backfill_id)
        return backfills_pb2.RetryBackfillResponse(backfill=_of_record(record))


def _status_of(
    number: "backfills_pb2.BackfillStatus.ValueType",
) -> backfill_records.BackfillStatus:
    try:
        name = backfills_pb2.BackfillStatus.Name(number).removeprefix(_PREFIX)
        return backfill_records.BackfillStatus(name)
    except ValueError as error:
        raise errors.InvalidRequest(
            f"{number} is no state of backfills. Give values of BackfillStatus.", field="statuses"
        ) from error


def _of_record(record: backfill_records.BackfillRecord) -> backfills_pb2.Backfill:
    stored = backfills_pb2.BackfillProgress.FromString(record.progress)
    target = backfills_pb2.BackfillTarget.FromString(record.target)
    message = backfills_pb2.Backfill(
        backfill_id=record.backfill_id,
        title=record.title,
        status=backfills_pb2.BackfillStatus.Value(f"{_PREFIX}{record.status.value}"),
        tags=record.tags,
        create_time=moments.timestamp(record.create_time),
        update_time=moments.timestamp(record.update_time),
        run_count=record.run_count,
        failure=record.failure,
        counts=stored.counts,
        location_names=sorted({part.location_name for part in target.parts} - {""}),
    )
    if record.end_time is not None:
        message.end_time.FromDatetime(record.end_time)
    return message


def _full(shown: backfilling.Shown) -> backfills_pb2.Backfill:
    message = backfills_pb2.Backfill()
    if shown.record is not None:
        message = _of_record(shown.record)
    if shown.planned is None or shown.progress is None:
        return message
    states = counting.by_state(shown.planned, shown.progress)
    planned = shown.planned
    for place in sorted(range(len(states)), key=lambda place: planned.units[place]):
        part = planned.parts[place]
        added = message.parts.add(
            job_name=part.job_name,
            location_name=part.location_name,
            counts=counting.counts(states[place]),
            partitioned=not part.is_whole,
        )
        if part.path:
            added.asset_key.CopyFrom(values_pb2.AssetKey(path=part.path))
    message.counts.CopyFrom(counting.together(part.counts for part in message.parts))
    return message

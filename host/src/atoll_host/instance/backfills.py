"""Answers what user code asks of backfills.

Called by the instance servicer. Read-only.
"""

from atoll.api.v1 import backfills_pb2
from atoll.mesh.v1 import instance_pb2
from atoll_host.instance import queries
from atoll_storage import backfill_records, backfill_store


class BackfillQueries:
    """Reads backfills for user code."""

    def __init__(self, store: backfill_store.BackfillStore) -> None:
        self._store = store

    async def backfills(
        self, request: instance_pb2.ListBackfillsRequest
    ) -> instance_pb2.ListBackfillsResponse:
        """Return backfills, newest first.

        Raises:
            errors.InvalidRequest: The size is wrong.
        """
        if request.backfill_id:
            found = await self._store.get(request.backfill_id)
            shown = [] if found is None else [_backfill(found)]
            return instance_pb2.ListBackfillsResponse(backfills=shown)
        known = backfill_records.BackfillStatus.__members__
        statuses = [known[status] for status in request.statuses if status in known]
        if request.statuses and not statuses:
            return instance_pb2.ListBackfillsResponse()
        before = None
        if request.after_backfill_id:
            last = await self._store.get(request.after_backfill_id)
            if last is None:
                return instance_pb2.ListBackfillsResponse()
            before = (last.create_time, last.backfill_id)
        size = queries.page_size(request.page_size)
        page = await self._store.page(statuses=statuses, limit=size + 1, before=before)
        return instance_pb2.ListBackfillsResponse(
            backfills=map(_backfill, page[:size]), has_more=len(page) > size
        )


def _backfill(record: backfill_records.BackfillRecord) -> instance_pb2.InstanceBackfill:
    target = backfills_pb2.BackfillTarget.FromString(record.target)
    message = instance_pb2.InstanceBackfill(
        backfill_id=record.backfill_id,
        status=record.status.value,
        title=record.title,
        tags=record.tags,
        asset_keys=[part.asset_key for part in target.parts if part.HasField("asset_key")],
        job_name=target.parts[0].job_name if target.parts else "",
    )
    message.create_time.FromDatetime(record.create_time)
    if record.end_time is not None:
        message.end_time.FromDatetime(record.end_time)
    return message

"""Answers what user code asks of runs.

Called by the instance servicer. Read-only.
"""

import dataclasses

from atoll.definitions.v1 import values_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from atoll_host import errors, moments
from atoll_host.instance import queries
from atoll_host.policy import reading
from atoll_storage import records, run_store

_ORDERS = {
    instance_pb2.RUN_ORDER_UNSPECIFIED: records.RunOrder.CREATE_TIME,
    instance_pb2.RUN_ORDER_CREATE_TIME: records.RunOrder.CREATE_TIME,
    instance_pb2.RUN_ORDER_UPDATE_TIME: records.RunOrder.UPDATE_TIME,
}


class RunQueries:
    """Reads runs for user code."""

    def __init__(self, store: run_store.RunStore, reading: reading.Reading | None = None) -> None:
        """Make queries.

        Args:
            store: Where runs are.
            reading: What locations may read of each other; None for anything.
        """
        self._store = store
        self._reading = reading

    async def run(self, run_id: str, reader: str = "") -> mesh_pb2.GetRunResponse:
        """Return what user code may know of a run; empty when there is none of that id.

        Raises:
            errors.PolicyForbids: The location that asks may not read it.
        """
        record = await self._store.get(run_id)
        if record is not None and self._reading is not None:
            self._reading.require_job(reader, record.location_name, record.job_name)
        return mesh_pb2.GetRunResponse(run=None if record is None else _run(record))

    async def runs(
        self, request: mesh_pb2.ListRunsRequest, reader: str = ""
    ) -> mesh_pb2.ListRunsResponse:
        """Return runs that the location that asks may read.

        Raises:
            errors.InvalidRequest: The order, the size or a time is wrong.
        """
        order = _ORDERS.get(request.order)
        if order is None:
            raise errors.InvalidRequest(
                f"{request.order} is no order of runs. Name one of atoll.mesh.v1.RunOrder.",
                field="order",
            )
        query = self._query(request.selection, reader)
        if query is None:
            return mesh_pb2.ListRunsResponse()
        found, has_more = await self._store.page(
            query,
            order=order,
            ascending=request.ascending,
            after_run_id=request.after_run_id,
            limit=queries.page_size(request.page_size),
        )
        return mesh_pb2.ListRunsResponse(runs=map(_run, found), has_more=has_more)

    async def count(
        self, request: instance_pb2.GetRunCountRequest, reader: str = ""
    ) -> instance_pb2.GetRunCountResponse:
        """Return how many runs there are."""
        query = self._query(request.selection, reader)
        count = 0 if query is None else await self._store.count(query)
        return instance_pb2.GetRunCountResponse(count=count)

    def _query(self, selection: instance_pb2.RunSelection, reader: str) -> records.RunQuery | None:
        query = _query(selection)
        if query is None or self._reading is None:
            return query
        return dataclasses.replace(query, readable=self._reading.runs(reader))


def _query(selection: instance_pb2.RunSelection) -> records.RunQuery | None:
    """Return the query of a selection; None for one that no run can fulfil."""
    queries.check_count("run_ids", selection.run_ids, queries.KEYS_MAX)
    known = records.RunStatus.__members__
    statuses = tuple(known[status] for status in selection.statuses if status in known)
    if selection.statuses and not statuses:
        return None

    return records.RunQuery(
        job_name=selection.job_name or None,
        statuses=statuses,
        run_ids=tuple(selection.run_ids) or None,
        tags={each.key: tuple(each.values) for each in selection.tags if each.values},
        absent_tags=tuple(selection.absent_tag_keys),
        created_after=moments.of(selection, "created_after"),
        created_before=moments.of(selection, "created_before"),
        updated_after=moments.of(selection, "updated_after"),
        updated_before=moments.of(selection, "updated_before"),
    )


def _run(record: records.RunRecord) -> mesh_pb2.InstanceRun:
    target = record.target
    run = mesh_pb2.InstanceRun(
        run_id=record.run_id,
        job_name=record.job_name,
        location_name=record.location_name,
        status=record.status.value,
        tags=record.tags,
        asset_selection=[values_pb2.AssetKey(path=path) for path in record.asset_selection],
        partition_key=record.partition_key,
        partition_range_start=target.partition_range_start,
        partition_range_end=target.partition_range_end,
        op_selection=target.op_selection,
        asset_check_selection=[
            values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=path), name=name)
            for path, name in target.asset_check_selection
        ],
        step_keys=target.step_keys,
        parent_run_id=target.parent_run_id,
        root_run_id=target.root_run_id,
        create_time=moments.timestamp(record.create_time),
        start_time=moments.timestamp(record.start_time),
        end_time=moments.timestamp(record.end_time),
        update_time=moments.timestamp(record.update_time),
        record_id=record.queue_order,
    )
    if record.run_config is not None:
        run.run_config.content_type = "application/json"
        run.run_config.data = record.run_config
    return run

"""Answers what user code asks of the instance: newest materializations, events of an asset, runs.

Called by the instance servicer for code servers, which relay for their processes. Read-only.
"""

from typing import Literal

from atoll.definitions.v1 import values_pb2
from atoll.mesh.v1 import mesh_pb2
from atoll_host import errors
from atoll_storage import database

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1000
KEYS_MAX = 10_000

_KINDS: dict[int, Literal["materialization", "observation"]] = {
    mesh_pb2.ASSET_EVENT_KIND_MATERIALIZATION: "materialization",
    mesh_pb2.ASSET_EVENT_KIND_OBSERVATION: "observation",
}


class InstanceQueries:
    """Reads for user code."""

    def __init__(self, store: database.Database) -> None:
        self._store = store

    async def latest_materializations(
        self, request: mesh_pb2.GetLatestMaterializationsRequest
    ) -> mesh_pb2.GetLatestMaterializationsResponse:
        """Return the newest materialization of each asset that has one.

        Raises:
            errors.InvalidRequest: Too many keys, or an empty one.
        """
        if len(request.asset_keys) > KEYS_MAX:
            raise errors.InvalidRequest(
                f"The query names {len(request.asset_keys)} assets; {KEYS_MAX} is the most.",
                field="asset_keys",
            )
        paths = [_path(key) for key in request.asset_keys]
        events = await self._store.events.latest_materializations(paths)
        return mesh_pb2.GetLatestMaterializationsResponse(events=events)

    async def asset_events(
        self, request: mesh_pb2.ListAssetEventsRequest
    ) -> mesh_pb2.ListAssetEventsResponse:
        """Return events of one asset.

        Raises:
            errors.InvalidRequest: The kind, the key or the size is wrong.
        """
        kind = _KINDS.get(request.kind)
        if kind is None:
            raise errors.InvalidRequest(
                f"The kind of asset events is {request.kind}. Ask for materializations or "
                "observations.",
                field="kind",
            )
        if request.page_size < 0:
            raise errors.InvalidRequest(
                f"page_size is {request.page_size}; it must not be negative.", field="page_size"
            )
        events, has_more = await self._store.events.list_asset_events(
            _path(request.asset_key),
            kind=kind,
            after_id=request.after_id,
            before_id=request.before_id,
            ascending=request.ascending,
            limit=min(request.page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX),
            partitions=tuple(request.partitions),
        )
        return mesh_pb2.ListAssetEventsResponse(events=events, has_more=has_more)

    async def run(self, run_id: str) -> mesh_pb2.GetRunResponse:
        """Return what user code may know of a run; empty when there is none of that id."""
        record = await self._store.runs.get(run_id)
        if record is None:
            return mesh_pb2.GetRunResponse()
        run = mesh_pb2.InstanceRun(
            run_id=record.run_id,
            job_name=record.job_name,
            location_name=record.location_name,
            status=record.status.value,
            tags=record.tags,
        )
        if record.run_config is not None:
            run.run_config.CopyFrom(
                values_pb2.UserData(content_type="application/json", data=record.run_config)
            )
        return mesh_pb2.GetRunResponse(run=run)


def _path(key: values_pb2.AssetKey) -> tuple[str, ...]:
    if not key.path:
        raise errors.InvalidRequest(
            "An asset key has no parts. Give at least one.", field="asset_key"
        )
    return tuple(key.path)

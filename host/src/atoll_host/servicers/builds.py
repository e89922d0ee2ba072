"""BuildsService: which builds of locations were loaded, and what changed between them."""

import asyncio

from google.protobuf import message as protobuf_message

from atoll.api.v1 import builds_pb2, builds_pb2_grpc
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host import errors, moments
from atoll_host.api import build_changes, pages
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import database, load_store

CHANGES_MAX = 10_000


class BuildsServicer(builds_pb2_grpc.BuildsServiceServicer):
    """Shows loads of locations."""

    def __init__(self, store: database.Database, registry: registries.Registry) -> None:
        self._store = store
        self._registry = registry

    async def ListLoads(
        self, request: builds_pb2.ListLoadsRequest, context: contexts.Context
    ) -> builds_pb2.ListLoadsResponse:
        """Return the loads of one location, newest first."""
        page = pages.Page(request)
        self._registry.location(request.location_name)
        loads, more = await self._store.loads.page(
            request.location_name,
            before_id=page.after_id,
            limit=page.size,
        )
        return builds_pb2.ListLoadsResponse(
            loads=[_rendered(load) for load in loads],
            next_page_token=page.token(loads[-1].load_id) if more else "",
        )

    async def GetBuildChanges(
        self, request: builds_pb2.GetBuildChangesRequest, context: contexts.Context
    ) -> builds_pb2.GetBuildChangesResponse:
        """Return what one build of a location defines otherwise than another."""
        view = self._registry.location(request.location_name)
        to_id = request.to_build_id or ("" if view.build is None else view.build.build_id)
        newer = await self._load(request.location_name, to_id)
        if request.from_build_id:
            older = await self._load(request.location_name, request.from_build_id)
        else:
            found = await self._store.loads.before(newer)
            if found is None:
                raise errors.UnknownBuild(
                    f"No build of location {request.location_name!r} is remembered from before "
                    f"{to_id!r}. Name the one to compare with.",
                    location_name=request.location_name,
                    build_id=to_id,
                )
            older = found
        before, after = await self._snapshot(older), await self._snapshot(newer)
        changes = await asyncio.to_thread(build_changes.changes, before, after)
        return builds_pb2.GetBuildChangesResponse(
            from_build=older.build,
            to_build=newer.build,
            changes=changes[:CHANGES_MAX],
            is_truncated=len(changes) > CHANGES_MAX,
        )

    async def _load(self, location_name: str, build_id: str) -> load_store.LoadRecord:
        load = await self._store.loads.of_build(location_name, build_id) if build_id else None
        if load is None:
            raise errors.UnknownBuild(
                f"Location {location_name!r} is not known to have loaded a build {build_id!r}. "
                "List its builds.",
                location_name=location_name,
                build_id=build_id,
            )
        return load

    async def _snapshot(self, load: load_store.LoadRecord) -> snapshot_pb2.LocationSnapshot:
        build = load.build or location_pb2.Build()
        encoded = await self._store.locations.load_snapshot(build.definitions_digest)
        if encoded is not None:
            try:
                return await asyncio.to_thread(snapshot_pb2.LocationSnapshot.FromString, encoded)
            except protobuf_message.DecodeError:
                pass  # of a release that wrote otherwise: as good as gone
        raise errors.UnknownBuild(
            f"What build {build.build_id!r} of location {load.location_name!r} defines is no "
            "longer stored. Compare builds that are newer.",
            location_name=load.location_name,
            build_id=build.build_id,
        )


def _rendered(load: load_store.LoadRecord) -> builds_pb2.Load:
    return builds_pb2.Load(
        load_id=load.load_id,
        location_name=load.location_name,
        server_id=load.server_id,
        create_time=moments.timestamp(load.create_time),
        build=load.build,
        failure=load.failure,
    )

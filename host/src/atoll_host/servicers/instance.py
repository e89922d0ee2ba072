"""InstanceService: what user code asks of the instance, relayed by code servers."""

from atoll.mesh.v1 import mesh_pb2, mesh_pb2_grpc
from atoll_host.instance import queries
from atoll_host.servicers import contexts


class InstanceServicer(mesh_pb2_grpc.InstanceServiceServicer):
    """Serves user code."""

    def __init__(self, instance_queries: queries.InstanceQueries) -> None:
        self._queries = instance_queries

    async def GetLatestMaterializations(
        self, request: mesh_pb2.GetLatestMaterializationsRequest, context: contexts.Context
    ) -> mesh_pb2.GetLatestMaterializationsResponse:
        """Return the newest materialization of each asset that has one."""
        return await self._queries.latest_materializations(request)

    async def ListAssetEvents(
        self, request: mesh_pb2.ListAssetEventsRequest, context: contexts.Context
    ) -> mesh_pb2.ListAssetEventsResponse:
        """Return materializations or observations of one asset."""
        return await self._queries.asset_events(request)

    async def GetRun(
        self, request: mesh_pb2.GetRunRequest, context: contexts.Context
    ) -> mesh_pb2.GetRunResponse:
        """Return one run."""
        return await self._queries.run(request.run_id)

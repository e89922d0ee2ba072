"""A host that only takes registrations: tells when a code server has a build, and nothing else.

For tests and benchmarks of a code server alone: no database, no graph, no other process.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

from google.protobuf import duration_pb2

from atoll._rpc import info, serving
from atoll.mesh.v1 import mesh_pb2, mesh_pb2_grpc
from atoll.rpc.v1 import server_info_pb2

LEASE_TTL_S = 10


class SimulatedHost(mesh_pb2_grpc.MeshServiceServicer):
    """Accepts sessions.

    Attributes:
        address: Where it listens.
        code_server_address: Where the code server that registered last listens.
    """

    def __init__(self) -> None:
        self.address = ""
        self.code_server_address = ""
        self._states: asyncio.Queue[mesh_pb2.LocationUpdate] = asyncio.Queue()

    async def next_state(self) -> mesh_pb2.LocationUpdate:
        """Wait until a code server tells that a build of it serves, or that one failed to load."""
        return await self._states.get()

    async def Session(  # noqa: N802  # the name of the rpc
        self, requests: AsyncIterator[mesh_pb2.SessionRequest], _context: object
    ) -> AsyncIterator[mesh_pb2.SessionResponse]:
        """Accept a registration and answer pings."""
        async for request in requests:
            kind = request.WhichOneof("message")
            state = request.registration.state if kind == "registration" else request.update
            if state.HasField("current_build") or state.HasField("load_failure"):
                self._states.put_nowait(state)
            if kind == "registration":
                self.code_server_address = request.registration.address
                lease = duration_pb2.Duration(seconds=LEASE_TTL_S)
                registered = mesh_pb2.Registered(epoch=1, lease_ttl=lease, protocol_version=1)
                yield mesh_pb2.SessionResponse(registered=registered)
            elif kind == "ping":
                yield mesh_pb2.SessionResponse(pong=mesh_pb2.Pong())


@contextlib.asynccontextmanager
async def serve() -> AsyncGenerator[SimulatedHost, None]:
    """Serve a simulated host on a free port."""
    host = SimulatedHost()
    server = serving.GrpcServer(
        "127.0.0.1:0",
        facts=info.ServerFacts(
            kind=server_info_pb2.SERVER_KIND_HOST, version="0", instance_id=str(uuid.uuid4())
        ),
        services=[
            serving.Service(
                "atoll.mesh.v1.MeshService",
                mesh_pb2_grpc.add_MeshServiceServicer_to_server,
                host,
            )
        ],
    )
    await server.start()
    host.address = server.address
    try:
        yield host
    finally:
        await server.stop(0)

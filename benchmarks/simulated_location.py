"""Code servers without code: sessions, definitions and runs as a host sees them, without processes.

For cases that measure the host alone. A simulated location registers, keeps its lease, serves a
snapshot that the case gives it, accepts runs, and appends what events the case wants.
"""

import asyncio
import contextlib
import hashlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from google.protobuf import duration_pb2

from atoll._rpc import info, serving
from atoll._server import session as code_server_session
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import mesh_pb2, mesh_pb2_grpc
from atoll.rpc.v1 import server_info_pb2

_CHUNK_BYTES = 1_000_000
_PINGS_A_LEASE = 3


class SimulatedLocation(location_pb2_grpc.CodeLocationServiceServicer):
    """One code location without code.

    Attributes:
        name: The name of the location.
        started: The plans of the runs that the host handed over.
    """

    def __init__(self, name: str, snapshot: snapshot_pb2.LocationSnapshot) -> None:
        self.name = name
        self.started: asyncio.Queue[location_pb2.RunPlan] = asyncio.Queue()
        self._snapshot = snapshot.SerializeToString(deterministic=True)
        self._server_id = str(uuid.uuid4())
        self._epoch = 0
        self._build = location_pb2.Build(
            build_id=f"simulated-{name}",
            definitions_digest=hashlib.sha256(self._snapshot).hexdigest(),
            definitions_size_bytes=len(self._snapshot),
            start_method=location_pb2.START_METHOD_FORK,
            start_method_reason="simulated",
        )

    async def keep_session(self, channel: Any, address: str, joined: asyncio.Event) -> None:
        """Register and keep the lease until cancelled."""
        call = mesh_pb2_grpc.MeshServiceStub(channel).Session()
        state = mesh_pb2.LocationUpdate(current_build=self._build)
        registration = mesh_pb2.Registration(
            location_name=self.name,
            server_id=self._server_id,
            incarnation_id=str(uuid.uuid4()),
            address=address,
            protocol_version=info.PROTOCOL_VERSION,
            oldest_protocol_version=info.OLDEST_PROTOCOL_VERSION,
            version="0",
            state=state,
        )
        await call.write(mesh_pb2.SessionRequest(registration=registration))
        answer = await call.read()
        self._epoch = answer.registered.epoch
        joined.set()
        lease: duration_pb2.Duration = answer.registered.lease_ttl
        while True:
            every_s = lease.ToTimedelta().total_seconds() / _PINGS_A_LEASE
            await asyncio.sleep(code_server_session.pause_s(time.time(), every_s))
            await call.write(mesh_pb2.SessionRequest(ping=mesh_pb2.Ping()))
            await call.read()

    @property
    def build_id(self) -> str:
        """The one build there is."""
        return self._build.build_id

    def batch(self, events: list[events_pb2.Event]) -> mesh_pb2.AppendEventsRequest:
        """Return a request that appends events in the name of this location."""
        return mesh_pb2.AppendEventsRequest(
            location_name=self.name, server_id=self._server_id, epoch=self._epoch, events=events
        )

    async def Describe(self, _request: object, _context: object) -> location_pb2.DescribeResponse:  # noqa: N802
        """Tell the one build there is."""
        return location_pb2.DescribeResponse(
            location_name=self.name, server_id=self._server_id, current_build=self._build
        )

    async def StreamDefinitions(  # noqa: N802
        self, _request: object, _context: object
    ) -> AsyncIterator[location_pb2.StreamDefinitionsResponse]:
        """Send the snapshot."""
        for start in range(0, len(self._snapshot), _CHUNK_BYTES):
            yield location_pb2.StreamDefinitionsResponse(
                chunk=self._snapshot[start : start + _CHUNK_BYTES]
            )

    async def StartRun(  # noqa: N802
        self, request: location_pb2.StartRunRequest, _context: object
    ) -> location_pb2.StartRunResponse:
        """Accept a run."""
        self.started.put_nowait(request.plan)
        return location_pb2.StartRunResponse(build_id=self._build.build_id)

    async def ListRuns(self, _request: object, _context: object) -> location_pb2.ListRunsResponse:  # noqa: N802
        """Hold no run."""
        return location_pb2.ListRunsResponse()


@contextlib.asynccontextmanager
async def join(location: SimulatedLocation, host_address: str) -> AsyncGenerator[Any, None]:
    """Serve a simulated location and keep its session; gives its channel to the host."""
    server = serving.GrpcServer(
        "127.0.0.1:0",
        facts=info.ServerFacts(
            kind=server_info_pb2.SERVER_KIND_CODE_SERVER,
            version="0",
            instance_id=str(uuid.uuid4()),
        ),
        services=[
            serving.Service(
                "atoll.location.v1.CodeLocationService",
                location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
                location,
            )
        ],
    )
    await server.start()
    channel = serving.channel(host_address)
    joined = asyncio.Event()
    session = asyncio.create_task(location.keep_session(channel, server.address, joined))
    try:
        waiting = asyncio.create_task(joined.wait())
        await asyncio.wait({session, waiting}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if not joined.is_set():
            waiting.cancel()
            await session
            raise TimeoutError(f"{location.name} did not join")
        yield channel
    finally:
        session.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await session
        await channel.close()
        await server.stop(0)

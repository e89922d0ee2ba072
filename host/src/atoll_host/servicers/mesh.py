"""MeshService: sessions, events and output of code servers.

Both streams are read by a task of their own, so that answers and requests do not wait for each
other. A stream is read no further while what it brought waits for room: that is the back-pressure
which reaches the code server.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from atoll.mesh.v1 import credentials_pb2, mesh_pb2, mesh_pb2_grpc
from atoll_host import changes as host_changes
from atoll_host import errors
from atoll_host.access import runs_at_work
from atoll_host.intake import appending
from atoll_host.locations import sessions as location_sessions
from atoll_host.servicers import contexts
from atoll_storage import errors as storage_errors
from atoll_storage import output_store, records

_FIRST_MESSAGE_TIMEOUT_S = 10.0
_BATCHES_IN_FLIGHT_MAX = 128
_BYTES_IN_FLIGHT_MAX = 16 * 1024 * 1024

_Pending = tuple[Sequence[asyncio.Future[records.BatchOutcome]], mesh_pb2.AppendEventsRequest, int]


class MeshServicer(mesh_pb2_grpc.MeshServiceServicer):
    """Serves code servers."""

    def __init__(
        self,
        sessions: location_sessions.Sessions,
        intake: appending.Intake,
        outputs: output_store.OutputStore,
        at_work: runs_at_work.RunsAtWork,
        changes: host_changes.Changes,
    ) -> None:
        self._at_work = at_work
        self._sessions = sessions
        self._intake = intake
        self._outputs = outputs
        self._changes = changes

    async def Session(
        self, request_iterator: AsyncIterator[mesh_pb2.SessionRequest], context: contexts.Context
    ) -> AsyncIterator[mesh_pb2.SessionResponse]:
        """Register a location and keep its lease for as long as pings arrive."""
        first = await _first(request_iterator)
        session, registered = await self._sessions.open(first)
        reader = asyncio.create_task(self._read_session(session, request_iterator))
        try:
            yield mesh_pb2.SessionResponse(registered=registered)
            while (said := await session.outgoing.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            reader.cancel()
            # Also when the call is cancelled: the others must see at once that the location is
            # away.
            await asyncio.shield(self._sessions.close(session))

    async def AppendEvents(
        self,
        request_iterator: AsyncIterator[mesh_pb2.AppendEventsRequest],
        context: contexts.Context,
    ) -> AsyncIterator[mesh_pb2.AppendEventsResponse]:
        """Store events exactly once; acknowledge what is durable, in the order of batches."""
        flow = _Flow()
        reader = asyncio.create_task(self._read_events(flow, request_iterator))
        try:
            while (item := await flow.pending.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                futures, request, size = item
                outcomes = [await future for future in futures]
                flow.release(size)
                yield _acknowledged(request, outcomes)
        finally:
            reader.cancel()

    async def AppendOutput(
        self, request: mesh_pb2.AppendOutputRequest, context: contexts.Context
    ) -> mesh_pb2.AppendOutputResponse:
        """Store a piece of captured output at its offset."""
        if request.stream == mesh_pb2.OUTPUT_STREAM_UNSPECIFIED or not request.run_id:
            raise errors.InvalidRequest(
                f"The output of run {request.run_id!r} names the stream {request.stream}. Name a "
                "run, and standard output or standard error.",
                field="stream",
            )
        piece = records.OutputPiece(
            run_id=request.run_id,
            step_key=request.step_key,
            stream=request.stream,
            offset=request.offset,
            data=request.data,
        )
        next_offset = await self._outputs.append(
            piece,
            location_name=request.location_name,
            server_id=request.server_id,
            epoch=request.epoch,
        )
        self._changes.outputs.set()
        return mesh_pb2.AppendOutputResponse(next_offset=next_offset)

    async def RenewRunCredentials(
        self, request: credentials_pb2.RenewRunCredentialsRequest, context: contexts.Context
    ) -> credentials_pb2.RenewRunCredentialsResponse:
        """Give credentials for runs that are live and bound to the code server that asks."""
        renewed = await self._at_work.renewed(request)
        return credentials_pb2.RenewRunCredentialsResponse(credentials=renewed)

    async def _read_session(
        self,
        session: location_sessions.Session,
        requests: AsyncIterator[mesh_pb2.SessionRequest],
    ) -> None:
        try:
            async for request in requests:
                kind = request.WhichOneof("message")
                if kind == "ping":
                    self._sessions.ping(session)
                elif kind == "update":
                    await self._sessions.update(session, request.update)
                else:
                    raise errors.InvalidRequest(  # noqa: TRY301 - as whatever else fails
                        f"A session goes on with pings and updates; this message is {kind!r}.",
                        field="message",
                    )
        except Exception as error:  # noqa: BLE001 - handed to the stream, which fails with it
            session.fail(error)
        else:
            session.say(None)

    async def _read_events(
        self, flow: "_Flow", requests: AsyncIterator[mesh_pb2.AppendEventsRequest]
    ) -> None:
        try:
            async for request in requests:
                size = request.ByteSize()
                await flow.reserve(size)
                batch = records.EventBatch(
                    location_name=request.location_name,
                    server_id=request.server_id,
                    epoch=request.epoch,
                    events=request.events,
                )
                futures = await self._intake.submit(batch)
                await flow.pending.put((futures, request, size))
        except Exception as error:  # noqa: BLE001 - handed to the stream, which fails with it
            await flow.pending.put(error)
        else:
            await flow.pending.put(None)


class _Flow:
    """What one stream of events has under way, bounded in batches and in bytes."""

    def __init__(self) -> None:
        self.pending: asyncio.Queue[_Pending | Exception | None] = asyncio.Queue(
            _BATCHES_IN_FLIGHT_MAX
        )
        self._bytes = 0
        self._released = asyncio.Event()

    async def reserve(self, size: int) -> None:
        while self._bytes and self._bytes + size > _BYTES_IN_FLIGHT_MAX:
            self._released.clear()
            await self._released.wait()
        self._bytes += size

    def release(self, size: int) -> None:
        self._bytes -= size
        self._released.set()


async def _first(requests: AsyncIterator[mesh_pb2.SessionRequest]) -> mesh_pb2.Registration:
    try:
        async with asyncio.timeout(_FIRST_MESSAGE_TIMEOUT_S):
            request = await anext(requests)
    except (StopAsyncIteration, TimeoutError) as error:
        raise errors.InvalidRequest(
            "A session begins with a registration, and none came.", field="registration"
        ) from error
    if request.WhichOneof("message") != "registration":
        raise errors.InvalidRequest(
            "A session begins with a registration; this message is "
            f"{request.WhichOneof('message')!r}.",
            field="registration",
        )
    return request.registration


def _acknowledged(
    request: mesh_pb2.AppendEventsRequest, outcomes: Sequence[records.BatchOutcome]
) -> mesh_pb2.AppendEventsResponse:
    for outcome in outcomes:
        if outcome.stale_epoch is not None:
            raise storage_errors.StaleEpoch(
                request.location_name, request.server_id, request.epoch, outcome.stale_epoch
            )
    found = appending.acknowledgements(request.events, outcomes)
    return mesh_pb2.AppendEventsResponse(
        acknowledgements=[
            mesh_pb2.RunAcknowledgement(run_id=run_id, acknowledged_seq=seq, fenced_reason=fenced)
            for run_id, (seq, fenced) in found.items()
        ]
    )

"""A host in memory: a real gRPC server that speaks the mesh protocol, with faults to order.

It keeps the rules that code servers rely on: epochs per server, exactly-once events with high-water
marks, gaps that are not accepted, offsets of output.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable

from google.protobuf import duration_pb2

from atoll._rpc import errors, info, reasons, serving
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll.mesh.v1 import credentials_pb2, instance_pb2, mesh_pb2, mesh_pb2_grpc
from atoll.rpc.v1 import server_info_pb2

FACTS = info.ServerFacts(
    kind=server_info_pb2.SERVER_KIND_HOST,
    version="0.0.0",
    instance_id="fake host",
)
WITHIN_S = 20


@dataclasses.dataclass
class Memory:
    """What a host would have in its database: survives a restart of the fake."""

    epochs: dict[str, int] = dataclasses.field(default_factory=dict)
    events: dict[str, list[events_pb2.Event]] = dataclasses.field(default_factory=dict)
    output: dict[tuple[str, str, int], bytes] = dataclasses.field(default_factory=dict)
    registrations: list[mesh_pb2.Registration] = dataclasses.field(default_factory=list)
    updates: list[mesh_pb2.LocationUpdate] = dataclasses.field(default_factory=list)
    pings: int = 0
    repeats: int = 0
    batches: int = 0
    fenced: dict[str, str] = dataclasses.field(default_factory=dict)
    stale_epochs_seen: int = 0
    tokens: list[str] = dataclasses.field(default_factory=list)
    run_credentials: list[str] = dataclasses.field(default_factory=list)
    renewals: list[list[str]] = dataclasses.field(default_factory=list)


class FakeHost:
    """One life of the host."""

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        lease_ttl_s: float = 6.0,
        features: tuple[str, ...] = ("control_tokens", "run_credentials"),
    ) -> None:
        self.memory = memory or Memory()
        self.features = features
        self.takes_run_credential: Callable[[str], bool] = bool
        self.lease_ttl_s = lease_ttl_s
        self.changed = asyncio.Condition()
        self.refuse_registration: errors.RpcError | None = None
        self.break_after_batches: int | None = None
        self.acknowledge = asyncio.Event()
        self.acknowledge.set()
        self.latest_event_id = 7
        self.instance_error: errors.RpcError | None = None
        self.reports: list[instance_pb2.ReportAssetEventRequest] = []
        self.partitions: list[str] = []
        self._sessions: dict[str, asyncio.Queue[mesh_pb2.SessionResponse | None]] = {}
        self._server: serving.GrpcServer | None = None

    async def start(self, listen: str = "127.0.0.1:0") -> str:
        services = [
            serving.Service(
                mesh_pb2.DESCRIPTOR.services_by_name["MeshService"].full_name,
                mesh_pb2_grpc.add_MeshServiceServicer_to_server,
                _MeshServicer(self),
            ),
            serving.Service(
                mesh_pb2.DESCRIPTOR.services_by_name["InstanceService"].full_name,
                mesh_pb2_grpc.add_InstanceServiceServicer_to_server,
                _InstanceServicer(self),
            ),
        ]
        facts = dataclasses.replace(FACTS, features=self.features)
        self._server = serving.GrpcServer(listen, facts=facts, services=services)
        await self._server.start()
        return self._server.address

    @property
    def address(self) -> str:
        assert self._server is not None
        return self._server.address

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    # What tests wait for.

    async def until(self, condition: Callable[[Memory], bool], within_s: float = WITHIN_S) -> None:
        async with self.changed:
            try:
                await asyncio.wait_for(
                    self.changed.wait_for(lambda: condition(self.memory)), within_s
                )
            except TimeoutError:
                raise AssertionError(f"not within {within_s} s; memory: {self.memory}") from None

    async def registered(self, count: int = 1) -> mesh_pb2.Registration:
        await self.until(lambda memory: len(memory.registrations) >= count)
        return self.memory.registrations[-1]

    async def ended(self, run_id: str, within_s: float = WITHIN_S) -> list[events_pb2.Event]:
        await self.until(lambda memory: _has_ended(memory, run_id), within_s)
        return self.memory.events[run_id]

    async def saw(self, run_id: str, body: str) -> None:
        await self.until(lambda memory: body in bodies(memory.events.get(run_id, [])))

    # Faults.

    def drop_sessions(self) -> None:
        for queue in self._sessions.values():
            queue.put_nowait(None)

    def supersede(self, location_name: str, other_server_id: str) -> None:
        self._sessions[location_name].put_nowait(
            mesh_pb2.SessionResponse(superseded=mesh_pb2.Superseded(server_id=other_server_id))
        )

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def _has_ended(memory: Memory, run_id: str) -> bool:
    final = {"run_succeeded", "run_failed", "run_canceled"}
    return bool(final & set(bodies(memory.events.get(run_id, []))))


def bodies(events: list[events_pb2.Event]) -> list[str]:
    return [event.WhichOneof("body") or "" for event in events]


def is_exact(events: list[events_pb2.Event]) -> bool:
    """Whether a run's events are numbered from 1 without gaps or repeats."""
    return [event.seq for event in events] == list(range(1, len(events) + 1))


def credential(run_id: str, text: str, lifetime_s: int = 600) -> location_pb2.RunCredential:
    """Return what the host gives for a run."""
    lifetime = duration_pb2.Duration(seconds=lifetime_s)
    return location_pb2.RunCredential(run_id=run_id, credential=text, lifetime=lifetime)


def _sent(context, header: str) -> list[str]:
    return [value for key, value in context.invocation_metadata() if key == header]


class _MeshServicer(mesh_pb2_grpc.MeshServiceServicer):
    def __init__(self, host: FakeHost) -> None:
        self._host = host

    async def Session(self, request, context):  # noqa: N802
        host, memory = self._host, self._host.memory
        first = await anext(request)
        registration = first.registration
        memory.tokens += _sent(context, "authorization")
        await host.notify()
        if host.refuse_registration is not None:
            raise host.refuse_registration
        server_id = registration.server_id
        memory.epochs[server_id] = memory.epochs.get(server_id, 0) + 1
        memory.registrations.append(registration)
        registered = mesh_pb2.Registered(
            epoch=memory.epochs[server_id], protocol_version=1, features=host.features
        )
        registered.lease_ttl.FromMilliseconds(int(host.lease_ttl_s * 1000))
        queue: asyncio.Queue[mesh_pb2.SessionResponse | None] = asyncio.Queue()
        host._sessions[registration.location_name] = queue
        listening = asyncio.create_task(self._listen(request, queue))
        try:
            yield mesh_pb2.SessionResponse(registered=registered)
            await host.notify()
            while (response := await queue.get()) is not None:
                yield response
        finally:
            listening.cancel()

    async def _listen(self, request, queue) -> None:
        host, memory = self._host, self._host.memory
        async for message in request:
            if message.WhichOneof("message") == "ping":
                memory.pings += 1
                queue.put_nowait(mesh_pb2.SessionResponse(pong=mesh_pb2.Pong()))
            else:
                memory.updates.append(message.update)
            await host.notify()
        queue.put_nowait(None)

    async def AppendEvents(self, request, context):  # noqa: N802
        host, memory = self._host, self._host.memory
        async for batch in request:
            memory.batches += 1
            if batch.epoch != memory.epochs.get(batch.server_id):
                memory.stale_epochs_seen += 1
                raise errors.AbortedError("The epoch is old.", reason=reasons.STALE_EPOCH)
            await host.acknowledge.wait()
            response = mesh_pb2.AppendEventsResponse()
            for run_id in dict.fromkeys(event.run_id for event in batch.events):
                response.acknowledgements.append(self._store(run_id, batch))
            if host.break_after_batches is not None:
                host.break_after_batches -= 1
                if host.break_after_batches < 0:
                    host.break_after_batches = None
                    # Stored, but the answer is lost.
                    raise errors.UnavailableError("The connection breaks, as ordered.")
            await host.notify()
            yield response

    def _store(self, run_id: str, batch) -> mesh_pb2.RunAcknowledgement:
        memory = self._host.memory
        if run_id in memory.fenced:
            return mesh_pb2.RunAcknowledgement(run_id=run_id, fenced_reason=memory.fenced[run_id])
        stored = memory.events.setdefault(run_id, [])
        for event in batch.events:
            if event.run_id != run_id:
                continue
            if event.seq <= len(stored):
                memory.repeats += 1
            elif event.seq == len(stored) + 1:
                stored.append(event)
            else:
                break
        return mesh_pb2.RunAcknowledgement(run_id=run_id, acknowledged_seq=len(stored))

    async def RenewRunCredentials(self, request, context):  # noqa: N802
        memory = self._host.memory
        memory.renewals.append(list(request.run_ids))
        await self._host.notify()
        return credentials_pb2.RenewRunCredentialsResponse(
            credentials=[
                credential(run_id, f"renewed {len(memory.renewals)}") for run_id in request.run_ids
            ]
        )

    async def AppendOutput(self, request, context):  # noqa: N802
        host, memory = self._host, self._host.memory
        key = (request.run_id, request.step_key, request.stream)
        stored = memory.output.get(key, b"")
        if request.offset <= len(stored):
            memory.output[key] = stored + request.data[len(stored) - request.offset :]
        await host.notify()
        return mesh_pb2.AppendOutputResponse(next_offset=len(memory.output.get(key, b"")))


class _InstanceServicer(mesh_pb2_grpc.InstanceServiceServicer):
    def __init__(self, host: FakeHost) -> None:
        self._host = host

    async def GetLatestMaterializations(self, request, context):  # noqa: N802
        if self._host.instance_error is not None:
            raise self._host.instance_error
        response = mesh_pb2.GetLatestMaterializationsResponse()
        for key in request.asset_keys:
            stored = response.events.add(id=self._host.latest_event_id, location_name="elsewhere")
            stored.event.asset_materialization.asset_key.CopyFrom(key)
            stored.event.run_id = "there"
            stored.event.timestamp.FromSeconds(1_700_000_000)
        return response

    async def ListAssetEvents(self, request, context):  # noqa: N802
        return mesh_pb2.ListAssetEventsResponse()

    async def GetRun(self, request, context):  # noqa: N802
        return mesh_pb2.GetRunResponse()

    async def ListEvents(self, request, context):  # noqa: N802
        shown = _sent(context, "atoll-run-credential")
        self._host.memory.run_credentials += shown or [""]
        if shown and not self._host.takes_run_credential(shown[0]):
            raise errors.UnauthenticatedError("It is over.", reason=reasons.RUN_CREDENTIAL_INVALID)
        response = instance_pb2.ListEventsResponse()
        for event in self._host.memory.events.get(request.run_id, []):
            if event.WhichOneof("body") in request.kinds:
                response.events.add(id=event.seq, event=event, location_name="here")
        return response

    async def AddDynamicPartitions(self, request, context):  # noqa: N802
        self._host.partitions += request.partition_keys
        return instance_pb2.AddDynamicPartitionsResponse()

    async def ListDynamicPartitions(self, request, context):  # noqa: N802
        return instance_pb2.ListDynamicPartitionsResponse(partition_keys=self._host.partitions)

    async def ReportAssetEvent(self, request, context):  # noqa: N802
        self._host.reports.append(request)
        if len(self._host.reports) == 1:
            raise errors.UnavailableError("The answer is lost.", reason="STORAGE_UNAVAILABLE")
        return instance_pb2.ReportAssetEventResponse(event_id=8)


@contextlib.asynccontextmanager
async def running(
    memory: Memory | None = None, listen: str = "127.0.0.1:0", **arguments
) -> AsyncIterator[FakeHost]:
    host = FakeHost(memory, **arguments)
    await host.start(listen)
    try:
        yield host
    finally:
        await host.stop()


__all__ = ["FakeHost", "Memory", "bodies", "is_exact", "running"]

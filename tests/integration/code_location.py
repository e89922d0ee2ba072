"""A code server for tests: real gRPC both ways, no user code. It does what the test says."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

import grpc.aio

from atoll._rpc import authorization, info, options, serving
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2, location_pb2_grpc
from atoll.mesh.v1 import mesh_pb2, mesh_pb2_grpc
from atoll.rpc.v1 import server_info_pb2

TIMEOUT_S = 10.0
CHUNK_BYTES = 64 * 1024


def key(name: str) -> values_pb2.AssetKey:
    """Return the asset key written a/b."""
    return values_pb2.AssetKey(path=name.split("/"))


def asset(
    name: str, *upstream: str, executable: bool = True, **fields
) -> snapshot_pb2.AssetDefinition:
    """Return an asset that depends on others."""
    return snapshot_pb2.AssetDefinition(
        key=key(name),
        executable=executable,
        op_name=name.replace("/", "__") if executable else "",
        dependencies=[snapshot_pb2.AssetDependency(asset_key=key(each)) for each in upstream],
        **fields,
    )


def check(asset_name: str, name: str, **fields) -> snapshot_pb2.AssetCheckDefinition:
    """Return a check of an asset."""
    check_key = values_pb2.AssetCheckKey(asset_key=key(asset_name), name=name)
    return snapshot_pb2.AssetCheckDefinition(key=check_key, executable=True, **fields)


def job(name: str, *assets: str, schema: bytes = b"", **fields) -> snapshot_pb2.JobDefinition:
    """Return a job over assets."""
    definition = snapshot_pb2.JobDefinition(
        name=name, asset_keys=[key(each) for each in assets], **fields
    )
    if schema:
        definition.config_schema.content_type = "application/schema+json"
        definition.config_schema.data = schema
    return definition


def snapshot(
    assets: Iterable[snapshot_pb2.AssetDefinition] = (),
    jobs: Iterable[snapshot_pb2.JobDefinition] = (),
    sensors: Iterable[snapshot_pb2.SensorDefinition] = (),
    checks: Iterable[snapshot_pb2.AssetCheckDefinition] = (),
    schedules: Iterable[snapshot_pb2.ScheduleDefinition] = (),
) -> snapshot_pb2.LocationSnapshot:
    """Return the snapshot of a location, with its implicit job."""
    assets = list(assets)
    jobs = list(jobs)
    executable = [each.key for each in assets if each.executable]
    if executable:
        jobs.append(
            snapshot_pb2.JobDefinition(name="__ASSET_JOB", implicit=True, asset_keys=executable)
        )
    return snapshot_pb2.LocationSnapshot(
        assets=assets,
        jobs=jobs,
        sensors=list(sensors),
        checks=list(checks),
        schedules=list(schedules),
    )


def succeeding(run_id: str, *assets: str) -> list[events_pb2.Event]:
    """Return the events of a run that materializes assets and succeeds."""
    bodies = [
        {"run_started": events_pb2.RunStarted(build_id="b1", pid=1)},
        *(
            {"asset_materialization": events_pb2.AssetMaterialization(asset_key=key(each))}
            for each in assets
        ),
        {"run_succeeded": events_pb2.RunSucceeded()},
    ]
    return numbered(run_id, bodies)


def numbered(run_id: str, bodies: Sequence[Mapping], first_seq: int = 1) -> list[events_pb2.Event]:
    """Return events of a run, numbered without gaps."""
    events = []
    for seq, body in enumerate(bodies, first_seq):
        event = events_pb2.Event(run_id=run_id, seq=seq, **body)
        event.timestamp.GetCurrentTime()
        events.append(event)
    return events


def logs(run_id: str, count: int, first_seq: int = 1) -> list[events_pb2.Event]:
    """Return events that change nothing."""
    body = {"log_message": events_pb2.LogMessage(level=events_pb2.LOG_LEVEL_INFO)}
    return numbered(run_id, [body] * count, first_seq)


class CodeLocation(location_pb2_grpc.CodeLocationServiceServicer):
    """One code server of one location."""

    def __init__(
        self, name: str, defined: snapshot_pb2.LocationSnapshot, *, server_id: str = ""
    ) -> None:
        self.name = name
        self.server_id = server_id or str(uuid.uuid4())
        self.incarnation_id = str(uuid.uuid4())
        self.builds: dict[str, tuple[location_pb2.Build, bytes]] = {}
        self.build_id = ""
        self.load_failure: values_pb2.Failure | None = None
        self.draining = False
        self.plans: asyncio.Queue[location_pb2.RunPlan] = asyncio.Queue()
        self.held: dict[str, location_pb2.HeldRun] = {}
        self.canceled: list[str] = []
        self.runs_at_once = False
        self.knows_schedules = True
        self.scheduled: asyncio.Queue[location_pb2.EvaluateScheduleRequest] = asyncio.Queue()
        self.refuse_definitions = False
        # What sensors answer next; once there is nothing left they ask for a run of their event.
        self.answers: list[location_pb2.EvaluateSensorResponse] = []
        self.evaluations: list[location_pb2.EvaluateSensorRequest] = []
        self.evaluated: asyncio.Queue[str] = asyncio.Queue()
        self.reloads_to: snapshot_pb2.LocationSnapshot | None = None
        self.epoch = 0
        self.token = ""
        # What it tells the host, and what calls of the host come with.
        self.control_token = uuid.uuid4().hex
        self.shown: list[str] = []
        self.run_credentials: dict[str, location_pb2.RunCredential] = {}
        self.said: asyncio.Queue[mesh_pb2.SessionResponse | grpc.aio.AioRpcError | None] = (
            asyncio.Queue()
        )
        self._server: serving.GrpcServer | None = None
        self._channel: grpc.aio.Channel | None = None
        self._session = None
        self._events = None
        self._appending = asyncio.Lock()
        self._tasks: set[asyncio.Task] = set()
        self.load(defined)

    def load(self, defined: snapshot_pb2.LocationSnapshot, build_id: str = "") -> str:
        """Make definitions the current build."""
        encoded = defined.SerializeToString(deterministic=True)
        build = location_pb2.Build(
            build_id=build_id or f"b{len(self.builds) + 1}",
            definitions_digest=hashlib.sha256(encoded).hexdigest(),
            definitions_size_bytes=len(encoded),
        )
        self.builds[build.build_id] = (build, encoded)
        self.build_id = build.build_id
        return build.build_id

    def state(self) -> mesh_pb2.LocationUpdate:
        """Return how the location is doing."""
        return mesh_pb2.LocationUpdate(
            current_build=self.builds[self.build_id][0] if self.build_id else None,
            load_failure=self.load_failure,
            draining=self.draining,
        )

    # Its life.

    async def start(self, host_address: str) -> None:
        """Listen, without registering."""
        facts = info.ServerFacts(
            kind=server_info_pb2.SERVER_KIND_CODE_SERVER, version="0", instance_id=self.server_id
        )
        service = serving.Service(
            "atoll.location.v1.CodeLocationService",
            location_pb2_grpc.add_CodeLocationServiceServicer_to_server,
            self,
        )
        self._server = serving.GrpcServer("127.0.0.1:0", facts=facts, services=[service])
        await self._server.start()
        self.connect(host_address)

    def connect(self, host_address: str) -> None:
        """Talk to this host from now on."""
        bare = grpc.aio.insecure_channel(host_address, options=options.CHANNEL)
        self._channel = authorization.authorized(bare, self.token)
        self.mesh = mesh_pb2_grpc.MeshServiceStub(self._channel)
        self.instance = mesh_pb2_grpc.InstanceServiceStub(self._channel)
        self._events = None

    async def stop(self) -> None:
        """Vanish."""
        if self._channel is not None:
            await self._channel.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.stop(0)

    def registration(self, **changes) -> mesh_pb2.Registration:
        """Return what it registers with."""
        assert self._server is not None
        values = {
            "location_name": self.name,
            "server_id": self.server_id,
            "incarnation_id": self.incarnation_id,
            "address": self._server.address,
            "protocol_version": 1,
            "oldest_protocol_version": 1,
            "version": "0.0-test",
            "state": self.state(),
            "held_runs": list(self.held.values()),
            "control_token": self.control_token,
        }
        return mesh_pb2.Registration(**{**values, **changes})

    async def join(self, *, pings_every_s: float = 0.2, **changes) -> mesh_pb2.Registered:
        """Open a session and keep it; return what the host answers."""
        session = self.mesh.Session()
        self._session = session
        self.said = asyncio.Queue()
        await session.write(mesh_pb2.SessionRequest(registration=self.registration(**changes)))
        response = await asyncio.wait_for(session.read(), TIMEOUT_S)
        if response is grpc.aio.EOF:
            raise grpc.aio.AioRpcError(
                await session.code(),
                await session.initial_metadata(),
                await session.trailing_metadata(),
                await session.details(),
            )
        self.epoch = response.registered.epoch
        self._spawn(self._listen(session, self.said))
        if pings_every_s:
            self._spawn(self._ping(session, pings_every_s))
        return response.registered

    async def leave(self) -> None:
        """End the session in good order."""
        await self._session.done_writing()
        while await asyncio.wait_for(self.said.get(), TIMEOUT_S) is not None:
            pass

    def drop_session(self) -> None:
        """Lose the connection of the session."""
        self._session.cancel()

    async def tell(self) -> None:
        """Tell the host the state of the location."""
        await self._session.write(mesh_pb2.SessionRequest(update=self.state()))

    async def heard(self, kind: str) -> mesh_pb2.SessionResponse:
        """Return the next message of a kind."""
        while True:
            said = await asyncio.wait_for(self.said.get(), TIMEOUT_S)
            if isinstance(said, grpc.aio.AioRpcError):
                raise said
            if said is None:
                raise AssertionError(f"the session ended before {kind}")
            if said.WhichOneof("message") == kind:
                return said

    # Events and output.

    async def append(self, *batches: Sequence[events_pb2.Event], **changes):
        """Send batches on one stream, all before reading; return the acknowledgements of each."""
        # One exchange at a time: a stream carries one read and one write, and answers in order.
        async with self._appending:
            return await self._append(batches, changes)

    async def _append(self, batches, changes):
        if self._events is None or self._events.done():
            self._events = self.mesh.AppendEvents()
        stream = self._events
        values = {"location_name": self.name, "server_id": self.server_id, "epoch": self.epoch}
        for batch in batches:
            request = mesh_pb2.AppendEventsRequest(**{**values, **changes}, events=batch)
            await asyncio.wait_for(stream.write(request), TIMEOUT_S)
        answers = []
        for _ in batches:
            response = await asyncio.wait_for(stream.read(), TIMEOUT_S)
            if response is grpc.aio.EOF:
                raise grpc.aio.AioRpcError(
                    await stream.code(),
                    await stream.initial_metadata(),
                    await stream.trailing_metadata(),
                    await stream.details(),
                )
            answers.append({each.run_id: each for each in response.acknowledgements})
        return answers

    def drop_events(self) -> None:
        """Lose the connection of the events; a new one is opened by the next append."""
        if self._events is not None:
            self._events.cancel()
            self._events = None

    async def next_plan(self) -> location_pb2.RunPlan:
        """Return the next run that was handed over."""
        return await asyncio.wait_for(self.plans.get(), TIMEOUT_S)

    # What the host asks.

    async def Describe(self, request, context):  # noqa: N802
        return location_pb2.DescribeResponse(location_name=self.name, server_id=self.server_id)

    async def StreamDefinitions(  # noqa: N802
        self, request, context
    ) -> AsyncIterator[location_pb2.StreamDefinitionsResponse]:
        if self.refuse_definitions:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no build {request.build_id}")
        encoded = self.builds[request.build_id][1]
        for start in range(0, len(encoded), CHUNK_BYTES):
            yield location_pb2.StreamDefinitionsResponse(chunk=encoded[start : start + CHUNK_BYTES])

    async def EvaluateSensor(self, request, context):  # noqa: N802
        self.evaluations.append(request)
        self.evaluated.put_nowait(request.sensor_name)
        if self.answers:
            answer = self.answers.pop(0)
            answer.build_id = self.build_id
            return answer
        return location_pb2.EvaluateSensorResponse(
            build_id=self.build_id,
            run_requests=[
                location_pb2.RunRequest(
                    run_key=request.webhook_delivery.delivery_id or str(request.triggering_event.id)
                )
            ],
        )

    async def EvaluateSchedule(self, request, context):  # noqa: N802
        if not self.knows_schedules:
            # As gRPC itself answers for a release without the call.
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        self.scheduled.put_nowait(request)
        return location_pb2.EvaluateScheduleResponse(
            build_id=self.build_id, run_requests=[location_pb2.RunRequest(run_key="k")]
        )

    async def StartRun(self, request, context):  # noqa: N802
        plan = request.plan
        sent = context.invocation_metadata()
        self.shown += [value for key, value in sent if key == authorization.HEADER]
        self.run_credentials[plan.run_id] = request.run_credential
        if plan.run_id not in self.held:
            self.held[plan.run_id] = location_pb2.HeldRun(
                run_id=plan.run_id, attempt=plan.attempt, build_id=self.build_id, alive=True
            )
            if self.runs_at_once:
                self._spawn(self._succeed(plan))
            self.plans.put_nowait(plan)
        return location_pb2.StartRunResponse(build_id=self.build_id)

    async def CancelRun(self, request, context):  # noqa: N802
        self.canceled.append(request.run_id)
        return location_pb2.CancelRunResponse(found=request.run_id in self.held)

    async def ListRuns(self, request, context):  # noqa: N802
        return location_pb2.ListRunsResponse(runs=list(self.held.values()))

    async def Reload(self, request, context):  # noqa: N802
        if self.reloads_to is None:
            failure = values_pb2.Failure(type="ImportError", message="no module named x")
            self.load_failure = failure
            await self.tell()
            return location_pb2.ReloadResponse(
                current_build=self.builds[self.build_id][0], load_failure=failure
            )
        self.load(self.reloads_to, request.build_id)
        self.load_failure = None
        await self.tell()
        return location_pb2.ReloadResponse(current_build=self.builds[self.build_id][0])

    async def Drain(self, request, context):  # noqa: N802
        self.draining = True
        return location_pb2.DrainResponse()

    async def _succeed(self, plan: location_pb2.RunPlan) -> None:
        names = ["/".join(each.path) for each in plan.asset_selection]
        await self.append(succeeding(plan.run_id, *names))
        self.held.pop(plan.run_id, None)

    async def _listen(self, session, said: asyncio.Queue) -> None:
        try:
            while (response := await session.read()) is not grpc.aio.EOF:
                said.put_nowait(response)
        except grpc.aio.AioRpcError as error:
            said.put_nowait(error)
        except asyncio.CancelledError:
            said.put_nowait(None)
            raise
        else:
            said.put_nowait(None)

    async def _ping(self, session, every_s: float) -> None:
        while not session.done():
            await asyncio.sleep(every_s)
            try:
                await session.write(mesh_pb2.SessionRequest(ping=mesh_pb2.Ping()))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return

    def _spawn(self, work) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

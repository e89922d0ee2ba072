"""A simulated mesh: locations and code servers that do as a test says.

Only what lies beyond the host is simulated; the stores that the services use are real.
"""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.locations import definitions, graph
from atoll_host.locations import registry as registries
from atoll_storage import database, records

Path = tuple[str, ...]
Evaluate = Callable[
    [location_pb2.EvaluateSensorRequest], Awaitable[location_pb2.EvaluateSensorResponse]
]
EvaluateSchedule = Callable[
    [location_pb2.EvaluateScheduleRequest], Awaitable[location_pb2.EvaluateScheduleResponse]
]
Answer = Callable[[], Awaitable[None]]
Defined = snapshot_pb2.SensorDefinition | snapshot_pb2.ScheduleDefinition


def asset_key(path: Path) -> values_pb2.AssetKey:
    return values_pb2.AssetKey(path=path)


def sensor(
    name: str,
    kind: "snapshot_pb2.SensorKind",
    *monitored: Path,
    interval_s: float | None = None,
    stopped: bool = False,
    coalesce: bool = False,
) -> snapshot_pb2.SensorDefinition:
    definition = snapshot_pb2.SensorDefinition(
        name=name,
        kind=kind,
        job_names=["job"],
        monitored_assets=[asset_key(path) for path in monitored],
        coalesce=coalesce,
        default_status=snapshot_pb2.SENSOR_STATUS_STOPPED
        if stopped
        else snapshot_pb2.SENSOR_STATUS_RUNNING,
    )
    if interval_s is not None:
        definition.minimum_interval.FromMilliseconds(round(interval_s * 1000))
    return definition


def snapshot(*defined: Defined) -> snapshot_pb2.LocationSnapshot:
    return snapshot_pb2.LocationSnapshot(
        jobs=[snapshot_pb2.JobDefinition(name="job")],
        sensors=[one for one in defined if isinstance(one, snapshot_pb2.SensorDefinition)],
        schedules=[one for one in defined if isinstance(one, snapshot_pb2.ScheduleDefinition)],
    )


def unavailable(reason: str = "UNREACHABLE") -> errors.LocationUnavailable:
    return errors.LocationUnavailable("no answer", location_name="", reason=reason)


def refused(reason: str) -> errors.LocationRefused:
    return errors.LocationRefused(f"refused: {reason}", location_name="", reason=reason)


async def _skip(_: location_pb2.EvaluateSensorRequest) -> location_pb2.EvaluateSensorResponse:
    return location_pb2.EvaluateSensorResponse(skip_reason="nothing to do")


async def _request_one(
    _: location_pb2.EvaluateScheduleRequest,
) -> location_pb2.EvaluateScheduleResponse:
    return location_pb2.EvaluateScheduleResponse(run_requests=[location_pb2.RunRequest()])


async def _agree() -> None:
    return None


class CodeServer:
    """A code server without processes. What it holds and what it was asked is there to look at."""

    def __init__(self, location_name: str, server_id: str) -> None:
        self.location_name = location_name
        self.server_id = server_id
        self.described_as = server_id
        self.evaluations: list[location_pb2.EvaluateSensorRequest] = []
        self.sensors: dict[str, Evaluate] = {}
        self.scheduled: list[location_pb2.EvaluateScheduleRequest] = []
        self.schedules: dict[str, EvaluateSchedule] = {}
        self.plans: list[location_pb2.RunPlan] = []
        self.held: dict[str, location_pb2.RunPlan] = {}
        self.canceled: list[str] = []
        self.on_start: Answer = _agree
        self.on_cancel: Answer = _agree
        self.asked = asyncio.Condition()

    async def _note(self) -> None:
        async with self.asked:
            self.asked.notify_all()

    async def until(self, met: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Wait until the code server was asked so much that `met` holds."""
        async with asyncio.timeout(timeout_s), self.asked:
            await self.asked.wait_for(met)

    async def describe(self) -> location_pb2.DescribeResponse:
        return location_pb2.DescribeResponse(server_id=self.described_as)

    async def evaluate_sensor(
        self, request: location_pb2.EvaluateSensorRequest
    ) -> location_pb2.EvaluateSensorResponse:
        self.evaluations.append(request)
        await self._note()
        response = await self.sensors.get(request.sensor_name, _skip)(request)
        response.build_id = "build"
        return response

    async def evaluate_schedule(
        self, request: location_pb2.EvaluateScheduleRequest
    ) -> location_pb2.EvaluateScheduleResponse:
        self.scheduled.append(request)
        await self._note()
        response = await self.schedules.get(request.schedule_name, _request_one)(request)
        response.build_id = "build"
        return response

    async def start_run(
        self, plan: location_pb2.RunPlan, credential: location_pb2.RunCredential | None = None
    ) -> location_pb2.StartRunResponse:
        self.plans.append(plan)
        await self._note()
        await self.on_start()
        self.held[plan.run_id] = plan
        await self._note()
        return location_pb2.StartRunResponse(build_id="build")

    async def cancel_run(self, run_id: str) -> bool:
        self.canceled.append(run_id)
        await self._note()
        await self.on_cancel()
        return run_id in self.held

    async def list_runs(self) -> list[location_pb2.HeldRun]:
        return [
            location_pb2.HeldRun(run_id=plan.run_id, attempt=plan.attempt)
            for plan in self.held.values()
        ]


class Locations:
    """The registry's interface over simulated code servers."""

    def __init__(self) -> None:
        self._views: dict[str, registries.LocationView] = {}
        self._reachable: dict[str, records.ServerRecord] = {}
        self._servers: dict[tuple[str, str], CodeServer] = {}
        self._broadcast = signals.Broadcast()
        self._graph: graph.AssetGraph | None = None

    def locations(self) -> Mapping[str, registries.LocationView]:
        return self._views

    def reachable(self) -> Mapping[str, records.ServerRecord]:
        return self._reachable

    def graph(self) -> graph.AssetGraph:
        if self._graph is None:
            defined = {
                name: view.definitions
                for name, view in self._views.items()
                if view.definitions is not None
            }
            owners = {path: name for name, each in defined.items() for path in each.executable}
            self._graph = graph.AssetGraph(defined, owners)
        return self._graph

    def control(self, target: str | records.ServerRecord) -> CodeServer:
        server = self._views[target].server if isinstance(target, str) else target
        return self._servers[server.location_name, server.server_id]

    def subscribe(self, poke: signals.Poke | None = None) -> signals.Poke:
        return self._broadcast.subscribe(poke)

    def serve(
        self,
        server: CodeServer,
        record: records.ServerRecord,
        defines: snapshot_pb2.LocationSnapshot,
    ) -> None:
        """Make a code server the current one of its location."""
        encoded = defines.SerializeToString(deterministic=True)
        self._servers[server.location_name, server.server_id] = server
        self._views[server.location_name] = registries.LocationView(
            name=server.location_name,
            server=record,
            state=events_pb2.LOCATION_STATE_SERVING,
            build=record.build,
            load_failure=None,
            definitions=definitions.decode(str(hash(encoded)), encoded),
            conflicts={},
        )
        self._graph = None
        self._reachable = {**self._reachable, server.location_name: record}
        self._broadcast.set()

    def lose(self, location_name: str) -> None:
        """Make a location unreachable."""
        self._reachable = {
            name: record for name, record in self._reachable.items() if name != location_name
        }
        self._broadcast.set()

    def leave(self, location_name: str) -> None:
        """Have a location show as unreachable."""
        view = self._views[location_name]
        self._views[location_name] = dataclasses.replace(
            view, state=events_pb2.LOCATION_STATE_UNREACHABLE
        )
        self.lose(location_name)

    def find(self, location_name: str) -> None:
        """Make a location reachable again."""
        view = self._views[location_name]
        self._reachable = {**self._reachable, location_name: view.server}
        self._broadcast.set()


async def register(
    store: database.Database, location_name: str, server_id: str, *, lease_ttl_s: float = 3600.0
) -> records.ServerRecord:
    """Register a code server with the real store."""
    return await store.locations.register(
        records.ServerRegistration(
            location_name=location_name,
            server_id=server_id,
            incarnation_id=f"{server_id}-1",
            address="127.0.0.1:1",
            version="0",
            protocol_version=1,
            features=(),
            host_id="host",
            build=location_pb2.Build(build_id="build", definitions_digest="digest"),
            load_failure=None,
            draining=False,
            lease_ttl_s=lease_ttl_s,
        )
    )


@dataclasses.dataclass
class Mesh:
    """The stores, the signals and the simulated locations of one test."""

    store: database.Database
    changes: host_changes.Changes
    locations: Locations = dataclasses.field(default_factory=Locations)
    clock: clocks.Clock = dataclasses.field(default_factory=clocks.SystemClock)
    servers: dict[str, records.ServerRecord] = dataclasses.field(default_factory=dict)
    _numbers: "itertools.count[int]" = dataclasses.field(default_factory=itertools.count)

    async def serve(
        self,
        location_name: str,
        *defined: Defined,
        server_id: str = "",
        lease_ttl_s: float = 3600.0,
    ) -> CodeServer:
        """Have a new code server serve a location."""
        server = CodeServer(location_name, server_id or f"{location_name}-server")
        record = await register(
            self.store, location_name, server.server_id, lease_ttl_s=lease_ttl_s
        )
        self.servers[server.server_id] = record
        self.locations.serve(server, record, snapshot(*defined))
        return server

    def redefine(self, server: CodeServer, *defined: Defined) -> None:
        """Reload the code of a location."""
        self.locations.serve(server, self.servers[server.server_id], snapshot(*defined))

    async def materialize(self, *paths: Path) -> list[int]:
        """Store materializations, as the intake would; return their ids."""
        before = await self.store.events.head()
        await self.store.events.append_host_events(
            [
                events_pb2.Event(
                    asset_materialization=events_pb2.AssetMaterialization(asset_key=asset_key(path))
                )
                for path in paths
            ]
        )
        found, _ = await self.store.events.materializations_after(before, limit=10_000)
        return [event_id for event_id, _ in found]

    async def report(
        self, server: CodeServer, run_id: str, *bodies: str, first_seq: int = 1
    ) -> records.BatchOutcome:
        """Have a code server report events of a run, by the names of their bodies."""
        events = []
        for seq, body in enumerate(bodies, start=first_seq):
            event = events_pb2.Event(run_id=run_id, seq=seq)
            getattr(event, body).SetInParent()
            events.append(event)
        batch = records.EventBatch(
            location_name=server.location_name,
            server_id=server.server_id,
            epoch=self.servers[server.server_id].epoch,
            events=events,
        )
        (outcome,) = await self.store.events.append([batch])
        return outcome

    async def queue(self, location_name: str, count: int = 1) -> list[str]:
        """Queue runs; return their ids."""
        run_ids = [f"{location_name}-run-{next(self._numbers):04}" for _ in range(count)]
        for run_id in run_ids:
            await self.store.runs.create(
                records.NewRun(run_id=run_id, location_name=location_name, job_name="job", tags={})
            )
        return run_ids

    async def status(self, run_id: str) -> records.RunStatus:
        run = await self.store.runs.get(run_id)
        assert run is not None
        return run.status

    async def ticks(self, location_name: str, sensor_name: str) -> Sequence[object]:
        """Return the ticks of a sensor, oldest first."""
        key = records.SensorKey(location_name, sensor_name)
        return list(reversed(await self.store.sensors.ticks(key, limit=1000)))

    async def eventually(
        self, check: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 10.0
    ) -> None:
        """Wait until `check` holds, looking again after every change of runs, sensors or events."""
        pokes = [
            self.changes.runs.subscribe(),
            self.changes.sensors.subscribe(),
            self.changes.events.subscribe(),
        ]
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not await check():
            left_s = deadline - asyncio.get_running_loop().time()
            assert left_s > 0, f"never: {what}"
            waits = [asyncio.create_task(poke.wait(min(left_s, 0.05))) for poke in pokes]
            _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(*of: services.Service) -> AsyncIterator[None]:
    """Run services for the length of the context."""
    group = services.ServiceGroup("test", of)
    await group.start()
    try:
        yield
    finally:
        await group.stop()


@contextlib.asynccontextmanager
async def mesh_of(store: database.Database) -> AsyncIterator[Mesh]:
    """Make a mesh whose signals are fed by Postgres."""
    changes = host_changes.Changes(store)
    async with running(changes):
        yield Mesh(store, changes)


def utc(year: int) -> dt.datetime:
    return dt.datetime(year, 1, 1, tzinfo=dt.UTC)

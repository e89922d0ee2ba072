"""A simulated mesh whose locations define assets with conditions, over real stores."""

import contextlib
import dataclasses
import datetime as dt
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from atoll._condition_messages import conditions as condition_messages
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import conditions, entities
from atoll._partition_messages import definitions as partition_messages
from atoll._partition_messages import mappings as mapping_messages
from atoll._partitions import definitions as partition_definitions
from atoll._partitions import mappings
from atoll.api.v1 import conditions_pb2
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host.automation import dispatching
from atoll_host.automation.conditions import deciding, leading
from atoll_host.locations import graph
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.host.runs import simulated

SENSOR = "conditions"
Path = tuple[str, ...]
STATUS = records.RunStatus


class Clock(clocks.SystemClock):
    """A clock whose time of day is that of the test; it waits as the machine does."""

    def __init__(self, now: dt.datetime) -> None:
        self._now = now

    def now(self) -> dt.datetime:
        return self._now

    def set(self, now: dt.datetime) -> None:
        self._now = now


class CodeServer(simulated.CodeServer):
    """A code server that also answers for conditions of its users."""

    def __init__(self, location_name: str, server_id: str) -> None:
        super().__init__(location_name, server_id)
        self.questions: list[location_pb2.EvaluateConditionsRequest] = []
        self.on_question = self._nothing

    async def _nothing(
        self, request: location_pb2.EvaluateConditionsRequest
    ) -> location_pb2.EvaluateConditionsResponse:
        del request
        return location_pb2.EvaluateConditionsResponse()

    async def evaluate_conditions(
        self, request: location_pb2.EvaluateConditionsRequest
    ) -> location_pb2.EvaluateConditionsResponse:
        self.questions.append(request)
        await self._note()
        return await self.on_question(request)


class Locations(simulated.Locations):
    """The registry's interface with a graph of assets: who defines one first owns it."""

    def __init__(self) -> None:
        super().__init__()
        self._graph: tuple[object, graph.AssetGraph] | None = None
        self._owners: dict[Path, str] = {}

    def graph(self) -> graph.AssetGraph:
        defined = {
            name: view.definitions
            for name, view in self.locations().items()
            if view.definitions is not None
        }
        if self._graph is None or self._graph[0] != defined:
            for name, each in defined.items():
                for path in each.executable:
                    self._owners.setdefault(path, name)
            self._graph = (defined, graph.AssetGraph(defined, dict(self._owners)))
        return self._graph[1]


def asset(  # noqa: PLR0913 - what tests say of assets
    name: str,
    condition: conditions.Condition | None = None,
    *,
    deps: Iterable[str] = (),
    partitions: partition_definitions.PartitionsDefinition | None = None,
    maps: Mapping[str, mappings.PartitionMapping] | None = None,
    executable: bool = True,
    at_once: int = 1,
    made_by: str = "",
) -> snapshot_pb2.AssetDefinition:
    """Define an asset; `at_once` is how many partitions a run may have, 0 for any number."""
    made = snapshot_pb2.AssetDefinition(
        key=values_pb2.AssetKey(path=[name]),
        executable=executable,
        op_name=(made_by or name) if executable else "",
        can_subset=not made_by,
    )
    if condition is not None:
        made.automation_condition.CopyFrom(condition_messages.to_message(condition))
    if partitions is not None:
        made.partitions.CopyFrom(partition_messages.to_message(partitions))
    if at_once == 0:
        made.backfill_policy.SetInParent()
    elif at_once > 1:
        made.backfill_policy.max_partitions_per_run = at_once
    for dep in deps:
        edge = made.dependencies.add(asset_key=values_pb2.AssetKey(path=[dep]))
        if maps is not None and dep in maps:
            edge.partition_mapping.CopyFrom(mapping_messages.to_message(maps[dep]))
    return made


def message_of(condition: conditions.Condition) -> definition_pb2.AutomationCondition:
    """Return a condition as definitions hold it."""
    return condition_messages.to_message(condition)


def location(
    *assets: snapshot_pb2.AssetDefinition,
    checks: Sequence[snapshot_pb2.AssetCheckDefinition] = (),
    jobs: Sequence[snapshot_pb2.JobDefinition] = (),
    running: bool = True,
    interval_s: float = 0.05,
    run_tags: Mapping[str, str] | None = None,
) -> snapshot_pb2.LocationSnapshot:
    """Define a location with a sensor of conditions over all of it."""
    sensor = snapshot_pb2.SensorDefinition(
        name=SENSOR,
        kind=snapshot_pb2.SENSOR_KIND_AUTOMATION_CONDITION,
        default_status=snapshot_pb2.SENSOR_STATUS_RUNNING
        if running
        else snapshot_pb2.SENSOR_STATUS_STOPPED,
        run_tags=run_tags or {},
    )
    sensor.minimum_interval.FromMilliseconds(round(interval_s * 1000))
    targets = [
        *(entities.asset(each.key.path) for each in assets),
        *(entities.check(each.key.asset_key.path, each.key.name) for each in checks),
        *(entities.job("", each.name) for each in jobs),
    ]
    sensor.automation_targets.extend(map(entity_messages.to_message, targets))
    implicit = snapshot_pb2.JobDefinition(
        name="__ASSET_JOB",
        implicit=True,
        asset_keys=[each.key for each in assets if each.executable],
        check_keys=[each.key for each in checks],
    )
    return snapshot_pb2.LocationSnapshot(
        assets=assets, checks=checks, jobs=[implicit, *jobs], sensors=[sensor]
    )


@dataclasses.dataclass
class Mesh:
    """The stores, the signals, the clock and the locations of one test."""

    store: databases.Database
    changes: host_changes.Changes
    clock: Clock
    locations: Locations = dataclasses.field(default_factory=Locations)
    servers: dict[str, tuple[CodeServer, records.ServerRecord]] = dataclasses.field(
        default_factory=dict
    )
    terms: list[leading.Term] = dataclasses.field(default_factory=list)
    _seqs: dict[str, "itertools.count[int]"] = dataclasses.field(default_factory=dict)

    async def serve(self, name: str, defines: snapshot_pb2.LocationSnapshot) -> CodeServer:
        """Have a location serve definitions, by a new code server the first time."""
        if name not in self.servers:
            server = CodeServer(name, f"{name}-server")
            self.servers[name] = (
                server,
                await simulated.register(self.store, name, f"{name}-server"),
            )
        server, record = self.servers[name]
        self.locations.serve(server, record, defines)
        return server

    def surroundings(self, store: databases.Database | None = None) -> leading.Surroundings:
        return leading.Surroundings(store or self.store, self.locations, self.changes, self.clock)

    def dispatcher(
        self, store: databases.Database | None = None, *, tick_timeout_s: float = 60.0
    ) -> dispatching.Dispatcher:
        around = self.surroundings(store)

        def make() -> leading.Term:
            self.terms.append(leading.Term(around, tick_timeout_s=tick_timeout_s))
            return self.terms[-1]

        return dispatching.Dispatcher(around.store, self.clock, {"conditions": make})

    async def materialize(self, name: str, partition: str = "", **tags: str) -> None:
        """Report a materialization from outside."""
        event = events_pb2.Event()
        event.asset_materialization.asset_key.path.append(name)
        event.asset_materialization.partition = partition
        event.asset_materialization.tags.update(tags)
        await self.store.events.append_host_events([event])

    async def runs(self, name: str | None = None) -> list[records.RunRecord]:
        """Return the runs, oldest first; those of an asset where one is named."""
        found = await self.store.runs.list(records.RunQuery(), limit=10_000)
        ordered = sorted(found, key=lambda run: run.queue_order)
        return [run for run in ordered if name is None or (name,) in run.asset_selection]

    async def until_runs(self, count: int, name: str | None = None) -> list[records.RunRecord]:
        """Wait until there are so many runs; more are an error."""
        found: list[records.RunRecord] = []

        async def enough() -> bool:
            found[:] = await self.runs(name)
            assert len(found) <= count, [run.asset_selection for run in found]
            return len(found) == count

        await self.eventually(enough, f"{count} runs of {name or 'anything'}")
        return found

    async def execute(self, run: records.RunRecord, *, fails: bool = False) -> None:
        """Have a location execute a run."""
        server, record = self.servers[run.location_name]
        limits = queue_records.ClaimLimits(active_max=10_000, active_per_location_max=10_000)
        await self.store.runs.claim({run.location_name: server.server_id}, limits, batch_max=10_000)
        events = [events_pb2.Event(run_started=events_pb2.RunStarted())]
        for path in run.asset_selection if not fails else ():
            event = events_pb2.Event()
            event.asset_materialization.asset_key.path.extend(path)
            event.asset_materialization.partition = run.partition_key
            events.append(event)
        for path, name in run.target.asset_check_selection if not fails else ():
            event = events_pb2.Event()
            event.asset_check_evaluation.asset_key.path.extend(path)
            event.asset_check_evaluation.check_name = name
            event.asset_check_evaluation.passed = True
            events.append(event)
        events.append(events_pb2.Event())
        (events[-1].run_failed if fails else events[-1].run_succeeded).SetInParent()
        seqs = self._seqs.setdefault(run.run_id, itertools.count(1))
        for event in events:
            event.run_id, event.seq = run.run_id, next(seqs)
        batch = records.EventBatch(run.location_name, server.server_id, record.epoch, events)
        (outcome,) = await self.store.events.append([batch])
        assert not outcome.fenced

    async def execute_all(self) -> None:
        """Execute every queued run."""
        for run in await self.runs():
            if run.status is STATUS.QUEUED:
                await self.execute(run)

    async def state(self, name: str):
        """Return what is stored of an asset's condition."""
        found = await self.store.conditions.states([deciding.target_key(entities.asset((name,)))])
        return found[0] if found else None

    async def evaluated(self, *names: str) -> None:
        """Wait until assets were evaluated."""
        await self._evaluated(*(entities.asset((name,)) for name in names))

    async def check_evaluated(self, asset_name: str, name: str) -> None:
        """Wait until the condition of a check was evaluated."""
        await self._evaluated(entities.check((asset_name,), name))

    async def job_evaluated(self, location_name: str, name: str) -> None:
        """Wait until the condition of a job was evaluated."""
        await self._evaluated(entities.job(location_name, name))

    async def _evaluated(self, *targets: entities.Entity) -> None:
        keys = [deciding.target_key(target) for target in targets]

        async def done() -> bool:
            states = await self.store.conditions.states(keys)
            return len(states) == len(keys) and all(state.state for state in states)

        await self.eventually(done, f"{targets} are evaluated")

    async def caught_up(self) -> None:
        """Wait until all that is in the log now is decided on."""
        head = await self.store.events.head()

        async def done() -> bool:
            return any(term.position >= head for term in self.terms)

        await self.eventually(done, f"the log is decided on to {head}")

    async def explanations(self, name: str) -> list[conditions_pb2.ConditionEvaluation]:
        """Return the stored evaluations of an asset, newest first."""
        found = await self.store.conditions.evaluations(
            deciding.target_key(entities.asset((name,))), limit=100
        )
        return [conditions_pb2.ConditionEvaluation.FromString(each.payload) for each in found]

    async def eventually(self, check, what: str, timeout_s: float = 10.0) -> None:
        """Wait until a check holds."""
        await simulated.Mesh(self.store, self.changes).eventually(check, what, timeout_s)


@contextlib.asynccontextmanager
async def mesh_of(
    store: databases.Database, now: dt.datetime = dt.datetime(2026, 3, 4, 5, 6, tzinfo=dt.UTC)
) -> AsyncIterator[Mesh]:
    """Make a mesh whose signals are fed by Postgres."""
    changes = host_changes.Changes(store)
    async with simulated.running(changes):
        yield Mesh(store, changes, Clock(now))

"""What is known event by event is what somebody knows who reads everything anew."""

import datetime as dt
import random

import pytest

from atoll._conditions import entities, entity_subsets, views
from atoll._partitions import dynamic_partitions, static_partitions
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import clock as clocks
from atoll_host.automation.conditions import graphs, knowledge, reading, viewing
from atoll_host.locations import definitions, graph
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.host.automation.conditions import meshes

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

LETTERS = static_partitions.StaticPartitionsDefinition(["x", "y", "z"])
CUSTOMERS = dynamic_partitions.DynamicPartitionsDefinition(name="customers")
NOW = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)
PARTITIONED = {"whole": [""], "letters": list("xyz"), "customers": ["c1", "c2"], "seen": [""]}
ENTITIES = [
    *(entities.asset((name,)) for name in PARTITIONED),
    entities.check(("whole",), "fits"),
    entities.check(("letters",), "fits"),
]


def check(name: str, partitions=None) -> snapshot_pb2.AssetCheckDefinition:
    made = snapshot_pb2.AssetCheckDefinition(
        key=values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=[name]), name="fits"),
        executable=True,
        op_name=f"{name}_fits",
    )
    if partitions is not None:
        made.partitions.CopyFrom(partitions)
    return made


def surroundings() -> knowledge.Surroundings:
    letters = meshes.asset("letters", partitions=LETTERS)
    seen = meshes.asset("seen")
    seen.observable = True
    defines = meshes.location(
        meshes.asset("whole"),
        letters,
        meshes.asset("customers", partitions=CUSTOMERS),
        seen,
        checks=[check("whole"), check("letters", letters.partitions)],
    )
    defined = definitions.decode("d", defines.SerializeToString())
    merged = graph.AssetGraph({"a": defined}, dict.fromkeys(defined.executable, "a"))
    return graphs.build({"a": defined}, merged, ()).surroundings


def unanswered(call: views.CustomCall) -> views.CustomAnswer:
    raise viewing.NotAnswered(call.name)


class Reader:
    """Knows things, and says what it knows."""

    def __init__(self, store: databases.Database) -> None:
        self.known = knowledge.Knowledge(surroundings())
        self._reader = reading.Reader(store, clocks.SystemClock(), self.known)

    async def begin(self) -> "Reader":
        await self._reader.begin()
        return self

    async def says(self, after: int) -> dict[str, object]:
        """Return everything that conditions may ask."""
        await self._reader.catch_up()
        for _ in range(20):
            view = viewing.View(self.known, NOW, unanswered)
            told = {str(each): _all_of(view, each, after) for each in ENTITIES}
            if not view.needs:
                return told
            await self._reader.read(view.needs)
            await self._reader.catch_up()
        raise AssertionError("it never knew enough")


def _keys(value: entity_subsets.Value) -> object:
    return value if isinstance(value, bool) else sorted(value.get_partition_keys())


def _all_of(view: viewing.View, entity: entities.Entity, after: int) -> object:
    present = view.present(entity)
    runs = view.latest_runs(entity, present)
    return {
        "present": _keys(present),
        "in progress": _keys(view.run_in_progress(entity)),
        "failed": _keys(view.execution_failed(entity)),
        "passed": _keys(view.check_result(entity, passed=True))
        if entity.kind == entities.CHECK
        else None,
        "did not pass": _keys(view.check_result(entity, passed=False))
        if entity.kind == entities.CHECK
        else None,
        "runs": sorted((run_id, str(_keys(value))) for run_id, value in runs),
        "updates": sorted(
            (str(_keys(part)), update.run_id)
            for update in view.updates(entity, after)
            for part in _parts(update.value)
        ),
    }


def _parts(value: entity_subsets.Value) -> list[entity_subsets.Value]:
    if isinstance(value, bool):
        return [value]
    return [(value - value).with_partition_keys([key]) for key in value.get_partition_keys()]


class World:
    """Makes things happen at random."""

    def __init__(self, store: databases.Database, seed: int) -> None:
        self._store = store
        self._random = random.Random(seed)
        self._seqs: dict[str, int] = {}
        self._open: list[records.NewRun] = []
        self._count = 0

    async def begin(self) -> None:
        registration = records.ServerRegistration(
            "a", "s", "i", "127.0.0.1:1", "0", 1, (), "h", None, None, False, 3600.0
        )
        await self._store.locations.register(registration)

    async def step(self) -> None:
        steps = [self.report, self.report, self.queue, self.work, self.work, self.end, self.keys]
        await self._random.choice(steps)()

    def _asset(self) -> tuple[str, str]:
        name = self._random.choice(list(PARTITIONED))
        return name, self._random.choice(PARTITIONED[name])

    async def report(self) -> None:
        name, partition = self._asset()
        kind = "asset_observation" if name == "seen" else "asset_materialization"
        await self._store.events.append_host_events([_event(kind, name, partition)], "a")

    async def queue(self) -> None:
        name, partition = self._asset()
        self._count += 1
        target = records.WHOLE_JOB
        if name == "letters" and self._random.random() < 0.4:
            partition = ""
            target = records.RunTarget(partition_range_start="x", partition_range_end="y")
        run = records.NewRun(
            f"r{self._count}",
            "a",
            "__ASSET_JOB",
            {},
            asset_selection=[(name,)],
            partition_key=partition,
            target=target,
        )
        await self._store.runs.create(run)
        limits = queue_records.ClaimLimits(1000, 1000)
        await self._store.runs.claim({"a": "s"}, limits, batch_max=1000)
        self._open.append(run)

    async def work(self) -> None:
        if not self._open:
            return
        run = self._random.choice(self._open)
        ((name,),) = run.asset_selection
        partition = run.partition_key or run.target.partition_range_start
        kind = self._random.choice(["asset_materialization_planned", "asset_materialization"])
        if name in {"whole", "letters"} and self._random.random() < 0.4:
            kind = "asset_check_evaluation"
        elif name == "seen" and kind == "asset_materialization":
            kind = "asset_observation"
        await self._append(run, _event(kind, name, partition, self._random.random() < 0.5))

    async def end(self) -> None:
        if not self._open:
            return
        run = self._open.pop(self._random.randrange(len(self._open)))
        event = events_pb2.Event()
        kind = self._random.choice(["run_failed", "run_succeeded", "run_canceled"])
        getattr(event, kind).SetInParent()
        await self._append(run, event)

    async def keys(self) -> None:
        kind = self._random.choice(list(records.DynamicPartitionsChangeKind))
        some = ("c1", "c2")[: self._random.randint(1, 2)]
        change = records.DynamicPartitionsChange("customers", kind, some)
        await self._store.partitions.change(change)

    async def _append(self, run: records.NewRun, event: events_pb2.Event) -> None:
        self._seqs[run.run_id] = self._seqs.get(run.run_id, 0) + 1
        event.run_id, event.seq = run.run_id, self._seqs[run.run_id]
        (outcome,) = await self._store.events.append([records.EventBatch("a", "s", 1, [event])])
        assert not outcome.fenced


def _event(kind: str, name: str, partition: str, passed: bool = True) -> events_pb2.Event:
    event = events_pb2.Event()
    body = getattr(event, kind)
    body.asset_key.path.append(name)
    body.partition = partition
    if kind == "asset_check_evaluation":
        body.check_name, body.passed = "fits", passed
    return event


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_heard_is_what_is_read_anew(database: databases.Database, seed: int):
    world = World(database, seed)
    await world.begin()
    follower = await Reader(database).begin()
    await follower.says(0)
    for number in range(40):
        after = await database.events.head()
        for _ in range(number % 4):
            await world.step()
        heard = await follower.says(after)
        anew = await (await Reader(database).begin()).says(after)
        assert heard == anew, number
        if number % 20 == 10:
            follower.known.memories.clear()  # as when there is no room

"""A sweep takes what is old, and everybody who looks afterwards reads the same as before."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator

import psycopg
import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll.location.v1 import location_pb2
from atoll_host.retention import ages, leading, sweeping
from atoll_storage import backfill_records, freshness_records, partitions, records
from atoll_storage import database as databases
from atoll_storage import errors as storage_errors
from tests.host.runs import simulated
from tests.storage import support

pytestmark = [pytest.mark.postgres]

A, B, C = ("a",), ("b",), ("c",)
EVERYTHING = ages.RetentionSettings(**dict.fromkeys(ages.SUBJECTS, "1d"))
TICK = automation_pb2


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


@dataclasses.dataclass
class World:
    """A mesh whose past can be moved away."""

    mesh: simulated.Mesh
    url: str

    def age(self, days: float) -> None:
        """Let everything that is stored be so many days older."""
        by = f"- interval '{days} days'"
        with psycopg.connect(self.url, autocommit=True) as connection:
            for table, *columns in (
                ("events", "stored_time"),
                ("runs", "create_time", "start_time", "end_time"),
                ("ticks", "start_time"),
                ("requests", "create_time"),
                ("backfills", "create_time", "end_time"),
                ("servers", "lease_expire_time"),
                ("snapshots", "create_time"),
            ):
                changes = ", ".join(f"{column} = {column} {by}" for column in columns)
                connection.execute(f"UPDATE {table} SET {changes}")  # noqa: S608

    def count(self, table: str) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        assert row is not None
        return row[0]

    async def sweep(
        self, settings: ages.RetentionSettings = EVERYTHING, *, dry_run: bool = False
    ) -> dict[str, int]:
        sweeper = sweeping.Sweeper(self.mesh.store, self.mesh.locations, self.mesh.clock, settings)
        swept = await sweeper.sweep(dry_run=dry_run)
        return {each.subject: each.count for each in swept.counts}

    async def append(self, run: records.RunRecord, *events: events_pb2.Event) -> None:
        (outcome,) = await self.mesh.store.events.append([support.batch(events)])
        assert not outcome.fenced
        assert outcome.acknowledged == {run.run_id: events[-1].seq}

    async def finished_run(self, *path: str, partition: str = "", **fields) -> records.RunRecord:
        """Have a run materialize an asset, log, and succeed."""
        run = await support.started_run(self.mesh.store, **fields)
        event = support.event
        await self.append(
            run,
            event(run.run_id, 1, "run_started"),
            event(run.run_id, 2, "step_started", step_key="s"),
            event(run.run_id, 3, "log_message"),
            support.materialization(run.run_id, 4, *path, partition=partition),
            event(run.run_id, 5, "step_succeeded", step_key="s"),
            event(run.run_id, 6, "run_succeeded"),
        )
        return run

    async def everything_known(self) -> list[object]:
        """Return what everybody reads of assets, checks, sensors and freshness."""
        store = self.mesh.store
        paths = [A, B, C]
        keys = [state.key for state in await store.sensors.states()]
        return [
            await store.events.latest_materializations(paths),
            await store.assets.entries(paths),
            [
                await store.assets.partitions(records.AssetPartitionQuery(path), limit=100)
                for path in paths
            ],
            await store.checks.latest_check_evaluations([(A, "full")]),
            await store.sensors.states(),
            await store.sensors.latest_ticks(keys),
            await store.freshness.all_states(),
            await store.locations.servers(),
        ]


@pytest.fixture
def world(mesh: simulated.Mesh, database_url: str) -> World:
    return World(mesh, database_url)


def kinds(events: list[events_pb2.StoredEvent]) -> list[str]:
    return [str(each.event.WhichOneof("body")) for each in events]


async def tick(
    store: databases.Database, sensor: str, status: int, *, event_id: int = 0, run_key: str = ""
) -> None:
    key = records.SensorKey("a", sensor)
    await store.sensors.ensure([key])
    state = await store.sensors.state(key)
    assert state is not None
    runs = [support.new_run("a", run_key=run_key, sensor_name=sensor)] if run_key else []
    made = automation_pb2.Tick(
        tick_id=f"{sensor}-{state.version:04}", status=status, event_id=event_id
    )
    await store.sensors.commit_tick(
        records.TickCommit(key, state.version, None, event_id or None, runs, made)
    )


async def test_backfills_go_when_they_ended_long_ago_and_all_is_accounted_for(world: World) -> None:
    store = world.mesh.store.backfills
    status = backfill_records.BackfillStatus

    async def made(backfill_id: str, **fields) -> None:
        await store.create(backfill_records.NewBackfill(backfill_id, "t", {}, b"", b""))
        if fields:
            await store.commit(
                backfill_records.BackfillCommit(backfill_id, 0, progress=b"", **fields)
            )

    await made("under way")
    await made("ended", status=status.COMPLETED_SUCCESS)
    await made("open", status=status.REQUESTED, runs=[support.new_run("a")])
    await store.commit(backfill_records.BackfillCommit("open", 1, status.CANCELED, b""))
    world.age(2)
    await made("new", status=status.FAILED)
    counts = await world.sweep()
    assert counts["backfills"] == 1
    left = {each.backfill_id for each in await store.page(limit=10)}
    assert left == {"under way", "open", "new"}


async def test_everybody_reads_the_same_after_all_that_may_go_went(world: World) -> None:
    store = world.mesh.store
    await world.finished_run("a")
    await world.finished_run("a")
    await world.finished_run("b", partition="2026")
    observed = support.event("", 0, "asset_observation")
    observed.asset_observation.asset_key.path.append("c")
    observed.asset_observation.partition = "x"
    evaluated = support.event("", 0, "asset_check_evaluation")
    evaluated.asset_check_evaluation.asset_key.path.append("a")
    evaluated.asset_check_evaluation.check_name = "full"
    await store.events.append_host_events([observed, observed, evaluated])
    failed = await support.started_run(store)
    planned = support.event(failed.run_id, 1, "asset_materialization_planned")
    planned.asset_materialization_planned.asset_key.path.append("b")
    planned.asset_materialization_planned.partition = "2025"
    await world.append(failed, planned, support.event(failed.run_id, 2, "run_failed"))
    await tick(store, "s", TICK.TICK_STATUS_SKIPPED)
    await tick(store, "s", TICK.TICK_STATUS_SUCCESS)
    await tick(store, "t", TICK.TICK_STATUS_FAILURE)
    change = freshness_records.FreshnessChange(A, 1, 4, 0, None)
    await store.freshness.commit([change])

    world.age(10)
    await support.started_run(store)  # something new, so that the head stays where it is
    before = await world.everything_known()
    counted = await world.sweep(dry_run=True)
    assert await world.everything_known() == before
    taken = await world.sweep()
    assert await world.everything_known() == before

    assert counted == taken
    assert taken["log_messages"] == 3
    assert taken["step_events"] == 6
    assert taken["asset_events"] == 3 + 1 + 1  # one observation is the newest of its asset
    assert taken["ticks_skipped"] == 1
    assert taken["runs"] == 3
    assert await world.sweep() == {}
    left = kinds(await store.events.read(0, limit=100, complete=False))
    assert sorted(left) == ["asset_observation", "run_enqueued", "run_starting"]
    # The run that says why a partition has no data is still there.
    assert await store.runs.get(failed.run_id) is not None
    assert world.count("ticks") == 2


async def test_defaults_keep_materializations_and_what_is_young(world: World) -> None:
    await world.finished_run("a")
    world.age(40)
    await world.finished_run("a")
    taken = await world.sweep(ages.RetentionSettings())
    assert taken == {"log_messages": 1}
    world.age(60)
    assert await world.sweep(ages.RetentionSettings()) == {"log_messages": 1, "step_events": 2}
    world.age(400)
    taken = await world.sweep(ages.RetentionSettings())
    assert taken["runs"] == 2
    assert "asset_events" not in taken
    listed, _ = await world.mesh.store.events.list_asset_events(A, kind="materialization")
    assert len(listed) == 2


async def test_runs_that_have_not_ended_keep_all_their_events(world: World) -> None:
    run = await support.started_run(world.mesh.store)
    await world.append(
        run, support.event(run.run_id, 1, "run_started"), support.event(run.run_id, 2)
    )
    queued = await world.mesh.store.runs.create(support.new_run())
    world.age(1000)
    assert await world.sweep() == {}
    store = world.mesh.store
    mine = records.EventQuery(run_id=run.run_id)
    left = await store.events.read(0, limit=100, query=mine, complete=False)
    assert [each.event.seq for each in left if each.event.seq] == [1, 2]
    assert await store.runs.get(queued.run_id) is not None
    # When it has ended and is old, all of it goes.
    await world.append(run, support.event(run.run_id, 3, "run_succeeded"))
    world.age(1000)
    await world.sweep()
    assert await store.events.read(0, limit=100, query=mine, complete=False) == []


async def test_what_a_running_sensor_has_not_seen_stays(world: World) -> None:
    server = await world.mesh.serve("a", simulated.sensor("s", snapshot_pb2.SENSOR_KIND_ASSET, A))
    key = records.SensorKey("a", "s")
    await world.mesh.store.sensors.ensure([key])
    first, _, third = await world.mesh.materialize(A, B, A)
    world.age(10)
    await world.sweep()
    store = world.mesh.store
    assert (await store.events.next_materialization(A, 0)).id == first
    await tick(store, "s", TICK.TICK_STATUS_SKIPPED, event_id=first)
    await world.sweep()
    assert (await store.events.next_materialization(A, 0)).id == third
    # A sensor that is stopped waits for nothing.
    world.mesh.redefine(
        server, simulated.sensor("s", snapshot_pb2.SENSOR_KIND_ASSET, A, stopped=True)
    )
    await world.sweep()
    assert await store.events.next_materialization(A, 0) is None


async def test_a_run_key_makes_one_run_also_when_the_run_is_old(world: World) -> None:
    store = world.mesh.store
    await tick(store, "s", TICK.TICK_STATUS_SUCCESS, run_key="k")
    await store.locations.register(support.registration("a", "s1"))
    (run,) = await store.runs.claim({"a": "s1"}, support.LIMITS, batch_max=10)
    await world.append(run, support.event(run.run_id, 1, "run_succeeded"))
    world.age(1000)
    taken = await world.sweep()
    assert "runs" not in taken
    await tick(store, "s", TICK.TICK_STATUS_SUCCESS, run_key="k")
    assert world.count("runs") == 1


async def test_the_newest_tick_of_each_schedule_stays(world: World) -> None:
    insert = (
        "INSERT INTO ticks (tick_id, location_name, sensor_name, schedule_name, status, start_time,"
        " payload) VALUES (%s, 'a', '', %s, 2, now() + %s * interval '1 second', '')"
    )
    with psycopg.connect(world.url, autocommit=True) as connection:
        for number, name in enumerate(("one", "one", "two", "one")):
            connection.execute(insert, [f"t{number}", name, number])
    world.age(10)
    assert (await world.sweep())["ticks_skipped"] == 2
    with psycopg.connect(world.url) as connection:
        rows = connection.execute("SELECT tick_id FROM ticks ORDER BY tick_id").fetchall()
    assert rows == [("t2",), ("t3",)]


async def test_output_goes_before_its_run(world: World) -> None:
    run = await world.finished_run("a")
    piece = records.OutputPiece(run.run_id, "s", 1, 0, b"hello")
    server = await world.mesh.store.locations.server("a", "s1")
    assert server is not None
    await world.mesh.store.outputs.append(
        piece, location_name="a", server_id="s1", epoch=server.epoch
    )
    world.age(10)
    settings = ages.RetentionSettings(output="5d", runs="forever")
    assert (await world.sweep(settings))["output"] == 1
    assert world.count("run_output") == 0
    assert world.count("runs") == 1
    assert "output" not in await world.sweep(settings)


async def test_servers_that_were_replaced_and_snapshots_nobody_serves_go(world: World) -> None:
    store = world.mesh.store

    async def register(server_id: str, digest: str) -> None:
        await store.locations.save_snapshot(digest, b"")
        build = location_pb2.Build(build_id="b", definitions_digest=digest)
        registration = support.registration("a", server_id, build=build, lease_ttl_s=1.0)
        await store.locations.register(registration)

    await register("old", "d1")
    await register("new", "d2")
    world.age(10)
    taken = await world.sweep()
    assert (taken["servers"], taken["snapshots"]) == (1, 1)
    assert [record.server_id for record in await store.locations.servers()] == ["new"]
    assert await store.locations.load_snapshot("d2") is not None


async def test_a_follower_that_is_too_far_behind_is_told_and_a_reader_is_not(world: World) -> None:
    store = world.mesh.store
    await world.finished_run("a")
    head = await store.events.head()
    world.age(10)
    await world.sweep(ages.RetentionSettings(log_messages="1d"))
    logs = records.EventQuery(kinds=("log_message",))
    runs = records.EventQuery(kinds=("run_succeeded",))
    with pytest.raises(storage_errors.Compacted):
        await store.events.read(0, limit=10, query=logs)
    with pytest.raises(storage_errors.Compacted):
        await store.events.read(0, limit=10)
    assert len(await store.events.read(0, limit=10, query=runs)) == 1
    assert len(await store.events.read(0, limit=100, complete=False)) == head - 1
    assert await store.events.read(head, limit=10) == []
    assert len((await store.events.materializations_after(0, limit=10))[0]) == 1


async def test_whole_partitions_are_dropped_where_all_in_them_may_go(
    own_database_url: str,
) -> None:
    store = await databases.Database.connect(own_database_url)
    try:
        async with simulated.mesh_of(store) as mesh:
            world = World(mesh, own_database_url)
            await world.finished_run("a")
            known = await store.events.latest_materializations([A])
            with psycopg.connect(own_database_url, autocommit=True) as connection:
                connection.execute("UPDATE log_head SET head = %s", [partitions.SIZE + 5])
            await world.finished_run("b")
            world.age(10)
            assert (await world.sweep(dry_run=True))["partitions"] == 1
            taken = await world.sweep()
            assert taken["partitions"] == 1
            assert "log_messages" in taken  # of the partition of the head, one by one
            assert await store.events.latest_materializations([A]) == known
            assert (await store.retention.log_facts()).first_id == partitions.SIZE
    finally:
        await store.close()


async def test_an_emptied_partition_is_dropped_although_materializations_are_kept(
    own_database_url: str,
) -> None:
    store = await databases.Database.connect(own_database_url)
    try:
        async with simulated.mesh_of(store) as mesh:
            world = World(mesh, own_database_url)
            run = await support.started_run(store)
            await world.append(run, support.event(run.run_id, 1, "run_succeeded"))
            with psycopg.connect(own_database_url, autocommit=True) as connection:
                connection.execute("UPDATE log_head SET head = %s", [partitions.SIZE + 5])
            await world.finished_run("a")
            world.age(1000)
            taken = await world.sweep(ages.RetentionSettings())
            assert taken["partitions"] == 1
    finally:
        await store.close()


async def test_a_term_sweeps_by_itself_and_remembers_what_it_took(world: World) -> None:
    await world.finished_run("a")
    world.age(10)
    sweeper = sweeping.Sweeper(world.mesh.store, world.mesh.locations, world.mesh.clock, EVERYTHING)
    term = leading.Term(sweeper, world.mesh.clock, every_s=30.0, first_after_s=0.0)
    task = asyncio.create_task(term.run())

    async def swept() -> bool:
        return bool(await world.mesh.store.retention.sweeps(10))

    try:
        await world.mesh.eventually(swept, "a sweep is remembered")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (sweep,) = await world.mesh.store.retention.sweeps(10)
    assert {each.subject for each in sweep.counts} >= {"log_messages", "runs"}
    assert dt.timedelta(0) <= sweep.end_time.ToDatetime() - sweep.start_time.ToDatetime()

"""Backfills on real stores: in order across locations, whatever fails, stops or comes back."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import psycopg
import pytest

from atoll._partitions import calendar_partitions, static_partitions, time_window_mappings
from atoll_host import errors
from atoll_host.automation import dispatching
from atoll_host.automation.backfills import leading
from atoll_host.locations import graph
from atoll_host.runs import retrying, run_settings, run_tags
from atoll_storage import backfill_records, database, records
from atoll_storage import errors as storage_errors
from tests.host.automation.backfills import meshes
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
STATUS = backfill_records.BackfillStatus
DAYS = calendar_partitions.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-11")
WEEKS = calendar_partitions.WeeklyPartitionsDefinition("2025-12-28", end_date="2026-02-01")
LETTERS = static_partitions.StaticPartitionsDefinition(["a", "b", "c"])


@pytest.fixture
async def world(database: database.Database) -> AsyncIterator[meshes.World]:
    async with meshes.world_of(database) as made:
        yield made


async def _two_locations(world: meshes.World) -> None:
    """`raw` and `clean` share runs; `weekly` of another location needs seven days of `clean`."""
    await world.serve("one", meshes.asset("raw", DAYS), meshes.asset("clean", DAYS, "raw"))
    await world.serve(
        "two", meshes.asset("weekly", WEEKS, "clean"), meshes.asset("all", None, "weekly")
    )


def _of(*partition_keys: str):
    return lambda run: run.partition_key in partition_keys


async def test_everything_is_run_once_in_order_and_across_locations(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create(
        "raw", "clean", "weekly", "all", choice=meshes.targets.Choice.ALL
    )
    await world.finish(world.term())
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
    days = [f"2026-01-{day:02}" for day in range(1, 11)]
    assert sorted(key for names, key in world.ran if names == ("raw", "clean")) == days
    place = {key: number for number, (_, key) in enumerate(world.ran)}
    assert place["2026-01-04"] > place["2026-01-10"]
    assert place["2025-12-28"] > place["2026-01-03"]
    weeks = ["2025-12-28", "2026-01-04", "2026-01-11", "2026-01-18", "2026-01-25"]
    assert {key for names, key in world.ran if names == ("weekly",)} == set(weeks)
    assert world.ran[-1] == (("all",), "")
    assert len(world.ran) == 16


async def test_what_needs_nothing_of_the_backfill_does_not_wait(world: meshes.World):
    await _two_locations(world)
    await world.create("raw", "weekly", choice=meshes.targets.Choice.ALL)
    term = world.term()
    await world.rounds(term)
    assert len(await world.runs()) == 15


async def test_runs_carry_the_backfill_and_wait_behind_others(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", partition_keys=("2026-01-02",), tags={"team": "x"})
    await world.rounds(world.term())
    (run,) = await world.runs()
    assert run.tags == {
        "team": "x",
        "atoll/backfill": backfill_id,
        "atoll/priority": "-1",
        "atoll/partition": "2026-01-02",
    }
    assert (run.partition_key, run.asset_selection) == ("2026-01-02", (("raw",),))


async def test_downstream_of_a_failure_nothing_is_requested_until_it_is_retried(
    world: meshes.World,
):
    await _two_locations(world)
    backfill_id = await world.create(
        "raw", "clean", "weekly", "all", choice=meshes.targets.Choice.ALL
    )
    term = world.term()
    await world.finish(term, fails=_of("2026-01-05"))
    ended = await world.record(backfill_id)
    assert ended.status is STATUS.COMPLETED_FAILED
    assert ended.end_time is not None
    counts = await world.counts(backfill_id)
    assert counts["clean"] == (0, 0, 9, 1, 0)
    assert counts["weekly"] == (0, 0, 4, 0, 1)
    assert counts["all"] == (0, 0, 0, 0, 1)
    world.ran.clear()
    again = await world.backfilling.retry(backfill_id)
    assert again.status is STATUS.REQUESTED
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
    assert world.ran == [
        (("raw", "clean"), "2026-01-05"),
        (("weekly",), "2026-01-04"),
        (("all",), ""),
    ]


async def test_of_a_run_that_failed_halfway_what_it_made_counts(world: meshes.World):
    await world.serve(
        "one",
        meshes.asset("raw", DAYS, policy=0),
        meshes.asset("clean", DAYS, "raw", policy=0),
    )
    await world.serve("two", meshes.asset("copy", DAYS, "raw"))
    backfill_id = await world.create("raw", "clean", "copy", choice=meshes.targets.Choice.ALL)
    term = world.term()
    await world.rounds(term)
    servers = {"one": "one-server"}
    (run,) = await world.store.runs.claim(servers, meshes.LIMITS, batch_max=1)
    assert run.target.partition_range_start == "2026-01-01"
    assert run.target.partition_range_end == "2026-01-10"
    await world.report(run, ("raw", "2026-01-01"), ("raw", "2026-01-02"), ("clean", "2026-01-01"))
    await world.store.retries.decline([run.run_id])
    await world.rounds(term)
    counts = await world.counts(backfill_id)
    assert counts["raw"] == (0, 0, 2, 8, 0)
    assert counts["clean"] == (0, 0, 1, 9, 0)
    assert counts["copy"] == (0, 2, 0, 0, 8)


async def test_a_canceled_backfill_requests_nothing_and_leaves_no_run(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", "weekly", "clean", choice=meshes.targets.Choice.ALL)
    term = world.term()
    await world.rounds(term)
    (running,) = await world.store.runs.claim({"one": "one-server"}, meshes.LIMITS, batch_max=1)
    other = await world.mesh.queue("one")
    assert (await world.backfilling.cancel(backfill_id)).status is STATUS.CANCELING
    await world.rounds(term)
    assert await world.mesh.status(running.run_id) is records.RunStatus.CANCELING
    assert (await world.record(backfill_id)).status is STATUS.CANCELING
    await world.store.runs.finish_cancel(running.run_id)
    await world.rounds(term)
    ended = await world.record(backfill_id)
    assert ended.status is STATUS.CANCELED
    left = [run for run in await world.runs() if not run.status.is_final]
    assert [run.run_id for run in left] == other
    assert (await world.backfilling.cancel(backfill_id)).status is STATUS.CANCELED

    await world.store.runs.request_cancel(other[0], "")
    await world.backfilling.retry(backfill_id)
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS


async def test_a_paused_backfill_goes_on_where_it_was(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", "clean", "weekly", choice=meshes.targets.Choice.ALL)
    term = world.term()
    await world.rounds(term)
    assert (await world.backfilling.pause(backfill_id)).status is STATUS.PAUSED
    await world.finish(term)
    assert len(world.ran) == 13
    assert (await world.counts(backfill_id))["weekly"] == (2, 0, 3, 0, 0)
    await world.backfilling.resume(backfill_id)
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
    with pytest.raises(errors.InvalidRequest, match="is COMPLETED_SUCCESS, so it cannot be paused"):
        await world.backfilling.pause(backfill_id)


async def test_a_location_that_is_away_holds_up_only_what_needs_it(world: meshes.World):
    await world.serve("one", meshes.asset("here", LETTERS))
    await world.serve("two", meshes.asset("away", LETTERS), meshes.asset("after", LETTERS, "here"))
    await world.serve("three", meshes.asset("there", LETTERS, "here"))
    backfill_id = await world.create(
        "here", "away", "after", "there", choice=meshes.targets.Choice.ALL
    )
    world.locations.lose("two")
    term = world.term()
    await world.finish(term)
    counts = await world.counts(backfill_id)
    assert counts["here"] == counts["there"] == (0, 0, 3, 0, 0)
    assert counts["away"] == counts["after"] == (3, 0, 0, 0, 0)
    world.locations.find("two")
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS


async def test_several_backfills_take_turns_and_bound_what_waits(database: database.Database):
    many = static_partitions.StaticPartitionsDefinition([f"p{n:03}" for n in range(100)])
    async with meshes.world_of(database, queued_max=40, chunk_max=10) as world:
        await world.serve("one", meshes.asset("x", many))
        made = [await world.create("x", choice=meshes.targets.Choice.ALL) for _ in range(2)]
        term = world.term()
        await world.rounds(term)
        runs = await world.runs()
        whose = [run.tags["atoll/backfill"] for run in runs]
        assert [whose[n] for n in range(0, 80, 10)] == made * 4
        assert len(runs) == 80
        await world.work(count=10)
        await world.rounds(term)
        assert len(await world.runs()) == 80 + 10
        await world.finish(term)
        assert len(await world.runs()) == 200


async def test_two_leaders_at_once_request_nothing_twice(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create(
        "raw", "clean", "weekly", "all", choice=meshes.targets.Choice.ALL
    )
    terms = [world.term() for _ in range(3)]
    while (await world.record(backfill_id)).status is STATUS.REQUESTED:
        await asyncio.gather(*(world.rounds(term) for term in terms))
        await world.work(count=4)
    assert len(await world.runs()) == 16
    assert sorted(world.ran) == sorted(set(world.ran))


async def test_code_that_is_gone_ends_the_backfill_and_says_so(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", "weekly", choice=meshes.targets.Choice.ALL)
    await world.serve("two", meshes.asset("all"))
    term = world.term()
    await world.finish(term)
    ended = await world.record(backfill_id)
    assert ended.status is STATUS.FAILED
    assert ended.failure is not None
    assert "no longer runs 'weekly'" in ended.failure.message
    assert world.ran == []
    await _two_locations(world)
    await world.backfilling.retry(backfill_id)
    await world.finish(term)
    ended = await world.record(backfill_id)
    assert (ended.status, ended.failure) == (STATUS.COMPLETED_SUCCESS, None)


async def test_what_nobody_is_known_to_own_yet_is_waited_for(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", "weekly", choice=meshes.targets.Choice.ALL)
    heard = world.locations.graph()
    views = world.locations.locations()
    defined = {name: view.definitions for name, view in views.items() if view.definitions}
    world.locations._graph = graph.AssetGraph(defined, {})
    term = world.term()
    await world.rounds(term)
    assert (await world.record(backfill_id)).status is STATUS.REQUESTED
    assert world.ran == []
    world.locations._graph = heard
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS


async def test_what_cannot_be_launched_any_more_fails_and_the_rest_goes_on(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create("raw", "all", choice=meshes.targets.Choice.ALL)
    job = "implicit"
    broken = meshes.snapshot([meshes.asset("weekly", WEEKS, "clean"), meshes.asset("all")])
    broken.jobs[0].name = job
    broken.jobs[0].implicit = False
    view = world.locations.locations()["two"]
    world.locations.serve(world.locations.control("two"), view.server, broken)
    await world.finish(world.term())
    ended = await world.record(backfill_id)
    assert ended.status is STATUS.COMPLETED_FAILED
    assert ended.failure is not None
    assert ended.failure.message.startswith("'all' cannot be requested. Location 'two' has no ")
    assert len(world.ran) == 10


async def test_partitions_that_wait_for_later_ones_of_their_own_end_the_backfill(
    world: meshes.World,
):
    both = time_window_mappings.TimeWindowPartitionMapping(-1, 1)
    await world.serve("one", meshes.asset("x", DAYS, ("x", both)))
    backfill_id = await world.create("x", choice=meshes.targets.Choice.ALL)
    await world.finish(world.term())
    ended = await world.record(backfill_id)
    assert ended.status is STATUS.FAILED
    assert ended.failure is not None
    assert "waits for partitions of itself" in ended.failure.message


async def test_runs_that_were_deleted_count_as_failed(world: meshes.World, database_url: str):
    await world.serve("one", meshes.asset("x", LETTERS))
    backfill_id = await world.create("x", choice=meshes.targets.Choice.ALL)
    term = world.term()
    await world.rounds(term)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM runs")
    await world.rounds(term)
    assert await world.counts(backfill_id) == {"x": (0, 0, 0, 3, 0)}
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_FAILED


async def test_partitioned_jobs_are_backfilled_too(world: meshes.World):
    job = meshes.snapshot_pb2.JobDefinition(name="nightly", graph_name="g")
    job.partitions.CopyFrom(meshes.definition_messages.to_message(DAYS))
    await world.serve("one", jobs=[job])
    backfill_id = await world.create(
        job_name="nightly", ranges=(("2026-01-03", "2026-01-05"),), tags={}
    )
    term = world.term()
    await world.finish(term, fails=_of("2026-01-04"))
    assert await world.counts(backfill_id) == {"nightly": (0, 0, 2, 1, 0)}
    assert {key for _, key in world.ran} == {"2026-01-03", "2026-01-04", "2026-01-05"}


async def test_an_interrupted_leader_is_followed_by_another_without_loss(world: meshes.World):
    await _two_locations(world)
    backfill_id = await world.create(
        "raw", "clean", "weekly", "all", choice=meshes.targets.Choice.ALL
    )
    chance = random.Random(7)
    while (await world.record(backfill_id)).status is STATUS.REQUESTED:
        task = asyncio.create_task(world.rounds(world.term()))
        _, pending = await asyncio.wait([task], timeout=chance.uniform(0, 0.03))
        for each in pending:
            each.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await world.work(count=3)
    assert len(await world.runs()) == 16
    assert sorted(world.ran) == sorted(set(world.ran))


class _Away:
    """Storage that is away now and then."""

    def __init__(self, store: backfill_records.BackfillRecord) -> None:
        self._store = store
        self._chance = random.Random(3)

    def __getattr__(self, name: str):
        found = getattr(self._store, name)

        async def call(*args, **kwargs):
            if self._chance.random() < 0.2:
                raise storage_errors.StorageUnavailable("away before")
            answer = await found(*args, **kwargs)
            if self._chance.random() < 0.2:
                raise storage_errors.StorageUnavailable("away after")
            return answer

        return call


async def test_the_dispatcher_finishes_backfills_by_itself_though_storage_stumbles(
    world: meshes.World, database: database.Database
):
    await _two_locations(world)
    around = world.around
    database.backfills = _Away(database.backfills)
    dispatcher = dispatching.Dispatcher(
        database, world.mesh.clock, {"backfills": lambda: leading.Term(around)}
    )
    async with simulated.running(dispatcher):
        while True:
            try:
                backfill_id = await world.create(
                    "raw",
                    "clean",
                    "weekly",
                    "all",
                    choice=meshes.targets.Choice.ALL,
                    request_id="r",
                )
                break
            except storage_errors.StorageUnavailable:
                continue

        async def done() -> bool:
            await world.work()
            try:
                return (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
            except storage_errors.StorageUnavailable:
                return False

        await world.mesh.eventually(done, "the backfill ended", timeout_s=30)
    assert len(world.ran) == len(set(world.ran)) == 16


async def test_a_run_that_is_run_again_by_itself_is_waited_for(world: meshes.World):
    await _two_locations(world)
    tags = {run_tags.MAX_RETRIES_TAG: "1"}
    backfill_id = await world.create("raw", partition_keys=("2026-01-05",), tags=tags)
    term = world.term()
    await world.rounds(term)
    (run,) = await world.store.runs.claim({"one": "one-server"}, meshes.LIMITS, batch_max=1)
    await world.report(run)
    # Until it is decided about the run, the backfill waits: it neither fails nor goes on.
    await world.rounds(term)
    assert await world.counts(backfill_id) == {"raw": (0, 1, 0, 0, 0)}
    retrier = retrying.Retrier(world.store.retries, world.mesh.changes, run_settings.DEFAULT)
    async with simulated.running(retrier):

        async def queued() -> bool:
            return len(await world.runs()) == 2

        await world.mesh.eventually(queued, "the run is run again")
    await world.rounds(term)
    assert (await world.record(backfill_id)).status is STATUS.REQUESTED
    await world.finish(term)
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
    assert await world.counts(backfill_id) == {"raw": (0, 0, 1, 0, 0)}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_everything_is_made_once_in_the_end(world: meshes.World, seed: int):
    """Pauses, cancels, retries, failures, locations that go, and two leaders, at any moment."""
    chance = random.Random(seed)
    await world.serve(
        "one",
        meshes.asset("raw", DAYS),
        meshes.asset("clean", DAYS, "raw"),
        meshes.asset(
            "sum", DAYS, "clean", ("sum", time_window_mappings.TimeWindowPartitionMapping(-1, -1))
        ),
    )
    await world.serve(
        "two",
        meshes.asset("weekly", WEEKS, "clean"),
        meshes.asset("all", None, "weekly", "sum"),
        meshes.asset("batch", DAYS, "raw", policy=4),
    )
    names = ("raw", "clean", "sum", "weekly", "all", "batch")
    backfill_id = await world.create(*names, choice=meshes.targets.Choice.ALL)
    terms = [world.term(), world.term()]
    succeeded: list[tuple[str, str]] = []

    async def work() -> None:
        await world.work(count=chance.randint(1, 6), fails=lambda _: chance.random() < 0.2)

    async def steer(name: str) -> None:
        with contextlib.suppress(errors.InvalidRequest):
            await getattr(world.backfilling, name)(backfill_id)

    for _ in range(120):
        await chance.choice(
            [
                work,
                work,
                lambda: asyncio.gather(*(term.round() for term in terms)),
                terms[0].round,
                lambda: steer("pause"),
                lambda: steer("resume"),
                lambda: steer("resume"),
                lambda: steer("cancel") if chance.random() < 0.3 else steer("retry"),
                lambda: _toggle(world, "two"),
            ]
        )()
    world.locations.find("two")
    for _ in range(3):
        await steer("resume")
        await world.rounds(terms[0])
        for run in await world.runs():
            if run.status is records.RunStatus.CANCELING:
                await world.store.runs.finish_cancel(run.run_id)
        await world.finish(terms[0])
        await steer("retry")
    await world.finish(terms[0])
    assert (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS
    for run in await world.runs():
        if run.status is records.RunStatus.SUCCESS:
            keys = world.keys_of(run)
            succeeded += [(path[0], key) for path in run.asset_selection for key in keys]
    assert len(succeeded) == len(set(succeeded)) == 4 * 10 + 5 + 1


async def _toggle(world: meshes.World, location_name: str) -> None:
    if location_name in world.locations.reachable():
        world.locations.lose(location_name)
    else:
        world.locations.find(location_name)


async def test_of_two_hosts_the_other_goes_on_when_one_ends(world: meshes.World, database_url: str):
    await _two_locations(world)
    other = await database.Database.connect(database_url)
    around = world.around
    stores = (world.store, other)
    dispatchers = [
        dispatching.Dispatcher(
            store,
            world.mesh.clock,
            {
                "backfills": lambda store=store: leading.Term(
                    leading.Surroundings(store, around.locations, around.changes, around.clock)
                )
            },
        )
        for store in stores
    ]
    backfill_id = await world.create(
        "raw", "clean", "weekly", "all", choice=meshes.targets.Choice.ALL
    )

    async def requested() -> bool:
        return len(await world.runs()) >= 10

    async def done() -> bool:
        await world.work()
        return (await world.record(backfill_id)).status is STATUS.COMPLETED_SUCCESS

    try:
        async with simulated.running(dispatchers[1]):
            async with simulated.running(dispatchers[0]):
                await world.mesh.eventually(requested, "runs are requested")
                leads = [each.leads for each in dispatchers]
                assert leads.count(True) == 1
                if leads[1]:
                    await dispatchers[1].stop()
                    await world.mesh.eventually(done, "the backfill ended", timeout_s=30)
                    return
            await world.mesh.eventually(done, "the backfill ended", timeout_s=30)
    finally:
        await other.close()
    assert len(world.ran) == len(set(world.ran)) == 16

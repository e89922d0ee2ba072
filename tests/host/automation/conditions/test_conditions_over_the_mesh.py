"""Conditions are decided over the graph of all locations, and what they ask for is run once."""

import datetime as dt
from collections.abc import AsyncIterator

import pytest

from atoll._conditions import composites, conditions, operands
from atoll._partition_messages import subsets as subset_messages
from atoll._partitions import (
    calendar_partitions,
    dynamic_partitions,
    static_partitions,
    time_window_mappings,
)
from atoll.api.v1 import backfills_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import backfill_records, freshness_records, records
from atoll_storage import database as databases
from tests.host.automation.conditions import meshes
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

EAGER = composites.eager()
TICKED = operands.CronTickPassed(cron_schedule="0 6 * * *", cron_timezone="UTC")
DAILY = calendar_partitions.DailyPartitionsDefinition(start_date="2026-03-01")
LETTERS = static_partitions.StaticPartitionsDefinition(["x", "y", "z"])
HOURLY = calendar_partitions.HourlyPartitionsDefinition(start_date="2026-03-01-00:00")
SENSOR = records.SensorKey("one", meshes.SENSOR)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[meshes.Mesh]:
    async with meshes.mesh_of(database) as made:
        yield made


def told(run: records.RunRecord) -> tuple[str, list[str], str]:
    names = ["/".join(path) for path in run.asset_selection]
    return run.location_name, names, run.partition_key


async def test_a_chain_over_two_locations_runs_step_by_step(mesh: meshes.Mesh):
    await mesh.serve(
        "one", meshes.location(meshes.asset("a"), meshes.asset("c", EAGER, deps=["b"]))
    )
    await mesh.serve("two", meshes.location(meshes.asset("b", EAGER, deps=["a"])))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b", "c")
        assert await mesh.runs() == []
        await mesh.materialize("a")
        (first,) = await mesh.until_runs(1)
        assert told(first) == ("two", ["b"], "")
        assert first.tags["atoll/automation_condition"] == "true"
        assert first.tags["atoll/sensor_name"] == meshes.SENSOR
        await mesh.execute(first)
        _, second = await mesh.until_runs(2)
        assert told(second) == ("one", ["c"], "")
        await mesh.execute(second)
        await mesh.caught_up()
        await mesh.until_runs(2)


async def test_what_one_run_can_hold_is_one_run(mesh: meshes.Mesh):
    await mesh.serve(
        "one",
        meshes.location(
            meshes.asset("a", executable=False),
            meshes.asset("b", EAGER, deps=["a"]),
            meshes.asset("c", EAGER, deps=["b"]),
            run_tags={"team": "sea"},
        ),
    )
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b", "c")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("one", ["b", "c"], "")
        assert run.tags["team"] == "sea"
        await mesh.execute(run)
        await mesh.caught_up()
        assert len(await mesh.runs()) == 1
    (tick,) = await mesh.store.sensors.ticks(SENSOR, limit=10)
    assert list(tick.run_ids) == [run.run_id]


async def test_a_key_that_several_locations_know_is_decided_on_by_its_owner(mesh: meshes.Mesh):
    await mesh.serve(
        "one", meshes.location(meshes.asset("a"), meshes.asset("b", EAGER, deps=["a"]))
    )
    stub = meshes.asset("b", composites.on_missing(), executable=False)
    await mesh.serve("two", meshes.location(stub, meshes.asset("c", EAGER, deps=["b"])))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b", "c")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("one", ["b"], "")


async def test_each_tick_of_a_schedule_is_one_run_however_often_it_is_looked_at(
    mesh: meshes.Mesh,
):
    daily = composites.on_cron("0 6 * * *", "UTC")
    await mesh.serve("one", meshes.location(meshes.asset("a")))
    await mesh.serve("two", meshes.location(meshes.asset("b", daily, deps=["a"])))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b")
        await mesh.materialize("a")
        await mesh.caught_up()
        assert await mesh.runs() == []
        mesh.clock.set(dt.datetime(2026, 3, 4, 6, 0, 1, tzinfo=dt.UTC))
        mesh.changes.events.set()
        await mesh.materialize("other")
        await mesh.caught_up()
        assert await mesh.runs() == []
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("two", ["b"], "")
        await mesh.execute(run)
        await mesh.materialize("a")
        mesh.clock.set(dt.datetime(2026, 3, 5, 5, 59, tzinfo=dt.UTC))
        await mesh.caught_up()
        await mesh.until_runs(1)


async def test_a_moment_comes_without_any_event(mesh: meshes.Mesh):
    condition = composites.since_last_handled(TICKED)
    await mesh.serve("one", meshes.location(meshes.asset("a", condition)))
    mesh.clock.set(dt.datetime(2026, 3, 4, 5, 59, 59, 800_000, tzinfo=dt.UTC))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a")
        # From here on the term looks at the clock by itself, in 0.2 s.
        mesh.clock.set(dt.datetime(2026, 3, 4, 6, 0, tzinfo=dt.UTC))
        await mesh.until_runs(1)


async def test_partitions_follow_their_mapping_over_the_border(mesh: meshes.Mesh):
    await mesh.serve("one", meshes.location(meshes.asset("hours", partitions=HOURLY)))
    await mesh.serve(
        "two", meshes.location(meshes.asset("days", EAGER, deps=["hours"], partitions=DAILY))
    )
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("days")
        for hour in range(23):
            await mesh.materialize("hours", f"2026-03-03-{hour:02}:00")
        await mesh.caught_up()
        assert await mesh.runs() == []
        await mesh.materialize("hours", "2026-03-03-23:00")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("two", ["days"], "2026-03-03")


async def test_a_mapping_that_is_written_counts(mesh: meshes.Mesh):
    before = time_window_mappings.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
    days = meshes.asset("days", EAGER, deps=["base"], partitions=DAILY, maps={"base": before})
    await mesh.serve("one", meshes.location(meshes.asset("base", partitions=DAILY)))
    await mesh.serve("two", meshes.location(days))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("days")
        await mesh.materialize("base", "2026-03-03")
        await mesh.caught_up()
        assert await mesh.runs() == []
        await mesh.materialize("base", "2026-03-02")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("two", ["days"], "2026-03-03")


async def test_new_dynamic_partitions_are_noticed(mesh: meshes.Mesh):
    customers = dynamic_partitions.DynamicPartitionsDefinition(name="customers")
    await mesh.serve(
        "one", meshes.location(meshes.asset("a", composites.on_missing(), partitions=customers))
    )
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a")
        add = records.DynamicPartitionsChange(
            "customers", records.DynamicPartitionsChangeKind.ADD, ("x", "y")
        )
        await mesh.store.partitions.change(add)
        runs = await mesh.until_runs(2)
        assert sorted(run.partition_key for run in runs) == ["x", "y"]


@pytest.mark.parametrize(
    ("at_once", "expected"),
    [(0, [("", "x", "z")]), (2, [("", "x", "y"), ("z", "", "")]), (1, ["x", "y", "z"])],
)
async def test_a_backfill_policy_says_how_many_partitions_a_run_has(
    mesh: meshes.Mesh, at_once: int, expected: list
):
    letters = static_partitions.StaticPartitionsDefinition(["x", "y", "z"])
    condition = composites.since_last_handled(TICKED)
    await mesh.serve(
        "one", meshes.location(meshes.asset("a", condition, partitions=letters, at_once=at_once))
    )
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a")
        mesh.clock.set(dt.datetime(2026, 3, 4, 6, 0, 1, tzinfo=dt.UTC))
        mesh.changes.events.set()
        runs = await mesh.until_runs(len(expected))
        if at_once == 1:
            assert [run.partition_key for run in runs] == expected
        else:
            assert [
                (
                    run.partition_key,
                    run.target.partition_range_start,
                    run.target.partition_range_end,
                )
                for run in runs
            ] == expected


async def test_a_failed_upstream_holds_up_and_a_later_success_goes_on(mesh: meshes.Mesh):
    await mesh.serve("one", meshes.location(meshes.asset("a", EAGER, deps=["x"])))
    await mesh.serve("two", meshes.location(meshes.asset("b", EAGER, deps=["a"])))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a", "b")
        await mesh.materialize("x")
        (first,) = await mesh.until_runs(1)
        await mesh.execute(first, fails=True)
        await mesh.caught_up()
        await mesh.until_runs(1)
        await mesh.materialize("x")
        _, second = await mesh.until_runs(2)
        await mesh.execute(second)
        *_, third = await mesh.until_runs(3)
        assert told(third) == ("two", ["b"], "")


async def test_nothing_is_evaluated_for_a_sensor_that_is_stopped(mesh: meshes.Mesh):
    await mesh.serve(
        "one",
        meshes.location(meshes.asset("a"), meshes.asset("b", EAGER, deps=["a"]), running=False),
    )
    await mesh.serve("two", meshes.location(meshes.asset("c", EAGER, deps=["a"])))
    await mesh.store.sensors.ensure([SENSOR])
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("c")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("two", ["c"], "")
        assert await mesh.state("b") is None
        await mesh.store.sensors.set_running(SENSOR, True)
        await mesh.evaluated("b")
        await mesh.materialize("a")
        await mesh.until_runs(1, "b")


async def test_another_definition_is_evaluated_at_once(mesh: meshes.Mesh):
    changed = composites.since_last_handled(operands.CodeVersionChanged())
    asset = meshes.asset("a", changed)
    asset.code_version = "1"
    await mesh.serve("one", meshes.location(asset))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a")
        asset.code_version = "2"
        await mesh.serve("one", meshes.location(asset))
        await mesh.until_runs(1)


async def test_a_check_is_evaluated_by_its_own_condition(mesh: meshes.Mesh):
    check = snapshot_pb2.AssetCheckDefinition(
        key=values_pb2.AssetCheckKey(asset_key=values_pb2.AssetKey(path=["a"]), name="fits"),
        executable=True,
        op_name="a_fits",
    )
    check.automation_condition.CopyFrom(meshes.message_of(EAGER))
    await mesh.serve("one", meshes.location(meshes.asset("a"), checks=[check]))
    async with simulated.running(mesh.dispatcher()):
        await mesh.check_evaluated("a", "fits")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert run.asset_selection == ()
        assert run.target.asset_check_selection == ((("a",), "fits"),)


async def test_a_job_is_run_by_its_own_condition(mesh: meshes.Mesh):
    job = snapshot_pb2.JobDefinition(
        name="nightly", asset_keys=[values_pb2.AssetKey(path=["a"])], run_tags={"size": "big"}
    )
    job.automation_condition.CopyFrom(meshes.message_of(composites.since_last_handled(TICKED)))
    await mesh.serve("one", meshes.location(meshes.asset("a"), jobs=[job]))
    async with simulated.running(mesh.dispatcher()):
        await mesh.job_evaluated("one", "nightly")
        mesh.clock.set(dt.datetime(2026, 3, 4, 6, 0, 1, tzinfo=dt.UTC))
        mesh.changes.events.set()
        (run,) = await mesh.until_runs(1)
        assert (run.job_name, run.asset_selection) == ("nightly", ())
        assert run.tags["size"] == "big"


async def test_assets_of_one_function_are_requested_together(mesh: meshes.Mesh):
    await mesh.serve(
        "one",
        meshes.location(
            meshes.asset("left", EAGER, deps=["a"], made_by="both"),
            meshes.asset("right", made_by="both"),
        ),
    )
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("left")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("one", ["left", "right"], "")


async def test_what_a_backfill_is_to_execute_is_in_progress_until_it_has(mesh: meshes.Mesh):
    await mesh.serve("one", meshes.location(meshes.asset("a", partitions=LETTERS)))
    await mesh.serve(
        "two", meshes.location(meshes.asset("b", EAGER, deps=["a"], partitions=LETTERS))
    )
    backfill_id = await backfill_of(mesh, "b", ["x", "y"])
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b")
        await mesh.materialize("a", "x")
        await mesh.materialize("a", "z")
        (run,) = await mesh.until_runs(1)
        assert told(run) == ("two", ["b"], "z")
        await mesh.caught_up()
        await end_backfill(mesh, backfill_id)
        _, late = await mesh.until_runs(2)
        assert told(late) == ("two", ["b"], "x")


async def test_freshness_that_changes_is_heard_of(mesh: meshes.Mesh):
    stale = composites.since_last_handled(operands.Freshness(state=conditions.FAIL))
    await mesh.serve("one", meshes.location(meshes.asset("a", stale)))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a")
        change = freshness_records.FreshnessChange(
            ("a",), events_pb2.FRESHNESS_STATE_FAIL, events_pb2.FRESHNESS_STATE_PASS, 0, None
        )
        assert await mesh.store.freshness.commit([change])
        await mesh.until_runs(1)


async def backfill_of(mesh: meshes.Mesh, name: str, keys: list[str]) -> str:
    subset = subset_messages.to_message(LETTERS.subset_with_partition_keys(keys))
    target = backfills_pb2.BackfillTarget()
    target.parts.add(
        asset_key=values_pb2.AssetKey(path=[name]), partitioned=True, partitions=subset
    )
    made = backfill_records.NewBackfill(
        "b1", title="t", tags={}, target=target.SerializeToString(), progress=b""
    )
    return (await mesh.store.backfills.create(made)).backfill_id


async def end_backfill(mesh: meshes.Mesh, backfill_id: str) -> None:
    await mesh.store.backfills.commit(
        backfill_records.BackfillCommit(
            backfill_id, 0, backfill_records.BackfillStatus.CANCELED, progress=b""
        )
    )
    mesh.changes.backfills.set()

"""Sensors on the status of runs, on real stores: every run once, of the right jobs, in order."""

from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.host.automation.sensors import test_dispatching as dispatchers
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

LIMITS = queue_records.ClaimLimits(100, 100)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


def watching(
    name: str,
    *monitored: tuple[str, str],
    status: str = "SUCCESS",
    everywhere: bool = False,
    start: str = "",
) -> snapshot_pb2.SensorDefinition:
    definition = simulated.sensor(name, snapshot_pb2.SENSOR_KIND_RUN_STATUS)
    definition.run_status = status
    definition.monitors_all_locations = everywhere
    for location_name, job_name in monitored:
        definition.monitored_jobs.add(location_name=location_name, job_name=job_name)
    if start:
        setattr(definition.start_position, start, True)
    return definition


async def run(
    mesh: simulated.Mesh,
    server: simulated.CodeServer,
    *,
    job_name: str = "load",
    ends: str = "run_succeeded",
    of_sensor: str = "",
) -> str:
    """Have a run run to its end; return its id."""
    (run_id,) = [f"{server.location_name}-{next(mesh._numbers)}"]
    new = records.NewRun(
        run_id=run_id,
        location_name=server.location_name,
        job_name=job_name,
        tags={},
        sensor_name=of_sensor,
    )
    await mesh.store.runs.create(new)
    await mesh.store.runs.claim({server.location_name: server.server_id}, LIMITS, batch_max=10)
    await mesh.report(server, run_id, "run_started", ends)
    return run_id


def triggers(ticks: list) -> list[str]:
    return [tick.triggering_run_id for tick in ticks]


async def test_every_run_of_a_location_has_one_tick_in_order(mesh: simulated.Mesh) -> None:
    east = await mesh.serve("east", watching("s"))
    west = await mesh.serve("west")
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "s"))
        runs = [await run(mesh, east), await run(mesh, east, job_name="report")]
        await run(mesh, west)
        await run(mesh, east, ends="run_failed")
        runs.append(await run(mesh, east))
        ticks = await dispatchers.until_ticks(mesh, "east", "s", 3)
    assert triggers(ticks) == runs
    assert [request.triggering_event.event.run_id for request in east.evaluations] == runs
    assert [tick.cursor for tick in ticks] == [str(tick.event_id) for tick in ticks]


async def test_a_job_of_the_same_name_elsewhere_never_fires_it(mesh: simulated.Mesh) -> None:
    east = await mesh.serve(
        "east",
        watching("own", ("", "load")),
        watching("theirs", ("west", "load")),
        watching("west", ("west", "")),
        watching("all", everywhere=True),
    )
    west = await mesh.serve("west")
    names = ("own", "theirs", "west", "all")
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, *(("east", name) for name in names))
        of_west = await run(mesh, west)
        other = await run(mesh, west, job_name="report")
        of_east = await run(mesh, east)
        seen = {
            name: triggers(await dispatchers.until_ticks(mesh, "east", name, count))
            for name, count in zip(names, (1, 1, 2, 3), strict=True)
        }
    assert seen == {
        "own": [of_east],
        "theirs": [of_west],
        "west": [of_west, other],
        "all": [of_west, other, of_east],
    }


async def test_runs_that_it_asks_for_itself_do_not_fire_it(mesh: simulated.Mesh) -> None:
    everything, one_job = watching("everything"), watching("one_job", ("", "job"))
    east = await mesh.serve("east", everything, one_job)
    east.sensors["everything"] = dispatchers.asking("{event}")
    east.sensors["one_job"] = dispatchers.asking("{event}")
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "everything"), ("east", "one_job"))
        first = await run(mesh, east)
        await dispatchers.until_ticks(mesh, "east", "everything", 1)
        # By "everything", which asks for "job": "one_job" watches that one, and asks for it too.
        asked = await run(mesh, east, job_name="job", of_sensor="everything")
        await dispatchers.until_ticks(mesh, "east", "one_job", 1)
        await run(mesh, east, job_name="job", of_sensor="one_job")
        last = await run(mesh, east)
        ticks = await dispatchers.until_ticks(mesh, "east", "everything", 2)
        others = await mesh.ticks("east", "one_job")
    assert triggers(ticks) == [first, last]
    assert triggers(list(others)) == [asked]


async def test_it_begins_where_it_says(mesh: simulated.Mesh) -> None:
    east = await mesh.serve("east")
    before = await run(mesh, east)
    mesh.redefine(east, watching("latest"), watching("earliest", start="earliest"))
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "latest"), ("east", "earliest"))
        after = await run(mesh, east)
        late = await dispatchers.until_ticks(mesh, "east", "latest", 1)
        early = await dispatchers.until_ticks(mesh, "east", "earliest", 2)
    assert triggers(late) == [after]
    assert triggers(early) == [before, after]


async def test_runs_of_other_hosts_and_of_the_time_without_a_leader_are_seen(
    mesh: simulated.Mesh, database_url: str
) -> None:
    east = await mesh.serve("east", watching("s"))
    await dispatchers.around_of(mesh).enroll(mesh.servers[east.server_id], [])
    runs = [await run(mesh, east) for _ in range(2)]
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.until_ticks(mesh, "east", "s", 2)
        other = await databases.Database.connect(database_url)
        try:
            mesh.store, own = other, mesh.store
            runs += [await run(mesh, east) for _ in range(2)]
            mesh.store = own
        finally:
            await other.close()
        ticks = await dispatchers.until_ticks(mesh, "east", "s", 4)
    assert triggers(ticks) == runs


async def test_a_failed_run_that_cannot_be_told_is_tried_again_before_the_next(
    mesh: simulated.Mesh,
) -> None:
    east = await mesh.serve("east", watching("alarm", status="FAILURE"))
    seen: list[str] = []

    async def tell(
        request: location_pb2.EvaluateSensorRequest,
    ) -> location_pb2.EvaluateSensorResponse:
        seen.append(request.triggering_event.event.run_id)
        if len(seen) == 1:
            return location_pb2.EvaluateSensorResponse(failure={"message": "no mail server"})
        return location_pb2.EvaluateSensorResponse(skip_reason="told")

    east.sensors["alarm"] = tell
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "alarm"))
        one = await run(mesh, east, ends="run_failed")
        two = await run(mesh, east, ends="run_failed")
        ticks = await dispatchers.until_ticks(mesh, "east", "alarm", 3)
        state = await mesh.store.sensors.state(records.SensorKey("east", "alarm"))
    assert seen == [one, one, two]
    assert dispatchers.statuses(ticks) == ["FAILURE", "SKIPPED", "SKIPPED"]
    assert state is not None
    assert (state.failures, state.position) == (0, ticks[-1].event_id)

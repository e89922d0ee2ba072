"""Where sensors begin, what a reset does, and what a new leader knows of failures."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host import services
from atoll_storage import database as databases
from atoll_storage import records
from tests.host.automation.sensors import test_dispatching as dispatchers
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

ASSET = snapshot_pb2.SENSOR_KIND_ASSET
MULTI = snapshot_pb2.SENSOR_KIND_MULTI_ASSET
A, B = ("a",), ("b",)

Request = location_pb2.EvaluateSensorRequest
Response = location_pb2.EvaluateSensorResponse


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


async def test_sensors_begin_where_they_say(mesh: simulated.Mesh) -> None:
    before = await mesh.materialize(A, B)
    moment = (await mesh.store.events.read(1, limit=1))[0].stored_time
    sensors = [simulated.sensor(name, ASSET, A) for name in ("early", "late", "since")]
    sensors.append(simulated.sensor("both", MULTI, A, B))
    sensors[0].start_position.earliest = True
    sensors[1].start_position.latest = True
    sensors[2].start_position.time.FromNanoseconds(moment.ToNanoseconds() + 1000)
    sensors[3].start_position.earliest = True
    server = await mesh.serve("east", *sensors)
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, *(("east", sensor.name) for sensor in sensors))
        await dispatchers.until_ticks(mesh, "east", "both", 1)
        after = await mesh.materialize(A)
        seen = {
            name: [
                tick.event_id for tick in await dispatchers.until_ticks(mesh, "east", name, count)
            ]
            for name, count in (("early", 2), ("late", 1), ("since", 1))
        }
    assert seen == {"early": [before[0], *after], "late": after, "since": after}
    begins = {one.sensor_name: one.start_event_id for one in server.evaluations}
    assert begins == {"early": 0, "late": before[1], "since": before[1], "both": 0}


async def test_a_reset_sensor_decides_again_on_what_follows_its_new_position(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    server.sensors["s"] = dispatchers.asking("{event}")
    key = records.SensorKey("east", "s")
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "s"))
        ids = await mesh.materialize(A, A, A)
        await dispatchers.until_ticks(mesh, "east", "s", 3)
        await mesh.store.sensors.reset(key, records.SensorReset(position=ids[0]))
        ticks = await dispatchers.until_ticks(mesh, "east", "s", 5)
        await mesh.store.sensors.reset(key, records.SensorReset(start=records.LATEST))
        last = await mesh.materialize(A)
        ticks = await dispatchers.until_ticks(mesh, "east", "s", 6)
    assert [tick.event_id for tick in ticks] == [*ids, *ids[1:], *last]
    # The run keys were used before.
    assert [len(tick.run_ids) for tick in ticks] == [1, 1, 1, 0, 0, 1]


async def test_a_tick_that_is_under_way_when_its_sensor_is_reset_is_not_kept(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def evaluate(request: Request) -> Response:
        asked.set()
        await may_answer.wait()
        return Response(skip_reason=f"{request.triggering_event.id}")

    server.sensors["s"] = evaluate
    key = records.SensorKey("east", "s")
    async with simulated.running(dispatchers.dispatcher_of(mesh)):
        await dispatchers.ready(mesh, ("east", "s"))
        ids = await mesh.materialize(A, A)
        await asyncio.wait_for(asked.wait(), 10)
        await mesh.store.sensors.reset(key, records.SensorReset(position=ids[0]))
        may_answer.set()
        ticks = await dispatchers.until_ticks(mesh, "east", "s", 1)
    assert [tick.event_id for tick in ticks] == [ids[1]]


async def test_a_new_leader_goes_on_with_the_failures_of_the_one_before(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))

    async def evaluate(_: Request) -> Response:
        return Response(failure={"message": "no"})

    server.sensors["s"] = evaluate
    slow = dataclasses.replace(
        dispatchers.QUICK, failure_backoff=services.Backoff(first_s=60.0, max_s=600.0)
    )
    key = records.SensorKey("east", "s")
    async with simulated.running(dispatchers.dispatcher_of(mesh, limits=slow)):
        await dispatchers.ready(mesh, ("east", "s"))
        await mesh.materialize(A)
        await dispatchers.until_ticks(mesh, "east", "s", 1)
    async with simulated.running(dispatchers.dispatcher_of(mesh, limits=slow)):
        other = await mesh.serve("west", simulated.sensor("o", ASSET, A))
        await until_ticks_after(mesh, other)
        assert len(await mesh.ticks("east", "s")) == 1
    state = await mesh.store.sensors.state(key)
    assert state is not None
    assert state.failures == 1


async def until_ticks_after(mesh: simulated.Mesh, server: simulated.CodeServer) -> None:
    """Wait until the leader has acted on something new."""
    await dispatchers.ready(mesh, (server.location_name, "o"))
    await mesh.materialize(A)
    await dispatchers.until_ticks(mesh, server.location_name, "o", 1)

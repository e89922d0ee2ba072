"""A sensor that asks for another location's job, on real stores: one tick, one run, or nothing."""

from collections.abc import AsyncIterator

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import partitions_pb2, snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host.automation import dispatching
from atoll_host.automation.sensors import leading
from atoll_host.policy import policy_settings
from atoll_storage import database as databases
from atoll_storage import records
from tests.host.automation.sensors import test_dispatching as dispatchers
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

ALLOWED = policy_settings.PolicySettings.model_validate(
    {"run_requests": [{"from": "east", "to": "west", "jobs": ["nightly"]}]}
)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


async def served(mesh: simulated.Mesh) -> simulated.CodeServer:
    sensor = simulated.sensor("s", snapshot_pb2.SENSOR_KIND_ASSET, ("a",))
    sensor.job_names[:] = ["west/nightly"]
    east = await mesh.serve("east", sensor)
    west = await mesh.serve("west")
    customers = partitions_pb2.PartitionsDefinition(
        dynamic=partitions_pb2.DynamicPartitions(name="customers")
    )
    nightly = snapshot_pb2.JobDefinition(name="nightly", partitions=customers)
    mesh.locations.serve(
        west, mesh.servers[west.server_id], snapshot_pb2.LocationSnapshot(jobs=[nightly])
    )

    async def evaluate(
        _: location_pb2.EvaluateSensorRequest,
    ) -> location_pb2.EvaluateSensorResponse:
        change = location_pb2.DynamicPartitionsRequest(
            partitions_def_name="customers",
            change=location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD,
            partition_keys=["ada"],
        )
        asked = location_pb2.RunRequest(job_name="west/nightly", partition_key="ada", run_key="ada")
        return location_pb2.EvaluateSensorResponse(
            run_requests=[asked], dynamic_partitions_requests=[change]
        )

    east.sensors["s"] = evaluate
    return east


def dispatcher(
    mesh: simulated.Mesh, policy: policy_settings.PolicySettings
) -> dispatching.Dispatcher:
    around = dispatchers.around_of(mesh)
    return dispatching.Dispatcher(
        mesh.store,
        mesh.clock,
        {
            "sensors": lambda: leading.Term(
                around, limits=dispatchers.QUICK, tick_timeout_s=60.0, policy=policy
            )
        },
    )


async def test_the_run_is_of_the_other_location_and_for_a_partition_that_the_tick_adds(
    mesh: simulated.Mesh,
) -> None:
    await served(mesh)
    async with simulated.running(dispatcher(mesh, ALLOWED)):
        await dispatchers.ready(mesh, ("east", "s"))
        await mesh.materialize(("a",), ("a",))
        first, second = await dispatchers.until_ticks(mesh, "east", "s", 2)
    (run_id,) = first.run_ids
    run = await mesh.store.runs.get(run_id)
    assert run is not None
    assert (run.location_name, run.job_name, run.partition_key) == ("west", "nightly", "ada")
    assert (run.sensor_name, run.tick_id) == ("s", first.tick_id)
    # The sensor's run key was used, wherever the run is.
    assert list(second.skipped_run_keys) == ["ada"]
    found = await mesh.store.partitions.existing("customers", ["ada"])
    assert [each.partition_key for each in found] == ["ada"]


async def test_without_permission_the_tick_fails_and_nothing_is_stored(
    mesh: simulated.Mesh,
) -> None:
    await served(mesh)
    async with simulated.running(dispatcher(mesh, policy_settings.DEFAULT)):
        await dispatchers.ready(mesh, ("east", "s"))
        await mesh.materialize(("a",))
        tick, *_ = await dispatchers.until_ticks(mesh, "east", "s", 1)
    assert tick.status == automation_pb2.TICK_STATUS_FAILURE
    assert "policy" in tick.failure.message
    assert await mesh.store.runs.list(records.RunQuery(), limit=10) == []
    assert await mesh.store.partitions.existing("customers", ["ada"]) == []

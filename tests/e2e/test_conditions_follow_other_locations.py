"""Assets of two real locations are executed by their conditions, one after the other."""

import pytest

from atoll.api.v1 import runs_pb2
from atoll.client import connection, runs
from atoll.definitions.v1 import conditions_pb2, values_pb2
from tests.e2e import mesh, releases

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    releases.in_every_combination,
]

DEFAULT_SENSOR = "default_automation_condition_sensor"


def asset(name: str) -> conditions_pb2.ConditionEntity:
    return conditions_pb2.ConditionEntity(asset=values_pb2.AssetKey(path=[name]))


async def succeeded(client: connection.Client, name: str) -> list[runs_pb2.Run]:
    return [
        run
        async for run in client.runs.list()
        if [list(key.path) for key in run.asset_selection] == [[name]]
        and run.status == runs_pb2.RUN_STATUS_SUCCESS
        and run.tags.get("atoll/automation_condition") == "true"
    ]


async def evaluated(client: connection.Client) -> bool:
    targets = [await client.conditions.get(asset(name)) for name in ("totals", "report")]
    return all(target.HasField("evaluation_time") for target in targets)


async def test_a_chain_over_two_locations_is_executed_by_its_conditions(fresh_mesh: mesh.Mesh):
    fresh_mesh.add("up", mesh.CODE / "eager_up.py")
    fresh_mesh.add("down", mesh.CODE / "eager_down.py")
    fresh_mesh.start()
    await fresh_mesh.serving("up", "down")
    async with fresh_mesh.client() as client:
        await client.sensors.start("up", DEFAULT_SENSOR)
        await client.sensors.start("down", "follow")
    await fresh_mesh.until(evaluated)
    async with fresh_mesh.client() as client:
        orders = values_pb2.AssetKey(path=["orders"])
        await client.runs.launch(runs.Launch(location_name="up", asset_selection=[orders]))
    for name in ("totals", "report"):

        async def done(client: connection.Client, name: str = name) -> list[runs_pb2.Run]:
            return await succeeded(client, name)

        assert len(await fresh_mesh.until(done)) == 1

    async def asked(client: connection.Client) -> list[runs_pb2.Run]:
        return await succeeded(client, "asked")

    assert await fresh_mesh.until(asked)
    async with fresh_mesh.client() as client:
        why = await client.conditions.evaluation(asset("report"))
        assert why.explanation.label == "eager"
        # Nothing was executed twice.
        for name in ("totals", "report"):
            assert len(await succeeded(client, name)) == 1

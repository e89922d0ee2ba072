"""A request id makes one run, one run again, one backfill, however many connections and hosts."""

import asyncio

import pytest

from atoll.api.v1 import backfills_pb2, backfills_pb2_grpc, runs_pb2
from atoll.definitions.v1 import partitions_pb2
from tests.integration import code_location

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

CONNECTIONS = 50


@pytest.fixture
async def clients(mesh):
    """Fifty connections, to two hosts by turns, and a location that both know."""
    hosts = [await mesh.host(), await mesh.host()]
    letters = partitions_pb2.PartitionsDefinition(
        static=partitions_pb2.StaticPartitions(partition_keys=list("abc"))
    )
    defined = code_location.snapshot(
        [code_location.asset("x", partitions=letters)], [code_location.job("job", "x")]
    )
    location = await mesh.location(hosts[0], "a", defined)
    poke = hosts[1].parts.registry.subscribe()
    async with asyncio.timeout(code_location.TIMEOUT_S):
        while not _knows(hosts[1]):
            await poke.wait(code_location.TIMEOUT_S)
    made = [mesh.client(hosts[number % 2]) for number in range(CONNECTIONS)]
    return made, location


def _knows(host) -> bool:
    return host.parts.registry.graph().owner(("x",)) == "a"


async def runs(client) -> list[runs_pb2.Run]:
    return list((await client.runs.ListRuns(runs_pb2.ListRunsRequest())).runs)


async def test_one_launch_makes_one_run(clients):
    made, _ = clients
    request = runs_pb2.LaunchRunRequest(
        request_id="one", location_name="a", job_name="job", partition_key="a", tags={"k": "v"}
    )
    answers = await asyncio.gather(*(client.runs.LaunchRun(request) for client in made))
    assert len({answer.run.run_id for answer in answers}) == 1
    assert len(await runs(made[0])) == 1


async def test_one_reexecution_makes_one_run(clients):
    made, location = clients
    launched = await made[0].runs.LaunchRun(
        runs_pb2.LaunchRunRequest(location_name="a", job_name="job", partition_key="a")
    )
    await location.next_plan()
    await location.append(code_location.succeeding(launched.run.run_id, "x"))
    request = runs_pb2.ReexecuteRunRequest(request_id="again", run_id=launched.run.run_id)
    answers = await asyncio.gather(*(client.runs.ReexecuteRun(request) for client in made))
    assert len({answer.run.run_id for answer in answers}) == 1
    assert len(await runs(made[0])) == 2


async def test_one_request_makes_one_backfill(clients):
    made, _ = clients
    request = backfills_pb2.CreateBackfillRequest(
        request_id="fill", asset_keys=[code_location.key("x")], partition_keys=list("abc")
    )
    stubs = [backfills_pb2_grpc.BackfillsServiceStub(client.channel) for client in made]
    answers = await asyncio.gather(*(stub.CreateBackfill(request) for stub in stubs))
    assert len({answer.backfill.backfill_id for answer in answers}) == 1
    listed = await stubs[0].ListBackfills(backfills_pb2.ListBackfillsRequest())
    assert len(listed.backfills) == 1

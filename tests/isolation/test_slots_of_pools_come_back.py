"""G6: a slot of a pool is given once, and comes back by itself whatever becomes of who had it."""

import os
import pathlib
import signal
from collections.abc import AsyncGenerator, Iterator

import pytest

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import pools_pb2, runs_pb2
from atoll.client import connection
from atoll.definitions.v1 import values_pb2
from atoll.process.v1 import process_pb2
from atoll_storage import database, records
from tests.e2e import mesh
from tests.isolation import gates, served

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

NOTICED_WITHIN_S = 10.0
SOURCE = f"""
import os
import pathlib
import atoll as dg
{gates.WAIT}
@dg.op(pool="@name@")
def held(context):
    context.log.info("{served.AT_THE_GATE}")
    wait_at("gate")

@dg.op(pool="@name@")
def quick(context):
    context.log.info("ran")

@dg.op
def free(context):
    context.log.info("free ran")

@dg.asset(name="asset_@name@", pool="@name@")
def pooled_asset():
    pass

@dg.job(executor_def=dg.in_process_executor)
def holding():
    held()

@dg.job(executor_def=dg.in_process_executor)
def waiting():
    quick()
    free()

@dg.job(executor_def=dg.multiprocess_executor)
def forked():
    for number in range(4):
        quick.alias(f"quick_{{number}}")()
    free()

@dg.job(executor_def=dg.multiprocess_executor)
def forked_holding():
    held()

@dg.op(pool="@name@", retry_policy=dg.RetryPolicy(max_retries=1))
def second_time(context):
    if context.retry_number == 0:
        raise ValueError("not yet")

@dg.job(executor_def=dg.in_process_executor)
def retrying():
    second_time()

defs = dg.Definitions([pooled_asset], jobs=[holding, waiting, forked, forked_holding, retrying])
"""
SUCCESS = runs_pb2.RUN_STATUS_SUCCESS


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mesh.Mesh]:
    with mesh.Mesh(tmp_path_factory.mktemp("pools")) as running:
        running.start()
        yield running


@pytest.fixture
def gate(tmp_path: pathlib.Path) -> Iterator[gates.Gate]:
    with gates.gate(tmp_path) as made:
        yield made


@pytest.fixture
async def location(
    host: mesh.Mesh, tmp_path: pathlib.Path, gate: gates.Gate
) -> AsyncGenerator[served.Location]:
    async with served.location(host, tmp_path, SOURCE) as made:
        await host.serving(made.name)
        yield made


async def pool(location: served.Location) -> pools_pb2.Pool:
    return (await location.client.pools.get(location.name)).pool


async def waits(location: served.Location, run_id: str) -> str:
    """Wait until a step of a run tells that it waits for a slot."""
    query = api_pb2.EventFilter(run_id=run_id, kinds=["engine_event"])

    async def said(client: connection.Client) -> str:
        found = [stored.event.message async for stored in client.events.list(query)]
        return next((message for message in found if "waits for a slot" in message), "")

    return await location.mesh.until(said)


async def test_a_pool_without_limit_holds_up_nothing(location: served.Location) -> None:
    shown = await pool(location)
    assert not shown.HasField("limit")
    assert list(shown.location_names) == [location.name]
    assert (await location.run("waiting")).status == SUCCESS
    assert (await location.run("forked")).status == SUCCESS
    assert (await pool(location)).taken_count == 0


@pytest.mark.parametrize("second", ["waiting", "forked"])
@pytest.mark.parametrize("how", ["ends", "is killed", "is canceled"])
async def test_a_step_waits_for_its_slot_and_gets_it_when_the_other_is_gone(
    location: served.Location, gate: gates.Gate, second: str, how: str
) -> None:
    await location.client.pools.set_limit(location.name, 1)
    first = await location.begin("holding" if second == "waiting" else "forked_holding")
    run_id = await location.launch(second)
    assert "all of its 1 are taken" in await waits(location, run_id)
    # What needs no slot goes on meanwhile.
    await location.until_said(run_id, "free ran")
    shown = await pool(location)
    assert (shown.taken_count, shown.limit) == (1, 1)
    assert shown.waiting_count >= 1 or second == "waiting"
    if how == "ends":
        gate.open()
    elif how == "is canceled":
        await location.client.runs.cancel(first)
    else:
        identity = location.mesh.state_dir(location.name) / "runs" / first / "worker.pb"
        worker = process_pb2.WorkerIdentity.FromString(identity.read_bytes())
        os.kill(worker.pid, signal.SIGKILL)
    assert (await location.ended(run_id, NOTICED_WITHIN_S)).status == SUCCESS
    told = [e for e in await location.events(run_id) if "waits for a slot" in e.message]
    assert len(told) == len({event.step_key for event in told})
    assert (await pool(location)).taken_count == 0


async def test_a_slot_is_given_back_between_attempts(location: served.Location) -> None:
    await location.client.pools.set_limit(location.name, 1)
    assert (await location.run("retrying")).status == SUCCESS
    assert (await pool(location)).taken_count == 0


async def test_a_closed_pool_opens(location: served.Location) -> None:
    await location.client.pools.set_limit(location.name, 0)
    run_id = await location.launch("forked")
    assert "it is closed" in await waits(location, run_id)
    told = location.mesh.cli("pools", "set", location.name, "2")
    assert "2 slots" in told.stdout
    assert (await location.ended(run_id)).status == SUCCESS
    assert location.name in location.mesh.cli("pools", "list").stdout
    assert "2 slots" in location.mesh.cli("pools", "show", location.name).stdout
    assert "no limit of its own any more" in (
        location.mesh.cli("pools", "delete", location.name).stdout
    )
    refused = location.mesh.cli("pools", "set", location.name, "--", "-1")
    assert refused.returncode == 1
    assert "it must be from 0" in refused.stderr


@pytest.mark.parametrize("job", ["waiting", "forked"])
async def test_a_run_that_the_host_gave_up_waits_no_longer(
    location: served.Location, job: str
) -> None:
    await location.client.pools.set_limit(location.name, 0)
    run_id = await location.launch(job)
    await waits(location, run_id)
    assert location.mesh.postgres is not None
    store = await database.Database.connect(location.mesh.postgres.url)
    try:
        failure = values_pb2.Failure(type="GivenUp", message="nobody believes in it")
        assert await store.runs.fail(run_id, failure, expected=frozenset(records.RunStatus))
    finally:
        await store.close()

    async def gone(client: connection.Client) -> bool:
        return not location.mesh.run_workers(location.name)

    await location.mesh.until(gone)


async def test_steps_wait_through_a_restart_of_the_host(
    location: served.Location, gate: gates.Gate
) -> None:
    await location.client.pools.set_limit(location.name, 1)
    await location.begin("holding")
    run_id = await location.launch("forked")
    await waits(location, run_id)
    location.mesh.kill("host")
    location.mesh.start_host()
    await location.mesh.serving(location.name)
    assert (await pool(location)).taken_count == 1
    gate.open()
    assert (await location.ended(run_id)).status == SUCCESS

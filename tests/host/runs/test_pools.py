"""Steps that wait for slots on this host or another are woken when there is one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import values_pb2
from atoll_host.runs import pool_settings, pools
from atoll_storage import database as databases
from atoll_storage import errors, queue_records, records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

EVERY = frozenset(records.RunStatus)
LIMITS = queue_records.ClaimLimits(100, 100)
ONE = pool_settings.PoolSettings(default_limit=1)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


async def active(mesh: simulated.Mesh) -> records.RunRecord:
    server = mesh.servers.get("east-server")
    if server is None:
        await mesh.serve("east")
    await mesh.queue("east")
    (run,) = await mesh.store.runs.claim({"east": "east-server"}, LIMITS, batch_max=1)
    return run


def pools_of(mesh: simulated.Mesh, settings: pool_settings.PoolSettings = ONE) -> pools.Pools:
    return pools.Pools(mesh.store.pools, mesh.changes, settings)


def wants(run: records.RunRecord, *steps: str) -> queue_records.SlotRequest:
    return queue_records.SlotRequest(run.run_id, run.attempt, dict.fromkeys(steps, "p"))


@pytest.mark.parametrize("how", ["the run ends", "the step ends", "the limit is raised"])
async def test_who_waits_on_another_host_is_woken(mesh: simulated.Mesh, how: str) -> None:
    here, there = pools_of(mesh), pools_of(mesh)
    one, other = await active(mesh), await active(mesh)
    async with simulated.running(here, there):
        assert (await here.acquire(wants(one, "a"), 0)).granted == {"a"}
        waiting = asyncio.create_task(there.acquire(wants(other, "b"), pools.WAIT_MAX_S))

        async def waits() -> bool:
            return (await mesh.store.pools.usage(of_runs=False))["p"] == (1, 1)

        await mesh.eventually(waits, "the other step waits")
        if how == "the run ends":
            failure = values_pb2.Failure(message="x")
            await mesh.store.runs.fail(one.run_id, failure, expected=EVERY)
        elif how == "the limit is raised":
            await mesh.store.pools.set_limit("p", 2)
        else:
            server = mesh.servers["east-server"]
            ended = records.EventBatch(
                "east",
                "east-server",
                server.epoch,
                [simulated.events_pb2.Event(run_id=one.run_id, seq=1, step_key="a")],
            )
            ended.events[0].step_failed.SetInParent()
            await mesh.store.events.append([ended])
        async with asyncio.timeout(pools.WAIT_MAX_S - 1):
            assert (await waiting).granted == {"b"}


async def test_a_wait_has_an_end_and_withdraws_nothing(
    mesh: simulated.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "WAIT_MAX_S", 0.05)
    here = pools_of(mesh)
    one, other = await active(mesh), await active(mesh)
    async with simulated.running(here):
        await here.acquire(wants(one, "a"), 0)
        answer = await here.acquire(wants(other, "b"), 60)
    assert (answer.granted, answer.waiting) == (frozenset(), {"b": 1})
    assert (await mesh.store.pools.usage(of_runs=False)) == {"p": (1, 1)}


async def test_a_step_that_withdraws_gives_its_slot_back(mesh: simulated.Mesh) -> None:
    here = pools_of(mesh)
    one, other = await active(mesh), await active(mesh)
    assert (await here.acquire(wants(one, "a"), 0)).granted == {"a"}
    await here.acquire(queue_records.SlotRequest(one.run_id, one.attempt, {}, ("a",)), 0)
    assert (await here.acquire(wants(other, "b"), 0)).granted == {"b"}


async def test_where_runs_take_slots_steps_have_them(mesh: simulated.Mesh) -> None:
    here = pools_of(mesh, pool_settings.PoolSettings(default_limit=0, granularity="run"))
    run = await active(mesh)
    assert (await here.acquire(wants(run, "a", "b"), 0)).granted == {"a", "b"}


async def test_a_run_that_is_over_gets_no_slot(mesh: simulated.Mesh) -> None:
    run = await active(mesh)
    failure = values_pb2.Failure(message="x")
    await mesh.store.runs.fail(run.run_id, failure, expected=EVERY)
    with pytest.raises(errors.RunFenced, match="is not active"):
        await pools_of(mesh).acquire(wants(run, "a"), 0)

"""The launcher on real stores: hand-overs under limits, refusals, doubt, fairness."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from atoll_host import services
from atoll_host.runs import launching
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

STATUS = records.RunStatus


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


def launcher_of(
    mesh: simulated.Mesh, *, active_max: int = 100, per_location: int = 100, handovers: int = 10
) -> launching.Launcher:
    limits = launching.Limits(
        queue_records.ClaimLimits(active_max=active_max, active_per_location_max=per_location),
        handovers,
    )
    return launching.Launcher(mesh.store.runs, mesh.locations, mesh.changes, mesh.clock, limits)


async def until_status(
    mesh: simulated.Mesh, run_id: str, status: records.RunStatus
) -> records.RunRecord:
    async def reached() -> bool:
        return await mesh.status(run_id) is status

    await mesh.eventually(reached, f"{run_id} is {status.value}")
    run = await mesh.store.runs.get(run_id)
    assert run is not None
    return run


async def test_a_queued_run_is_handed_to_its_location(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        await server.until(lambda: run_id in server.held)
        assert await mesh.status(run_id) is STATUS.STARTING
        await mesh.report(server, run_id, "run_started", "run_succeeded")
        assert await mesh.status(run_id) is STATUS.SUCCESS
    assert [plan.attempt for plan in server.plans] == [1]


async def test_runs_of_a_location_that_is_away_wait_for_it(mesh: simulated.Mesh) -> None:
    away = await mesh.serve("east")
    here = await mesh.serve("west")
    mesh.locations.lose("east")
    async with simulated.running(launcher_of(mesh)):
        (waits,) = await mesh.queue("east")
        (goes,) = await mesh.queue("west")
        await here.until(lambda: goes in here.held)
        assert await mesh.status(waits) is STATUS.QUEUED
        mesh.locations.find("east")
        await away.until(lambda: waits in away.held, timeout_s=0.9)


async def test_limits_hold_and_a_freed_place_is_used(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    async with simulated.running(launcher_of(mesh, per_location=2)):
        first, second, third = await mesh.queue("east", 3)
        await server.until(lambda: len(server.held) == 2)
        assert set(server.held) == {first, second}
        assert await mesh.status(third) is STATUS.QUEUED
        await mesh.report(server, first, "run_started", "run_succeeded")
        await server.until(lambda: third in server.held)


async def test_the_limit_of_the_host_is_shared_fairly(mesh: simulated.Mesh) -> None:
    east, west = await mesh.serve("east"), await mesh.serve("west")
    await mesh.queue("east", 20)
    await mesh.queue("west", 2)
    async with simulated.running(launcher_of(mesh, active_max=4)):
        await west.until(lambda: len(west.held) == 2)
        await east.until(lambda: len(east.held) == 2)
        counts = await mesh.store.runs.active_counts()
    assert counts == {"east": 2, "west": 2}


async def test_a_definite_refusal_fails_the_run_with_its_words(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")

    async def refuse() -> None:
        raise simulated.refused("UNKNOWN_JOB")

    server.on_start = refuse
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        run = await until_status(mesh, run_id, STATUS.FAILURE)
    assert run.failure is not None
    assert run.failure.type == "UNKNOWN_JOB"
    assert "refused: UNKNOWN_JOB" in run.failure.message
    assert len(server.plans) == 1


@pytest.mark.slow
async def test_a_refusal_for_now_puts_the_run_back_and_lets_the_location_rest(
    mesh: simulated.Mesh,
) -> None:
    draining, fresh = await mesh.serve("east", server_id="old"), None

    async def refuse() -> None:
        raise simulated.refused("DRAINING")

    draining.on_start = refuse
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        await until_status(mesh, run_id, STATUS.QUEUED)
        await draining.until(lambda: len(draining.plans) == 1)
        fresh = await mesh.serve("east", server_id="new")
        await fresh.until(lambda: run_id in fresh.held)
    # The rest is short: on a slow machine it may end before the fresh server is there.
    assert [plan.attempt for plan in fresh.plans] == [1 + len(draining.plans)]


@pytest.mark.slow
async def test_runs_refused_together_let_the_location_rest_once(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")

    async def refuse_the_first() -> None:
        if server.plans[-1].attempt == 1:
            raise simulated.refused("NO_BUILD")

    server.on_start = refuse_the_first
    async with simulated.running(launcher_of(mesh)):
        run_ids = await mesh.queue("east", 8)
        # Half a second of rest; eight refusals in a row would have made it half a minute.
        await server.until(lambda: set(server.held) == set(run_ids), timeout_s=8)


async def test_a_location_that_registers_anew_rests_no_longer(
    mesh: simulated.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "_REST", services.Backoff(first_s=3600, max_s=3600))
    server = await mesh.serve("east")

    async def refuse() -> None:
        raise simulated.refused("STATE_DIRECTORY_UNUSABLE")

    server.on_start = refuse
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        await server.until(lambda: len(server.plans) == 1)
        await until_status(mesh, run_id, STATUS.QUEUED)
        again = await mesh.serve("east")
        await again.until(lambda: run_id in again.held)
    assert len(server.plans) == 1


@pytest.mark.slow
async def test_a_run_that_stays_in_doubt_holds_up_no_other(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    (doubtful,) = await mesh.queue("east")

    async def doubt_one() -> None:
        if server.plans[-1].run_id == doubtful:
            raise simulated.unavailable()

    server.on_start = doubt_one
    async with simulated.running(launcher_of(mesh)):
        await server.until(lambda: len(server.plans) == 1)
        others = await mesh.queue("east", 20)
        await server.until(lambda: set(server.held) == set(others), timeout_s=8)
        assert await mesh.status(doubtful) is STATUS.STARTING


@pytest.mark.slow
async def test_a_hand_over_in_doubt_is_repeated_at_the_same_server(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    answers = iter([False, False, True])

    async def doubt() -> None:
        if not next(answers):
            raise simulated.unavailable()

    server.on_start = doubt
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        await server.until(lambda: run_id in server.held)
        assert await mesh.status(run_id) is STATUS.STARTING
    assert [plan.attempt for plan in server.plans] == [1, 1, 1]


async def test_a_run_that_began_in_spite_of_the_doubt_is_left_alone(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")

    async def begin_without_answer() -> None:
        await mesh.report(server, server.plans[0].run_id, "run_started")
        raise simulated.unavailable()

    server.on_start = begin_without_answer
    launcher = launcher_of(mesh)
    async with simulated.running(launcher):
        (run_id,) = await mesh.queue("east")
        await until_status(mesh, run_id, STATUS.STARTED)

        async def left_alone() -> bool:
            return not launcher.hands_over(run_id)

        await mesh.eventually(left_alone, "the hand-over ended")
        assert await mesh.status(run_id) is STATUS.STARTED
    assert len(server.plans) == 1


async def test_a_location_that_hangs_holds_up_no_other_and_takes_few_runs(
    mesh: simulated.Mesh,
) -> None:
    hanging, other = await mesh.serve("east"), await mesh.serve("west")

    async def hang() -> None:
        await asyncio.Event().wait()

    hanging.on_start = hang
    await mesh.queue("east", 30)
    async with simulated.running(launcher_of(mesh, handovers=3)):
        await hanging.until(lambda: len(hanging.plans) >= 3)
        for run_id in await mesh.queue("west", 5):
            await other.until(lambda run_id=run_id: run_id in other.held)
        assert len(hanging.plans) == 3


async def test_stopping_leaves_hand_overs_to_the_next_host(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    forever = asyncio.Event()
    server.on_start = forever.wait  # type: ignore[assignment]
    async with simulated.running(launcher_of(mesh)):
        (run_id,) = await mesh.queue("east")
        await server.until(lambda: len(server.plans) == 1)
    assert await mesh.status(run_id) is STATUS.STARTING
    forever.set()
    after, record = launcher_of(mesh), mesh.servers[server.server_id]
    async with simulated.running(after):
        run = await mesh.store.runs.get(run_id)
        assert run is not None
        assert after.adopt(run, record)
        assert not after.adopt(run, record)
        await server.until(lambda: run_id in server.held)
    assert [plan.attempt for plan in server.plans] == [1, 1]


async def test_two_launchers_never_hand_over_the_same_run(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    async with simulated.running(launcher_of(mesh), launcher_of(mesh)):
        run_ids = await mesh.queue("east", 40)
        await server.until(lambda: len(server.held) == 40)
    assert sorted(plan.run_id for plan in server.plans) == sorted(run_ids)

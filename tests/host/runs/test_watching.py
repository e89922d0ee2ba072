"""The watcher on real stores: canceling, strays, absences, what registrations reveal."""

from collections.abc import AsyncIterator

import pytest

from atoll.location.v1 import location_pb2
from atoll_host.runs import launching, watching
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

STATUS = records.RunStatus
LIMITS = launching.Limits(queue_records.ClaimLimits(active_max=100, active_per_location_max=100))


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(watching, "LOOK_PAUSE_S", 0.005)
    monkeypatch.setattr(watching, "ADOPT_AFTER_S", 0.1)


def services_of(
    mesh: simulated.Mesh, *, orphan_timeout_s: float = 300.0, max_runtime_s: float | None = None
) -> tuple[launching.Launcher, watching.Watcher]:
    launcher = launching.Launcher(mesh.store.runs, mesh.locations, mesh.changes, mesh.clock, LIMITS)
    watcher = watching.Watcher(
        mesh.store,
        mesh.locations,
        launcher,
        mesh.changes,
        mesh.clock,
        watching.Patience(orphan_timeout_s, max_runtime_s),
    )
    return launcher, watcher


async def until_status(
    mesh: simulated.Mesh, run_id: str, status: records.RunStatus
) -> records.RunRecord:
    async def reached() -> bool:
        return await mesh.status(run_id) is status

    await mesh.eventually(reached, f"{run_id} is {status.value}")
    run = await mesh.store.runs.get(run_id)
    assert run is not None
    return run


async def claimed(mesh: simulated.Mesh, server: simulated.CodeServer, *, held: bool) -> str:
    """Return a run that was bound to a code server by a host that is gone."""
    (run_id,) = await mesh.queue(server.location_name)
    (run,) = await mesh.store.runs.claim(
        {server.location_name: server.server_id}, LIMITS.claims, batch_max=1
    )
    assert run.run_id == run_id
    if held:
        server.held[run_id] = location_pb2.RunPlan(run_id=run_id, attempt=run.attempt)
    return run_id


async def cancel(mesh: simulated.Mesh, run_id: str) -> None:
    await mesh.store.runs.request_cancel(run_id, "no longer wanted")


@pytest.mark.slow
async def test_canceling_is_repeated_until_the_final_event_is_here(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=True)
    await mesh.report(server, run_id, "run_started")
    answers = iter([False, True])

    async def lose_the_first() -> None:
        if not next(answers, True):
            raise simulated.unavailable()

    server.on_cancel = lose_the_first
    async with simulated.running(services_of(mesh)[1]):
        await cancel(mesh, run_id)
        await server.until(lambda: len(server.canceled) >= 3)
        assert await mesh.status(run_id) is STATUS.CANCELING
        await mesh.report(server, run_id, "run_canceled", first_seq=2)
        await until_status(mesh, run_id, STATUS.CANCELED)


@pytest.mark.slow
async def test_a_run_that_never_began_is_canceled_by_the_host(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=False)
    async with simulated.running(services_of(mesh)[1]):
        await cancel(mesh, run_id)
        await until_status(mesh, run_id, STATUS.CANCELED)
    assert len(server.canceled) == 2


@pytest.mark.slow
async def test_a_no_from_another_process_at_the_address_counts_for_nothing(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=False)
    server.described_as = "somebody else"
    async with simulated.running(services_of(mesh)[1]):
        await cancel(mesh, run_id)
        await server.until(lambda: len(server.canceled) >= 3)
        assert await mesh.status(run_id) is STATUS.CANCELING


async def test_a_run_in_the_queue_is_canceled_at_once(mesh: simulated.Mesh) -> None:
    (run_id,) = await mesh.queue("east")
    await cancel(mesh, run_id)
    assert await mesh.status(run_id) is STATUS.CANCELED


async def test_a_run_that_nobody_hands_over_any_more_is_adopted(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=False)
    async with simulated.running(*services_of(mesh)):
        await server.until(lambda: run_id in server.held)
    assert server.plans[0].attempt == 1


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
async def test_the_runs_of_a_server_that_stays_away_are_given_up(
    mesh: simulated.Mesh, begun: bool
) -> None:
    server = await mesh.serve("east")
    other = await mesh.serve("west")
    run_id = await claimed(mesh, server, held=True)
    safe = await claimed(mesh, other, held=True)
    if begun:
        await mesh.report(server, run_id, "run_started")
    record = mesh.servers[server.server_id]
    await mesh.store.locations.release("east", record.server_id, record.epoch)
    mesh.locations.lose("east")
    async with simulated.running(services_of(mesh, orphan_timeout_s=0.2)[1]):
        run = await until_status(mesh, run_id, STATUS.FAILURE)
        assert await mesh.status(safe) is STATUS.STARTING
    assert run.failure is not None
    assert "has been away for more than 0.2 s" in run.failure.message
    assert "'east-server' of location 'east'" in run.failure.message


async def test_a_registration_without_a_run_that_never_began_has_it_handed_over_again(
    mesh: simulated.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ADOPT_AFTER_S", 3600.0)
    server = await mesh.serve("east")
    lost, kept = [await claimed(mesh, server, held=held) for held in (False, True)]
    launcher, watcher = services_of(mesh)
    async with simulated.running(launcher, watcher):
        await watcher.registered(mesh.servers[server.server_id], await server.list_runs())
        await server.until(lambda: lost in server.held)
    assert [(plan.run_id, plan.attempt) for plan in server.plans] == [(lost, 1)]
    assert await mesh.status(kept) is STATUS.STARTING


async def test_a_run_accepted_after_the_list_was_written_is_not_started_as_another_attempt(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east")
    # Another host saw the registration in the database first, and handed the run over.
    accepted = await claimed(mesh, server, held=True)
    launcher, watcher = services_of(mesh)
    async with simulated.running(launcher, watcher):
        await watcher.registered(mesh.servers[server.server_id], [])
        await server.until(lambda: bool(server.plans))
        await mesh.report(server, accepted, "run_started", "run_succeeded")
        await until_status(mesh, accepted, STATUS.SUCCESS)
    assert {plan.attempt for plan in server.plans} == {1}


async def test_a_run_that_never_reached_a_server_that_drains_goes_to_its_successor(
    mesh: simulated.Mesh,
) -> None:
    old = await mesh.serve("east", server_id="old")
    run_id = await claimed(mesh, old, held=False)

    async def drain() -> None:
        raise simulated.refused("DRAINING")

    old.on_start = drain
    new = await mesh.serve("east", server_id="new")
    async with simulated.running(*services_of(mesh)):
        await new.until(lambda: run_id in new.held)
    assert new.held[run_id].attempt == 2


async def test_a_registration_says_nothing_about_runs_of_another_server(
    mesh: simulated.Mesh,
) -> None:
    old = await mesh.serve("east", server_id="old")
    run_id = await claimed(mesh, old, held=False)
    new = await mesh.serve("east", server_id="new")
    _, watcher = services_of(mesh)
    await watcher.registered(mesh.servers[new.server_id], [])
    assert await mesh.status(run_id) is STATUS.STARTING


async def test_a_registration_leaves_a_hand_over_under_way_alone(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")

    async def register_meanwhile() -> None:
        await watcher.registered(mesh.servers[server.server_id], [])

    server.on_start = register_meanwhile
    launcher, watcher = services_of(mesh)
    async with simulated.running(launcher):
        (run_id,) = await mesh.queue("east")
        await server.until(lambda: run_id in server.held)
        assert await mesh.status(run_id) is STATUS.STARTING
    assert [plan.attempt for plan in server.plans] == [1]


async def test_a_run_that_began_and_is_not_held_fails_once_the_server_confirms_it(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east")
    lost, late = [await claimed(mesh, server, held=held) for held in (False, True)]
    for run_id in (lost, late):
        await mesh.report(server, run_id, "run_started")
    _, watcher = services_of(mesh)
    async with simulated.running(watcher):
        # `late` was accepted after the code server had written the list that it registers with.
        await watcher.registered(mesh.servers[server.server_id], [])
        run = await until_status(mesh, lost, STATUS.FAILURE)
        assert await mesh.status(late) is STATUS.STARTED
    assert run.failure is not None
    assert run.failure.type == "RunLost"


async def canceling(mesh: simulated.Mesh, run_id: str) -> records.RunRecord:
    run = await until_status(mesh, run_id, STATUS.CANCELING)
    assert run.pending_failure is not None
    assert "went on for more than" in run.pending_failure.message
    return run


@pytest.mark.slow
async def test_a_run_that_goes_on_for_too_long_is_canceled_and_fails(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=True)
    await mesh.report(server, run_id, "run_started")
    async with simulated.running(services_of(mesh, max_runtime_s=0.01)[1]):
        await canceling(mesh, run_id)
        await mesh.report(server, run_id, "run_canceled", first_seq=2)
        run = await until_status(mesh, run_id, STATUS.FAILURE)
    assert run.failure is not None
    assert run.failure.type == "MaxRuntimeExceeded"
    told = await mesh.store.events.read(0, limit=100, query=records.EventQuery(run_id=run_id))
    kinds = [stored.event.WhichOneof("body") for stored in told]
    assert kinds[-3:] == ["run_canceling", "run_canceled", "run_failed"]


@pytest.mark.slow
async def test_a_run_that_ends_well_before_it_could_be_stopped_has_not_failed(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=True)
    await mesh.report(server, run_id, "run_started")
    async with simulated.running(services_of(mesh, max_runtime_s=0.01)[1]):
        await canceling(mesh, run_id)
        await mesh.report(server, run_id, "run_succeeded", first_seq=2)
        await until_status(mesh, run_id, STATUS.SUCCESS)


@pytest.mark.slow
async def test_an_overdue_run_that_nobody_has_fails(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east")
    run_id = await claimed(mesh, server, held=False)
    await mesh.report(server, run_id, "run_started")
    async with simulated.running(services_of(mesh, max_runtime_s=0.01)[1]):
        run = await until_status(mesh, run_id, STATUS.FAILURE)
    assert run.failure is not None
    assert run.failure.type == "MaxRuntimeExceeded"

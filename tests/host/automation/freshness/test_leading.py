"""The freshness term on real stores: one event for each change, whatever happens around it."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest

from atoll.definitions.v1 import policies_pb2, snapshot_pb2
from atoll.events.v1 import events_pb2
from atoll_host.automation.freshness import deciding, leading
from atoll_storage import database as databases
from atoll_storage import freshness_records, records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

A, B = ("a",), ("b", "x")
STATE = events_pb2.FreshnessState


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


def asset(
    path: simulated.Path, fail_s: float | None = None, *, executable: bool = True
) -> snapshot_pb2.AssetDefinition:
    definition = snapshot_pb2.AssetDefinition(
        key=simulated.asset_key(path), executable=executable, op_name="op" if executable else ""
    )
    if fail_s is not None:
        window = policies_pb2.TimeWindowFreshness()
        window.fail_window.FromTimedelta(dt.timedelta(seconds=fail_s))
        definition.freshness_policy.time_window.CopyFrom(window)
    return definition


async def serve(mesh: simulated.Mesh, location: str, *assets) -> None:
    server = simulated.CodeServer(location, f"{location}-server")
    record = await simulated.register(mesh.store, location, server.server_id)
    mesh.locations.serve(server, record, snapshot_pb2.LocationSnapshot(assets=assets))


def term_of(mesh: simulated.Mesh, store: databases.Database | None = None) -> leading.Term:
    around = leading.Surroundings(store or mesh.store, mesh.locations, mesh.changes, mesh.clock)
    return leading.Term(around)


async def told(mesh: simulated.Mesh) -> list[tuple[simulated.Path, str, str]]:
    query = records.EventQuery(kinds=("freshness_state_change",))
    found = await mesh.store.events.read(0, limit=1000, query=query)
    return [
        (
            tuple(each.event.freshness_state_change.asset_key.path),
            STATE.Name(each.event.freshness_state_change.previous_state).split("_")[-1],
            STATE.Name(each.event.freshness_state_change.new_state).split("_")[-1],
        )
        for each in found
    ]


async def until(
    mesh: simulated.Mesh, path: simulated.Path, state: int
) -> freshness_records.FreshnessRecord:
    found: list[freshness_records.FreshnessRecord] = []

    async def reached() -> bool:
        found[:] = await mesh.store.freshness.states([path])
        return [record.state for record in found] == [state]

    await mesh.eventually(reached, f"{path} is {STATE.Name(state)}")
    return found[0]


class running:  # noqa: N801 - a context manager
    def __init__(self, *terms: leading.Term) -> None:
        self._terms = terms

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(term.run()) for term in self._terms]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert all(task.cancelled() for task in self._tasks)


async def test_an_asset_goes_from_unknown_to_pass_and_fails_when_it_is_too_old(
    mesh: simulated.Mesh,
) -> None:
    await serve(mesh, "east", asset(A, 0.7), asset(B))
    async with running(term_of(mesh)):
        await until(mesh, A, deciding.UNKNOWN)
        (event_id,) = await mesh.materialize(A)
        passing = await until(mesh, A, deciding.PASS)
        failing = await until(mesh, A, deciding.FAIL)
    assert passing.event_id > event_id
    assert failing.change_time - passing.change_time >= dt.timedelta(seconds=0.5)
    assert await told(mesh) == [
        (A, "UNKNOWN", "UNKNOWN"),
        (A, "UNKNOWN", "PASS"),
        (A, "PASS", "FAIL"),
    ]
    assert await mesh.store.freshness.states([B]) == []


async def test_an_external_asset_is_judged_by_what_another_location_materializes(
    mesh: simulated.Mesh,
) -> None:
    await serve(mesh, "reader", asset(A, 3600, executable=False))
    await serve(mesh, "writer", asset(A))
    async with running(term_of(mesh)):
        await until(mesh, A, deciding.UNKNOWN)
        await mesh.materialize(A)
        await until(mesh, A, deciding.PASS)


async def test_a_policy_that_is_taken_away_leaves_a_state_that_says_so(
    mesh: simulated.Mesh,
) -> None:
    await serve(mesh, "east", asset(A, 3600))
    async with running(term_of(mesh)):
        await until(mesh, A, deciding.UNKNOWN)
        await mesh.materialize(A)
        await until(mesh, A, deciding.PASS)
        await serve(mesh, "east", asset(A))
        await until(mesh, A, deciding.NOT_APPLICABLE)
        await serve(mesh, "east", asset(A, 3600))
        await until(mesh, A, deciding.PASS)
    states = [state for _, _, state in await told(mesh)]
    assert states == ["UNKNOWN", "PASS", "APPLICABLE", "PASS"]


async def test_a_new_leader_finds_what_changed_while_nobody_led(mesh: simulated.Mesh) -> None:
    await serve(mesh, "east", asset(A, 0.5))
    async with running(term_of(mesh)):
        await mesh.materialize(A)
        await until(mesh, A, deciding.PASS)
    await mesh.clock.sleep(0.5)
    async with running(term_of(mesh)):
        await until(mesh, A, deciding.FAIL)


async def test_two_leaders_at_once_store_one_event_for_each_change(
    mesh: simulated.Mesh, database_url: str
) -> None:
    paths = [(f"asset{number}",) for number in range(20)]
    await serve(mesh, "east", *(asset(path, 3600) for path in paths))
    second = await databases.Database.connect(database_url)
    try:
        async with running(term_of(mesh), term_of(mesh, second)):
            for path in paths:
                await until(mesh, path, deciding.UNKNOWN)
            await mesh.materialize(*paths)
            for path in paths:
                await until(mesh, path, deciding.PASS)
    finally:
        await second.close()
    changes = sorted(await told(mesh))
    assert len(changes) == len(set(changes)) == 40


async def test_a_change_that_a_materialization_overtook_is_not_stored(
    mesh: simulated.Mesh,
) -> None:
    (event_id,) = await mesh.materialize(A)
    change = freshness_records.FreshnessChange(A, deciding.FAIL, deciding.UNKNOWN, 0, event_id)
    await mesh.materialize(A)
    assert await mesh.store.freshness.commit([change]) == []
    assert await told(mesh) == []

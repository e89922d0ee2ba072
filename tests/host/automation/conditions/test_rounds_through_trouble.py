"""Whatever goes wrong around a round of conditions, nothing is lost and nothing is done twice."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from atoll._conditions import composites, operands
from atoll.definitions.v1 import values_pb2
from atoll.location.v1 import location_pb2
from atoll_host.automation.conditions import leading, viewing
from atoll_storage import condition_records
from atoll_storage import database as databases
from atoll_storage import errors as storage_errors
from tests.host.automation.conditions import meshes
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

EAGER = composites.eager()
TICKED = composites.since_last_handled(
    operands.CronTickPassed(cron_schedule="0 6 * * *", cron_timezone="UTC")
)
CUSTOM = composites.since_last_handled(operands.Custom(own_name="Mine"))
SIX = dt.datetime(2026, 3, 4, 6, 0, 1, tzinfo=dt.UTC)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[meshes.Mesh]:
    async with meshes.mesh_of(database) as made:
        yield made


async def chain(mesh: meshes.Mesh, condition=EAGER) -> None:
    """Define a in one location, b over it in another."""
    await mesh.serve(
        "one", meshes.location(meshes.asset("a", None if condition is EAGER else condition))
    )
    await mesh.serve("two", meshes.location(meshes.asset("b", condition, deps=["a"])))


async def tick(mesh: meshes.Mesh) -> None:
    mesh.clock.set(SIX)
    mesh.changes.events.set()


async def test_what_happened_while_nobody_led_is_decided_on_once(mesh: meshes.Mesh):
    await chain(mesh)
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b")
    await mesh.materialize("a")
    await mesh.materialize("a")
    for _ in range(2):
        async with simulated.running(mesh.dispatcher()):
            await mesh.until_runs(1)
            await mesh.caught_up()
    await mesh.until_runs(1)


async def test_a_round_that_is_cut_off_is_done_again_by_the_next_leader(mesh: meshes.Mesh):
    await chain(mesh)
    stuck = Storage(mesh.store)
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b")
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    stuck.conditions.before_commit = wait
    await mesh.materialize("a")
    async with simulated.running(mesh.dispatcher(stuck.as_database())):
        await begun.wait()
    assert await mesh.runs() == []
    async with simulated.running(mesh.dispatcher()):
        await mesh.until_runs(1)


@pytest.mark.parametrize("stored", [False, True])
async def test_storage_that_goes_away_at_the_commit_loses_and_doubles_nothing(
    mesh: meshes.Mesh, stored: bool, caplog: pytest.LogCaptureFixture
):
    await chain(mesh)
    shaky = Storage(mesh.store)
    failures = iter([True, True, False])

    async def fail_at_first() -> None:
        if next(failures, False):
            raise storage_errors.StorageUnavailable("away")

    if stored:
        shaky.conditions.after_commit = fail_at_first
    else:
        shaky.conditions.before_commit = fail_at_first
    async with simulated.running(mesh.dispatcher(shaky.as_database())):
        await mesh.evaluated("b")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        await mesh.execute(run)
        await mesh.caught_up()
        await mesh.until_runs(1)
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_of_two_that_believe_to_lead_each_request_is_one_run(mesh: meshes.Mesh):
    await chain(mesh)
    terms = [leading.Term(mesh.surroundings(), tick_timeout_s=5) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(term.run()) for term in terms]
        await mesh.evaluated("b")
        for number in range(1, 6):
            await mesh.materialize("a")
            runs = await mesh.until_runs(number)
            await mesh.execute(runs[-1])
            head = await mesh.store.events.head()

            async def seen(head: int = head) -> bool:
                return all(term.position >= head for term in terms)

            await mesh.eventually(seen, "both have seen everything")
        await mesh.until_runs(5)
        for task in tasks:
            task.cancel()


async def test_of_two_hosts_the_other_takes_over(mesh: meshes.Mesh):
    await chain(mesh)
    first, second = mesh.dispatcher(), mesh.dispatcher()
    async with simulated.running(second):
        async with simulated.running(first):
            await mesh.evaluated("b")
            await mesh.materialize("a")
            (run,) = await mesh.until_runs(1)
            await mesh.execute(run)
        await mesh.materialize("a")
        await mesh.until_runs(2)


async def test_what_is_requested_with_its_upstream_waits_for_it_over_the_border(mesh: meshes.Mesh):
    await chain(mesh, TICKED)
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a", "b")
        await tick(mesh)
        (first,) = await mesh.until_runs(1)
        assert first.asset_selection == (("a",),)
        await mesh.caught_up()
    held = await mesh.explanations("b")
    assert held[0].held.count == 1
    async with simulated.running(mesh.dispatcher()):
        await mesh.execute(first)
        _, second = await mesh.until_runs(2)
        assert second.asset_selection == (("b",),)
        await mesh.execute(second)
        await mesh.caught_up()
        await mesh.until_runs(2)
    state = await mesh.state("b")
    assert state.held is None


@pytest.mark.parametrize("fails", [True, False])
async def test_what_waits_is_dropped_when_nothing_will_update_what_it_waits_for(
    mesh: meshes.Mesh, fails: bool
):
    await chain(mesh, TICKED)
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("a", "b")
        await tick(mesh)
        (run,) = await mesh.until_runs(1)
        if fails:
            await mesh.execute(run, fails=True)
        else:
            await mesh.store.runs.request_cancel(run.run_id, "not today")

        async def dropped() -> bool:
            state = await mesh.state("b")
            return state.held is None and (await mesh.explanations("b"))[0].dropped.count == 1

        await mesh.eventually(dropped, "the request is dropped")
        await mesh.until_runs(1)


async def test_a_run_that_cannot_be_made_fails_its_targets_alone(mesh: meshes.Mesh):
    broken = meshes.location(meshes.asset("b", EAGER, deps=["a"]))
    del broken.jobs[:]
    await mesh.serve("one", broken)
    await mesh.serve("two", meshes.location(meshes.asset("c", EAGER, deps=["a"])))
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("b", "c")
        await mesh.materialize("a")
        (run,) = await mesh.until_runs(1)
        assert run.asset_selection == (("c",),)

        async def failed() -> bool:
            state = await mesh.state("b")
            return state.failures == 1 and "nothing to materialize" in state.failure.message

        await mesh.eventually(failed, "b says what is wrong")


async def test_a_target_that_cannot_be_evaluated_stops_no_other(
    mesh: meshes.Mesh, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    await mesh.serve("one", meshes.location(meshes.asset("a", operands.ExecutionFailed())))
    await mesh.serve("two", meshes.location(meshes.asset("c", EAGER, deps=["b"])))

    def broken(*_: object) -> object:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(viewing.View, "execution_failed", broken)
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("c")
        await mesh.materialize("b")
        await mesh.until_runs(1)
    assert len(mesh.terms) == 1
    (told,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert told.target == "a"


async def test_a_location_that_hangs_with_its_own_condition_holds_up_nobody(mesh: meshes.Mesh):
    hanging = await mesh.serve("one", meshes.location(meshes.asset("a", CUSTOM)))
    await mesh.serve("two", meshes.location(meshes.asset("c", EAGER, deps=["b"])))
    go_on = asyncio.Event()

    async def hang(_: Request) -> Response:
        await go_on.wait()
        answer = location_pb2.CustomConditionAnswer(cursor="1")
        answer.value.whole = True
        return Response(answers=[answer])

    hanging.on_question = hang
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("c")
        await hanging.until(lambda: len(hanging.questions) == 1)
        await mesh.materialize("b")
        (run,) = await mesh.until_runs(1)
        assert run.asset_selection == (("c",),)
        assert len(hanging.questions) == 1
        go_on.set()
        await mesh.evaluated("a")
        mesh.clock.set(mesh.clock.now() + dt.timedelta(seconds=1))
        mesh.changes.events.set()
        # The first evaluation is the one that everything before it counts as handled at.
        await hanging.until(lambda: len(hanging.questions) >= 2)
        await mesh.until_runs(1, "a")
        assert hanging.questions[1].calls[0].cursor == "1"


async def test_a_condition_of_a_user_that_raises_fails_its_own_target_and_rests(mesh: meshes.Mesh):
    server = await mesh.serve(
        "one", meshes.location(meshes.asset("a", CUSTOM), meshes.asset("c", EAGER, deps=["b"]))
    )

    async def fail(_: Request) -> Response:
        failure = values_pb2.Failure(type="ValueError", message="no such table")
        return Response(answers=[location_pb2.CustomConditionAnswer(failure=failure)])

    server.on_question = fail
    async with simulated.running(mesh.dispatcher()):
        await mesh.evaluated("c")

        async def failed() -> bool:
            state = await mesh.state("a")
            return state is not None and state.failures == 1

        await mesh.eventually(failed, "a says what is wrong")
        await mesh.materialize("b")
        await mesh.until_runs(1, "c")
        await mesh.caught_up()
        assert len(server.questions) == 1
        state = await mesh.state("a")
        assert state.failure.message == "ValueError: no such table"
        # After the pause it is asked again.
        mesh.clock.set(mesh.clock.now() + dt.timedelta(seconds=10))
        mesh.changes.events.set()
        await server.until(lambda: len(server.questions) == 2)


async def test_a_location_that_is_away_is_asked_when_it_is_back(mesh: meshes.Mesh):
    server = await mesh.serve("one", meshes.location(meshes.asset("a", CUSTOM)))
    mesh.locations.lose("one")
    async with simulated.running(mesh.dispatcher()):
        await mesh.caught_up()
        mesh.locations.find("one")
        await server.until(lambda: len(server.questions) == 1)
    assert await mesh.state("a") is None


Request = location_pb2.EvaluateConditionsRequest
Response = location_pb2.EvaluateConditionsResponse


class _Conditions:
    """A store of conditions whose commits can be disturbed."""

    before_commit: Callable[[], Awaitable[object]] | None = None
    after_commit: Callable[[], Awaitable[object]] | None = None

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def commit(self, commit: condition_records.ConditionCommit) -> list[str]:
        if self.before_commit is not None:
            await self.before_commit()
        created = await self._inner.commit(commit)
        if self.after_commit is not None:
            await self.after_commit()
        return created


@dataclasses.dataclass
class Storage:
    """A real database seen through a disturbed line."""

    inner: databases.Database

    def __post_init__(self) -> None:
        self.conditions = _Conditions(self.inner.conditions)
        self.condition_facts = self.inner.condition_facts
        self.sensors = self.inner.sensors
        self.backfills = self.inner.backfills
        self.freshness = self.inner.freshness
        self.events = self.inner.events
        self.leadership = self.inner.leadership

    def as_database(self) -> databases.Database:
        return self  # type: ignore[return-value]

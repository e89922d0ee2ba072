"""The term of schedules on real stores: each time decided once, whatever fails around it."""

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator

import pytest

from atoll.api.v1 import automation_pb2
from atoll.location.v1 import location_pb2
from atoll_host import services
from atoll_host.automation import dispatching
from atoll_host.automation.schedules import due, leading
from atoll_storage import database as databases
from atoll_storage import records
from tests.host.automation.schedules import hands, world
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

HOUR = 3600
NOON = world.START - 30
KEY = records.ScheduleKey("a", "s")
Response = location_pb2.EvaluateScheduleResponse
SUCCESS, SKIPPED, FAILURE = (
    automation_pb2.TICK_STATUS_SUCCESS,
    automation_pb2.TICK_STATUS_SKIPPED,
    automation_pb2.TICK_STATUS_FAILURE,
)
LIMITS = due.Limits(
    failure_backoff=services.Backoff(first_s=5.0, max_s=60.0),
    retry_backoff=services.Backoff(first_s=1.0, max_s=1.0),
)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        made.clock = hands.MovedClock(NOON)
        yield made


def dispatcher_of(
    mesh: simulated.Mesh, store: databases.Database | None = None
) -> dispatching.Dispatcher:
    around = leading.Surroundings(store or mesh.store, mesh.locations, mesh.changes, mesh.clock)
    return dispatching.Dispatcher(
        around.store,
        mesh.clock,
        {"schedules": lambda: leading.Term(around, tick_timeout_s=60, limits=LIMITS)},
    )


def hourly(**fields):
    return world.definition("s", "0 * * * *", **fields)


async def known(mesh: simulated.Mesh, key: records.ScheduleKey = KEY) -> None:
    async def is_known() -> bool:
        return await mesh.store.schedules.state(key) is not None

    await mesh.eventually(is_known, "the schedule is known")


async def ticks_of(mesh: simulated.Mesh, key: records.ScheduleKey = KEY):
    found = await mesh.store.schedules.ticks(key, limit=1000)
    # The clock stands still, so many begin at once: in the order in which they were stored.
    return sorted(found, key=lambda tick: tick.end_time.ToNanoseconds())


async def until_ticks(mesh: simulated.Mesh, count: int, key: records.ScheduleKey = KEY):
    async def are_there() -> bool:
        return len(await ticks_of(mesh, key)) >= count

    await mesh.eventually(are_there, f"{count} ticks")
    found = await ticks_of(mesh, key)
    assert len(found) == count
    return found


async def pass_hours(mesh: simulated.Mesh, count: int = 1) -> None:
    """Let one hour pass after the other, each until its tick is stored."""
    before = len(await ticks_of(mesh))
    for number in range(1, count + 1):
        mesh.clock.move(HOUR)
        await until_ticks(mesh, before + number)


def times(ticks) -> list[float]:
    return [(tick.scheduled_time.seconds - NOON) / HOUR for tick in ticks]


async def test_a_tick_makes_a_run_that_says_where_it_comes_from(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly())
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh, 2)
    first, second = await ticks_of(mesh)
    assert (first.status, times([first, second])) == (SUCCESS, [1, 2])
    run = await mesh.store.runs.get(first.run_ids[0])
    assert run.tags == {
        "atoll/schedule_name": "s",
        "atoll/scheduled_execution_time": world.moment(NOON + HOUR).isoformat(),
        "atoll/tick": first.tick_id,
    }
    assert (run.job_name, run.requested_build_id, run.tick_id) == ("job", "build", first.tick_id)
    asked = [request.scheduled_time.seconds for request in server.scheduled]
    assert asked == [NOON + HOUR, NOON + 2 * HOUR]


async def test_nothing_is_asked_before_the_time_has_come(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly())
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        mesh.clock.move(HOUR - 1)
        await asyncio.sleep(0)
        assert not server.scheduled
        mesh.clock.move(1)
        await until_ticks(mesh, 1)


async def test_a_host_that_was_down_makes_up_for_the_newest_and_counts_the_rest(
    mesh: simulated.Mesh,
):
    await mesh.serve("a", hourly(catch_up_max=2))
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
    mesh.clock.move(9 * HOUR + 600)
    async with simulated.running(dispatcher_of(mesh)):
        found = await until_ticks(mesh, 4)
    assert [tick.status for tick in found] == [SUCCESS, SKIPPED, SUCCESS, SUCCESS]
    assert times(found) == [1, 8, 9, 10]
    assert found[1].skip_reason.startswith(
        "7 ticks, from 2026-03-01T14:00:00+00:00 to 2026-03-01T20:00:00+00:00, were missed"
    )


async def test_a_location_that_is_away_gets_its_ticks_when_it_is_back(mesh: simulated.Mesh):
    await mesh.serve("a", hourly(catch_up_max=1))
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
        mesh.locations.lose("a")
        mesh.clock.move(3 * HOUR + 120)
        await asyncio.sleep(0)
        assert len(await ticks_of(mesh)) == 1
        mesh.locations.find("a")
        found = await until_ticks(mesh, 3)
    assert times(found) == [1, 3, 4]


async def test_a_failed_tick_is_tried_again_and_given_up_in_the_end(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly(retries_max=2))
    tries = itertools.count(1)

    async def fail(request: location_pb2.EvaluateScheduleRequest) -> Response:
        next(tries)
        return Response(failure={"type": "ValueError", "message": "broken"})

    server.schedules["s"] = fail
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
        for pause_s, count in ((5, 2), (10, 3)):
            mesh.clock.move(pause_s)
            await until_ticks(mesh, count)
        mesh.clock.move(HOUR)
        found = await until_ticks(mesh, 4)
    assert times(found) == [1, 1, 1, 2]
    assert {tick.status for tick in found} == {FAILURE}
    assert [tick.log_lines[-1].message for tick in found[:3]] == [
        "This was try 1 of 3 of the tick. It is tried again.",
        "This was try 2 of 3 of the tick. It is tried again.",
        "This was try 3 of 3 of the tick. It is not tried again: the next time is.",
    ]


async def test_a_new_leader_goes_on_with_the_tries_that_are_left(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly(retries_max=1))

    async def fail(request: location_pb2.EvaluateScheduleRequest) -> Response:
        return Response(failure={"type": "ValueError", "message": "broken"})

    server.schedules["s"] = fail
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
    async with simulated.running(dispatcher_of(mesh)):
        await until_ticks(mesh, 2)
    state = await mesh.store.schedules.state(KEY)
    assert (state.position, state.failures) == (world.moment(NOON + HOUR), 0)


async def test_two_hosts_make_one_tick(mesh: simulated.Mesh, database_url: str):
    server = await mesh.serve("a", hourly())
    other = await databases.Database.connect(database_url)
    around = [
        leading.Surroundings(store, mesh.locations, mesh.changes, mesh.clock)
        for store in (mesh.store, other)
    ]
    both = asyncio.Barrier(2)

    async def together(request: location_pb2.EvaluateScheduleRequest) -> Response:
        await both.wait()
        return Response(run_requests=[location_pb2.RunRequest()])

    server.schedules["s"] = together
    # Two that believe to lead, without asking for leadership.
    leads = [
        asyncio.create_task(leading.Term(one, tick_timeout_s=60, limits=LIMITS).run())
        for one in around
    ]
    try:
        await known(mesh)

        async def asleep() -> bool:
            return len(mesh.clock.sleepers) >= len(leads)

        await mesh.eventually(asleep, "both wait for the hour")
        mesh.clock.move(HOUR)
        await until_ticks(mesh, 1)
        mesh.clock.move(HOUR)
        found = await until_ticks(mesh, 2)
    finally:
        for lead in leads:
            lead.cancel()
        await asyncio.gather(*leads, return_exceptions=True)
        await other.close()
    assert times(found) == [1, 2]
    runs = await mesh.store.runs.list(records.RunQuery(), limit=10)
    assert len(runs) == 2


async def test_an_older_release_postpones_and_says_why(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly())

    async def unsupported(request: location_pb2.EvaluateScheduleRequest) -> Response:
        raise simulated.refused("UNSUPPORTED")

    server.schedules["s"] = unsupported

    async def waits() -> bool:
        state = await mesh.store.schedules.state(KEY)
        return "older release" in state.waiting_reason

    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        mesh.clock.move(HOUR)
        await mesh.eventually(waits, "the schedule says why it waits")
        assert not await ticks_of(mesh)
        del server.schedules["s"]
        mesh.clock.move(2)
        (tick,) = await until_ticks(mesh, 1)
    assert times([tick]) == [1]
    assert (await mesh.store.schedules.state(KEY)).waiting_reason == ""


async def test_a_reload_that_changes_the_times_counts_from_then_on(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly())

    async def adopted() -> bool:
        state = await mesh.store.schedules.state(KEY)
        return '"15 * * * *"' in state.timetable

    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
        mesh.clock.move(30 * 60)
        mesh.redefine(server, world.definition("s", "15 * * * *"))
        await mesh.eventually(adopted, "the new times count")
        assert len(await ticks_of(mesh)) == 1
        mesh.clock.move(45 * 60)
        found = await until_ticks(mesh, 2)
    assert times(found) == [1, 2.25]


async def test_a_schedule_that_is_started_does_not_make_up_for_what_came_before(
    mesh: simulated.Mesh,
):
    await mesh.serve("a", hourly(running=False))
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        mesh.clock.move(5 * HOUR + 10)
        await mesh.store.schedules.set_running(KEY, running=True, at=mesh.clock.now())
        mesh.changes.schedules.set()

        async def ticked() -> bool:
            mesh.clock.move(HOUR)
            return bool(await ticks_of(mesh))

        await mesh.eventually(ticked, "the schedule ticks")
        first = (await ticks_of(mesh))[0]
    assert times([first])[0] >= 6


async def test_a_schedule_that_comes_back_into_the_code_begins_anew(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly())

    async def timetable_is(expected: bool) -> bool:
        state = await mesh.store.schedules.state(KEY)
        return bool(state.timetable) is expected

    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        mesh.redefine(server)
        await mesh.eventually(lambda: timetable_is(False), "it is known to be gone")
        mesh.clock.move(10 * HOUR + 10)
        mesh.redefine(server, hourly())
        await mesh.eventually(lambda: timetable_is(True), "it is known to be back")
        mesh.clock.move(HOUR)
        (tick,) = await until_ticks(mesh, 1)
    assert times([tick]) == [11]


async def test_a_clock_that_was_put_forward_is_noticed(mesh: simulated.Mesh):
    await mesh.serve("a", hourly())
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
        mesh.clock.set_back_or_forth(HOUR)
        mesh.clock.move(leading.CLOCK_BACKSTOP_S)
        await until_ticks(mesh, 2)
        mesh.clock.set_back_or_forth(-2 * HOUR)
        mesh.clock.move(HOUR)
        await asyncio.sleep(0)
        assert len(await ticks_of(mesh)) == 2


async def test_a_location_that_hangs_delays_no_other(mesh: simulated.Mesh):
    hanging = await mesh.serve("a", hourly())
    await mesh.serve("b", hourly())
    forever = asyncio.Event()

    async def hang(request: location_pb2.EvaluateScheduleRequest) -> Response:
        await forever.wait()
        return Response()

    hanging.schedules["s"] = hang
    other = records.ScheduleKey("b", "s")
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh, other)
        for count in (1, 2):
            mesh.clock.move(HOUR)
            await until_ticks(mesh, count, other)
    assert len(hanging.scheduled) == 1


async def test_what_a_schedule_asks_for_wrongly_fails_the_whole_tick(mesh: simulated.Mesh):
    server = await mesh.serve("a", hourly(retries_max=0))

    async def wrong(request: location_pb2.EvaluateScheduleRequest) -> Response:
        asked = [location_pb2.RunRequest(run_key="1"), location_pb2.RunRequest(job_name="other")]
        return Response(run_requests=asked)

    server.schedules["s"] = wrong
    async with simulated.running(dispatcher_of(mesh)):
        await known(mesh)
        await pass_hours(mesh)
    (tick,) = await ticks_of(mesh)
    assert tick.failure.message.startswith("Run request 2 of 2 of schedule 's' is refused")
    assert not await mesh.store.runs.list(records.RunQuery(), limit=10)


def test_the_moved_clock_shows_what_it_was_moved_to():
    clock = hands.MovedClock(NOON)
    clock.move(90)
    assert clock.now() == world.moment(NOON) + dt.timedelta(seconds=90)

"""The dispatcher on real stores: each event decided on once, in order, whatever fails around it."""

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from atoll.api.v1 import automation_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2
from atoll_host import services
from atoll_host.automation import dispatching
from atoll_host.automation.sensors import due, leading
from atoll_storage import database as databases
from atoll_storage import errors as storage_errors
from atoll_storage import records
from tests.host.runs import simulated

pytestmark = [pytest.mark.postgres]

ASSET = snapshot_pb2.SENSOR_KIND_ASSET
MULTI = snapshot_pb2.SENSOR_KIND_MULTI_ASSET
POLLING = snapshot_pb2.SENSOR_KIND_POLLING
A, B = ("a",), ("b",)

Request = location_pb2.EvaluateSensorRequest
Response = location_pb2.EvaluateSensorResponse

QUICK = due.Limits(
    failure_backoff=services.Backoff(first_s=0.02, max_s=0.05),
    retry_backoff=services.Backoff(first_s=0.02, max_s=0.05),
)


@pytest.fixture
async def mesh(database: databases.Database) -> AsyncIterator[simulated.Mesh]:
    async with simulated.mesh_of(database) as made:
        yield made


def dispatcher_of(
    mesh: simulated.Mesh,
    *,
    store: databases.Database | None = None,
    limits: due.Limits = QUICK,
    tick_timeout_s: float = 60.0,
) -> dispatching.Dispatcher:
    around = around_of(mesh, store)
    return dispatching.Dispatcher(
        around.store,
        mesh.clock,
        {"sensors": lambda: leading.Term(around, limits=limits, tick_timeout_s=tick_timeout_s)},
    )


def around_of(
    mesh: simulated.Mesh, store: databases.Database | None = None
) -> leading.Surroundings:
    return leading.Surroundings(store or mesh.store, mesh.locations, mesh.changes, mesh.clock)


def asking(run_key: str = "") -> Callable[[Request], Awaitable[Response]]:
    async def evaluate(request: Request) -> Response:
        key = run_key.format(event=request.triggering_event.id)
        return Response(run_requests=[location_pb2.RunRequest(run_key=key)])

    return evaluate


async def ready(mesh: simulated.Mesh, *keys: tuple[str, str]) -> None:
    """Wait until the sensors are known to the store, from where on they miss nothing."""

    async def known() -> bool:
        states = [await mesh.store.sensors.state(records.SensorKey(*key)) for key in keys]
        return all(states)

    await mesh.eventually(known, "the sensors are known")


async def until_ticks(mesh: simulated.Mesh, location: str, sensor: str, count: int) -> list:
    async def enough() -> bool:
        return len(await mesh.ticks(location, sensor)) >= count

    await mesh.eventually(enough, f"{count} ticks of {sensor}")
    return list(await mesh.ticks(location, sensor))


def statuses(ticks: list) -> list[str]:
    return [
        automation_pb2.TickStatus.Name(tick.status).removeprefix("TICK_STATUS_") for tick in ticks
    ]


async def test_every_materialization_has_one_tick_in_order(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    server.sensors["s"] = asking()
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        ids = await mesh.materialize(A, B, A, A)
        ids += await mesh.materialize(A)
        wanted = [ids[0], ids[2], ids[3], ids[4]]
        ticks = await until_ticks(mesh, "east", "s", 4)
    assert [tick.event_id for tick in ticks] == wanted
    assert statuses(ticks) == ["SUCCESS"] * 4
    assert [request.cursor for request in server.evaluations] == [
        "",
        *(str(event_id) for event_id in wanted[:-1]),
    ]
    assert len({run_id for tick in ticks for run_id in tick.run_ids}) == 4


async def test_what_came_before_the_sensor_was_known_is_not_decided_on(
    mesh: simulated.Mesh,
) -> None:
    await mesh.materialize(A)
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        (event_id,) = await mesh.materialize(A)
        await until_ticks(mesh, "east", "s", 1)
    assert [each.triggering_event.id for each in server.evaluations] == [event_id]


async def test_enrolled_sensors_see_what_is_materialized_before_anybody_leads(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    dispatcher = dispatcher_of(mesh)
    await around_of(mesh).enroll(mesh.servers[server.server_id], [])
    ids = await mesh.materialize(A, A)
    async with simulated.running(dispatcher):
        ticks = await until_ticks(mesh, "east", "s", 2)
    assert [tick.event_id for tick in ticks] == ids


async def test_a_coalescing_sensor_sees_the_newest_only(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A, coalesce=True))
    dispatcher = dispatcher_of(mesh)
    await around_of(mesh).enroll(mesh.servers[server.server_id], [])
    ids = await mesh.materialize(A, A, A)
    async with simulated.running(dispatcher):
        ticks = await until_ticks(mesh, "east", "s", 1)
        more = await mesh.materialize(A)
        ticks = await until_ticks(mesh, "east", "s", 2)
    assert [tick.event_id for tick in ticks] == [ids[-1], more[0]]


async def test_a_multi_asset_sensor_has_one_tick_for_all_that_is_new(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("m", MULTI, A, B))
    dispatcher = dispatcher_of(mesh)
    await around_of(mesh).enroll(mesh.servers[server.server_id], [])
    ids = await mesh.materialize(A, B, A, B)
    async with simulated.running(dispatcher):
        await until_ticks(mesh, "east", "m", 1)
        state = await mesh.store.sensors.state(records.SensorKey("east", "m"))
    assert state is not None
    assert (state.position, state.cursor) == (ids[-1], None)
    assert len(server.evaluations) == 1


async def test_a_run_key_makes_one_run_for_ever(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    server.sensors["s"] = asking("always")
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        await mesh.materialize(A, A)
        first, second = await until_ticks(mesh, "east", "s", 2)
    assert (len(first.run_ids), list(first.skipped_run_keys)) == (1, [])
    assert (len(second.run_ids), list(second.skipped_run_keys)) == (0, ["always"])
    assert await mesh.store.runs.queued_counts() == {"east": 1}


async def test_a_failed_event_is_tried_again_before_the_next(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    seen: list[int] = []

    async def evaluate(request: Request) -> Response:
        seen.append(request.triggering_event.id)
        if len(seen) <= 2:
            return Response(failure={"type": "ValueError", "message": "not yet"}, cursor="wrong")
        return Response(skip_reason="fine")

    server.sensors["s"] = evaluate
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        one, two = await mesh.materialize(A, A)
        ticks = await until_ticks(mesh, "east", "s", 4)
    assert seen == [one, one, one, two]
    assert statuses(ticks) == ["FAILURE", "FAILURE", "SKIPPED", "SKIPPED"]
    assert ticks[0].failure.message == "not yet"
    assert [tick.cursor for tick in ticks] == ["", "", str(one), str(two)]


@pytest.mark.parametrize("reason", ["UNREACHABLE", "BUSY", "DRAINING"])
async def test_a_location_that_cannot_answer_now_costs_no_tick(
    mesh: simulated.Mesh, reason: str
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    answers = iter([False, True])

    async def evaluate(_: Request) -> Response:
        if next(answers):
            return Response(skip_reason="fine")
        if reason == "UNREACHABLE":
            raise simulated.unavailable()
        raise simulated.refused(reason)

    server.sensors["s"] = evaluate
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        await mesh.materialize(A)
        ticks = await until_ticks(mesh, "east", "s", 1)
    assert statuses(ticks) == ["SKIPPED"]
    assert len(server.evaluations) == 2


async def test_what_is_due_waits_for_its_location(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    other = await mesh.serve("west", simulated.sensor("o", ASSET, A))
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"), ("west", "o"))
        mesh.locations.lose("east")
        ids = await mesh.materialize(A, A)
        await until_ticks(mesh, "west", "o", 2)
        assert server.evaluations == []
        mesh.locations.find("east")
        ticks = await until_ticks(mesh, "east", "s", 2)
    assert [tick.event_id for tick in ticks] == ids
    assert len(other.evaluations) == 2


async def test_a_missed_deadline_is_a_failed_tick(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))

    async def evaluate(request: Request) -> Response:
        assert request.timeout.ToMilliseconds() == 1500
        raise simulated.unavailable("DEADLINE_EXCEEDED")

    server.sensors["s"] = evaluate
    async with simulated.running(dispatcher_of(mesh, tick_timeout_s=1.5)):
        await ready(mesh, ("east", "s"))
        await mesh.materialize(A)
        tick, *_ = await until_ticks(mesh, "east", "s", 1)
    assert tick.status == automation_pb2.TICK_STATUS_FAILURE
    assert "deadline of 1.5 s" in tick.failure.message
    assert "killed" in tick.failure.message


async def test_a_bad_run_request_fails_the_tick_and_makes_no_run(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))

    async def evaluate(_: Request) -> Response:
        good, bad = location_pb2.RunRequest(), location_pb2.RunRequest(job_name="nope")
        return Response(run_requests=[good, bad])

    server.sensors["s"] = evaluate
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        await mesh.materialize(A)
        tick, *_ = await until_ticks(mesh, "east", "s", 1)
    assert tick.status == automation_pb2.TICK_STATUS_FAILURE
    assert "Run request 2 of 2" in tick.failure.message
    assert await mesh.store.runs.queued_counts() == {}


async def test_a_result_that_cannot_be_stored_is_a_failed_tick(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("p", POLLING, interval_s=3600))

    async def evaluate(_: Request) -> Response:
        return Response(cursor="a\x00b")

    server.sensors["p"] = evaluate
    async with simulated.running(dispatcher_of(mesh)):
        tick, *_ = await until_ticks(mesh, "east", "p", 1)
    assert tick.status == automation_pb2.TICK_STATUS_FAILURE
    assert "cannot be stored" in tick.failure.message


async def test_a_location_whose_evaluations_hang_delays_no_other(mesh: simulated.Mesh) -> None:
    hanging = await mesh.serve(
        "east", *(simulated.sensor(f"h{number}", ASSET, A) for number in range(10))
    )
    forever = asyncio.Event()

    async def hang(_: Request) -> Response:
        await forever.wait()
        return Response()

    hanging.sensors = {f"h{number}": hang for number in range(10)}
    await mesh.serve("west", simulated.sensor("s", ASSET, A))
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "h0"), ("west", "s"))
        await mesh.materialize(A, A, A)
        await hanging.until(lambda: len(hanging.evaluations) == 4)
        await until_ticks(mesh, "west", "s", 3)
        assert len(hanging.evaluations) == 4
        forever.set()
        await until_ticks(mesh, "east", "h9", 3)


async def test_polling_sensors_are_due_by_the_clock(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("p", POLLING, interval_s=0.3))

    async def evaluate(request: Request) -> Response:
        return Response(cursor=str(int(request.cursor or 0) + 1))

    server.sensors["p"] = evaluate
    async with simulated.running(dispatcher_of(mesh)):
        ticks = await until_ticks(mesh, "east", "p", 3)
    assert [tick.cursor for tick in ticks[:3]] == ["1", "2", "3"]
    gaps = [
        later.start_time.ToNanoseconds() - earlier.start_time.ToNanoseconds()
        for earlier, later in itertools.pairwise(ticks)
    ]
    # The starts are told by when they came to it, which a busy machine puts off.
    assert min(gaps) >= 150_000_000


@pytest.mark.slow
async def test_a_stopped_sensor_rests_and_goes_on_where_it_was(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A, stopped=True))
    await mesh.serve("west", simulated.sensor("o", ASSET, A))
    key = records.SensorKey("east", "s")
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"), ("west", "o"))
        ids = await mesh.materialize(A, A)
        await until_ticks(mesh, "west", "o", 2)
        assert server.evaluations == []
        await mesh.store.sensors.set_running(key, True)
        ticks = await until_ticks(mesh, "east", "s", 2)
    assert [tick.event_id for tick in ticks] == ids


async def test_the_tick_of_a_sensor_that_was_stopped_meanwhile_is_not_stored(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def evaluate(_: Request) -> Response:
        begun.set()
        await go_on.wait()
        return Response(run_requests=[location_pb2.RunRequest()])

    server.sensors["s"] = evaluate
    key = records.SensorKey("east", "s")
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "s"))
        (event_id,) = await mesh.materialize(A)
        await begun.wait()
        await mesh.store.sensors.set_running(key, False)
        go_on.set()
        # Started again, the sensor decides on the event for the first time.
        await mesh.store.sensors.set_running(key, True)
        ticks = await until_ticks(mesh, "east", "s", 1)
    assert [tick.event_id for tick in ticks] == [event_id]
    assert len(server.evaluations) == 2


async def test_a_reload_brings_new_sensors_and_takes_old_ones_away(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("old", ASSET, A))
    async with simulated.running(dispatcher_of(mesh)):
        await ready(mesh, ("east", "old"))
        await mesh.materialize(A)
        await until_ticks(mesh, "east", "old", 1)
        mesh.redefine(server, simulated.sensor("new", ASSET, A))
        await ready(mesh, ("east", "new"))
        (event_id,) = await mesh.materialize(A)
        ticks = await until_ticks(mesh, "east", "new", 1)
    assert [tick.event_id for tick in ticks] == [event_id]
    assert len(await mesh.ticks("east", "old")) == 1


async def test_a_crash_before_the_commit_leaves_nothing_and_the_next_leader_decides(
    mesh: simulated.Mesh,
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    server.sensors["s"] = asking("{event}")
    stuck = Storage(mesh.store)
    stuck.sensors.before_commit = asyncio.Event().wait
    async with simulated.running(dispatcher_of(mesh, store=stuck.as_database())):
        await ready(mesh, ("east", "s"))
        (event_id,) = await mesh.materialize(A)
        await server.until(lambda: len(server.evaluations) == 1)
    assert await mesh.ticks("east", "s") == []
    assert await mesh.store.runs.queued_counts() == {}
    async with simulated.running(dispatcher_of(mesh)):
        ticks = await until_ticks(mesh, "east", "s", 1)
    assert [tick.event_id for tick in ticks] == [event_id]
    assert len(server.evaluations) == 2
    assert await mesh.store.runs.queued_counts() == {"east": 1}


async def test_of_two_hosts_one_leads_and_the_other_takes_over(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    first, second = dispatcher_of(mesh), dispatcher_of(mesh)
    async with simulated.running(second):
        async with simulated.running(first):
            await ready(mesh, ("east", "s"))
            await mesh.materialize(A)
            await until_ticks(mesh, "east", "s", 1)
            assert first.leads is not second.leads
        await mesh.materialize(A)
        await until_ticks(mesh, "east", "s", 2)
        assert second.leads
    assert len(server.evaluations) == 2


async def test_of_two_that_believe_to_lead_only_one_commits(mesh: simulated.Mesh) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    both = asyncio.Barrier(2)

    async def evaluate(_: Request) -> Response:
        if len(server.evaluations) <= 2:
            await both.wait()
        return Response(run_requests=[location_pb2.RunRequest()])

    server.sensors["s"] = evaluate
    around = leading.Surroundings(mesh.store, mesh.locations, mesh.changes, mesh.clock)
    terms = [
        asyncio.create_task(leading.Term(around, tick_timeout_s=60, limits=QUICK).run())
        for _ in range(2)
    ]
    try:
        await ready(mesh, ("east", "s"))
        ids = await mesh.materialize(A)
        await until_ticks(mesh, "east", "s", 1)
        ids += await mesh.materialize(A)
        ticks = await until_ticks(mesh, "east", "s", 2)
    finally:
        for term in terms:
            term.cancel()
        await asyncio.gather(*terms, return_exceptions=True)
    assert [tick.event_id for tick in ticks] == ids
    assert await mesh.store.runs.queued_counts() == {"east": 2}


@pytest.mark.parametrize("stored", [False, True])
async def test_storage_that_goes_away_at_the_commit_loses_and_doubles_nothing(
    mesh: simulated.Mesh, stored: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = await mesh.serve("east", simulated.sensor("s", ASSET, A))
    server.sensors["s"] = asking()
    shaky = Storage(mesh.store)
    failures = iter([True, True, False])

    async def fail_at_first() -> None:
        if next(failures, False):
            raise storage_errors.StorageUnavailable("away")

    if stored:
        shaky.sensors.after_commit = fail_at_first
    else:
        shaky.sensors.before_commit = fail_at_first
    async with simulated.running(dispatcher_of(mesh, store=shaky.as_database())):
        await ready(mesh, ("east", "s"))
        ids = await mesh.materialize(A, A)
        ticks = await until_ticks(mesh, "east", "s", 2)
    assert [tick.event_id for tick in ticks] == ids
    assert await mesh.store.runs.queued_counts() == {"east": 2}
    assert len(server.evaluations) == 2
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


@pytest.mark.slow
async def test_idle_sensors_cost_no_queries(mesh: simulated.Mesh) -> None:
    for number in range(20):
        sensors = [simulated.sensor(f"s{each}", ASSET, (f"x{each}",)) for each in range(50)]
        await mesh.serve(f"l{number}", *sensors)
    counting = Storage(mesh.store)
    async with simulated.running(dispatcher_of(mesh, store=counting.as_database())):
        await ready(mesh, ("l19", "s49"))
        await mesh.materialize(("x7",))
        await until_ticks(mesh, "l0", "s7", 1)
        assert counting.calls["states"] <= 5
        assert counting.calls["ensure"] <= 3
        assert counting.calls["latest_materializations"] <= 3
        assert counting.calls["next_materialization"] == 20


class _Counting:
    """Passes everything on to a store and counts the calls."""

    def __init__(self, inner: object, calls: dict[str, int]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> object:
        self._calls[name] = self._calls.get(name, 0) + 1
        return getattr(self._inner, name)


class _Sensors(_Counting):
    """A sensor store whose commits can be disturbed."""

    before_commit: Callable[[], Awaitable[object]] | None = None
    after_commit: Callable[[], Awaitable[object]] | None = None

    async def commit_tick(self, commit: records.TickCommit) -> automation_pb2.Tick:
        if self.before_commit is not None:
            await self.before_commit()
        tick = await self._inner.commit_tick(commit)
        if self.after_commit is not None:
            await self.after_commit()
        return tick


@dataclasses.dataclass
class Storage:
    """A real database seen through a disturbed line."""

    inner: databases.Database
    calls: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sensors = _Sensors(self.inner.sensors, self.calls)
        self.events = _Counting(self.inner.events, self.calls)
        self.webhooks = self.inner.webhooks
        self.leadership = self.inner.leadership

    def as_database(self) -> databases.Database:
        return self  # type: ignore[return-value]

"""Schedules of a location over real connections: shown, started, stopped, and due."""

import asyncio
import datetime as dt

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2, runs_pb2, schedules_pb2
from atoll.definitions.v1 import snapshot_pb2
from atoll_storage import records
from tests.integration import code_location

pytestmark = pytest.mark.postgres

HOUR = dt.timedelta(hours=1)
KEY = records.ScheduleKey("a", "nightly")
RUNNING, STOPPED = (
    snapshot_pb2.SCHEDULE_STATUS_RUNNING,
    snapshot_pb2.SCHEDULE_STATUS_STOPPED,
)


def schedule(name: str, *, running: bool = False, **fields) -> snapshot_pb2.ScheduleDefinition:
    values = {"cron_schedules": ["0 3 * * *"], "execution_timezone": "Europe/Zurich"}
    return snapshot_pb2.ScheduleDefinition(
        name=name,
        job_name="load",
        default_status=RUNNING if running else STOPPED,
        **{**values, **fields},
    )


def defined(*schedules: snapshot_pb2.ScheduleDefinition):
    return code_location.snapshot(jobs=[code_location.job("load")], schedules=schedules)


@pytest.fixture
async def location(mesh, host):
    return await mesh.location(host, "a", defined(schedule("nightly"), schedule("weekly")))


async def get(client, name="nightly", **fields):
    request = schedules_pb2.GetScheduleRequest(location_name="a", schedule_name=name, **fields)
    return (await client.schedules.GetSchedule(request)).schedule


async def start(client, name="nightly"):
    request = schedules_pb2.StartScheduleRequest(location_name="a", schedule_name=name)
    return (await client.schedules.StartSchedule(request)).schedule


async def ticks(client, **fields):
    request = schedules_pb2.ListScheduleTicksRequest(
        location_name="a", schedule_name="nightly", **fields
    )
    return await client.schedules.ListScheduleTicks(request)


async def miss(host, *, hours: int = 25) -> None:
    """Have the schedule be so many hours behind, as after an outage."""
    store = host.parts.store.schedules
    state = await store.state(KEY)
    behind = host._clock.now() - hours * HOUR
    assert await store.adopt(KEY, state.version, state.timetable, behind)
    host.parts.changes.schedules.set()


async def until(check):
    async with asyncio.timeout(code_location.TIMEOUT_S):
        while not (found := await check()):  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.02)
    return found


async def test_schedules_are_listed_in_pages_with_their_next_time(client, location):
    request = schedules_pb2.ListSchedulesRequest(page_size=1)
    first = await client.schedules.ListSchedules(request)
    assert [each.definition.name for each in first.schedules] == ["nightly"]
    request.page_token = first.next_page_token
    second = await client.schedules.ListSchedules(request)
    assert [each.definition.name for each in second.schedules] == ["weekly"]
    assert not second.next_page_token
    assert not second.schedules[0].next_times
    await start(client)
    listed = await client.schedules.ListSchedules(schedules_pb2.ListSchedulesRequest())
    assert [len(each.next_times) for each in listed.schedules] == [1, 0]


async def test_a_started_schedule_tells_when_it_is_due_in_its_time_zone(client, location):
    assert (await get(client)).status == STOPPED
    started = await start(client)
    assert (started.status, started.waiting_reason) == (RUNNING, "")
    assert started.HasField("start_time")
    shown = await get(client, next_times_max=3)
    moments = [each.ToDatetime(dt.UTC) for each in shown.next_times]
    assert len(moments) == 3
    # Three in the morning in Zurich is one or two by UTC.
    assert {moment.hour for moment in moments} <= {1, 2}
    request = schedules_pb2.StopScheduleRequest(location_name="a", schedule_name="nightly")
    stopped = (await client.schedules.StopSchedule(request)).schedule
    assert (stopped.status, list(stopped.next_times)) == (STOPPED, [])


async def test_what_is_named_wrongly_is_told(client, location):
    request = schedules_pb2.GetScheduleRequest(location_name="a", schedule_name="none")
    error = await client.refused(client.schedules.GetSchedule(request))
    assert (error.reason, "'none'" in error.message) == (reasons.UNKNOWN_SCHEDULE, True)
    request = schedules_pb2.GetScheduleRequest(
        location_name="a", schedule_name="nightly", next_times_max=101
    )
    error = await client.refused(client.schedules.GetSchedule(request))
    assert "next_times_max is 101" in error.message
    error = await client.refused(ticks(client, statuses=[9]))
    assert "9 is no outcome" in error.message


async def test_a_schedule_of_a_zone_that_the_host_does_not_know_says_so(client, mesh, host):
    odd = schedule("nightly", running=True, execution_timezone="Mars/Olympus")
    good = schedule("weekly", running=True)
    await mesh.location(host, "a", defined(odd, good))
    shown = await get(client)
    assert "'Mars/Olympus'" in shown.waiting_reason
    assert not (await get(client, "weekly")).waiting_reason


async def test_a_tick_runs_its_job_and_is_listed(client, host, location):
    location.runs_at_once = True
    await start(client)
    await miss(host)
    asked = await asyncio.wait_for(location.scheduled.get(), code_location.TIMEOUT_S)
    assert asked.schedule_name == "nightly"
    plan = await location.next_plan()
    assert plan.job_name == "load"
    assert plan.tags["atoll/schedule_name"] == "nightly"
    assert plan.tags["atoll/run_key"] == "k"
    (tick,) = await until(lambda: _listed(client))
    assert list(tick.run_ids) == [plan.run_id]
    assert (tick.schedule_name, tick.sensor_name) == ("nightly", "")

    async def ended():
        request = runs_pb2.GetRunRequest(run_id=plan.run_id)
        return (await client.runs.GetRun(request)).run.status == runs_pb2.RUN_STATUS_SUCCESS

    await until(ended)
    assert (await get(client)).latest_tick == tick


async def _listed(client):
    return list((await ticks(client)).ticks)


async def test_what_was_missed_for_long_is_one_tick_and_the_list_has_pages(client, host, location):
    await start(client)
    await miss(host, hours=24 * 9)

    async def all_ticks():
        found = await _listed(client)
        return found if len(found) >= 6 else []

    found = await until(all_ticks)
    skipped = [t for t in found if t.status == automation_pb2.TICK_STATUS_SKIPPED]
    assert len(skipped) == 1
    assert "were missed and are not made up for" in skipped[0].skip_reason
    first = await ticks(client, page_size=4)
    rest = await ticks(client, page_size=4, page_token=first.next_page_token)
    assert [*first.ticks, *rest.ticks] == found
    only = await ticks(client, statuses=[automation_pb2.TICK_STATUS_SKIPPED])
    assert list(only.ticks) == skipped


async def test_a_code_server_of_an_older_release_postpones_and_the_schedule_says_why(
    client, host, location
):
    location.knows_schedules = False
    await start(client)
    await miss(host)

    async def waits():
        return "older release" in (await get(client)).waiting_reason

    await until(waits)
    assert not await _listed(client)
    location.knows_schedules = True
    (tick,) = await until(lambda: _listed(client))
    assert tick.status == automation_pb2.TICK_STATUS_SUCCESS
    assert not (await get(client)).waiting_reason


async def test_a_location_that_is_away_is_why_its_schedules_wait(client, host, location):
    await start(client)
    await location.leave()

    async def waits():
        return "'a' is away" in (await get(client)).waiting_reason

    await until(waits)

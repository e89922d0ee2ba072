"""A dry run tells what a tick would decide, by the code that decides ticks, and stores nothing."""

import datetime as dt

import pytest

from atoll._rpc import reasons
from atoll.api.v1 import automation_pb2, runs_pb2, schedules_pb2
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.location.v1 import location_pb2
from tests.integration import code_location

pytestmark = pytest.mark.postgres

STATUS = automation_pb2.TickStatus
ADD = location_pb2.DYNAMIC_PARTITIONS_CHANGE_ADD


def sensor(name: str, kind: int, **fields) -> snapshot_pb2.SensorDefinition:
    values = {"job_names": ["job"], **fields}
    return snapshot_pb2.SensorDefinition(name=name, kind=kind, **values)


@pytest.fixture
async def location(mesh, host):
    defined = code_location.snapshot(
        [code_location.asset("x")],
        [code_location.job("job", "x")],
        sensors=[
            sensor("polls", snapshot_pb2.SENSOR_KIND_POLLING),
            sensor(
                "follows",
                snapshot_pb2.SENSOR_KIND_ASSET,
                monitored_assets=[code_location.key("x")],
            ),
            sensor("ends", snapshot_pb2.SENSOR_KIND_RUN_STATUS, run_status="SUCCESS", job_names=[]),
            sensor("hook", snapshot_pb2.SENSOR_KIND_WEBHOOK),
        ],
        schedules=[
            snapshot_pb2.ScheduleDefinition(
                name="nightly", job_name="job", cron_schedules=["0 3 * * *"]
            )
        ],
    )
    return await mesh.location(host, "a", defined)


async def dry_run(client, name: str, **fields) -> automation_pb2.DryRun:
    request = automation_pb2.DryRunSensorRequest(location_name="a", sensor_name=name, **fields)
    return (await client.sensors.DryRunSensor(request)).dry_run


async def stored(host, client) -> tuple:
    """Return everything that a tick might change."""
    runs = (await client.runs.ListRuns(runs_pb2.ListRunsRequest())).runs
    states = await host.parts.store.sensors.states()
    keys = [state.key for state in states]
    ticks = await host.parts.store.sensors.latest_ticks(keys)
    return await host.parts.store.events.head(), [run.run_id for run in runs], states, ticks


async def materialized(client, location) -> str:
    request = runs_pb2.LaunchRunRequest(location_name="a", job_name="job")
    run_id = (await client.runs.LaunchRun(request)).run.run_id
    await location.next_plan()
    await location.append(code_location.succeeding(run_id, "x"))
    return run_id


async def test_a_polling_sensor_is_tried_with_a_cursor_and_nothing_is_stored(
    host, client, location
):
    location.answers.append(
        location_pb2.EvaluateSensorResponse(
            run_requests=[location_pb2.RunRequest(run_key="k", tags={"t": "1"})],
            cursor="8",
            log_lines=[location_pb2.LogLine(message="looked")],
            dynamic_partitions_requests=[
                location_pb2.DynamicPartitionsRequest(
                    partitions_def_name="customers", change=ADD, partition_keys=["ann"]
                )
            ],
        )
    )
    before = await stored(host, client)
    decided = await dry_run(client, "polls", cursor="7")
    assert location.evaluations[-1].cursor == "7"
    assert (decided.tick.status, decided.tick.cursor) == (STATUS.TICK_STATUS_SUCCESS, "8")
    assert [line.message for line in decided.tick.log_lines] == ["looked"]
    (run,) = decided.runs
    assert (run.job_name, run.run_key, run.run_id, run.tags["t"]) == ("job", "k", "", "1")
    (change,) = decided.dynamic_partitions_requests
    assert (change.change, list(change.partition_keys)) == (ADD, ["ann"])
    assert await stored(host, client) == before
    partitions = host.parts.store.partitions
    assert not (await partitions.page("customers", limit=10))[0]


async def test_what_would_fail_is_told(host, client, location):
    failure = values_pb2.Failure(type="ValueError", message="broken")
    location.answers.append(location_pb2.EvaluateSensorResponse(failure=failure))
    decided = await dry_run(client, "polls")
    assert decided.tick.status == STATUS.TICK_STATUS_FAILURE
    assert decided.tick.failure.message == "broken"
    location.answers.append(
        location_pb2.EvaluateSensorResponse(run_requests=[location_pb2.RunRequest(job_name="none")])
    )
    decided = await dry_run(client, "polls")
    assert "'none'" in decided.tick.failure.message


async def test_a_sensor_on_an_asset_is_tried_for_the_newest_event_or_a_given_one(
    host, client, location
):
    error = await client.refused(dry_run(client, "follows"))
    assert (error.reason, error.metadata["field"]) == (reasons.INVALID_REQUEST, "event_id")
    await materialized(client, location)
    await materialized(client, location)
    newest = (await dry_run(client, "follows")).tick.event_id
    events = host.parts.store.events
    first = (await events.next_materialization(("x",), 0)).id
    assert first < newest
    decided = await dry_run(client, "follows", event_id=first)
    assert (decided.tick.event_id, decided.tick.cursor) == (first, str(first))
    assert location.evaluations[-1].triggering_event.id == first
    error = await client.refused(dry_run(client, "follows", event_id=newest + 1))
    assert str(newest + 1) in error.message


async def test_a_sensor_on_runs_is_tried_for_the_newest_run(host, client, location):
    run_id = await materialized(client, location)
    location.answers += [location_pb2.EvaluateSensorResponse(skip_reason="no") for _ in "ab"]
    decided = await dry_run(client, "ends")
    assert decided.tick.triggering_run_id == run_id
    again = await dry_run(client, "ends", event_id=decided.tick.event_id)
    assert again.tick.triggering_run_id == run_id


async def test_a_webhook_sensor_is_tried_for_a_delivery(host, client, location):
    delivery = location_pb2.WebhookDelivery(delivery_id="d", body=b"{}", headers={"X-A": "1"})
    decided = await dry_run(client, "hook", webhook_delivery=delivery)
    asked = location.evaluations[-1].webhook_delivery
    assert (asked.delivery_id, asked.body, dict(asked.headers)) == ("d", b"{}", {"x-a": "1"})
    assert [run.run_key for run in decided.runs] == ["d"]


async def test_a_schedule_is_tried_for_a_time(host, client, location):
    request = schedules_pb2.DryRunScheduleRequest(location_name="a", schedule_name="nightly")
    decided = (await client.schedules.DryRunSchedule(request)).dry_run
    due = (await location.scheduled.get()).scheduled_time.ToDatetime(tzinfo=dt.UTC)
    assert (due.hour, due.minute) == (3, 0)
    assert [run.run_key for run in decided.runs] == ["k"]
    request.scheduled_time.FromDatetime(dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC))
    decided = (await client.schedules.DryRunSchedule(request)).dry_run
    assert decided.tick.scheduled_time == request.scheduled_time
    assert decided.runs[0].tags["atoll/scheduled_execution_time"].startswith("2026-01-01T03:00")
    assert not (await client.runs.ListRuns(runs_pb2.ListRunsRequest())).runs
    request.schedule_name = "none"
    error = await client.refused(client.schedules.DryRunSchedule(request))
    assert error.reason == reasons.UNKNOWN_SCHEDULE


async def test_a_location_that_is_away_is_told(host, client, location):
    await location.stop()
    request = automation_pb2.DryRunSensorRequest(location_name="a", sensor_name="polls")
    error = await client.refused(client.sensors.DryRunSensor(request))
    assert error.reason in {reasons.UNREACHABLE, reasons.UNKNOWN_LOCATION}


async def test_ticks_are_listed_by_time_and_found_by_their_beginning(host, client, location):
    store = host.parts.store.schedules
    request = schedules_pb2.StartScheduleRequest(location_name="a", schedule_name="nightly")
    await client.schedules.StartSchedule(request)
    (state,) = await store.states()
    behind = host._clock.now() - dt.timedelta(hours=25)
    assert await store.adopt(state.key, state.version, state.timetable, behind)
    host.parts.changes.schedules.set()
    await location.next_plan()
    named = {"location_name": "a", "schedule_name": "nightly"}
    listed = await client.schedules.ListScheduleTicks(
        schedules_pb2.ListScheduleTicksRequest(**named)
    )
    tick = listed.ticks[-1]
    for fields, count in (
        ({"started_from": tick.start_time}, len(listed.ticks)),
        ({"started_before": tick.start_time}, 0),
    ):
        asked = schedules_pb2.ListScheduleTicksRequest(**named, **fields)
        assert len((await client.schedules.ListScheduleTicks(asked)).ticks) == count
    wanted = schedules_pb2.GetScheduleTickRequest(**named, tick_id=tick.tick_id[:8])
    assert (await client.schedules.GetScheduleTick(wanted)).tick == tick
    wanted.tick_id = "zzz"
    error = await client.refused(client.schedules.GetScheduleTick(wanted))
    assert error.reason == reasons.UNKNOWN_TICK

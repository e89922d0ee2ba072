# ruff: noqa: SIM117 - what is connected to what reads best nested
"""Runs are chosen by options, followed through lost connections, run again, and deleted."""

import datetime as dt
import json

import pytest

from atoll._cli import runs, schedules, sensors
from atoll.api.v1 import automation_pb2, runs_pb2, schedules_pb2
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import connection, errors
from atoll.definitions.v1 import snapshot_pb2, values_pb2
from atoll.events.v1 import events_pb2
from tests.code_server.cli_client import scripted_host

RUN_ID = "11111111-1111-1111-1111-111111111111"
STATES = [runs_pb2.RUN_STATUS_QUEUED, runs_pb2.RUN_STATUS_STARTED, runs_pb2.RUN_STATUS_SUCCESS]
SUCCEEDED = events_pb2.Event(run_id=RUN_ID, run_succeeded=events_pb2.RunSucceeded())


def add_run(host, run_id: str = RUN_ID, status: int = runs_pb2.RUN_STATUS_FAILURE) -> None:
    host.runs[run_id] = runs_pb2.Run(run_id=run_id, job_name="daily", status=status)


def test_every_option_reaches_the_host(host, say):
    add_run(host)
    result = say(
        runs.runs,
        *("list", "--location", "sales", "--job", "daily", "--status", "failure"),
        *("--tag", "team=a", "--tag", "team=b", "--tag", "x=y", "--partition", "2026-01-01"),
        *("--asset", "lake/raw", "--backfill", "b", "--sensor", "s", "--schedule", "c"),
        *("--parent", "p", "--root", "r", "--created-from", "2026-01-01T00:00+00:00"),
        *("--created-before", "2026-01-02T00:00Z", "--updated-from", "2026-01-03T00:00Z"),
        *("--updated-before", "2026-01-04T00:00Z"),
    )
    assert result.exit_code == 0, result.output
    (asked,) = host.filters
    days = {
        field.name: value.ToDatetime().day
        for field, value in asked.ListFields()
        if field.name.endswith(("_from", "_before"))
    }
    assert days == {
        "created_from": 1,
        "created_before": 2,
        "updated_from": 3,
        "updated_before": 4,
    }
    assert {tag.key: list(tag.values) for tag in asked.tags} == {"team": ["a", "b"], "x": ["y"]}
    assert asked.asset_key == values_pb2.AssetKey(path=["lake", "raw"])
    assert list(asked.statuses) == [runs_pb2.RUN_STATUS_FAILURE]
    texts = ("sales", "daily", "2026-01-01", "b", "s", "c", "p", "r")
    names = ("location_name", "job_name", "partition_key", "backfill_id", "sensor_name")
    names += ("schedule_name", "parent_run_id", "root_run_id")
    assert tuple(getattr(asked, name) for name in names) == texts


def test_what_is_no_time_is_refused_before_a_host_is_asked(host, say):
    result = say(runs.runs, "list", "--created-from", "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' is no time" in result.output
    assert not host.filters


def test_runs_are_counted(host, say):
    host.run_counts = [
        runs_pb2.RunCount(location_name="sales", status=runs_pb2.RUN_STATUS_SUCCESS, count=100_000)
    ]
    result = say(runs.runs, "list", "--count")
    assert "100,000" in result.output
    document = json.loads(say(runs.runs, "list", "--count", "--json").output)
    assert [each["status"] for each in document["counts"]] == ["SUCCESS"]


def test_a_run_is_watched_to_its_end(host, say):
    add_run(host)
    host.run_states = list(STATES)
    result = say(runs.runs, "watch", RUN_ID)
    assert result.exit_code == 0, result.output
    assert [word for word in result.output.split() if word.isupper()][:3] == [
        "QUEUED",
        "STARTED",
        "SUCCESS",
    ]
    host.run_states = [runs_pb2.RUN_STATUS_FAILURE]
    assert say(runs.runs, "watch", RUN_ID, "--json").exit_code == 1


async def test_a_watch_of_a_run_goes_on_where_its_connection_broke_and_ends(host):
    host.run_states = list(STATES)
    host.run_watch_breaks_after = 2
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        async with client.runs.watch(RUN_ID) as watch:
            assert [run.status async for run in watch] == STATES
            assert [run async for run in watch] == []


def test_a_run_is_run_again(host, say):
    add_run(host)
    result = say(
        runs.runs, "reexecute", RUN_ID, "--steps", "a,b", "--tag", "k=v", "--request-id", "q"
    )
    assert result.exit_code == 0, result.output
    assert say(runs.runs, "reexecute", RUN_ID, "--from-failure").exit_code == 0
    first, second = host.reexecutions
    assert first.strategy == runs_pb2.REEXECUTION_STRATEGY_SELECTED_STEPS
    assert (list(first.step_keys), dict(first.tags), first.request_id) == (
        ["a", "b"],
        {"k": "v"},
        "q",
    )
    assert second.strategy == runs_pb2.REEXECUTION_STRATEGY_FROM_FAILURE
    assert second.request_id
    assert say(runs.runs, "reexecute", RUN_ID, "--from-failure", "--steps", "a").exit_code == 2


def test_many_runs_are_canceled_once_that_is_confirmed(host, say):
    for number in range(5):
        add_run(host, f"r{number}")
    assert say(runs.runs, "cancel-all", "--job", "daily", input="n\n").exit_code != 0
    assert not host.filters
    result = say(runs.runs, "cancel-all", "--job", "daily", "--yes")
    assert result.output == "5 runs canceled, or asked to stop.\n"
    assert say(runs.runs, "cancel-all", "--yes").exit_code == 2


def test_a_run_is_deleted(host, say):
    add_run(host)
    assert say(runs.runs, "delete", RUN_ID).exit_code == 0
    assert not host.runs


def test_logs_and_output_are_followed_together(host, say):
    add_run(host)
    host.events = [events_pb2.StoredEvent(id=1, event=SUCCEEDED)]
    host.output = [
        runs_pb2.GetRunOutputResponse(step_key="load", stream=1, data="Grü".encode()[:-1]),
        runs_pb2.GetRunOutputResponse(step_key="load", stream=1, data="Grü".encode()[-1:] + b"\nx"),
    ]
    result = say(runs.runs, "logs", "--follow", RUN_ID)
    assert result.exit_code == 0, result.output
    assert "load, stdout\nGrü\n" in result.output
    assert "x" in result.output
    lines = say(runs.runs, "logs", "--follow", "--json", RUN_ID).output.splitlines()
    assert len(lines) == 3


def dry_run(status: int) -> automation_pb2.DryRun:
    tick = automation_pb2.Tick(tick_id="t", status=status, skip_reason="", cursor="7")
    run = runs_pb2.Run(job_name="daily", location_name="sales", run_key="k")
    return automation_pb2.DryRun(tick=tick, runs=[run])


def test_ticks_are_tried(host, say):
    named = snapshot_pb2.SensorDefinition(name="arrivals")
    host.sensors = [automation_pb2.Sensor(location_name="sales", definition=named)]
    host.dry_run = dry_run(automation_pb2.TICK_STATUS_SUCCESS)
    result = say(sensors.sensors, "dry-run", "arrivals", "--cursor", "6", "--body", "-", input="{}")
    assert result.exit_code == 0, result.output
    assert "Would ask for 1 run; nothing was stored." in result.output
    (asked,) = host.dry_runs
    assert (asked.location_name, asked.cursor, asked.webhook_delivery.body) == ("sales", "6", b"{}")
    definition = snapshot_pb2.ScheduleDefinition(name="nightly")
    host.schedules = [schedules_pb2.Schedule(location_name="sales", definition=definition)]
    host.dry_run = dry_run(automation_pb2.TICK_STATUS_FAILURE)
    result = say(schedules.schedules, "dry-run", "nightly", "--at", "2026-01-01T00:00Z", "--json")
    assert result.exit_code == 1, result.output
    moment = host.dry_runs[-1].scheduled_time.ToDatetime(dt.UTC)
    assert moment == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


async def test_waiting_tells_a_run_that_ended_badly_by_an_exception_where_that_is_wanted(host):
    add_run(host)
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        assert (await client.runs.wait(RUN_ID)).run_id == RUN_ID
        with pytest.raises(errors.RunFailedError) as caught:
            await client.runs.wait(RUN_ID, check=True)
    assert (caught.value.run_id, caught.value.status) == (RUN_ID, "FAILURE")


async def test_a_materialization_is_waited_for(host):
    key = values_pb2.AssetKey(path=["lake", "raw"])
    made = events_pb2.Event(
        asset_materialization=events_pb2.AssetMaterialization(asset_key=key, partition="p")
    )
    host.events = [events_pb2.StoredEvent(id=5, event=made)]
    async with scripted_host.serving_host(host) as address, connection.connect(address) as client:
        found = await client.events.wait_for_materialization(
            key, partition_key="p", after_event_id=4, timeout_s=10
        )
        assert found.id == 5
        host.events = []
        with pytest.raises(errors.MaterializationTimeoutError, match="lake/raw"):
            await client.events.wait_for_materialization(key, timeout_s=0.05)
    asked = host.watches[0]
    assert (asked.after_event_id, asked.filter.partition_key) == (4, "p")
    assert asked.filter == api_pb2.EventFilter(
        asset_key=key, partition_key="p", kinds=["asset_materialization"]
    )

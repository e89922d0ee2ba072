"""What the definitions of two locations say of partitions, checks and ops, by the command line."""

import asyncio
import json

import pytest

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import documents
from tests.e2e import mesh, releases

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def orders_and_reports(tmp_path_factory, releases):
    with mesh.Mesh(tmp_path_factory.mktemp("mesh"), releases=releases) as running:
        running.add("orders", mesh.CODE / "orders.py")
        running.add("reports", mesh.CODE / "reports.py")
        running.add("shop", mesh.CODE / "scheduled.py")
        running.start()
        asyncio.run(running.serving("orders", "reports", "shop"))
        yield running


def launched(running, *arguments, succeeds=True):
    """Launch a run and wait for its end; return it."""
    done = running.cli("runs", "launch", *arguments, "--wait", "--json")
    assert done.stdout, done.stderr
    run = json.loads(done.stdout)
    expected = "SUCCESS" if succeeds else "FAILURE"
    assert run["status"] == expected, running.cli("runs", "logs", run["run_id"]).stdout
    return run


def events_of(running, run, kind):
    async def read():
        query = api_pb2.EventFilter(run_id=run["run_id"], kinds=[kind])
        async with running.client() as client:
            return [documents.plain(stored.event) async for stored in client.events.list(query)]

    return asyncio.run(read())


def metadata_of(running, run):
    (made,) = events_of(running, run, "asset_materialization")
    body = made["asset_materialization"]
    return {name: value["value"] for name, value in body["metadata"].items()}, body


@releases.in_every_combination
def test_partitions_of_one_location_are_loaded_in_another(orders_and_reports):
    made = launched(
        orders_and_reports,
        *("--asset", "daily_orders", "--partition-range", "2026-01-04", "2026-01-10"),
    )
    told = events_of(orders_and_reports, made, "asset_materialization")
    partitions = {each["asset_materialization"]["partition"] for each in told}
    assert partitions == {f"2026-01-{day:02}" for day in range(4, 11)}
    week = launched(orders_and_reports, "--asset", "weekly_orders", "--partition", "2026-01-04")
    assert (week["location_name"], week["partition_key"]) == ("reports", "2026-01-04")
    found, body = metadata_of(orders_and_reports, week)
    assert found["days"].split(",") == sorted(partitions)
    assert body["partition"] == "2026-01-04"
    assert "atoll/input_event_id/daily_orders" in body["tags"]
    listed = orders_and_reports.cli("runs", "list", "--location", "reports").stdout
    assert "2026-01-04" in listed


def test_hours_are_loaded_by_day(orders_and_reports):
    launched(
        orders_and_reports,
        *("--asset", "hourly_clicks", "--partition-range", "2026-01-05-00:00", "2026-01-05-23:00"),
    )
    day = launched(orders_and_reports, "--asset", "daily_clicks", "--partition", "2026-01-05")
    assert metadata_of(orders_and_reports, day)[0]["hours"] == 24


def test_two_dimensions_are_loaded_by_one(orders_and_reports):
    days = [f"2026-01-{day:02}" for day in range(4, 32)]
    run = launched(
        orders_and_reports,
        *("--asset", "regional_orders", "--partition-range", f"{days[0]}|eu", f"{days[-1]}|eu"),
    )
    assert run["partition_range_start"] == "2026-01-04|eu"
    region = launched(orders_and_reports, "--asset", "orders_of_region", "--partition", "eu")
    found = metadata_of(orders_and_reports, region)[0]["parts"].split(",")
    assert found == [f"{day}|eu" for day in days]
    one = launched(orders_and_reports, "--asset", "regional_orders", "--partition", "2026-01-04|us")
    assert one["tags"]["atoll/partition/day"] == "2026-01-04"
    assert one["tags"]["atoll/partition/region"] == "us"


def test_a_partition_that_there_is_not_is_refused(orders_and_reports):
    done = orders_and_reports.cli(
        "runs", "launch", "--asset", "daily_orders", "--partition", "2026-01-33"
    )
    assert done.returncode == 1
    assert "'2026-01-33'" in done.stderr
    assert "from '2026-01-04' to '2026-01-31'" in done.stderr
    shown = orders_and_reports.cli("assets", "show", "daily_orders").stdout
    assert "28 from 2026-01-04 to 2026-01-31" in shown
    assert "team:orders" in shown


@releases.in_every_combination
def test_a_blocking_check_stops_what_is_downstream(orders_and_reports):
    run = launched(orders_and_reports, "--asset", "raw", "--asset", "refined", succeeds=False)
    (told,) = events_of(orders_and_reports, run, "asset_check_evaluation")
    assert not told["asset_check_evaluation"]["passed"]
    made = events_of(orders_and_reports, run, "asset_materialization")
    assert [each["asset_materialization"]["asset_key"] for each in made] == ["raw"]


def test_checks_see_what_their_own_run_has_just_made(orders_and_reports):
    run = launched(orders_and_reports, "--asset", "measured")
    told = events_of(orders_and_reports, run, "asset_check_evaluation")
    found = [each["asset_check_evaluation"] for each in told]
    assert [each["passed"] for each in found] == [True, True], found


@releases.in_every_combination
def test_a_check_runs_where_it_is_defined(orders_and_reports):
    launched(orders_and_reports, "--asset", "raw", succeeds=False)
    run = launched(orders_and_reports, "--checks", "raw:raw_is_odd")
    assert run["location_name"] == "reports"
    (told,) = events_of(orders_and_reports, run, "asset_check_evaluation")
    body = told["asset_check_evaluation"]
    assert body["passed"]
    assert body["checked_materialization"]["event_id"] > 0
    assert events_of(orders_and_reports, run, "asset_materialization") == []


@releases.in_every_combination
def test_a_job_of_ops_goes_on_from_its_failure(orders_and_reports):
    shown = orders_and_reports.cli("jobs", "show", "pipeline").stdout
    assert "transform <- load" in shown
    failed = launched(orders_and_reports, "--job", "pipeline", succeeds=False)
    again = launched(orders_and_reports, "--from-failure", failed["run_id"])
    assert again["parent_run_id"] == failed["run_id"]
    started = events_of(orders_and_reports, again, "step_started")
    assert [each["step_key"] for each in started] == ["transform", "publish"]
    only = launched(orders_and_reports, "--job", "pipeline", "--ops", "load")
    assert [e["step_key"] for e in events_of(orders_and_reports, only, "step_started")] == ["load"]
    done = orders_and_reports.cli("runs", "launch", "--job", "pipeline", "--ops", "lod")
    assert "has no op 'lod'; it has 'load', 'publish', 'transform'" in done.stderr.replace(
        "\n", " "
    )


@releases.in_every_combination
def test_a_schedule_runs_assets_beside_all_that(orders_and_reports):
    async def made(client):
        ticks = [tick async for tick in client.schedules.ticks("shop", "every_minute")]
        if not ticks:
            return None
        run = await client.runs.get(ticks[-1].run_ids[0])
        return run if documents.enum_name(run, "status") == "SUCCESS" else None

    # The next minute is at most one away, and most of it passes with the other tests.
    run = asyncio.run(orders_and_reports.until(made, within_s=120))
    assert run.tags["atoll/schedule_name"] == "every_minute"

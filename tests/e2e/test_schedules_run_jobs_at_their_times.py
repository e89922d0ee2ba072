"""A schedule of a real location, due by the clock of a real host, and the commands about it."""

import asyncio
import datetime as dt
import json

import pytest

from atoll.api.v1 import automation_pb2
from atoll.client import documents
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

SUCCESS = automation_pb2.TICK_STATUS_SUCCESS


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory, releases):
    with mesh.Mesh(tmp_path_factory.mktemp("mesh"), releases=releases) as running:
        running.add("shop", mesh.CODE / "scheduled.py")
        running.start()
        asyncio.run(running.serving("shop"))
        yield running


def test_a_minute_that_begins_runs_the_assets_with_its_configuration(scheduled):
    async def made(client):
        ticks = [tick async for tick in client.schedules.ticks("shop", "every_minute")]
        if not ticks:
            return None
        run = await client.runs.get(ticks[-1].run_ids[0])
        return (ticks[-1], run) if documents.enum_name(run, "status") == "SUCCESS" else None

    # The next minute is at most one away.
    tick, run = asyncio.run(scheduled.until(made, within_s=120))
    due = tick.scheduled_time.ToDatetime(dt.UTC)
    late_s = (tick.start_time.ToDatetime(dt.UTC) - due).total_seconds()
    assert tick.status == SUCCESS
    assert (due.second, due.microsecond) == (0, 0)
    assert 0 <= late_s < 5
    zurich = json.loads(run.run_config.data)["ops"]["orders"]["config"]["minute"]
    assert dt.datetime.fromisoformat(zurich) == due
    assert run.tags["atoll/schedule_name"] == "every_minute"
    assert run.tags["atoll/scheduled_execution_time"] == due.isoformat()
    listed = scheduled.cli("schedules", "ticks", "every_minute", "--logs").stdout
    assert f"asked for {zurich}" in listed
    assert "schedule every_minute" in scheduled.cli("runs", "show", run.run_id).stdout


def test_the_commands_show_and_steer_schedules(scheduled):
    shown = scheduled.cli("schedules", "show", "nightly", "--next", "2").stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "status STOPPED" in lines
    assert "assets report" in lines
    assert "skipped times skip" in lines
    assert "repeated times both" in lines
    assert "made up for 1 missed ticks" in lines
    assert "tried again as the host says" in lines
    started = json.loads(scheduled.cli("schedules", "start", "nightly", "--json").stdout)
    assert (started["status"], len(started["next_times"])) == ("RUNNING", 5)
    assert "nightly is RUNNING" in scheduled.cli("schedules", "start", "nightly").stdout
    table = scheduled.cli("schedules", "list").stdout
    assert "30 2 * * *, 0 12 * * 6" in table
    assert "nightly is STOPPED." in scheduled.cli("schedules", "stop", "nightly").stdout
    listed = json.loads(scheduled.cli("schedules", "list", "--json").stdout)["schedules"]
    assert [each["definition"]["name"] for each in listed] == ["every_minute", "nightly"]
    assert "has had no tick yet" in scheduled.cli("schedules", "ticks", "nightly").stdout
    unknown = scheduled.cli("schedules", "start", "none")
    assert (unknown.returncode, "atoll schedules list" in unknown.stderr) == (1, True)
    assert "2 schedules" in scheduled.cli("locations", "show", "shop").stdout

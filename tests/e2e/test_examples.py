"""Every folder of examples/ does what it says, served by real processes."""

import asyncio
import os
import subprocess
import sys

import pytest

from atoll.api.v1 import automation_pb2, runs_pb2
from atoll.client import connection, documents, runs
from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

GUIDE = mesh.EXAMPLES / "asset_sensor_guide"
ASSET_SENSOR = "daily_sales_data_sensor"


@pytest.fixture
def guide(fresh_mesh):
    """Serves one file of the guide and starts its sensor."""

    def serve(file: str, sensor: str) -> mesh.Mesh:
        fresh_mesh.add("guide", GUIDE / file)
        fresh_mesh.start()
        asyncio.run(fresh_mesh.serving("guide"))
        started = fresh_mesh.cli("sensors", "start", sensor)
        assert started.returncode == 0, started.stderr
        return fresh_mesh

    return serve


def materialize(running: mesh.Mesh, asset: str) -> None:
    done = running.cli("runs", "launch", "--asset", asset, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr


def after_ticks(running: mesh.Mesh, sensor: str, count: int) -> list[automation_pb2.Tick]:
    """The ticks of a sensor, oldest first, once there are that many."""

    async def enough(client: connection.Client) -> list[automation_pb2.Tick]:
        found = [tick async for tick in client.sensors.ticks("guide", sensor)]
        return found[::-1] if len(found) >= count else []

    return asyncio.run(running.until(enough))


def ended_run(running: mesh.Mesh, run_id: str) -> runs_pb2.Run:
    async def ended(client: connection.Client) -> runs_pb2.Run | None:
        run = await client.runs.get(run_id)
        return run if run.status in runs.FINAL_STATUSES else None

    return asyncio.run(running.until(ended))


def test_a_job_runs_for_every_materialization(guide):
    running = guide("simple-asset-sensor-example.py", ASSET_SENSOR)
    materialize(running, "daily_sales_data")
    materialize(running, "daily_sales_data")
    first, second = after_ticks(running, ASSET_SENSOR, 2)
    assert (first.cursor, second.cursor) == (str(first.event_id), str(second.event_id))
    for tick in (first, second):
        (run_id,) = tick.run_ids
        run = ended_run(running, run_id)
        assert run.status == runs_pb2.RUN_STATUS_SUCCESS
        assert (run.job_name, run.tags["atoll/sensor_name"]) == ("my_job", ASSET_SENSOR)


def test_the_run_key_is_the_cursor_before(guide):
    running = guide("asset-sensor-custom-eval.py", ASSET_SENSOR)
    materialize(running, "daily_sales_data")
    materialize(running, "daily_sales_data")
    ticks = after_ticks(running, ASSET_SENSOR, 2)
    found = [ended_run(running, tick.run_ids[0]) for tick in ticks]
    assert [run.run_key for run in found] == ["", ticks[0].cursor]
    assert {run.status for run in found} == {runs_pb2.RUN_STATUS_SUCCESS}


def test_metadata_becomes_run_config(guide):
    running = guide("asset-sensor-with-config.py", ASSET_SENSOR)
    materialize(running, "daily_sales_data")
    (tick,) = after_ticks(running, ASSET_SENSOR, 1)
    run = ended_run(running, tick.run_ids[0])
    assert run.status == runs_pb2.RUN_STATUS_SUCCESS
    config = documents.user_data(run.run_config)["ops"]["weekly_report"]["config"]
    assert config == {"param1": "TextMetadataValue(text='value')"}


def test_a_run_needs_news_of_both_assets(guide):
    running = guide("multi-asset-sensor.py", "asset_a_and_b_sensor")
    materialize(running, "asset_a")
    (waiting,) = after_ticks(running, "asset_a_and_b_sensor", 1)
    assert waiting.status == automation_pb2.TICK_STATUS_SKIPPED
    assert not waiting.HasField("cursor")
    materialize(running, "asset_b")
    *_, fired = after_ticks(running, "asset_a_and_b_sensor", 2)
    (run_id,) = fired.run_ids
    assert ended_run(running, run_id).job_name == "downstream_job"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_really_happens():
    """Two environments, conflicting pins, real data: `make demo`."""
    done = subprocess.run(
        [sys.executable, str(mesh.EXAMPLES / "flights_mesh" / "demo.py")],
        env=dict(os.environ) | {"DEADLINE": "500", "KEEP": ""},
        capture_output=True,
        text=True,
        timeout=560,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    claims = [line for line in done.stdout.splitlines() if line.startswith("verified")]
    assert len(claims) == 11
    assert all(line.split()[1] == "ok" for line in claims)
    assert len(done.stdout.splitlines()) < 60

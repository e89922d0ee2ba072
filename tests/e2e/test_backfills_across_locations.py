"""Backfills on a real mesh: two locations, a mapping between them, a failure, and the retry."""

import asyncio
import json
import pathlib

import pytest

from atoll.client import connection, documents
from tests.e2e import mesh, releases

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240), releases.in_every_combination]

EXAMPLE = mesh.EXAMPLES / "backfills"


@pytest.fixture
def lake(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


@pytest.fixture
def plant(fresh_mesh: mesh.Mesh, lake: pathlib.Path):
    """The example of the documentation, served."""
    for name in ("plant", "reports"):
        code = EXAMPLE / name / "definitions.py"
        fresh_mesh.add(name, code, environment={"LAKE": str(lake)})
    fresh_mesh.start()
    asyncio.run(fresh_mesh.serving("plant", "reports"))
    return fresh_mesh


def told(running: mesh.Mesh, *arguments: str) -> dict:
    done = running.cli("backfills", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def runs_of(running: mesh.Mesh) -> list[tuple[str, str]]:
    """What ran, in the order in which it ended: the first asset and the partition."""

    async def all_of_them(client: connection.Client) -> list[tuple[str, str]]:
        found = [run async for run in client.runs.list()]
        found.sort(key=lambda run: run.end_time.ToNanoseconds())
        return [
            (documents.format_asset_key(run.asset_selection[0]), run.partition_key) for run in found
        ]

    return asyncio.run(running.until(all_of_them))


def test_weeks_follow_their_days_and_failures_are_retried(plant: mesh.Mesh, lake: pathlib.Path):
    plan = told(plant, "create", "--select", "+key:weekly_report", "--all", "--dry-run")
    assert [(part["asset_key"], part["counts"]["total"]) for part in plan["parts"]] == [
        ("readings", 21),
        ("clean_readings", 21),
        ("weekly_report", 3),
    ]
    assert "backfill_id" not in plan or not plan["backfill_id"]
    assert told(plant, "list") == {"backfills": []}

    broken = lake / "broken-2026-01-06"
    broken.touch()
    done = plant.cli(
        "backfills", "create", "--select", "+key:weekly_report", "--all", "--title", "t", "--wait"
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (ended,) = told(plant, "list")["backfills"]
    assert (ended["status"], ended["title"]) == ("COMPLETED_FAILED", "t")
    backfill_id = ended["backfill_id"]
    held = told(plant, "show", backfill_id, "--asset", "weekly_report", "--state", "blocked")
    assert held == {"partitions": [{"partition_key": "2026-01-04", "state": "BLOCKED"}]}

    broken.unlink()
    assert told(plant, "retry", backfill_id)["status"] == "REQUESTED"
    done = plant.cli("backfills", "watch", backfill_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100% of 45: 45 materialized" in done.stdout
    order = runs_of(plant)
    assert len(order) == 21 + 1 + 3
    for week, last_day in (("2026-01-11", "2026-01-17"), ("2026-01-18", "2026-01-24")):
        assert order.index(("weekly_report", week)) > order.index(("readings", last_day))
    assert order[-2:] == [("readings", "2026-01-06"), ("weekly_report", "2026-01-04")]
    assert len(list((lake / "clean_readings").iterdir())) == 21

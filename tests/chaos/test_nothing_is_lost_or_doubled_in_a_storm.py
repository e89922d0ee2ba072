"""kill -9 of every kind of process under load, and what the database must show.

`ATOLL_CHAOS_SEEDS=7,8,9` runs other seeds, `ATOLL_CHAOS_KILLS=40` longer storms. A seed that finds
something becomes a test of its own, named after what it found.
"""

import os
import pathlib

import pytest

from tests.chaos import storm
from tests.e2e import several_hosts

SEEDS = [int(seed) for seed in os.environ.get("ATOLL_CHAOS_SEEDS", "1,2").split(",")]
KILLS = int(os.environ.get("ATOLL_CHAOS_KILLS", "8"))

pytestmark = [pytest.mark.alone, pytest.mark.chaos, pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.timeout(60 + 60 * KILLS)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_or_doubled_in_a_storm(tmp_path: pathlib.Path, seed: int) -> None:
    settings = tmp_path / "host.toml"
    settings.write_text(storm.SETTINGS)
    options = ("--config", str(settings))
    with several_hosts.Mesh(tmp_path, durable=True, host_options=options) as running:
        weather = storm.Storm(running, seed)
        async with running.one_address():
            await weather.run(KILLS)
        findings = weather.findings()
    assert findings.violations == [], f"after {weather.told}: {findings}"
    assert findings.materializations >= KILLS, "too little work to show anything"
    assert findings.sensor_runs == findings.materializations
    assert findings.backfills >= 1
    assert findings.backfill_runs >= KILLS
    assert findings.condition_runs >= KILLS
    assert findings.runs_seen >= findings.materializations
    assert set(findings.runs_by_status) <= {"SUCCESS", "FAILURE"}

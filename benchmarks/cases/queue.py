"""Claims of queued runs while 100,000 others wait, free ones and ones that a limit holds up."""

import time
from collections.abc import Mapping

import psycopg

from atoll_storage import database, queue_records
from benchmarks import report, rig

WAITING = 100_000
BATCH = 10
SETTLING_CLAIMS = 15
_FILL = """
INSERT INTO runs (run_id, location_name, job_name, status, tags, asset_selection, partition_key,
    create_time, requested_build_id, tick_id, run_key)
SELECT %(name)s || number, 'location' || number %% 10, 'job', 'QUEUED',
    CASE WHEN number %% 100 = 0 OR NOT %(held_up)s THEN '{}' ELSE '{"db": "x"}' END::jsonb,
    '[]', '', now(), '', '', ''
FROM generate_series(1, %(count)s) AS number
"""
_SERVERS = {f"location{number}": f"server{number}" for number in range(10)}
_FREE = queue_records.ClaimLimits(1_000_000, 1_000_000)
_HELD_UP = queue_records.ClaimLimits(
    1_000_000, 1_000_000, tags=(queue_records.TagLimit("db", "x", 1),)
)


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Claim from a database that no host works on."""
    rates = {
        name: await _rates(place, limits, held_up=held_up)
        for name, limits, held_up in (
            ("queue_claims", _FREE, False),
            ("queue_claims_held_up", _HELD_UP, True),
        )
    }
    return [report.Measured(name, samples) for name, samples in rates.items()]


async def _rates(
    place: rig.Rig, limits: queue_records.ClaimLimits, *, held_up: bool
) -> list[float]:
    url = await place.database()
    store = await database.Database.connect(url)
    try:
        await store.migrate()
        values = {"name": "run", "held_up": held_up, "count": WAITING}
        await _fill(url, values)
        if held_up:
            await _settle(store, limits)
        samples: list[float] = []
        for _ in range(place.count(30)):
            begun = time.perf_counter()
            claimed = await store.runs.claim(_SERVERS, limits, batch_max=BATCH)
            samples.append(len(claimed) / (time.perf_counter() - begun))
            if not held_up and len(claimed) != BATCH:
                raise RuntimeError(f"a claim of {BATCH} gave {len(claimed)} runs")
        return samples
    finally:
        await store.close()


async def _settle(store: database.Database, limits: queue_records.ClaimLimits) -> None:
    """Let those that are held up be set apart, which happens to each of them once."""
    for _ in range(SETTLING_CLAIMS):
        await store.runs.claim(_SERVERS, limits, batch_max=BATCH)


async def _fill(url: str, values: Mapping[str, object]) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as link:
        await link.execute(_FILL, values)
        await link.execute("ANALYZE runs")

"""How fast a backfill of 10,000 partitions over three assets in two locations is done.

The term of the leader works on a durable Postgres; what runs would do is simulated by storing the
events that end them. Two assets of one location share runs, the third follows in another.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Generator
from typing import Any

import psycopg

from atoll._partitions import calendar_partitions
from atoll_host.automation.backfills import leading, targets
from atoll_storage import backfill_records, database
from benchmarks import report, rig
from tests.host.automation.backfills import meshes

PARTITIONS = 10_000
_HOURS = calendar_partitions.HourlyPartitionsDefinition(
    "2024-01-01-00:00", end_date="2025-02-20-16:00"
)
_STATUS = backfill_records.BackfillStatus


@dataclasses.dataclass
class _Statements:
    """How many statements went to Postgres."""

    count: int = 0


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Request everything that can begin; then cancel a second one halfway, resume and finish it."""
    submitted = await _submit(place)
    return [*submitted, *await _cancel_and_finish(place)]


async def _submit(place: rig.Rig) -> list[report.Measured]:
    async with _world(place, queued_max=100_000, chunk_max=1000) as world:
        await world.create("raw", "clean", "report", choice=targets.Choice.ALL)
        term = world.term()
        with _counting() as statements:
            begun = time.perf_counter()
            await world.rounds(term)
            took_s = time.perf_counter() - begun
        count = len(await world.runs())
        if count != PARTITIONS:
            raise RuntimeError(f"{count} runs were requested")
    return [
        report.Measured("backfill_submission", [count / took_s], f"{count} runs, with events"),
        report.Measured("backfill_submission_statements", [statements.count / count]),
    ]


async def _cancel_and_finish(place: rig.Rig) -> list[report.Measured]:
    async with _world(place) as world:
        backfill_id = await world.create("raw", "clean", "report", choice=targets.Choice.ALL)
        term = world.term()
        with _counting() as statements:
            begun = time.perf_counter()
            await _work_until(world, term, PARTITIONS)
            await world.backfilling.cancel(backfill_id)
            await world.rounds(term)
            halfway = await world.record(backfill_id)
            if halfway.status is not _STATUS.CANCELED:
                raise RuntimeError(f"the backfill is {halfway.status}")
            await world.backfilling.retry(backfill_id)
            await _work_until(world, term, 10 * PARTITIONS)
            took_s = time.perf_counter() - begun
        done = await world.record(backfill_id)
        if done.status is not _STATUS.COMPLETED_SUCCESS:
            raise RuntimeError(f"the backfill is {done.status}")
        if len(world.ran) != 2 * PARTITIONS:
            raise RuntimeError(f"{len(world.ran)} runs ended for {2 * PARTITIONS} pieces of work")
    note = f"{done.run_count} runs requested, those canceled included"
    return [
        report.Measured("backfill_done", [took_s], note),
        report.Measured("backfill_done_statements", [statements.count / done.run_count]),
    ]


async def _work_until(world: meshes.World, term: leading.Term, runs: int) -> None:
    """Run what waits until so many runs ended, or nothing waits any more."""
    await world.rounds(term)
    while len(world.ran) < runs:
        servers = {name: each.server_id for name, each in world.locations.reachable().items()}
        claimed = await world.store.runs.claim(servers, meshes.LIMITS, batch_max=500)
        if not claimed:
            return
        await asyncio.gather(*(world.end(run, fails=False) for run in claimed))
        await world.rounds(term)


@contextlib.asynccontextmanager
async def _world(place: rig.Rig, **settings: int) -> Any:
    """Make two locations with three assets of 10,000 hours on a new database."""
    store = await database.Database.connect(await place.database())
    try:
        await store.migrate()
        async with meshes.world_of(store, **settings) as world:
            raw, clean = meshes.asset("raw", _HOURS), meshes.asset("clean", _HOURS, "raw")
            await world.serve("one", raw, clean)
            await world.serve("two", meshes.asset("report", _HOURS, "clean"))
            yield world
    finally:
        await store.close()


@contextlib.contextmanager
def _counting() -> Generator[_Statements]:
    """Count the statements that are sent, each COPY as one."""
    found = _Statements()
    execute, copy = psycopg.AsyncCursor.execute, psycopg.AsyncCursor.copy

    async def counted_execute(cursor: Any, *arguments: Any, **keywords: Any) -> Any:
        found.count += 1
        return await execute(cursor, *arguments, **keywords)

    def counted_copy(cursor: Any, *arguments: Any, **keywords: Any) -> Any:
        found.count += 1
        return copy(cursor, *arguments, **keywords)

    psycopg.AsyncCursor.execute = counted_execute  # type: ignore[method-assign]
    psycopg.AsyncCursor.copy = counted_copy  # type: ignore[method-assign]
    try:
        yield found
    finally:
        psycopg.AsyncCursor.execute = execute  # type: ignore[method-assign]
        psycopg.AsyncCursor.copy = copy  # type: ignore[method-assign]

"""Retries of runs that failed: each is decided once, by whichever host comes first.

Called by the host's `runs.retrying`. A run that failed is undecided until a transaction says
otherwise, which makes the run that takes its place along with that; so a crash, or another host,
never leaves two retries, or none. A backfill goes on once it is decided about its run, and waits
for the run that takes its place.
"""

from collections.abc import Mapping, Sequence

from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import (
    announcing,
    backfill_records,
    backfill_store,
    connections,
    log_writer,
    notifications,
    records,
    run_rows,
)

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_UNDECIDED = f"""
SELECT {run_rows.NAMES} FROM runs WHERE status = 'FAILURE' AND NOT retry_decided
ORDER BY update_time LIMIT %s
""".encode()
_DECIDE = """
UPDATE runs SET retry_decided = true, tags = tags || %s
WHERE run_id = %s AND status = 'FAILURE' AND NOT retry_decided RETURNING run_id
"""
# Waits for no row, so whoever holds the append lock may wait for these.
_DECLINE = """
WITH declined AS MATERIALIZED (
    SELECT run_id FROM runs
    WHERE run_id = ANY(ARRAY(SELECT jsonb_array_elements_text(%s))) FOR UPDATE SKIP LOCKED
)
UPDATE runs SET retry_decided = true FROM declined WHERE runs.run_id = declined.run_id
RETURNING tags ->> %s
"""


class RetryStore:
    """What was decided about runs that failed."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def undecided(self, limit: int) -> list[records.RunRecord]:
        """Return runs that failed and were not decided about, the oldest first."""
        rows = await connections.fetch(self._engine, "reading runs", _UNDECIDED, [limit])
        return [run_rows.record_of(row) for row in rows]

    async def decline(self, run_ids: Sequence[str]) -> None:
        """Decide that runs are not run again."""
        if not run_ids:
            return
        async with connections.driver_connection(self._engine, "deciding about runs") as raw:
            values = [psycopg_json.Jsonb(list(run_ids)), backfill_records.BACKFILL_TAG]
            declined = await raw.execute(_DECLINE, values, prepare=True)
            for backfill_id in {row[0] for row in await declined.fetchall() if row[0]}:
                notice = self._announcer.notice(notifications.BACKFILLS, backfill_id)
                await raw.execute(*notice, prepare=True)
            await raw.commit()

    async def retry(
        self, run: records.RunRecord, new: records.NewRun, tags: Mapping[str, str], message: str
    ) -> bool:
        """Decide that a run is run again, and queue the run that takes its place.

        Args:
            run: The run that failed.
            new: The run that takes its place.
            tags: What the tags of the failed run say from then on, besides what they say already.
            message: What the log says about it.

        Returns:
            Whether it was not decided about before.
        """
        async with connections.driver_connection(self._engine, "retrying a run") as raw:
            async with raw.pipeline():
                head = await log_writer.request_lock(raw)
                decided = await raw.execute(
                    _DECIDE, [psycopg_json.Jsonb(dict(tags)), run.run_id], prepare=True
                )
            if await decided.fetchone() is None:
                return False
            writer = await log_writer.LogWriter.of(raw, head)
            writer.also(run_rows.INSERT_OF_REQUEST, run_rows.values_of(new))
            backfill_id = new.tags.get(backfill_records.BACKFILL_TAG)
            if backfill_id:
                writer.also(backfill_store.JOIN_RETRY, [new.run_id, backfill_id])
                writer.also(*self._announcer.notice(notifications.BACKFILLS, backfill_id))
            told = run_rows.event_about(run.run_id, run.job_name, message, writer.now)
            told.engine_event.SetInParent()
            writer.add(told, run.location_name)
            run_rows.tell_queued(writer, [new])
            await writer.commit(self._announcer)
            return True

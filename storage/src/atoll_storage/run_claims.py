"""Claiming queued runs: `claiming` decides, and what it decides is stored in one transaction.

Called by `run_store`. A claim reads how many runs are active and the front of each queue under the
lock of claims, under which nothing else raises these counts, and takes the append lock only to
store what was chosen. A run that was passed over stands apart from then on, in the lane of the
limit that held it up, so that the next claim skips all of that lane at once: however many runs wait
for a limit, a claim reads a few rows for each location.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import (
    announcing,
    claiming,
    connections,
    locks,
    log_writer,
    queue_records,
    records,
    run_rows,
)

PASSED_OVER_MAX = 16
"""Up to so many runs, passing over them again costs less than setting them apart."""
PAGE_ROWS = 1_000
_SET_APART_ROWS = 1_000
ROUNDS_MAX = 25
"""A claim goes on for so long while all that it sees must be set apart."""

_ACTIVE = "status IN ('STARTING', 'STARTED', 'CANCELING')"  # spelled as in the index
_QUEUED = "status = 'QUEUED'"
_TAGS = "ARRAY(SELECT tags ->> key FROM jsonb_array_elements_text(%s) AS wanted (key))"

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_IS_QUEUED = f"""
SELECT EXISTS (
    SELECT FROM runs WHERE {_QUEUED}
    AND location_name = ANY(ARRAY(SELECT jsonb_array_elements_text(%s)))
)
""".encode()
_LOCK_CLAIM = "SELECT pg_advisory_xact_lock(%s)"
_GROUPS = f"""
SELECT location_name, job_name, pools, {_TAGS} AS tags, count(*) FROM runs WHERE {_ACTIVE}
GROUP BY 1, 2, 3, 4
""".encode()
_POOL_LIMITS = b"SELECT pool, slot_limit FROM pools"
# The lanes of each location are found by jumping from one to the next in the index.
_LANES = f"""
WITH RECURSIVE lane AS (
    SELECT server.name, server.page, (
        SELECT min(blocked_by) FROM runs WHERE {_QUEUED} AND location_name = server.name
    ) AS blocked_by
    FROM jsonb_to_recordset(%s) AS server (name text, page int)
    UNION ALL
    SELECT lane.name, lane.page, (
        SELECT min(blocked_by) FROM runs
        WHERE {_QUEUED} AND location_name = lane.name AND blocked_by > lane.blocked_by
    )
    FROM lane WHERE lane.blocked_by IS NOT NULL
)
SELECT lane.name, lane.blocked_by, lane.page, head.*
FROM lane CROSS JOIN LATERAL (
    SELECT run_id, job_name, queue_rank, queue_order, {_TAGS}, pools
    FROM runs
    WHERE {_QUEUED} AND location_name = lane.name AND blocked_by = lane.blocked_by
    ORDER BY queue_rank, queue_order
    LIMIT lane.page
) AS head
WHERE lane.blocked_by <> ALL(ARRAY(SELECT jsonb_array_elements_text(%s)))
ORDER BY lane.name, lane.blocked_by, head.queue_rank, head.queue_order
""".encode()
_CLAIM = f"""
UPDATE runs SET status = 'STARTING', server_id = chosen.server_id, attempt = attempt + 1,
    blocked_by = '', update_time = clock_timestamp()
FROM jsonb_to_recordset(%s) AS chosen (run_id text, server_id text, turn int)
WHERE runs.run_id = chosen.run_id AND {_QUEUED}
RETURNING chosen.turn, {run_rows.NAMES}
""".encode()
# Waits for no row, so whoever holds the append lock may wait for these.
_SET_APART = f"""
WITH apart AS MATERIALIZED (
    SELECT runs.run_id, apart.blocked_by
    FROM jsonb_to_recordset(%s) AS apart (run_id text, blocked_by text) JOIN runs USING (run_id)
    WHERE {_QUEUED} FOR UPDATE OF runs SKIP LOCKED
)
UPDATE runs SET blocked_by = apart.blocked_by FROM apart WHERE runs.run_id = apart.run_id
""".encode()
_BIND = """
INSERT INTO producers (run_id, server_id, attempt, high_water)
SELECT run_id, server_id, attempt, 0
FROM jsonb_to_recordset(%s) AS bound (run_id text, server_id text, attempt int)
"""


class Claims:
    """Claims runs.

    Args:
        engine: The database.
        announcer: Tells what was stored.
        page_rows: How much of a lane is read at the most.
        passed_over_max: How many runs are passed over without being set apart.
    """

    def __init__(
        self,
        engine: sa_asyncio.AsyncEngine,
        announcer: announcing.Announcer,
        *,
        page_rows: int = PAGE_ROWS,
        passed_over_max: int = PASSED_OVER_MAX,
    ) -> None:
        self._engine = engine
        self._announcer = announcer
        self._page_rows = page_rows
        self._passed_over_max = passed_over_max

    async def claim(
        self, servers: Mapping[str, str], limits: queue_records.ClaimLimits, *, batch_max: int
    ) -> list[records.RunRecord]:
        """Hand queued runs to code servers under the limits; see `RunStore.claim`."""
        if not servers or batch_max <= 0:
            return []
        # Most of the time nothing waits: that is found out without holding anybody up.
        names = psycopg_json.Jsonb(list(servers))
        doing = "claiming runs"
        if (await connections.fetch(self._engine, doing, _IS_QUEUED, [names])) == [(False,)]:
            return []
        claimed: list[records.RunRecord] = []
        for _ in range(ROUNDS_MAX):
            async with connections.driver_connection(self._engine, doing) as raw:
                found, choice = await self._round(raw, servers, limits, batch_max - len(claimed))
            claimed += found
            if not choice.finished or len(choice.blocked) > self._passed_over_max:
                await self._set_apart(choice.blocked)
            if choice.finished or len(claimed) >= batch_max:
                break
        return claimed

    async def _round(
        self,
        raw: connections.RawConnection,
        servers: Mapping[str, str],
        limits: queue_records.ClaimLimits,
        batch_max: int,
    ) -> tuple[list[records.RunRecord], claiming.Choice]:
        """Claim once."""
        limits, active = await _begin(raw, limits)
        choice = await self._choose(raw, servers, limits, active, batch_max)
        if not choice.chosen:
            return [], choice
        chosen = [
            {"run_id": run.run_id, "server_id": servers[run.location_name], "turn": turn}
            for turn, run in enumerate(choice.chosen)
        ]
        async with raw.pipeline():
            head = await log_writer.request_lock(raw)
            updated = await raw.execute(_CLAIM, [psycopg_json.Jsonb(chosen)], prepare=True)
        rows = sorted(await updated.fetchall(), key=lambda row: row[0])
        claimed = [run_rows.record_of(row[1:]) for row in rows]
        if claimed:
            writer = await log_writer.LogWriter.of(raw, head)
            _hand_over(claimed, writer)
            await writer.commit(self._announcer)
        return claimed, choice

    async def _set_apart(self, blocked: Mapping[str, str]) -> None:
        """Have runs skipped until the limit that held them up has room.

        Which limit a run stands apart for decides nothing but how soon it is looked at again, so
        this needs none of the locks.
        """
        rows = [{"run_id": key, "blocked_by": value} for key, value in blocked.items()]
        for begin in range(0, len(rows), _SET_APART_ROWS):
            chunk = psycopg_json.Jsonb(rows[begin : begin + _SET_APART_ROWS])
            async with connections.driver_connection(self._engine, "setting runs apart") as raw:
                await raw.execute(_SET_APART, [chunk], prepare=True)
                await raw.commit()

    async def _choose(
        self,
        raw: connections.RawConnection,
        servers: Mapping[str, str],
        limits: queue_records.ClaimLimits,
        active: Sequence[claiming.Active],
        batch_max: int,
    ) -> claiming.Choice:
        """Decide on a little of the queues, and on more where that was not enough."""
        counts = claiming.Counts(limits, active)
        rooms = {name: min(batch_max, counts.room_in(name)) for name in servers}
        rooms = {name: room for name, room in rooms.items() if room > 0}
        full = counts.full_keys(active)
        spare = self._passed_over_max if limits.may_block else 0
        choice = claiming.Choice()
        for page in (0, self._page_rows):
            pages = {name: max(room + spare, page) for name, room in rooms.items()}
            lanes = await _lanes(raw, pages, full, _tag_keys(limits))
            choice = claiming.choose(lanes, limits, active, batch_max)
            if choice.finished:
                break
        return choice


async def _begin(
    raw: connections.RawConnection, limits: queue_records.ClaimLimits
) -> tuple[queue_records.ClaimLimits, list[claiming.Active]]:
    """Take the lock and read what is active, and what limits pools have."""
    keys = _tag_keys(limits)
    async with raw.pipeline():
        await raw.execute(_LOCK_CLAIM, [locks.CLAIM], prepare=True)
        groups = await raw.execute(_GROUPS, [psycopg_json.Jsonb(keys)], prepare=True)
        own = None if limits.pools is None else await raw.execute(_POOL_LIMITS, prepare=True)
    active = _active_of(await groups.fetchall(), keys)
    return limits if own is None else _with_pools(limits, await own.fetchall()), active


async def read(
    engine: sa_asyncio.AsyncEngine, limits: queue_records.ClaimLimits
) -> claiming.Counts:
    """Return what a claim would count now, without claiming anything."""
    keys = _tag_keys(limits)
    groups, own = await connections.fetch_each(
        engine, "counting runs", (_GROUPS, [psycopg_json.Jsonb(keys)]), (_POOL_LIMITS, [])
    )
    limits = limits if limits.pools is None else _with_pools(limits, own)
    return claiming.Counts(limits, _active_of(groups, keys))


def _with_pools(
    limits: queue_records.ClaimLimits, rows: Sequence[tuple[Any, ...]]
) -> queue_records.ClaimLimits:
    """Return limits with those that pools have of their own."""
    default = None if limits.pools is None else limits.pools.default
    return dataclasses.replace(limits, pools=queue_records.PoolLimits(default, dict(rows)))


def _active_of(rows: Sequence[tuple[Any, ...]], keys: Sequence[str]) -> list[claiming.Active]:
    """Return the active runs of rows of the groups."""
    return [
        claiming.Active(
            claiming.Candidate("", row[0], row[1], tags=_tags(keys, row[3]), pools=tuple(row[2])),
            row[4],
        )
        for row in rows
    ]


async def _lanes(
    raw: connections.RawConnection,
    pages: Mapping[str, int],
    full: Sequence[str],
    keys: Sequence[str],
) -> list[claiming.Lane]:
    """Return the fronts of the lanes that are not known to be full."""
    if not pages:
        return []
    wanted = [{"name": name, "page": page} for name, page in pages.items()]
    values = [psycopg_json.Jsonb(value) for value in (wanted, list(keys), list(full))]
    cursor = await raw.execute(_LANES, values, prepare=True)
    found: dict[tuple[str, str], list[claiming.Candidate]] = {}
    for (
        name,
        blocked_by,
        _,
        run_id,
        job_name,
        rank,
        order,
        values_of_tags,
        pools,
    ) in await cursor.fetchall():
        run = claiming.Candidate(
            run_id, name, job_name, rank, order, _tags(keys, values_of_tags), tuple(pools)
        )
        found.setdefault((name, blocked_by), []).append(run)
    return [
        claiming.Lane(name, blocked_by, runs, complete=len(runs) < pages[name])
        for (name, blocked_by), runs in found.items()
    ]


def _tag_keys(limits: queue_records.ClaimLimits) -> list[str]:
    return sorted({rule.key for rule in limits.tags})


def _tags(keys: Sequence[str], values: Sequence[str | None]) -> dict[str, str]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


def _hand_over(claimed: Sequence[records.RunRecord], writer: log_writer.LogWriter) -> None:
    """Bind claimed runs to their servers, and tell of it."""
    bound = [
        {"run_id": run.run_id, "server_id": run.server_id, "attempt": run.attempt}
        for run in claimed
    ]
    writer.also(_BIND, [psycopg_json.Jsonb(bound)])
    for run in claimed:
        event = run_rows.event_about(
            run.run_id,
            run.job_name,
            f"The run goes to its location (attempt {run.attempt}).",
            writer.now,
        )
        event.run_starting.server_id = run.server_id
        writer.add(event, run.location_name)
        writer.tell_status(run.status)

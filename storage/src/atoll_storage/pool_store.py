"""Pools: their limits, and who has their slots or waits for one.

Called by the host's `runs.pools` and by its API. A slot is a lease that nobody renews: it counts
while its run is active in the attempt that asked for it, and is given back with the event that ends
its step, or with the end of its run, in the same transaction (`free_of_steps`, `free_of_runs`). So
whatever dies, its slots are free as soon as the log says so. What is granted is decided under one
lock, over the live rows alone: slots of runs that are not active any more count for nothing, even
where they were not taken out.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import connections, errors, locks, notifications, queue_records

NO_LIMIT = 2**31 - 1

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_IS_LIVE = (
    "EXISTS (SELECT FROM runs WHERE runs.run_id = slot.run_id AND runs.attempt = slot.attempt "
    "AND status IN ('STARTING', 'STARTED', 'CANCELING'))"
)
_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_LIMITS = "SELECT pool, slot_limit FROM pools"
_RUN = """
SELECT attempt, queue_rank, status IN ('STARTING', 'STARTED', 'CANCELING') FROM runs
WHERE run_id = %s
"""
_ASK = """
INSERT INTO pool_slots (run_id, step_key, attempt, pool, rank)
SELECT %s, wanted.step_key, %s, wanted.pool, %s
FROM jsonb_to_recordset(%s) AS wanted (step_key text, pool text)
ON CONFLICT (run_id, step_key) DO UPDATE
SET attempt = excluded.attempt, pool = excluded.pool, rank = excluded.rank, grant_time = NULL
WHERE (pool_slots.attempt, pool_slots.pool) IS DISTINCT FROM (excluded.attempt, excluded.pool)
"""
_WITHDRAW = """
DELETE FROM pool_slots
WHERE run_id = %s AND step_key = ANY(ARRAY(SELECT jsonb_array_elements_text(%s)))
"""
_WAITED_FOR = "SELECT DISTINCT pool FROM pool_slots WHERE grant_time IS NULL"
_GRANT = f"""
WITH live AS MATERIALIZED (
    SELECT run_id, step_key, pool, rank, position, grant_time FROM pool_slots AS slot
    WHERE pool = ANY(ARRAY(SELECT jsonb_array_elements(%s) ->> 'pool')) AND {_IS_LIVE}
),
room AS (
    SELECT asked.pool, asked.slots - count(live.grant_time) AS room
    FROM jsonb_to_recordset(%s) AS asked (pool text, slots int) LEFT JOIN live USING (pool)
    GROUP BY asked.pool, asked.slots
),
queue AS (
    SELECT run_id, step_key, pool,
        row_number() OVER (PARTITION BY pool ORDER BY rank, position) AS place
    FROM live WHERE grant_time IS NULL
)
UPDATE pool_slots SET grant_time = clock_timestamp()
FROM queue JOIN room USING (pool)
WHERE queue.place <= room.room
    AND (pool_slots.run_id, pool_slots.step_key) = (queue.run_id, queue.step_key)
RETURNING pool_slots.run_id
""".encode()
_SWEEP = f"DELETE FROM pool_slots AS slot WHERE NOT {_IS_LIVE}".encode()
_OF_RUN = "SELECT step_key, grant_time IS NOT NULL FROM pool_slots WHERE run_id = %s"
_GRANTED_OF = """
SELECT run_id, step_key FROM pool_slots
WHERE grant_time IS NOT NULL AND run_id = ANY(ARRAY(SELECT jsonb_array_elements_text(%s)))
"""
_TELL = "SELECT pg_notify(%s, %s)"
_SET_LIMIT = """
INSERT INTO pools (pool, slot_limit) VALUES (%s, %s)
ON CONFLICT (pool) DO UPDATE SET slot_limit = excluded.slot_limit, update_time = now()
"""
_DELETE_LIMIT = "DELETE FROM pools WHERE pool = %s RETURNING pool"
_USAGE = f"""
SELECT pool, count(grant_time), count(*) - count(grant_time) FROM pool_slots AS slot
WHERE {_IS_LIVE} GROUP BY pool
""".encode()
_USAGE_OF_RUNS = """
SELECT pool, count(*) FILTER (WHERE status <> 'QUEUED'), count(*) FILTER (WHERE status = 'QUEUED')
FROM runs CROSS JOIN jsonb_array_elements_text(pools) AS pool
WHERE status IN ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')
GROUP BY pool
"""
_SLOTS = f"""
SELECT slot.run_id, slot.step_key, runs.location_name, slot.request_time, slot.grant_time, slot.rank
FROM pool_slots AS slot JOIN runs USING (run_id)
WHERE pool = %s AND {_IS_LIVE} ORDER BY grant_time IS NULL, slot.rank, slot.position LIMIT %s
""".encode()
_SLOTS_OF_RUNS = """
SELECT run_id, '', location_name, create_time, CASE WHEN status <> 'QUEUED' THEN update_time END,
    queue_rank
FROM runs
WHERE pools @> jsonb_build_array(%s::text)
    AND status IN ('QUEUED', 'STARTING', 'STARTED', 'CANCELING')
ORDER BY status = 'QUEUED', queue_rank, queue_order LIMIT %s
"""
# Told only where somebody had a slot, so that runs without pools cost nobody a look.
_FREE_STEPS = b"""
WITH freed AS (
    DELETE FROM pool_slots USING jsonb_to_recordset(%s) AS ended (run_id text, step_key text)
    WHERE (pool_slots.run_id, pool_slots.step_key) = (ended.run_id, ended.step_key)
    RETURNING pool_slots.run_id
)
SELECT pg_notify(%s, '') FROM freed LIMIT 1
"""
_FREE_RUNS = b"""
WITH freed AS (
    DELETE FROM pool_slots WHERE run_id = ANY(ARRAY(SELECT jsonb_array_elements_text(%s)))
    RETURNING run_id
)
SELECT pg_notify(%s, '') FROM freed LIMIT 1
"""

AlsoStatement = tuple[connections.Statement, Sequence[object]]


class PoolStore:
    """Pools and their slots."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def acquire(
        self, request: queue_records.SlotRequest, default_limit: int | None
    ) -> queue_records.SlotAnswer:
        """Have the steps of a run wait for slots, and grant what is free.

        Args:
            request: What the steps need.
            default_limit: How many slots a pool has that has no limit of its own; None means that
                it has no limit.

        Raises:
            RunFenced: The run is not active, or not in this attempt.
        """
        async with connections.driver_connection(self._engine, "acquiring slots") as raw:
            async with raw.pipeline():
                await raw.execute(_LOCK, [locks.POOLS], prepare=True)
                found = await raw.execute(_RUN, [request.run_id], prepare=True)
                own = await raw.execute(_LIMITS, prepare=True)
            row = await found.fetchone()
            if row is None or row[0] != request.attempt or not row[2]:
                raise errors.RunFenced(
                    request.run_id,
                    f"attempt {request.attempt} of the run is not active; its steps get no slots",
                )
            limits = queue_records.PoolLimits(default_limit, dict(await own.fetchall()))
            wanted = [
                {"step_key": step, "pool": pool} for step, pool in sorted(request.wanted.items())
            ]
            slots = _slots_of(limits, set(request.wanted.values()))
            asked = [request.run_id, request.attempt, row[1], psycopg_json.Jsonb(wanted)]
            async with raw.pipeline():
                if request.withdrawn:
                    withdrawn = psycopg_json.Jsonb(list(request.withdrawn))
                    await raw.execute(_WITHDRAW, [request.run_id, withdrawn], prepare=True)
                await raw.execute(_ASK, asked, prepare=True)
                granted = await raw.execute(_GRANT, [slots, slots], prepare=True)
                mine = await raw.execute(_OF_RUN, [request.run_id], prepare=True)
            states = dict(await mine.fetchall())
            others = {run_id for (run_id,) in await granted.fetchall()} - {request.run_id}
            if others or request.withdrawn:
                await raw.execute(_TELL, [notifications.POOLS, ""])
            await raw.commit()
        held = frozenset(step for step in request.wanted if states.get(step))
        waiting = {
            step: limits.of(pool) or 0 for step, pool in request.wanted.items() if step not in held
        }
        return queue_records.SlotAnswer(held, waiting)

    async def grant(self, default_limit: int | None) -> None:
        """Grant every slot that is free and waited for, and take out what counts for nothing."""
        async with connections.driver_connection(self._engine, "granting slots") as raw:
            async with raw.pipeline():
                await raw.execute(_LOCK, [locks.POOLS], prepare=True)
                await raw.execute(_SWEEP, prepare=True)
                waited_for = await raw.execute(_WAITED_FOR, prepare=True)
                own = await raw.execute(_LIMITS, prepare=True)
            limits = queue_records.PoolLimits(default_limit, dict(await own.fetchall()))
            slots = _slots_of(limits, {pool for (pool,) in await waited_for.fetchall()})
            granted = await raw.execute(_GRANT, [slots, slots], prepare=True)
            if await granted.fetchall():
                await raw.execute(_TELL, [notifications.POOLS, ""])
            await raw.commit()

    async def granted_among(self, run_ids: Collection[str]) -> set[tuple[str, str]]:
        """Return which steps of some runs have a slot, by run and step."""
        asked = psycopg_json.Jsonb(sorted(run_ids))
        rows = await connections.fetch(self._engine, "reading slots", _GRANTED_OF, [asked])
        return {(run_id, step_key) for run_id, step_key in rows}

    async def limits(self, default_limit: int | None) -> queue_records.PoolLimits:
        """Return the limits of all pools."""
        rows = await connections.fetch(self._engine, "reading pools", _LIMITS)
        return queue_records.PoolLimits(default_limit, dict(rows))

    async def set_limit(self, pool: str, limit: int) -> None:
        """Give a pool a limit of its own."""
        await self._change(_SET_LIMIT, [pool, limit])

    async def delete_limit(self, pool: str) -> bool:
        """Take the limit of its own from a pool; return whether it had one."""
        return bool(await self._change(_DELETE_LIMIT, [pool]))

    async def usage(self, *, of_runs: bool) -> dict[str, tuple[int, int]]:
        """Return how many slots are taken and waited for, by pool."""
        statement: connections.Statement = _USAGE_OF_RUNS if of_runs else _USAGE
        rows = await connections.fetch(self._engine, "reading slots", statement)
        return {row[0]: (row[1], row[2]) for row in rows}

    async def slots(
        self, pool: str, *, of_runs: bool, limit: int
    ) -> list[queue_records.SlotRecord]:
        """Return who has a slot of a pool, then who waits for one, in order."""
        statement: connections.Statement = _SLOTS_OF_RUNS if of_runs else _SLOTS
        rows = await connections.fetch(self._engine, "reading slots", statement, [pool, limit])
        return [queue_records.SlotRecord(*row) for row in rows]

    async def _change(
        self, statement: connections.Statement, values: Sequence[object]
    ) -> list[tuple[Any, ...]]:
        async with connections.driver_connection(self._engine, "changing a pool") as raw:
            cursor = await raw.execute(statement, values)
            rows = await cursor.fetchall() if cursor.description else []
            await raw.execute(_TELL, [notifications.POOLS, ""])
            # Where runs take slots, it is the queue that goes on.
            await raw.execute(_TELL, [notifications.RUNS, "- QUEUED"])
            await raw.commit()
        return rows


def free_of_steps(ended: Collection[tuple[str, str]]) -> AlsoStatement:
    """Return the statement that gives back the slots of steps that ended, by run and step."""
    rows = [{"run_id": run_id, "step_key": step_key} for run_id, step_key in ended]
    return _FREE_STEPS, [psycopg_json.Jsonb(rows), notifications.POOLS]


def free_of_runs(run_ids: Sequence[str]) -> AlsoStatement:
    """Return the statement that gives back the slots of runs that ended."""
    return _FREE_RUNS, [psycopg_json.Jsonb(list(run_ids)), notifications.POOLS]


def _slots_of(limits: queue_records.PoolLimits, pools: Collection[str]) -> psycopg_json.Jsonb:
    found: Mapping[str, int | None] = {pool: limits.of(pool) for pool in pools}
    return psycopg_json.Jsonb(
        [
            {"pool": pool, "slots": NO_LIMIT if limit is None else limit}
            for pool, limit in sorted(found.items())
        ]
    )

"""What may be taken out of the database, in small pieces, and the facts to decide that by.

Called by the host's retention, which decides what is old enough. Whatever a statement
here takes, it takes only where nobody needs it, so that a plan that is out of date does no harm.
Each call is one short transaction. What must not come in: ages, and deciding.
"""

import datetime as dt
from collections.abc import Collection, Sequence

from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import automation_pb2, retention_pb2
from atoll.location.v1 import location_pb2
from atoll_storage import (
    asset_keys,
    connections,
    log_groups,
    partitions,
    records,
    retention_records,
    schema,
)

# ruff: noqa: S608 - statements are put together from constants; values are parameters

SWEEPS_KEPT = 50
_FINAL = "status IN ('SUCCESS', 'FAILURE', 'CANCELED')"  # spelled as in the index
_FACTS = b"""
SELECT head, pruned_through, (SELECT coalesce(jsonb_object_agg(kind_group, through_id), '{}')
    FROM log_thinned), least(
        (SELECT min(position) FROM alert_positions),
        (SELECT min(position) FROM subscriptions WHERE pause = 0 AND position >= complete_after)
    ), clock_timestamp()
FROM log_head
"""
_NEXT_STORED = "SELECT id, stored_time FROM events WHERE id >= %s ORDER BY id LIMIT 1"
_UNCONSUMED = f"""
SELECT min(found.id) FROM unnest(%s::text[], %s::bigint[]) AS asked (asset_key, position)
CROSS JOIN LATERAL (
    SELECT id FROM events WHERE events.asset_key = asked.asset_key
    AND kind = {schema.KIND_MATERIALIZATION} AND id > asked.position ORDER BY id LIMIT 1
) AS found
""".encode()
_PINNED = f"""
SELECT least(
    (SELECT min(observation_id) FROM asset_entries WHERE observation_id > 0),
    (SELECT min(observation_id) FROM asset_partitions WHERE observation_id > 0),
    (SELECT min(first.id) FROM runs CROSS JOIN LATERAL (
        SELECT id FROM events WHERE events.run_id = runs.run_id ORDER BY id LIMIT 1
    ) AS first WHERE NOT {_FINAL})
)
""".encode()
# Events of runs that have not ended, and the newest observations, which nothing else keeps.
_NEEDED = f"""
EXISTS (SELECT FROM runs WHERE runs.run_id = events.run_id AND NOT runs.{_FINAL})
OR kind = {schema.KIND_OBSERVATION} AND (
    EXISTS (SELECT FROM asset_entries AS entry WHERE entry.asset_key = events.asset_key
        AND entry.observation_id = events.id)
    OR EXISTS (SELECT FROM asset_partitions AS part WHERE part.asset_key = events.asset_key
        AND part.observation_id = events.id)
)
"""
_THIN = f"FROM events WHERE id > %s AND id <= %s AND kind {{}} AND NOT ({_NEEDED})"
_THINNED = """
INSERT INTO log_thinned AS known (kind_group, through_id) VALUES (%s, %s)
ON CONFLICT (kind_group) DO UPDATE SET through_id = greatest(known.through_id, excluded.through_id)
"""
_TICKS = """
FROM ticks WHERE tick_id IN (
    SELECT old.tick_id FROM ticks AS old
    WHERE old.status = %s AND old.start_time < %s
    AND CASE WHEN old.schedule_name = ''
        THEN EXISTS (SELECT FROM ticks AS newer WHERE newer.location_name = old.location_name
            AND newer.sensor_name = old.sensor_name
            AND (newer.start_time, newer.tick_id) > (old.start_time, old.tick_id))
        ELSE EXISTS (SELECT FROM ticks AS newer WHERE newer.location_name = old.location_name
            AND newer.schedule_name = old.schedule_name AND newer.schedule_name <> ''
            AND (newer.start_time, newer.tick_id) > (old.start_time, old.tick_id))
    END
    AND NOT EXISTS (SELECT FROM sensors WHERE sensors.location_name = old.location_name
        AND sensors.sensor_name = old.sensor_name AND old.event_id > sensors.position)
    ORDER BY old.start_time LIMIT %s
)
"""
_ENDED = f"""
SELECT run_id, end_time, run_key_digest IS NOT NULL AND EXISTS (
    SELECT FROM sensors WHERE sensors.location_name = runs.sensor_location_name
    AND sensors.sensor_name = runs.sensor_name)
FROM runs WHERE {_FINAL} AND end_time < %s AND (end_time, run_id) > (%s, %s)
ORDER BY end_time, run_id LIMIT %s
""".encode()
# Runs that say why partitions have no data, and runs that others still go back to.
_NEEDED_RUNS = f"""
SELECT planned_run_id FROM asset_entries LEFT JOIN asset_state USING (asset_key)
WHERE planned_id > coalesce(materialization_id, 0)
UNION SELECT planned_run_id FROM asset_partitions WHERE planned_id > materialization_id
UNION SELECT unnest(ARRAY[parent_run_id, root_run_id]) FROM runs WHERE NOT {_FINAL}
UNION SELECT run_id FROM backfill_runs
""".encode()
# What stayed because its run had not ended when others of its age went.
_LEFT = """
DELETE FROM events WHERE run_id = ANY(%s) AND kind = ANY(%s::smallint[])
AND id <= (SELECT through_id FROM log_thinned WHERE kind_group = %s)
"""
_OF_RUNS = {
    group: kinds for group, kinds in log_groups.KINDS.items() if group != log_groups.ASSET_EVENTS
}
_SERVERS = """
FROM servers WHERE lease_expire_time < %s AND EXISTS (SELECT FROM servers AS newer
    WHERE newer.location_name = servers.location_name
    AND newer.registration > servers.registration)
"""
_BUILDS = b"SELECT build FROM servers WHERE build IS NOT NULL"
_OLD = {
    "snapshots": "FROM snapshots WHERE create_time < %s AND NOT digest = ANY(%s)",
    "requests": "FROM requests WHERE request_id IN (SELECT request_id FROM requests "
    "WHERE create_time < %s ORDER BY create_time LIMIT %s)",
    "backfills": "FROM backfills WHERE backfill_id IN (SELECT backfill_id FROM backfills "
    "WHERE end_time < %s AND NOT EXISTS (SELECT FROM backfill_runs AS open "
    "WHERE open.backfill_id = backfills.backfill_id) ORDER BY end_time LIMIT %s)",
    "alerts": "FROM alerts WHERE alert_id IN (SELECT alert_id FROM alerts WHERE create_time < %s "
    "AND NOT EXISTS (SELECT FROM alert_deliveries AS waiting WHERE status = 1 "
    "AND waiting.alert_id = alerts.alert_id) ORDER BY create_time LIMIT %s)",
    "audit": "FROM audit_entries WHERE entry_id IN (SELECT entry_id FROM audit_entries "
    "WHERE begin_time < %s ORDER BY begin_time LIMIT %s)",
    "tokens": "FROM tokens WHERE token_id IN (SELECT token_id FROM tokens "
    "WHERE least(expire_time, revoke_time) < %s ORDER BY token_id LIMIT %s)",
    "deliveries": "FROM subscription_deliveries WHERE (subscription_id, first_event_id) IN ("
    "SELECT subscription_id, first_event_id FROM subscription_deliveries "
    "WHERE end_time < %s ORDER BY end_time LIMIT %s)",
    "alert_subjects": "FROM alert_subjects WHERE (rule, subject) IN (SELECT rule, subject "
    "FROM alert_subjects WHERE update_time < %s ORDER BY update_time LIMIT %s)",
}
_ADD_SWEEP = b"INSERT INTO retention_sweeps (start_time, payload) VALUES (%s, %b)"
_TRIM_SWEEPS = b"""
DELETE FROM retention_sweeps WHERE sweep_id <= (SELECT max(sweep_id) FROM retention_sweeps) - %s
"""
_SWEEPS = b"SELECT payload FROM retention_sweeps ORDER BY sweep_id DESC LIMIT %s"
_BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class RetentionStore:
    """Takes what may go out of the database."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    # Facts.

    async def log_facts(self) -> retention_records.LogFacts:
        """Return how far the log reaches, and what was taken out of it already."""
        rows = await connections.fetch(self._engine, "looking at the log", _FACTS)
        head, pruned, thinned, followed, now = rows[0]
        return retention_records.LogFacts(
            head=head,
            first_id=pruned + 1 if pruned else 0,
            partition_size=partitions.SIZE,
            thinned={name: thinned.get(name, 0) for name in log_groups.NAMES},
            followed_through=followed,
            now=now,
        )

    async def last_id_before(self, moment: dt.datetime, head: int) -> int:
        """Return the id up to which all events were stored before a moment, 0 where none was."""
        low, high = 0, head + 1
        while low < high:
            middle = (low + high) // 2
            rows = await connections.fetch(
                self._engine, "looking for an age", _NEXT_STORED, [numeric.Int8(middle)]
            )
            # Ids without events are as old as the next one that has one.
            if not rows or rows[0][1] >= moment:
                high = middle
            else:
                low = rows[0][0] + 1
        return low - 1 if low else 0

    async def first_unconsumed(
        self, positions: Sequence[tuple[records.AssetPath, int]]
    ) -> int | None:
        """Return the first materialization of an asset after a position, for all given pairs."""
        if not positions:
            return None
        keys = [asset_keys.encode(path).replace("\0", "\ufffd") for path, _ in positions]
        parameters = [keys, [numeric.Int8(position) for _, position in positions]]
        rows = await connections.fetch(
            self._engine, "looking for what sensors wait for", _UNCONSUMED, parameters
        )
        return rows[0][0] if rows else None

    async def first_pinned(self) -> int | None:
        """Return the first event that has to stay whatever its age."""
        rows = await connections.fetch(self._engine, "looking for what is needed", _PINNED)
        return rows[0][0] if rows else None

    async def needed_runs(self) -> frozenset[str]:
        """Return runs that have to stay whatever their age."""
        rows = await connections.fetch(self._engine, "looking for needed runs", _NEEDED_RUNS)
        return frozenset(row[0] for row in rows if row[0])

    # The log.

    async def thin(self, group: str, after_id: int, through_id: int, *, dry_run: bool) -> int:
        """Take the events of a group between two ids out of the log, but those that are needed.

        Readers that would have to see them are told from then on that they are gone.
        """
        kinds = sorted(log_groups.KINDS.get(group, log_groups.NAMED_KINDS))
        condition = (
            "= ANY(%s::smallint[])" if group in log_groups.KINDS else "<> ALL(%s::smallint[])"
        )
        values = [numeric.Int8(after_id), numeric.Int8(through_id), kinds]
        before = () if dry_run else ((_THINNED, [group, numeric.Int8(through_id)]),)
        return await self._take(_THIN.format(condition), values, dry_run=dry_run, before=before)

    async def is_empty_through(self, through_id: int) -> bool:
        """Say whether the log holds no event up to an id."""
        statement = b"SELECT NOT EXISTS (SELECT FROM events WHERE id <= %s)"
        rows = await connections.fetch(
            self._engine, "looking at the log", statement, [numeric.Int8(through_id)]
        )
        return bool(rows[0][0])

    # Everything else.

    async def take_ticks(
        self,
        status: automation_pb2.TickStatus.ValueType,
        before: dt.datetime,
        *,
        limit: int,
        dry_run: bool,
    ) -> int:
        """Take old ticks of an outcome, but the newest of each sensor and schedule."""
        return await self._take(_TICKS, [status, before, limit], dry_run=dry_run)

    async def ended_runs(
        self, before: dt.datetime, after: tuple[dt.datetime, str] | None, *, limit: int
    ) -> list[retention_records.EndedRun]:
        """Return runs that ended before a moment, the oldest first."""
        moment, run_id = after or (_BEGINNING, "")
        rows = await connections.fetch(
            self._engine, "looking for old runs", _ENDED, [before, moment, run_id, limit]
        )
        return [retention_records.EndedRun(*row) for row in rows]

    async def take_output(self, run_ids: Collection[str], *, dry_run: bool) -> int:
        """Take the captured output of runs; return how many of them had any."""
        if not run_ids:
            return 0
        statement = b"SELECT count(DISTINCT run_id) FROM run_output WHERE run_id = ANY(%s)"
        rows = await connections.fetch(
            self._engine, "looking for output", statement, [list(run_ids)]
        )
        if rows[0][0] and not dry_run:
            await self._take(
                "FROM run_output WHERE run_id = ANY(%s)", [list(run_ids)], dry_run=False
            )
        return int(rows[0][0])

    async def take_runs(self, run_ids: Collection[str], *, dry_run: bool) -> int:
        """Take runs that ended, with their output and what was left of their old events."""
        if not run_ids:
            return 0
        chosen = list(run_ids)
        before: list[tuple[str, Sequence[object]]] = [
            *((_LEFT, [chosen, sorted(kinds), group]) for group, kinds in _OF_RUNS.items()),
            ("DELETE FROM run_output WHERE run_id = ANY(%s)", [chosen]),
            ("DELETE FROM producers WHERE run_id = ANY(%s)", [chosen]),
        ]
        return await self._take(
            f"FROM runs WHERE run_id = ANY(%s) AND {_FINAL}",
            [chosen],
            dry_run=dry_run,
            before=() if dry_run else before,
        )

    async def take_servers(self, before: dt.datetime, *, dry_run: bool) -> int:
        """Take code servers whose lease ran out and that another one replaced."""
        return await self._take(_SERVERS, [before], dry_run=dry_run)

    async def take_snapshots(self, before: dt.datetime, *, dry_run: bool) -> int:
        """Take snapshots that no code server serves."""
        rows = await connections.fetch(self._engine, "looking for builds", _BUILDS)
        served = {location_pb2.Build.FromString(row[0]).definitions_digest for row in rows}
        values = [before, sorted(served)]
        return await self._take(_OLD["snapshots"], values, dry_run=dry_run)

    async def take_old(
        self, subject: str, before: dt.datetime, *, limit: int, dry_run: bool
    ) -> int:
        """Take old requests, alerts or what is remembered of their subjects."""
        return await self._take(_OLD[subject], [before, limit], dry_run=dry_run)

    # Sweeps.

    async def add_sweep(self, sweep: retention_pb2.RetentionSweep) -> None:
        """Remember a sweep, and forget the oldest."""
        async with connections.driver_connection(self._engine, "storing a sweep") as raw:
            began = sweep.start_time.ToDatetime(tzinfo=dt.UTC)
            await raw.execute(_ADD_SWEEP, [began, sweep.SerializeToString()])
            await raw.execute(_TRIM_SWEEPS, [SWEEPS_KEPT])
            await raw.commit()

    async def sweeps(self, limit: int) -> list[retention_pb2.RetentionSweep]:
        """Return the newest sweeps, newest first."""
        rows = await connections.fetch(self._engine, "reading sweeps", _SWEEPS, [limit])
        return [retention_pb2.RetentionSweep.FromString(row[0]) for row in rows]

    async def _take(
        self,
        statement: str,
        values: Sequence[object],
        *,
        dry_run: bool,
        before: Sequence[tuple[str, Sequence[object]]] = (),
    ) -> int:
        """Delete or count what a statement chooses, after other statements in one transaction."""
        if dry_run:
            counting = f"SELECT count(*) {statement}".encode()
            rows = await connections.fetch(self._engine, "counting what may go", counting, values)
            return int(rows[0][0])
        async with connections.driver_connection(self._engine, "taking what may go") as raw:
            for text, parameters in before:
                await raw.execute(text.encode(), parameters)
            cursor = await raw.execute(f"DELETE {statement}".encode(), values)
            await raw.commit()
            return cursor.rowcount

"""What automation conditions ask of the log and the runs, for many assets at once.

Called by the host's evaluator of conditions. However many assets, checks or runs are asked for,
each question is one statement, and each answer says for which position of the log it holds. What
conditions make of it stays out.
"""

from collections.abc import Sequence
from typing import Any

from psycopg.types import json as psycopg_json
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import (
    asset_keys,
    condition_records,
    connections,
    event_rows,
    records,
    schema,
)

# ruff: noqa: S608 - statements are put together from constants; values are parameters

UPDATES_MAX = 1000
"""So many updates of one asset are read at the most: the newest."""

_DOING = "reading what conditions ask"
_POSITION = "(SELECT head FROM log_head)"
_ASSETS = f"""
SELECT wanted.place, {_POSITION}, coalesce(state.materialization_id, 0), state.payload,
    state.stored_time, coalesce(entry.observation_id, 0), coalesce(entry.planned_id, 0),
    coalesce(entry.failed_id, 0), coalesce(entry.failed_range_start, ''),
    coalesce(entry.failed_range_end, '')
FROM unnest(%b::text[]) WITH ORDINALITY AS wanted (asset_key, place)
LEFT JOIN asset_state AS state USING (asset_key)
LEFT JOIN asset_entries AS entry USING (asset_key)
""".encode()
_LONG_PARTITION = "CASE WHEN partition LIKE E'\\x01sha256:%%' THEN payload END"
_PARTITIONS = f"""
SELECT wanted.place, {_POSITION}, partition, {_LONG_PARTITION}, materialization_id, observation_id,
    planned_id, failed_id
FROM unnest(%b::text[]) WITH ORDINALITY AS wanted (asset_key, place)
LEFT JOIN asset_partitions USING (asset_key)
""".encode()
_NEWEST = """
SELECT wanted.place, materialization_id, stored_time, payload
FROM unnest(%b::text[], %b::text[]) WITH ORDINALITY AS wanted (asset_key, partition, place)
JOIN asset_partitions USING (asset_key, partition) WHERE materialization_id > 0
"""
_CHECKS = f"""
SELECT wanted.place, {_POSITION}, state.evaluation_id, state.payload,
    coalesce(part.materialization_id, asset.materialization_id, 0),
    coalesce(part.payload, asset.payload, '')
FROM unnest(%b::text[], %b::text[]) WITH ORDINALITY AS wanted (asset_key, check_name, place)
LEFT JOIN check_state AS state USING (asset_key, check_name)
LEFT JOIN asset_partitions AS part
    ON part.asset_key = state.asset_key AND part.partition = state.partition
    AND state.partition <> '' AND part.materialization_id > 0
LEFT JOIN asset_state AS asset ON asset.asset_key = state.asset_key AND state.partition = ''
""".encode()
# Newest first, so that what is left out of many is the oldest.
_UPDATES = f"""
SELECT wanted.place, found.id, found.stored_time, found.payload
FROM jsonb_to_recordset(%s) AS wanted (place int, asset_key text, check_name text, after bigint)
CROSS JOIN LATERAL (
    SELECT id, stored_time, payload FROM events
    WHERE events.asset_key = wanted.asset_key AND id > wanted.after AND (
        wanted.check_name IS NULL
        AND kind IN ({schema.KIND_MATERIALIZATION}, {schema.KIND_OBSERVATION})
        OR events.check_name = wanted.check_name AND kind = {schema.KIND_CHECK_EVALUATION}
    )
    ORDER BY id DESC LIMIT {UPDATES_MAX}
) AS found
""".encode()
_BEFORE = f"""
SELECT wanted.place, found.payload
FROM jsonb_to_recordset(%s) AS wanted (place int, asset_key text, partition text, before bigint)
CROSS JOIN LATERAL (
    SELECT payload FROM events
    WHERE events.asset_key = wanted.asset_key AND id < wanted.before
        AND kind IN ({schema.KIND_MATERIALIZATION}, {schema.KIND_OBSERVATION})
        AND events.partition IS NOT DISTINCT FROM wanted.partition
    ORDER BY id DESC LIMIT 1
) AS found
""".encode()
_RUN_NAMES = (
    "run_id, location_name, job_name, status, tags, asset_selection, asset_check_selection, "
    "partition_key, partition_range_start, partition_range_end"
)
_RUNS = f"SELECT {_RUN_NAMES} FROM runs WHERE run_id = ANY(%b::text[])".encode()
_OPEN_RUNS = f"""
SELECT {_POSITION}, {_RUN_NAMES} FROM runs WHERE status = 'QUEUED' UNION ALL
SELECT {_POSITION}, {_RUN_NAMES} FROM runs WHERE status IN ('STARTING', 'STARTED', 'CANCELING')
""".encode()
_HEAD = "SELECT head FROM log_head"
_DONE = f"""
SELECT id, payload FROM events
WHERE run_id = ANY(%b::text[]) AND kind IN ({schema.OF_RUNS}) AND kind <> {schema.KIND_PLANNED}
ORDER BY id
""".encode()
_DYNAMIC = f"""
SELECT {_POSITION}, partition_key FROM dynamic_partitions
WHERE partitions_def_name = %s ORDER BY position
""".encode()

Path = records.AssetPath
Check = tuple[Path, str]


class ConditionFacts:
    """Reads what conditions ask."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def assets(self, paths: Sequence[Path]) -> list[condition_records.AssetFact]:
        """Return what is known of assets as wholes, in their order; nothing is known of some."""
        rows = await self._fetch(_ASSETS, [_texts(paths)])
        rows = sorted(rows, key=lambda row: row[0])
        return [
            condition_records.AssetFact(path, *row[1:])
            for path, row in zip(paths, rows, strict=True)
        ]

    async def partitions(self, paths: Sequence[Path]) -> list[condition_records.PartitionFacts]:
        """Return what is known of all partitions of assets, in the order of the assets."""
        rows = await self._fetch(_PARTITIONS, [_texts(paths)])
        found: dict[int, list[condition_records.PartitionFact]] = {}
        positions: dict[int, int] = {}
        for place, position, partition, payload, *ids in rows:
            positions[place] = position
            known = found.setdefault(place, [])
            if partition is not None:
                known.append(
                    condition_records.PartitionFact(_partition_of(partition, payload), *ids)
                )
        return [
            condition_records.PartitionFacts(path, positions[place], found[place])
            for place, path in enumerate(paths, start=1)
        ]

    async def newest_of_partitions(
        self, wanted: Sequence[tuple[Path, str]]
    ) -> list[condition_records.UpdateFact | None]:
        """Return the newest materialization of partitions of assets, even if pruned."""
        texts = [_text(path) for path, _ in wanted]
        columns = [asset_keys.encode_partition(partition) for _, partition in wanted]
        found: list[condition_records.UpdateFact | None] = [None] * len(wanted)
        for place, *rest in await self._fetch(_NEWEST, [texts, columns]):
            found[place - 1] = condition_records.UpdateFact(*rest)
        return found

    async def checks(self, keys: Sequence[Check]) -> list[condition_records.CheckFacts]:
        """Return the newest evaluations of checks, in the order of the checks."""
        texts = _texts([path for path, _ in keys])
        rows = await self._fetch(_CHECKS, [texts, [event_rows.indexed(name) for _, name in keys]])
        found: dict[int, list[condition_records.CheckFact]] = {}
        positions: dict[int, int] = {}
        for place, position, *rest in rows:
            positions[place] = position
            known = found.setdefault(place, [])
            if rest[0] is not None:
                known.append(condition_records.CheckFact(*rest))
        return [
            condition_records.CheckFacts(*key, positions[place], found[place])
            for place, key in enumerate(keys, start=1)
        ]

    async def updates(
        self, wanted: Sequence[tuple[Path, str, int]]
    ) -> list[list[condition_records.UpdateFact]]:
        """Return what is stored of updates after positions, oldest first.

        Args:
            wanted: Assets with the position, or checks: the path, the name of the check, empty for
                the asset itself, and the position.
        """
        asked = [
            {
                "place": place,
                "asset_key": _text(path),
                "check_name": event_rows.indexed(name) if name else None,
                "after": after,
            }
            for place, (path, name, after) in enumerate(wanted)
        ]
        found: dict[int, list[condition_records.UpdateFact]] = {}
        for place, *rest in await self._fetch(_UPDATES, [psycopg_json.Jsonb(asked)]):
            found.setdefault(place, []).append(condition_records.UpdateFact(*rest))
        return [
            sorted(found.get(place, ()), key=lambda fact: fact.event_id)
            for place in range(len(wanted))
        ]

    async def events_before(self, wanted: Sequence[tuple[Path, str, int]]) -> list[bytes | None]:
        """Return the newest stored update of assets and partitions before positions."""
        asked = [
            {
                "place": place,
                "asset_key": _text(path),
                "partition": partition.replace("\0", "\ufffd") or None,
                "before": before,
            }
            for place, (path, partition, before) in enumerate(wanted)
        ]
        found: list[bytes | None] = [None] * len(wanted)
        for place, payload in await self._fetch(_BEFORE, [psycopg_json.Jsonb(asked)]):
            found[place] = payload
        return found

    async def open_runs(self) -> tuple[int, list[condition_records.OpenRun]]:
        """Return the position of the log, and the runs that have not ended by then."""
        head, rows = await connections.fetch_each(
            self._engine, _DOING, (_HEAD, ()), (_OPEN_RUNS, ())
        )
        position = min([head[0][0], *(row[0] for row in rows)])
        return position, [_run_of(row[1:]) for row in rows]

    async def runs(self, run_ids: Sequence[str]) -> dict[str, condition_records.OpenRun]:
        """Return runs by their ids, ended or not; unknown ones are left out."""
        rows = await self._fetch(_RUNS, [list(run_ids)])
        return {row[0]: _run_of(row) for row in rows}

    async def done_by(self, run_ids: Sequence[str]) -> list[tuple[int, bytes]]:
        """Return what runs materialized, observed and checked: the events, with their ids."""
        rows = await self._fetch(_DONE, [list(run_ids)])
        return [(row[0], row[1]) for row in rows]

    async def dynamic_partitions(self, name: str) -> tuple[int, list[str]]:
        """Return the position of the log, and the keys of a dynamic partitions definition."""
        head, rows = await connections.fetch_each(
            self._engine, _DOING, (_HEAD, ()), (_DYNAMIC, [name])
        )
        return (rows[0][0] if rows else head[0][0]), [row[1] for row in rows]

    async def _fetch(
        self, statement: connections.Statement, parameters: Sequence[object]
    ) -> connections.Rows:
        return await connections.fetch(self._engine, _DOING, statement, parameters)


def _text(path: Path) -> str:
    return asset_keys.encode(path).replace("\0", "\ufffd")


def _texts(paths: Sequence[Path]) -> list[str]:
    return [_text(path) for path in paths]


def _partition_of(text: str, payload: bytes | None) -> str:
    if not payload or not asset_keys.is_long_partition(text):
        return text
    return events_pb2.Event.FromString(payload).asset_materialization.partition


def _run_of(row: Sequence[Any]) -> condition_records.OpenRun:
    run_id, location_name, job_name, status, tags, assets, checks, partition, *ends = row
    return condition_records.OpenRun(
        run_id=run_id,
        location_name=location_name,
        job_name=job_name,
        status=records.RunStatus(status),
        tags=tags,
        asset_selection=tuple(tuple(path) for path in assets),
        check_selection=tuple((tuple(path), name) for path, name in checks),
        partition_key=partition,
        partition_range=(ends[0], ends[1]),
    )

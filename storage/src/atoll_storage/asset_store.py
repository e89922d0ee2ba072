"""What the log says of assets and their partitions, read from the projections.

Called by the host's instance queries. Written by `projections`, in the transactions of the events.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys, connections, event_rows, records, schema

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_DOING = "reading assets"
_KEYS_IN = "asset_key > %s AND (asset_key = %s OR (asset_key >= %s AND asset_key < %s) OR {})"
_IS_LONG = "asset_key LIKE 'sha256:%%'"
_KEYS = f"WHERE {_KEYS_IN.format(_IS_LONG)} ORDER BY asset_key LIMIT %s"
_STATE_KEYS = f"""
SELECT asset_key, CASE WHEN {_IS_LONG} THEN payload END FROM asset_state {_KEYS}
""".encode()
_ENTRY_KEYS = f"SELECT asset_key, path FROM asset_entries {_KEYS}".encode()
_STATES = """
SELECT asset_key, materialization_id, payload, location_name, stored_time FROM asset_state
WHERE asset_key = ANY(%s)
"""
_ENTRIES = f"""
SELECT entry.asset_key, entry.planned_id, entry.planned_run_id, events.id, events.payload,
    events.location_name, events.stored_time
FROM asset_entries AS entry
LEFT JOIN LATERAL (
    SELECT id, payload, location_name, stored_time FROM events
    WHERE events.id = entry.observation_id AND events.kind = {schema.KIND_OBSERVATION}
) AS events ON true
WHERE entry.asset_key = ANY(%s)
""".encode()
_OF_PARTITIONS = """
SELECT materialization_id, payload, location_name, stored_time FROM asset_partitions
WHERE asset_key = %s AND partition = ANY(%s) AND materialization_id > 0
"""
_LONG_PAYLOAD = "CASE WHEN partition LIKE E'\\x01sha256:%%' THEN payload END"
_MATERIALIZED = f"""
SELECT partition, {_LONG_PAYLOAD}, materialization_id, materialization_count
FROM asset_partitions WHERE materialization_id > %s AND
""".encode()
_ALL = f"""
SELECT partition, {_LONG_PAYLOAD}, materialization_id, materialization_count, observation_id,
    planned_id, planned_run_id,
    coalesce((SELECT status FROM runs WHERE run_id = planned_run_id), ''), failed_id
FROM asset_partitions WHERE materialization_id >= %s AND
""".encode()
_BEFORE = f"""
SELECT partition, NULL, max(id), count(*) FROM events
WHERE kind = {schema.KIND_MATERIALIZATION} AND id > %s AND id < %s AND partition IS NOT NULL AND
""".encode()
_CHOSEN = b" asset_key = %s AND partition > %s"
_ONLY = b" AND partition = ANY(%s)"
_IN_ORDER = b" ORDER BY partition LIMIT %s"
_GROUPED = b" GROUP BY partition ORDER BY partition LIMIT %s"


class AssetStore:
    """Reads what is known of assets."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def keys(
        self,
        *,
        prefix: records.AssetPath = (),
        after: records.AssetPath | None = None,
        limit: int = 1000,
    ) -> tuple[list[records.AssetPath], bool]:
        """Return the keys of the assets that the log ever spoke of, and whether there are more.

        Args:
            prefix: Only keys that begin with these parts.
            after: Only keys after this one; the order is that of their texts.
            limit: How many at the most.
        """
        position = "" if after is None else asset_keys.encode(after)
        found: list[records.AssetPath] = []
        while len(found) <= limit:
            page, position = await self._keys(prefix, position, limit + 1)
            found += [path for path in page if path[: len(prefix)] == prefix]
            if not position:
                break
        return found[:limit], len(found) > limit

    async def _keys(
        self, prefix: records.AssetPath, position: str, limit: int
    ) -> tuple[list[records.AssetPath], str]:
        """Return one page and the text of its last key, empty where it is the last page."""
        begins = asset_keys.begin_of(prefix)
        bounds = [position, asset_keys.encode(prefix), begins, f"{begins}\U0010ffff", limit]
        states, entries = await connections.fetch_each(
            self._engine, _DOING, (_STATE_KEYS, bounds), (_ENTRY_KEYS, bounds)
        )
        paths = {row[0]: tuple(row[1]) for row in entries}
        paths.update((row[0], _path_of(row[0], row[1])) for row in states)
        texts = sorted(paths)[:limit]
        is_last = len(states) < limit and len(entries) < limit and len(paths) <= limit
        return [paths[text] for text in texts], "" if is_last else texts[-1]

    async def entries(self, paths: Sequence[records.AssetPath]) -> list[records.AssetEntry]:
        """Return what is known of assets; those that the log never spoke of are left out."""
        texts = [asset_keys.encode(path) for path in paths]
        states, entries = await connections.fetch_each(
            self._engine, _DOING, (_STATES, [texts]), (_ENTRIES, [texts])
        )
        latest = {row[0]: event_rows.stored_event(*row[1:]) for row in states}
        others = {row[0]: row[1:] for row in entries}
        return [
            _entry(path, latest.get(text), others.get(text))
            for text, path in zip(texts, paths, strict=True)
            if text in latest or text in others
        ]

    async def partitions(
        self, query: records.AssetPartitionQuery, *, limit: int
    ) -> tuple[list[records.AssetPartition], bool]:
        """Return partitions of one asset in their order, and whether there are more.

        However many events there are, it reads no more rows than it returns; looking back
        (`before_id`) reads the events of the asset.
        """
        after = query.after_partition
        values: list[object] = [
            asset_keys.encode(query.path),
            asset_keys.encode_partition(after) if after else "",
        ]
        chosen = _CHOSEN
        if query.partitions:
            chosen += _ONLY
            values.append([asset_keys.encode_partition(each) for each in query.partitions])
        if query.before_id:
            statement = _BEFORE + chosen + _GROUPED
            values = [query.after_id, query.before_id, *values]
        else:
            select = _MATERIALIZED if query.materialized or query.after_id else _ALL
            statement = select + chosen + _IN_ORDER
            values = [query.after_id, *values]
        rows = await connections.fetch(self._engine, _DOING, statement, [*values, limit + 1])
        found = [records.AssetPartition(_partition_of(row[0], row[1]), *row[2:]) for row in rows]
        return found[:limit], len(found) > limit

    async def latest_of_partitions(
        self, path: records.AssetPath, partitions: Sequence[str]
    ) -> list[events_pb2.StoredEvent]:
        """Return the newest materialization of each partition that has one, even if pruned."""
        columns = [asset_keys.encode_partition(partition) for partition in partitions]
        rows = await connections.fetch(
            self._engine, _DOING, _OF_PARTITIONS, [asset_keys.encode(path), columns]
        )
        return [event_rows.stored_event(*row) for row in rows]


def _path_of(text: str, payload: bytes | None) -> records.AssetPath:
    path = asset_keys.decode(text)
    if path is not None or payload is None:
        return path or ()
    return tuple(events_pb2.Event.FromString(payload).asset_materialization.asset_key.path)


def _partition_of(text: str, payload: bytes | None) -> str:
    if not payload or not asset_keys.is_long_partition(text):
        return text
    return events_pb2.Event.FromString(payload).asset_materialization.partition


def _entry(
    path: records.AssetPath, latest: events_pb2.StoredEvent | None, other: Sequence[Any] | None
) -> records.AssetEntry:
    if other is None:
        return records.AssetEntry(path, latest)
    planned_id, planned_run_id, *observed = other
    observation = None if observed[0] is None else event_rows.stored_event(*observed)
    return records.AssetEntry(path, latest, observation, planned_id, planned_run_id)

"""How fresh assets are, as it was decided last.

Called by the host's term of freshness, which commits changes, by its API and by its answers to user
code. A change is stored with its event in one transaction, and only against what it was decided on:
the version of the state, and the newest materialization. What must not come in: deciding a state.
"""

from collections.abc import Sequence

from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import (
    announcing,
    asset_keys,
    connections,
    freshness_records,
    log_writer,
    records,
)

_COLUMNS = "asset_key, path, state, version, event_id, change_time"
_STATES = f"SELECT {_COLUMNS} FROM freshness_states WHERE asset_key = ANY(%s)".encode()  # noqa: S608
_ALL = f"SELECT {_COLUMNS} FROM freshness_states ORDER BY asset_key".encode()  # noqa: S608
_BEFORE = b"""
SELECT asked.asset_key, coalesce(state.version, 0), coalesce(newest.materialization_id, 0)
FROM unnest(%s::text[]) AS asked (asset_key)
LEFT JOIN freshness_states AS state ON state.asset_key = asked.asset_key
LEFT JOIN asset_state AS newest ON newest.asset_key = asked.asset_key
"""
_SET = b"""
INSERT INTO freshness_states AS known (asset_key, path, state, version, event_id, change_time)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (asset_key) DO UPDATE SET state = excluded.state, version = excluded.version,
    event_id = excluded.event_id, change_time = excluded.change_time
"""


class FreshnessStore:
    """What is known of how fresh assets are."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def states(
        self, paths: Sequence[records.AssetPath]
    ) -> list[freshness_records.FreshnessRecord]:
        """Return the states of the assets for which one was decided."""
        keys = [_column(path) for path in paths]
        rows = await connections.fetch(self._engine, "reading freshness", _STATES, [keys])
        return [_record(row) for row in rows]

    async def all_states(self) -> list[freshness_records.FreshnessRecord]:
        """Return all states, in the order of the assets' keys."""
        rows = await connections.fetch(self._engine, "reading freshness", _ALL)
        return [_record(row) for row in rows]

    async def commit(
        self, changes: Sequence[freshness_records.FreshnessChange]
    ) -> list[freshness_records.FreshnessRecord]:
        """Store changes and their events; return what is stored now of those that were.

        A change is left out where the state or the newest materialization is another one by now
        than it was decided on. All others are stored in one transaction.
        """
        if not changes:
            return []
        keys = [_column(change.path) for change in changes]
        async with connections.driver_connection(self._engine, "storing freshness") as raw:
            writer = await log_writer.open_writer(raw)
            cursor = await raw.execute(_BEFORE, [keys], prepare=True)
            known = {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
            stored: list[freshness_records.FreshnessRecord] = []
            for key, change in zip(keys, changes, strict=True):
                version, materialization_id = known[key]
                if version != change.expected_version:
                    continue
                if change.materialization_id not in {None, materialization_id}:
                    continue
                event_id = writer.add(_event(change, writer), "")
                record = freshness_records.FreshnessRecord(
                    change.path, change.state, version + 1, event_id, writer.now
                )
                writer.also(_SET, _values(key, record))
                stored.append(record)
            if not stored:
                await raw.rollback()
                return []
            await writer.commit(self._announcer)
        return stored


def _values(key: str, record: freshness_records.FreshnessRecord) -> list[object]:
    return [
        key,
        list(record.path),
        numeric.Int2(record.state),
        numeric.Int8(record.version),
        numeric.Int8(record.event_id),
        record.change_time,
    ]


def _event(
    change: freshness_records.FreshnessChange, writer: log_writer.LogWriter
) -> events_pb2.Event:
    told = events_pb2.FreshnessStateChange(
        asset_key=values_pb2.AssetKey(path=change.path),
        new_state=change.state,
        previous_state=change.previous_state,
    )
    told.change_time.FromDatetime(writer.now)
    if change.materialization_time is not None:
        told.latest_materialization_time.FromDatetime(change.materialization_time)
    event = events_pb2.Event(freshness_state_change=told)
    event.timestamp.FromDatetime(writer.now)
    return event


def _record(row: Sequence[object]) -> freshness_records.FreshnessRecord:
    _, path, *rest = row
    return freshness_records.FreshnessRecord(tuple(path), *rest)  # type: ignore[arg-type]


def _column(path: records.AssetPath) -> str:
    return asset_keys.encode(path).replace("\0", "\ufffd")

"""What is known of assets without reading the log: kept in the transaction of the events.

Called by `log_writer`, for every event that it stores. Three tables: `asset_state` has the newest
materialization of each asset, `asset_entries` its newest observation, plan and failure,
`asset_partitions` the same of each partition. All survive pruning, and none costs more than one row
an event; a batch that speaks of one row many times writes it once.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg.types import json as psycopg_json
from psycopg.types import numeric

from atoll.events.v1 import events_pb2
from atoll_storage import asset_keys, connections

_SET_STATE = """
INSERT INTO asset_state AS state (asset_key, materialization_id, location_name, payload,
stored_time) {} ON CONFLICT (asset_key) DO UPDATE SET
    materialization_id = excluded.materialization_id, location_name = excluded.location_name,
    stored_time = excluded.stored_time, payload = excluded.payload
"""
_SET_ASSET_STATE = _SET_STATE.format("VALUES (%s, %s, %s, %b, %s)").encode()
_SET_ASSET_STATES = _SET_STATE.format(
    "SELECT asset_key, id, location_name, payload, %s FROM unnest(%s::text[], %s::bigint[], "
    "%s::text[], %b::bytea[]) AS new (asset_key, id, location_name, payload)"
).encode()
_SET_ENTRIES = """
INSERT INTO asset_entries AS state (asset_key, path, observation_id, planned_id, planned_run_id,
    failed_id, failed_range_start, failed_range_end)
SELECT asset_key, ARRAY(SELECT jsonb_array_elements_text(path)), observation_id, planned_id,
    planned_run_id, failed_id, failed_range_start, failed_range_end
FROM jsonb_to_recordset(%s) AS new (
    asset_key text, path jsonb, observation_id bigint, planned_id bigint, planned_run_id text,
    failed_id bigint, failed_range_start text, failed_range_end text
)
ON CONFLICT (asset_key) DO UPDATE SET
    observation_id = greatest(state.observation_id, excluded.observation_id),
    planned_id = greatest(state.planned_id, excluded.planned_id),
    planned_run_id = CASE WHEN excluded.planned_id > 0 THEN excluded.planned_run_id
        ELSE state.planned_run_id END,
    failed_id = greatest(state.failed_id, excluded.failed_id),
    failed_range_start = CASE WHEN excluded.failed_id > state.failed_id
        THEN excluded.failed_range_start ELSE state.failed_range_start END,
    failed_range_end = CASE WHEN excluded.failed_id > state.failed_id
        THEN excluded.failed_range_end ELSE state.failed_range_end END
"""
_SET_PARTITIONS = b"""
INSERT INTO asset_partitions AS state (asset_key, partition, materialization_id,
    materialization_count, observation_id, planned_id, planned_run_id, failed_id, location_name,
    payload, stored_time)
SELECT *, %s::timestamptz FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %b::bytea[])
ON CONFLICT (asset_key, partition) DO UPDATE SET
    materialization_id = greatest(state.materialization_id, excluded.materialization_id),
    materialization_count = state.materialization_count + excluded.materialization_count,
    observation_id = greatest(state.observation_id, excluded.observation_id),
    planned_id = greatest(state.planned_id, excluded.planned_id),
    planned_run_id = CASE WHEN excluded.planned_id > 0 THEN excluded.planned_run_id
        ELSE state.planned_run_id END,
    failed_id = greatest(state.failed_id, excluded.failed_id),
    location_name = CASE WHEN excluded.materialization_id > 0 THEN excluded.location_name
        ELSE state.location_name END,
    payload = CASE WHEN excluded.materialization_id > 0 THEN excluded.payload
        ELSE state.payload END,
    stored_time = CASE WHEN excluded.materialization_id > 0 THEN excluded.stored_time
        ELSE state.stored_time END
"""
_SINGLY_MAX = 8
_MATERIALIZATION = "asset_materialization"
_OBSERVATION = "asset_observation"
_PLANNED = "asset_materialization_planned"
_FAILED = "asset_failed_to_materialize"
_KINDS = frozenset({_MATERIALIZATION, _OBSERVATION, _PLANNED, _FAILED})

Change = tuple[connections.Statement, Sequence[object]]


@dataclasses.dataclass(slots=True)
class _Entry:
    """What a batch says of one asset. 0 and empty mean that it says nothing."""

    path: tuple[str, ...]
    observation_id: int = 0
    planned_id: int = 0
    planned_run_id: str = ""
    failed_id: int = 0
    failed_range: tuple[str, str] = ("", "")


@dataclasses.dataclass(slots=True)
class _Partition:
    """What a batch says of one partition. 0 and empty mean that it says nothing."""

    materialization_id: int = 0
    materialization_count: int = 0
    observation_id: int = 0
    planned_id: int = 0
    planned_run_id: str = ""
    failed_id: int = 0
    location_name: str = ""
    payload: bytes = b""


class AssetProjections:
    """What the events of one transaction say of assets.

    Attributes:
        materialized: The id and the asset key of each materialization, in order.
    """

    def __init__(self) -> None:
        self.materialized: list[tuple[int, tuple[str, ...]]] = []
        self._latest: dict[str, tuple[int, str, bytes]] = {}
        self._entries: dict[str, _Entry] = {}
        self._partitions: dict[tuple[str, str], _Partition] = {}

    def add(
        self, event_id: int, event: events_pb2.Event, location_name: str, payload: bytes
    ) -> None:
        """Take an event into account; later ones have higher ids."""
        kind = event.WhichOneof("body")
        if kind not in _KINDS:
            return
        body = getattr(event, kind)
        path = tuple(body.asset_key.path)
        if not path:
            return
        run_id = event.run_id.replace("\0", "\ufffd")
        key = asset_keys.encode(path)
        if kind == _MATERIALIZATION:
            self.materialized.append((event_id, path))
            self._latest[key] = (event_id, location_name, payload)
        else:
            _tell_entry(self._entries.setdefault(key, _Entry(path)), kind, event_id, run_id, body)
        if not body.partition:
            return
        column = asset_keys.encode_partition(body.partition)
        known = self._partitions.setdefault((key, column), _Partition())
        if kind == _MATERIALIZATION:
            known.materialization_id = event_id
            known.materialization_count += 1
            known.location_name, known.payload = location_name, payload
        elif kind == _OBSERVATION:
            known.observation_id = event_id
        elif kind == _PLANNED:
            known.planned_id, known.planned_run_id = event_id, run_id
        else:
            known.failed_id = max(known.failed_id, _failed_at(event_id, body))

    def changes(self, now: dt.datetime) -> list[Change]:
        """Return the statements that bring the tables up to date, and their parameters."""
        # In one order everywhere, although the append lock lets no two of these run at once.
        changes = self._changes_of_states(now)
        if self._entries:
            entries = [
                {
                    "asset_key": key,
                    "path": [part.replace("\0", "\ufffd") for part in entry.path],
                    "observation_id": entry.observation_id,
                    "planned_id": entry.planned_id,
                    "planned_run_id": entry.planned_run_id,
                    "failed_id": entry.failed_id,
                    "failed_range_start": entry.failed_range[0],
                    "failed_range_end": entry.failed_range[1],
                }
                for key, entry in sorted(self._entries.items())
            ]
            changes.append((_SET_ENTRIES, [psycopg_json.Jsonb(entries)]))
        if self._partitions:
            keys = sorted(self._partitions)
            known = [self._partitions[key] for key in keys]
            columns = [
                [key for key, _ in keys],
                [partition for _, partition in keys],
                [numeric.Int8(each.materialization_id) for each in known],
                [numeric.Int8(each.materialization_count) for each in known],
                [numeric.Int8(each.observation_id) for each in known],
                [numeric.Int8(each.planned_id) for each in known],
                [each.planned_run_id for each in known],
                [numeric.Int8(each.failed_id) for each in known],
                [each.location_name for each in known],
                [each.payload for each in known],
            ]
            changes.append((_SET_PARTITIONS, [now, *columns]))
        return changes

    def _changes_of_states(self, now: dt.datetime) -> list[Change]:
        keys = sorted(self._latest)
        if not keys:
            return []
        if len(keys) <= _SINGLY_MAX:
            return [
                (_SET_ASSET_STATE, [key, numeric.Int8(event_id), *rest, now])
                for key, (event_id, *rest) in ((key, self._latest[key]) for key in keys)
            ]
        rows = [self._latest[key] for key in keys]
        columns = [list(column) for column in zip(*rows, strict=True)]
        return [(_SET_ASSET_STATES, [now, keys, *columns])]


def _tell_entry(entry: _Entry, kind: str, event_id: int, run_id: str, body: Any) -> None:
    if kind == _OBSERVATION:
        entry.observation_id = event_id
    elif kind == _PLANNED:
        entry.planned_id, entry.planned_run_id = event_id, run_id
    elif not body.partition and (failed_id := _failed_at(event_id, body)) > entry.failed_id:
        entry.failed_id = failed_id
        entry.failed_range = (
            body.partition_range_start.replace("\0", "\ufffd"),
            body.partition_range_end.replace("\0", "\ufffd"),
        )


def _failed_at(event_id: int, body: events_pb2.AssetFailedToMaterialize) -> int:
    """Return the position that a failure counts from: what was made since then is not failed.

    Canceling a run is no failure of what it was to make.
    """
    return 0 if body.canceled else body.planned_event_id or event_id

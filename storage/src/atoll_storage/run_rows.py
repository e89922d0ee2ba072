"""Runs as rows: the way in, the way out, and the events that the host writes about them.

Called by the stores that queue runs. What must not come in: transactions.
"""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from psycopg.types import json as psycopg_json

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import log_writer, records, schema

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_TARGET = tuple(field.name for field in dataclasses.fields(records.RunTarget))
_OWN = [field.name for field in dataclasses.fields(records.RunRecord) if field.name != "target"]
_FIELDS = (*_OWN, *_TARGET)
COLUMNS = tuple(schema.runs.c[name] for name in _FIELDS)
NAMES = ", ".join(f"runs.{name}" for name in _FIELDS)
"""The columns of a record, in its order, as they are selected or returned."""

_INSERTED = {
    "run_id": "text",
    "location_name": "text",
    "job_name": "text",
    "tags": "jsonb",
    "run_config": "bytea",
    "asset_selection": "jsonb",
    "partition_key": "text",
    "request_id": "text",
    "requested_build_id": "text",
    "sensor_location_name": "text",
    "sensor_name": "text",
    "tick_id": "text",
    "run_key": "text",
    "run_key_digest": "bytea",
    "partition_range_start": "text",
    "partition_range_end": "text",
    "op_selection": "jsonb",
    "asset_check_selection": "jsonb",
    "step_keys": "jsonb",
    "parent_run_id": "text",
    "root_run_id": "text",
    "pools": "jsonb",
}
"""The columns that a new run is given, in the order of `values_of`, and their types."""
_NEW = ", ".join(_INSERTED)
_VALUES = ", ".join("%b" if kind == "bytea" else "%s" for kind in _INSERTED.values())
_ARRAYS = ", ".join(f"{'%b' if kind == 'bytea' else '%s'}::{kind}[]" for kind in _INSERTED.values())
_INSERT = f"INSERT INTO runs ({_NEW}, status, create_time) VALUES ({_VALUES}, 'QUEUED', now())"
INSERT_OF_REQUEST = (
    f"{_INSERT} ON CONFLICT ON CONSTRAINT runs_request DO NOTHING RETURNING {NAMES}".encode()
)
"""Queues a run, unless its request has one; returns the record."""
INSERT_OF_SENSOR = f"{_INSERT} ON CONFLICT DO NOTHING RETURNING run_id".encode()
"""Queues a run, unless its sensor and run key have one, or it is there already; returns the id."""
INSERT_MANY = f"""
INSERT INTO runs ({_NEW}, status, create_time)
SELECT {_NEW}, 'QUEUED', now()
FROM unnest({_ARRAYS}) WITH ORDINALITY AS new ({_NEW}, place) ORDER BY place
""".encode()
"""Queues many runs at once, in their order; the parameters are those of `values_of_many`."""


def values_of(run: records.NewRun, sensor_location_name: str = "") -> list[object]:
    """Return the parameters of the statements that queue a run now."""
    has_key = bool(run.sensor_name and run.run_key)
    return [
        run.run_id,
        run.location_name,
        run.job_name,
        psycopg_json.Jsonb(dict(run.tags)),
        run.run_config,
        psycopg_json.Jsonb([list(path) for path in run.asset_selection]),
        run.partition_key,
        run.request_id or None,
        run.requested_build_id,
        (sensor_location_name or run.location_name) if run.sensor_name else None,
        run.sensor_name or None,
        run.tick_id,
        run.run_key,
        hashlib.sha256(run.run_key.encode()).digest() if has_key else None,
        *_values_of_target(run.target),
        psycopg_json.Jsonb(list(run.pools)),
    ]


def values_of_many(runs: Sequence[records.NewRun]) -> list[object]:
    """Return the parameters of the statement that queues many runs: the values of each column."""
    return [list(column) for column in zip(*map(values_of, runs), strict=True)]


def _values_of_target(target: records.RunTarget) -> list[object]:
    checks = [[list(path), name] for path, name in target.asset_check_selection]
    return [
        target.partition_range_start,
        target.partition_range_end,
        psycopg_json.Jsonb(list(target.op_selection)),
        psycopg_json.Jsonb(checks),
        psycopg_json.Jsonb(list(target.step_keys)),
        target.parent_run_id,
        target.root_run_id,
    ]


def record_of(row: Sequence[Any]) -> records.RunRecord:
    """Build the record of a row of `COLUMNS`."""
    values = dict(zip(_FIELDS, row, strict=True))
    failure = values["failure"]
    values["status"] = records.RunStatus(values["status"])
    values["asset_selection"] = tuple(tuple(path) for path in values["asset_selection"])
    values["failure"] = None if failure is None else values_pb2.Failure.FromString(failure)
    pending = values["pending_failure"]
    values["pending_failure"] = None if pending is None else values_pb2.Failure.FromString(pending)
    values["sensor_name"] = values["sensor_name"] or ""
    values["pools"] = tuple(values["pools"])
    target: dict[str, Any] = {name: values.pop(name) for name in _TARGET}
    target["op_selection"] = tuple(target["op_selection"])
    target["step_keys"] = tuple(target["step_keys"])
    target["asset_check_selection"] = tuple(
        (tuple(path), name) for path, name in target["asset_check_selection"]
    )
    return records.RunRecord(target=records.RunTarget(**target), **values)


def event_about(run_id: str, job_name: str, message: str, now: dt.datetime) -> events_pb2.Event:
    """Begin an event of the host about a run; the caller sets its body."""
    event = events_pb2.Event(run_id=run_id, job_name=job_name, message=message)
    event.timestamp.FromDatetime(now)
    return event


def enqueued(run_id: str, job_name: str, now: dt.datetime) -> events_pb2.Event:
    """Tell that a run waits in the queue."""
    event = event_about(run_id, job_name, "The run waits in the queue.", now)
    event.run_enqueued.SetInParent()
    return event


def tell_queued(writer: log_writer.LogWriter, runs: Iterable[records.NewRun]) -> None:
    """Have the log tell that runs wait in the queue, and listeners hear of it."""
    for run in runs:
        event = enqueued(run.run_id, run.job_name, writer.now)
        writer.add(event, run.location_name)
        writer.tell_status(records.RunStatus.QUEUED)

"""Runs as rows: the way in, the way out, and the events that the host writes about them.

Called by `run_store` and `sensor_store`. What must not come in: transactions.
"""

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import Any

from psycopg.types import json as psycopg_json

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import records, schema

_TARGET = tuple(field.name for field in dataclasses.fields(records.RunTarget))
_OWN = [field.name for field in dataclasses.fields(records.RunRecord) if field.name != "target"]
_FIELDS = (*_OWN, *_TARGET)
COLUMNS = tuple(schema.runs.c[name] for name in _FIELDS)
NAMES = ", ".join(f"runs.{name}" for name in _FIELDS)
"""The columns of a record, in its order, as they are selected or returned."""

_INSERT = """
INSERT INTO runs (run_id, location_name, job_name, status, tags, run_config, asset_selection,
partition_key, create_time, request_id, requested_build_id, sensor_location_name, sensor_name,
tick_id, run_key, run_key_digest, partition_range_start, partition_range_end, op_selection,
asset_check_selection, step_keys, parent_run_id, root_run_id) VALUES (%s, %s, %s, 'QUEUED', %s, %b,
%s, %s, now(), %s, %s, %s, %s, %s, %s, %b, %s, %s, %s, %s, %s, %s, %s)
"""
INSERT_OF_REQUEST = (
    f"{_INSERT} ON CONFLICT ON CONSTRAINT runs_request DO NOTHING RETURNING {NAMES}".encode()
)
"""Queues a run, unless its request has one; returns the record."""
INSERT_OF_SENSOR = f"{_INSERT} ON CONFLICT DO NOTHING RETURNING run_id".encode()
"""Queues a run, unless its sensor and run key have one, or it is there already; returns the id."""


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
    ]


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
    values["sensor_name"] = values["sensor_name"] or ""
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

"""Runs as rows: the way in, the way out, and the events that the host writes about them.

Called by `run_store` and `sensor_store`. What must not come in: transactions.
"""

import datetime as dt
import hashlib
from typing import Any

import sqlalchemy as sa

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import records, schema

_RUNS = schema.runs.c

COLUMNS = tuple(
    column for column in _RUNS if column.name not in {"queue_order", "request_id", "run_key_digest"}
)


def values_of(run: records.NewRun, sensor_location_name: str = "") -> dict[str, Any]:
    """Return the columns of a run that goes into the queue now."""
    has_key = bool(run.sensor_name and run.run_key)
    return {
        "run_id": run.run_id,
        "location_name": run.location_name,
        "job_name": run.job_name,
        "status": records.RunStatus.QUEUED.value,
        "tags": dict(run.tags),
        "run_config": run.run_config,
        "asset_selection": [list(path) for path in run.asset_selection],
        "partition_key": run.partition_key,
        "create_time": sa.func.now(),
        "request_id": run.request_id or None,
        "requested_build_id": run.requested_build_id,
        "sensor_location_name": (sensor_location_name or run.location_name)
        if run.sensor_name
        else None,
        "sensor_name": run.sensor_name or None,
        "tick_id": run.tick_id,
        "run_key": run.run_key,
        "run_key_digest": hashlib.sha256(run.run_key.encode()).digest() if has_key else None,
    }


def record_of(row: Any) -> records.RunRecord:
    """Build the record of a row of `COLUMNS`."""
    failure = None
    if row.failure is not None:
        failure = values_pb2.Failure.FromString(row.failure)
    return records.RunRecord(
        run_id=row.run_id,
        location_name=row.location_name,
        job_name=row.job_name,
        status=records.RunStatus(row.status),
        tags=row.tags,
        run_config=row.run_config,
        asset_selection=tuple(tuple(path) for path in row.asset_selection),
        partition_key=row.partition_key,
        create_time=row.create_time,
        start_time=row.start_time,
        end_time=row.end_time,
        requested_build_id=row.requested_build_id,
        build_id=row.build_id,
        server_id=row.server_id,
        attempt=row.attempt,
        failure=failure,
        sensor_name=row.sensor_name or "",
        tick_id=row.tick_id,
        run_key=row.run_key,
    )


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

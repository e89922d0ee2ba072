"""Runs, servers and events for the tests of storage."""

import datetime as dt
import uuid
from collections.abc import Iterable

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_storage import queue_records, records
from atoll_storage.database import Database

SOME_TIME = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
LIMITS = queue_records.ClaimLimits(active_max=100, active_per_location_max=100)


def new_run(location_name: str = "a", **fields: object) -> records.NewRun:
    values: dict = {
        "run_id": str(uuid.uuid4()),
        "location_name": location_name,
        "job_name": "job",
        "tags": {},
    }
    return records.NewRun(**{**values, **fields})


def registration(
    location_name: str = "a", server_id: str = "s1", **fields: object
) -> records.ServerRegistration:
    values: dict = {
        "location_name": location_name,
        "server_id": server_id,
        "incarnation_id": f"incarnation of {server_id}",
        "address": "127.0.0.1:1",
        "version": "0",
        "protocol_version": 1,
        "features": ("x",),
        "host_id": "h1",
        "build": None,
        "load_failure": None,
        "draining": False,
        "lease_ttl_s": 30.0,
    }
    return records.ServerRegistration(**{**values, **fields})


async def started_run(
    database: Database, location_name: str = "a", server_id: str = "s1", **fields: object
) -> records.RunRecord:
    """Return a run that was handed to a server; the server is registered if it was not."""
    if await database.locations.server(location_name, server_id) is None:
        await database.locations.register(registration(location_name, server_id))
    run = await database.runs.create(new_run(location_name, **fields))
    claimed = await database.runs.claim({location_name: server_id}, LIMITS, batch_max=100)
    assert run.run_id in {c.run_id for c in claimed}
    return next(c for c in claimed if c.run_id == run.run_id)


def batch(
    events: Iterable[events_pb2.Event],
    location_name: str = "a",
    server_id: str = "s1",
    epoch: int = 1,
) -> records.EventBatch:
    return records.EventBatch(location_name, server_id, epoch, tuple(events))


def event(run_id: str, seq: int, kind: str = "log_message", **fields: object) -> events_pb2.Event:
    made = events_pb2.Event(run_id=run_id, seq=seq, job_name="job", **fields)
    getattr(made, kind).SetInParent()
    return made


def materialization(run_id: str, seq: int, *path: str, partition: str = "") -> events_pb2.Event:
    made = event(run_id, seq, "asset_materialization")
    made.asset_materialization.asset_key.path.extend(path)
    made.asset_materialization.partition = partition
    return made


def failure(message: str) -> values_pb2.Failure:
    return values_pb2.Failure(type="Error", message=message)


async def stored(database: Database, run_id: str | None = None) -> list[events_pb2.StoredEvent]:
    query = records.EventQuery(run_id=run_id) if run_id else None
    return await database.events.read(0, limit=100_000, query=query)


async def stored_seqs(database: Database, run_id: str) -> list[int]:
    """The seqs of a run as its producer wrote them, in the order of the log."""
    return [s.event.seq for s in await stored(database, run_id) if s.event.seq]

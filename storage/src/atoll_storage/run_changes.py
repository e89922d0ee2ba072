"""What the log says of the status of runs: which events tell it, and how they are found.

Called by `log_writer`, which tells what it stored, and by `event_log`, which reads. Statements
only; no I/O. A run reaches each status once: what a worker says late, after its run was declared
ended, is stored and changes nothing, and is left out here.
"""

from collections.abc import Sequence

from psycopg.types import numeric

from atoll.events.v1 import events_pb2
from atoll_storage import connections, event_rows, records, schema

_STATUS = records.RunStatus
_STATUSES = {
    "run_enqueued": _STATUS.QUEUED,
    "run_starting": _STATUS.STARTING,
    "run_started": _STATUS.STARTED,
    "run_succeeded": _STATUS.SUCCESS,
    "run_failed": _STATUS.FAILURE,
    "run_canceling": _STATUS.CANCELING,
    "run_canceled": _STATUS.CANCELED,
}
KINDS = {status: body for body, status in _STATUSES.items()}
"""The kind of the events that tell of each status."""
_KINDS = {status: event_rows.KIND_NUMBERS[body] for body, status in _STATUSES.items()}
_BY_KIND = {kind: status for status, kind in _KINDS.items()}

# ruff: noqa: S608 - statements are put together from constants; values are parameters

# The bounds are spelled as in the index, so that every plan can use it.
_OF_INDEX = f"kind >= {schema.KIND_RUN_FIRST} AND kind <= {schema.KIND_RUN_LAST}"
_OF_INDEX_OF_E = f"e.kind >= {schema.KIND_RUN_FIRST} AND e.kind <= {schema.KIND_RUN_LAST}"
_AFTER = f"""
SELECT e.id, e.kind, r.location_name, r.job_name
FROM (
    SELECT id, kind, run_id FROM events WHERE id > %s AND {_OF_INDEX} ORDER BY id LIMIT {{limit}}
) AS e LEFT JOIN runs r USING (run_id) ORDER BY e.id
"""
_NEWEST = " UNION ALL ".join(
    f"SELECT {kind}, max(id) FROM events WHERE kind = {kind} AND {_OF_INDEX}"
    for kind in sorted(_BY_KIND)
).encode()
_NEXT = f"""
SELECT e.id, e.payload, e.location_name, e.stored_time
FROM events e JOIN runs r ON r.run_id = e.run_id
WHERE e.kind = {{kind}} AND {_OF_INDEX_OF_E} AND e.id > %s AND e.id <= %s
    AND (NOT %s OR r.status = %s)
    AND (r.sensor_name IS NULL OR r.sensor_location_name <> %s OR r.sensor_name <> %s)
    AND (%s OR EXISTS (
        SELECT FROM unnest(%s::text[], %s::text[]) AS wanted (location_name, job_name)
        WHERE wanted.location_name = r.location_name AND wanted.job_name IN ('', r.job_name)
    ))
    AND NOT EXISTS (
        SELECT FROM unnest(%s::text[], %s::text[]) AS ignored (location_name, job_name)
        WHERE ignored.location_name = r.location_name AND ignored.job_name = r.job_name
    )
    AND NOT EXISTS (
        SELECT FROM events earlier
        WHERE earlier.run_id = e.run_id AND earlier.kind = e.kind AND earlier.id < e.id
    )
ORDER BY e.id LIMIT 1
"""


def told_by(event: events_pb2.Event, location_name: str) -> records.RunChange | None:
    """Return what an event tells of the status of its run, None for nothing."""
    status = _STATUSES.get(event.WhichOneof("body") or "")
    if status is None:
        return None
    return records.RunChange(status, location_name, event.job_name)


def after(after_id: int, limit: int) -> tuple[connections.Statement, Sequence[object]]:
    """Return the statement that reads what follows a position."""
    return _AFTER.format(limit=int(limit)).encode(), [numeric.Int8(after_id)]


def of_row(row: Sequence[object]) -> tuple[int, records.RunChange]:
    """Return the id and the change of a row of `after`."""
    event_id, kind, location_name, job_name = row
    change = records.RunChange(
        _BY_KIND[int(str(kind))], str(location_name or ""), str(job_name or "")
    )
    return int(str(event_id)), change


def newest() -> connections.Statement:
    """Return the statement that reads the kind and the id of the newest event of each status."""
    return _NEWEST


def status_of(kind: int) -> records.RunStatus:
    """Return the status that events of a kind tell of."""
    return _BY_KIND[kind]


def next_one(
    query: records.RunChangeQuery, after_id: int, through_id: int
) -> tuple[connections.Statement, Sequence[object]]:
    """Return the statement that reads the first event that a query chooses between two ids."""
    monitored = query.monitored or ()
    asked_by = query.asked_by
    parameters: list[object] = [
        numeric.Int8(after_id),
        numeric.Int8(through_id),
        query.status.is_final,
        query.status.value,
        "" if asked_by is None else asked_by.location_name,
        "" if asked_by is None else asked_by.sensor_name,
        query.monitored is None,
        [location for location, _ in monitored],
        [job for _, job in monitored],
        [location for location, _ in query.ignored_jobs],
        [job for _, job in query.ignored_jobs],
    ]
    return _NEXT.format(kind=_KINDS[query.status]).encode(), parameters

"""Schedules without a host: definitions, a store of states, and a clock that a test sets."""

import dataclasses
import datetime as dt

from atoll.definitions.v1 import snapshot_pb2
from atoll_host.automation.schedules import due, planning
from atoll_host.locations import timetables
from atoll_storage import records

LATE_AFTER_S = 60.0
MINUTE = 60
START = int(dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC).timestamp())

# Crons of which a test can tell by looking at a minute whether they name it.
CRONS = {
    "* * * * *": lambda _: True,
    "*/15 * * * *": lambda t: t.minute % 15 == 0,
    "0 * * * *": lambda t: t.minute == 0,
    "20 */2 * * *": lambda t: t.minute == 20 and t.hour % 2 == 0,
}


def definition(
    name: str = "s", *crons: str, zone: str = "", running: bool = True, **fields: object
) -> snapshot_pb2.ScheduleDefinition:
    return snapshot_pb2.ScheduleDefinition(
        name=name,
        cron_schedules=crons or ("0 * * * *",),
        execution_timezone=zone,
        job_name="job",
        default_status=snapshot_pb2.SCHEDULE_STATUS_RUNNING
        if running
        else snapshot_pb2.SCHEDULE_STATUS_STOPPED,
        **fields,
    )


def schedule(
    defined: snapshot_pb2.ScheduleDefinition,
    location_name: str = "a",
    *,
    catch_up_max: int = 5,
    retries_max: int = 3,
) -> planning.Schedule:
    key = records.ScheduleKey(location_name, defined.name)
    return planning.Schedule(key, timetables.write(defined), catch_up_max, retries_max)


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def state(of: planning.Schedule, position: float, **fields: object) -> records.ScheduleState:
    values: dict = {
        "running": None,
        "timetable": of.timetable,
        "position": moment(position),
        "version": 0,
        "start_time": None,
        "last_tick_time": None,
        "failing_time": None,
        "failures": 0,
        "waiting_reason": "",
    }
    return records.ScheduleState(key=of.key, **{**values, **fields})


def walked(crons: tuple[str, ...], after: float, until: float) -> list[int]:
    """Return the times after one moment and up to another, minute by minute, in UTC."""
    first = int(after // MINUTE) * MINUTE
    return [
        at
        for at in range(first, int(until) + 1, MINUTE)
        if after < at <= until and any(CRONS[cron](moment(at)) for cron in crons)
    ]


def advanced(state: records.ScheduleState, **fields: object) -> records.ScheduleState:
    """Return a state after one more commit."""
    return dataclasses.replace(state, version=state.version + 1, **fields)


def now(wall: float, mono: float = 0.0) -> due.Now:
    return due.Now(wall, mono)

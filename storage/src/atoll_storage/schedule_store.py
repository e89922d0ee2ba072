"""Schedule states and ticks.

Called by the host's dispatcher and API. `commit_tick` is the heart: the tick, the position and the
runs of one time are stored in one transaction, against the version of the state that the decision
began with. The times that are stored here are those of whoever calls: what is due is told by the
clock of the host.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from psycopg.types import numeric
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import automation_pb2
from atoll_storage import (
    announcing,
    connections,
    errors,
    notifications,
    records,
    schema,
    tick_effects,
    tick_queries,
)

_SCHEDULES = schema.schedules.c
_OWNERS = tick_queries.Owners(schema.schedules, "schedule_name", schema.ticks.c.schedule_name != "")
FAR_AHEAD = dt.timedelta(hours=1)
"""A position so far ahead of the clock comes from a clock that was wrong."""

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_NAMES = ", ".join(
    ["location_name", "schedule_name"]
    + [field.name for field in dataclasses.fields(records.ScheduleState) if field.name != "key"]
)
_COLUMNS = tuple(schema.schedules.c[name] for name in _NAMES.split(", "))
_IS = "location_name = %s AND schedule_name = %s"
_STATES = f"SELECT {_NAMES} FROM schedules ORDER BY location_name, schedule_name".encode()
_STATE = f"SELECT {_NAMES} FROM schedules WHERE {_IS}".encode()
_VERSION = f"SELECT version FROM schedules WHERE {_IS}"
_ADVANCE = f"""
UPDATE schedules SET version = version + 1, last_tick_time = clock_timestamp(), position = %s,
    failing_time = %s, failures = %s, waiting_reason = ''
WHERE {_IS} AND version = %s
RETURNING last_tick_time
"""
_INSERT_TICK = """
INSERT INTO ticks (tick_id, location_name, sensor_name, status, start_time, payload, schedule_name,
    scheduled_time)
VALUES (%s, %s, '', %s, %s, %b, %s, %s)
"""


class ScheduleStore:
    """What the host remembers of schedules."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def ensure(self, timetables: Mapping[records.ScheduleKey, str], at: dt.datetime) -> None:
        """Make a state for each schedule that has none: what was due before a moment is past.

        Args:
            timetables: When each schedule is due.
            at: The moment.
        """
        if not timetables:
            return
        new = (
            sa.func.unnest(
                *(
                    sa.cast(values, postgresql.ARRAY(sa.Text))
                    for values in (
                        [key.location_name for key in timetables],
                        [key.schedule_name for key in timetables],
                        list(timetables.values()),
                    )
                )
            )
            .table_valued("location_name", "schedule_name", "timetable")
            .render_derived(name="new")
        )
        source = sa.select(
            new.c.location_name,
            new.c.schedule_name,
            new.c.timetable,
            sa.literal(at, schema.schedules.c.position.type),
        )
        statement = postgresql.insert(schema.schedules).from_select(
            ["location_name", "schedule_name", "timetable", "position"], source
        )
        async with connections.transaction(self._engine, "storing schedules") as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def states(self) -> list[records.ScheduleState]:
        """Return the states of all schedules, by location and name."""
        rows = await connections.fetch(self._engine, "reading schedules", _STATES)
        return [_state_of(row) for row in rows]

    async def state(self, key: records.ScheduleKey) -> records.ScheduleState | None:
        """Return the state of one schedule."""
        values: list[object] = [key.location_name, key.schedule_name]
        rows = await connections.fetch(self._engine, "reading a schedule", _STATE, values)
        return _state_of(rows[0]) if rows else None

    async def set_running(
        self, key: records.ScheduleKey, *, running: bool, at: dt.datetime
    ) -> records.ScheduleState:
        """Start or stop a schedule; repeating it changes nothing.

        A change raises the version, so that a tick that began before it does not commit. Whoever
        starts a schedule begins at the moment `at`: what was due before is past. No time comes
        twice by that, unless the position was far ahead of the clock.

        Args:
            key: The schedule.
            running: Whether to start it.
            at: The moment.

        Raises:
            UnknownSchedule: The schedule has no state.
        """
        changed = _SCHEDULES.running.is_distinct_from(running)
        values: dict[str, Any] = {
            "running": running,
            "version": _SCHEDULES.version + sa.case((changed, 1), else_=0),
            "failing_time": sa.case((changed, None), else_=_SCHEDULES.failing_time),
            "failures": sa.case((changed, 0), else_=_SCHEDULES.failures),
            "waiting_reason": sa.case((changed, ""), else_=_SCHEDULES.waiting_reason),
        }
        if running:
            moment = sa.literal(at, schema.schedules.c.position.type)
            wrong = _SCHEDULES.position > moment + FAR_AHEAD
            begun = sa.case((wrong, moment), else_=sa.func.greatest(_SCHEDULES.position, moment))
            values["start_time"] = sa.case((changed, moment), else_=_SCHEDULES.start_time)
            values["position"] = sa.case((changed, begun), else_=_SCHEDULES.position)
        statement = (
            sa.update(schema.schedules).where(_is(key)).values(**values).returning(*_COLUMNS)
        )
        async with connections.transaction(
            self._engine, "starting or stopping a schedule"
        ) as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                raise errors.UnknownSchedule(key.location_name, key.schedule_name)
            hint = self._announcer.payload(f"{key.location_name}/{key.schedule_name}")
            await connection.execute(sa.select(sa.func.pg_notify(notifications.SCHEDULES, hint)))
        return _state_of(row)

    async def adopt(
        self,
        key: records.ScheduleKey,
        expected_version: int,
        timetable: str,
        position: dt.datetime,
    ) -> records.ScheduleState | None:
        """Write down that a schedule is due at other times from a moment on.

        Args:
            key: The schedule.
            expected_version: The version of the state that this was decided on.
            timetable: The times; empty for a schedule that is gone.
            position: The moment.

        Returns:
            The new state; None where the version is another by now.
        """
        statement = (
            sa.update(schema.schedules)
            .where(_is(key), _SCHEDULES.version == expected_version)
            .values(
                timetable=timetable,
                position=position,
                version=_SCHEDULES.version + 1,
                failing_time=None,
                failures=0,
                waiting_reason="",
            )
            .returning(*_COLUMNS)
        )
        async with connections.transaction(self._engine, "storing a schedule") as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else _state_of(row)

    async def set_waiting(self, key: records.ScheduleKey, reason: str) -> None:
        """Write down why a tick that is due has to wait. The version stays: nothing is decided."""
        statement = sa.update(schema.schedules).where(_is(key)).values(waiting_reason=reason)
        async with connections.transaction(self._engine, "storing a schedule") as connection:
            await connection.execute(statement)

    async def commit_tick(self, commit: records.ScheduleCommit) -> automation_pb2.Tick:
        """Store a tick, the new state of its schedule and its runs: all or nothing.

        Returns:
            The tick as stored: with its end time, the runs that it created and the run keys that
            had one already.

        Raises:
            StaleScheduleTick: The state moved since the tick began.
            UnknownSchedule: The schedule has no state.
        """
        async with connections.driver_connection(self._engine, "committing a tick") as raw:
            return await self._commit_tick(raw, commit)

    async def _commit_tick(
        self, raw: connections.RawConnection, commit: records.ScheduleCommit
    ) -> automation_pb2.Tick:
        async with raw.pipeline():
            advanced = await raw.execute(_ADVANCE, _advance_values(commit), prepare=True)
            effects = tick_effects.Effects(
                commit.runs, dynamic_partitions=commit.dynamic_partitions
            )
            sent = await tick_effects.send(raw, effects)
        moment = await advanced.fetchone()
        if moment is None:
            raise await _stale(raw, commit)
        created = await sent.created()
        tick = tick_effects.complete(commit.tick, commit.runs, created, moment[0])
        tick.location_name, tick.schedule_name = commit.key.location_name, commit.key.schedule_name
        await sent.commit(raw, self._announcer, created, [(_INSERT_TICK, _tick_values(tick))])
        return tick

    async def ticks(
        self,
        key: records.ScheduleKey,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
        choice: tick_queries.Choice = tick_queries.ALL,
    ) -> list[automation_pb2.Tick]:
        """Return ticks, newest first; `before` is the (start time, tick id) of the last seen."""
        return await tick_queries.page(
            self._engine, _OWNERS, _named(key), limit=limit, before=before, choice=choice
        )

    async def find_ticks(self, key: records.ScheduleKey, tick_id: str) -> list[automation_pb2.Tick]:
        """Return the ticks of a schedule whose id begins so, two at the most."""
        return await tick_queries.begin_with(self._engine, _OWNERS, _named(key), tick_id)

    async def latest_ticks(
        self, keys: Sequence[records.ScheduleKey]
    ) -> dict[records.ScheduleKey, automation_pb2.Tick]:
        """Return the newest tick of each schedule that has one."""
        wanted = [_named(key) for key in keys]
        found = await tick_queries.newest(self._engine, _OWNERS, wanted)
        return {records.ScheduleKey(*named): tick for named, tick in found.items()}


def _is(key: records.ScheduleKey) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SCHEDULES.location_name == key.location_name,
        _SCHEDULES.schedule_name == key.schedule_name,
    )


def _named(key: records.ScheduleKey) -> tuple[str, str]:
    return key.location_name, key.schedule_name


def _state_of(row: Sequence[Any]) -> records.ScheduleState:
    return records.ScheduleState(records.ScheduleKey(row[0], row[1]), *row[2:])


def _advance_values(commit: records.ScheduleCommit) -> list[object]:
    return [
        commit.position,
        commit.failing_time,
        numeric.Int4(commit.failures),
        commit.key.location_name,
        commit.key.schedule_name,
        numeric.Int8(commit.expected_version),
    ]


async def _stale(
    raw: connections.RawConnection, commit: records.ScheduleCommit
) -> errors.StorageError:
    """Say why the state could not be moved on."""
    key = commit.key
    cursor = await raw.execute(_VERSION, [key.location_name, key.schedule_name])
    row = await cursor.fetchone()
    if row is None:
        return errors.UnknownSchedule(key.location_name, key.schedule_name)
    return errors.StaleScheduleTick(
        key.location_name,
        key.schedule_name,
        f"it began with version {commit.expected_version} of the state, which is at {row[0]} now",
    )


def _tick_values(tick: automation_pb2.Tick) -> list[object]:
    scheduled = tick.scheduled_time.ToDatetime(dt.UTC) if tick.HasField("scheduled_time") else None
    return [
        tick.tick_id,
        tick.location_name,
        numeric.Int2(tick.status),
        tick.start_time.ToDatetime(tzinfo=dt.UTC),
        tick.SerializeToString(),
        tick.schedule_name,
        scheduled,
    ]

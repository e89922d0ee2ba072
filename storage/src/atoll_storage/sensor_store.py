"""Sensor states and ticks.

Called by the host's dispatcher and API. `commit_tick` is the heart: the tick, the cursor, the
position, the runs and the events of one evaluation are stored in one transaction, against the
version of the state that the evaluation began with.
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.types import numeric
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import automation_pb2
from atoll_storage import (
    announcing,
    connections,
    errors,
    log_positions,
    notifications,
    records,
    schema,
    tick_effects,
    tick_queries,
    webhook_rows,
)

_SENSORS = schema.sensors.c
_OWNERS = tick_queries.Owners(schema.sensors, "sensor_name")
_EVENT_INDEX = "ticks_event"

# ruff: noqa: S608 - statements are put together from constants; values are parameters

_NAMES = ", ".join(
    ["location_name", "sensor_name"]
    + [field.name for field in dataclasses.fields(records.SensorState) if field.name != "key"]
)
_COLUMNS = tuple(schema.sensors.c[name] for name in _NAMES.split(", "))
_IS = "location_name = %s AND sensor_name = %s"
_STATES = f"SELECT {_NAMES} FROM sensors ORDER BY location_name, sensor_name".encode()
_STATE = f"SELECT {_NAMES} FROM sensors WHERE {_IS}".encode()
_VERSION = f"SELECT version FROM sensors WHERE {_IS}"
_ADVANCE = f"""
UPDATE sensors SET version = version + 1, last_tick_time = clock_timestamp(),
    cursor = coalesce(%s, cursor), position = coalesce(%s, position),
    last_run_key = coalesce(%s, last_run_key),
    failures = CASE WHEN %s THEN failures + 1 ELSE 0 END,
    retry_time = CASE WHEN %s THEN clock_timestamp() + make_interval(secs => %s) END
WHERE {_IS} AND version = %s
RETURNING last_tick_time
"""
_PASS_OVER = (
    f"UPDATE sensors SET position = greatest(position, %s) WHERE {_IS} AND version = %s"
).encode()
_RESET = f"""
UPDATE sensors SET version = version + 1, resets = resets + 1, cursor = %s,
    position = CASE WHEN %s THEN (SELECT head FROM log_head) ELSE coalesce(%s, position) END,
    start_position = CASE WHEN %s THEN (SELECT head FROM log_head)
        ELSE coalesce(%s, start_position) END,
    failures = 0, retry_time = NULL
WHERE {_IS}
RETURNING {_NAMES}
"""
_INSERT_TICK = """
INSERT INTO ticks (
    tick_id, location_name, sensor_name, status, start_time, event_id, payload, resets
) VALUES (%s, %s, %s, %s, %s, %s, %b, %s)
"""
_KEYS = (
    "SELECT location_name, sensor_name FROM sensors WHERE (location_name, sensor_name) IN "
    "(SELECT * FROM unnest(%s::text[], %s::text[]))"
)
_FAILURE = automation_pb2.TICK_STATUS_FAILURE


class SensorStore:
    """What the host remembers of sensors."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def ensure(
        self,
        keys: Sequence[records.SensorKey],
        starts: Mapping[records.SensorKey, records.StartPosition] | None = None,
    ) -> None:
        """Make a state for each sensor that has none.

        Args:
            keys: The sensors.
            starts: Where they begin in the log; at its head where not given.
        """
        if not keys:
            return
        positions = await self._positions_of(starts or {})
        new = (
            sa.func.unnest(
                sa.cast([key.location_name for key in keys], postgresql.ARRAY(sa.Text)),
                sa.cast([key.sensor_name for key in keys], postgresql.ARRAY(sa.Text)),
                sa.cast([positions.get(key) for key in keys], postgresql.ARRAY(sa.BigInteger)),
            )
            .table_valued("location_name", "sensor_name", "position")
            .render_derived(name="new")
        )
        position = sa.func.coalesce(new.c.position, schema.log_head.c.head)
        source = sa.select(new.c.location_name, new.c.sensor_name, position, position).join(
            schema.log_head, sa.true()
        )
        statement = postgresql.insert(schema.sensors).from_select(
            ["location_name", "sensor_name", "position", "start_position"], source
        )
        async with connections.transaction(self._engine, "storing sensors") as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def _positions_of(
        self, starts: Mapping[records.SensorKey, records.StartPosition]
    ) -> dict[records.SensorKey, int]:
        """Return where sensors begin, but for those that have a state and those at the head."""
        chosen = {key: start for key, start in starts.items() if start != records.LATEST}
        if not chosen:
            return {}
        named = [[key.location_name for key in chosen], [key.sensor_name for key in chosen]]
        rows = await connections.fetch(self._engine, "reading sensors", _KEYS, named)
        known = {records.SensorKey(*row) for row in rows}
        positions: dict[records.SensorKey, int] = {}
        for key, start in chosen.items():
            if key not in known:
                position = await log_positions.of_start(self._engine, start)
                if position is not None:
                    positions[key] = position
        return positions

    async def states(self) -> list[records.SensorState]:
        """Return the states of all sensors, by location and name."""
        rows = await connections.fetch(self._engine, "reading sensors", _STATES)
        return [_state_of(row) for row in rows]

    async def state(self, key: records.SensorKey) -> records.SensorState | None:
        """Return the state of one sensor."""
        rows = await connections.fetch(self._engine, "reading a sensor", _STATE, _named(key))
        return _state_of(rows[0]) if rows else None

    async def set_running(
        self,
        key: records.SensorKey,
        running: bool,  # noqa: FBT001 - the port has it so
    ) -> records.SensorState:
        """Start or stop a sensor; repeating it changes nothing.

        A change raises the version, so that a tick that began before it does not commit.

        Raises:
            UnknownSensor: The sensor has no state.
        """
        started = sa.case(
            (_SENSORS.running.is_distinct_from(sa.true()), sa.func.now()), else_=_SENSORS.start_time
        )
        changed = sa.case((_SENSORS.running.is_distinct_from(running), 1), else_=0)
        statement = (
            sa.update(schema.sensors)
            .where(_is(key))
            .values(
                running=running,
                start_time=started if running else _SENSORS.start_time,
                version=_SENSORS.version + changed,
                failures=sa.case((changed == 1, 0), else_=_SENSORS.failures),
                retry_time=sa.case((changed == 1, sa.null()), else_=_SENSORS.retry_time),
            )
            .returning(*_COLUMNS)
        )
        async with connections.transaction(
            self._engine, "starting or stopping a sensor"
        ) as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                raise errors.UnknownSensor(key.location_name, key.sensor_name)
            hint = self._announcer.payload(f"{key.location_name}/{key.sensor_name}")
            await connection.execute(sa.select(sa.func.pg_notify(notifications.SENSORS, hint)))
        return _state_of(row)

    async def reset(
        self, key: records.SensorKey, reset: records.SensorReset
    ) -> records.SensorState:
        """Set the cursor of a sensor, and where it goes on in the log.

        It raises the version, so that a tick that began before it does not commit.

        Raises:
            UnknownSensor: The sensor has no state.
        """
        position, at_head = reset.position, False
        if reset.start is not None:
            position = await log_positions.of_start(self._engine, reset.start)
            at_head = position is None
        moved = None if position is None else numeric.Int8(position)
        values = [reset.cursor, at_head, moved, at_head, moved, *_named(key)]
        async with connections.driver_connection(self._engine, "resetting a sensor") as raw:
            row = await (await raw.execute(_RESET.encode(), values)).fetchone()
            if row is None:
                raise errors.UnknownSensor(key.location_name, key.sensor_name)
            hint = f"{key.location_name}/{key.sensor_name}"
            await raw.execute(*self._announcer.notice(notifications.SENSORS, hint))
            await raw.commit()
        return _state_of(row)

    async def pass_over(self, state: records.SensorState, position: int) -> None:
        """Note that there is nothing for a sensor up to a position, so that nobody looks again.

        Changes nothing where the state has moved on since; the version stays.
        """
        values = [numeric.Int8(position), *_named(state.key), numeric.Int8(state.version)]
        async with connections.driver_connection(self._engine, "moving a sensor on") as raw:
            await raw.execute(_PASS_OVER, values, prepare=True)
            await raw.commit()

    async def commit_tick(self, commit: records.TickCommit) -> automation_pb2.Tick:
        """Store a tick, the new state of its sensor, its runs and its events: all or nothing.

        Returns:
            The tick as stored: with its end time, the runs that it created and the run keys that
            had one already.

        Raises:
            StaleTick: The state moved since the tick began, or the event was decided on already.
            UnknownSensor: The sensor has no state.
        """
        key = commit.key
        try:
            async with connections.driver_connection(self._engine, "committing a tick") as raw:
                return await self._commit_tick(raw, commit)
        except errors.StorageError as error:
            # Sensors of two locations never share a row, so this can be nothing else than the same
            # event again.
            if _EVENT_INDEX in str(error.__cause__):
                raise errors.StaleTick(
                    key.location_name,
                    key.sensor_name,
                    f"event {commit.tick.event_id} was decided on already",
                ) from error
            raise

    async def _commit_tick(
        self, raw: connections.RawConnection, commit: records.TickCommit
    ) -> automation_pb2.Tick:
        effects = tick_effects.Effects(
            runs=commit.runs,
            asset_events=commit.asset_events,
            dynamic_partitions=commit.dynamic_partitions,
            location_name=commit.key.location_name,
        )
        async with raw.pipeline():
            advanced = await _advance(raw, commit)
            if commit.delivery:
                await webhook_rows.consume(raw, commit.key, commit.delivery)
            sent = await tick_effects.send(raw, effects)
        moment = await advanced.fetchone()
        if moment is None:
            raise await _stale(raw, commit)
        created = await sent.created()
        tick = tick_effects.complete(commit.tick, commit.runs, created, moment[0])
        tick.location_name, tick.sensor_name = commit.key.location_name, commit.key.sensor_name
        values = _tick_values(tick, commit)
        await sent.commit(raw, self._announcer, created, [(_INSERT_TICK, values)])
        return tick

    async def ticks(
        self,
        key: records.SensorKey,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
        choice: tick_queries.Choice = tick_queries.ALL,
    ) -> list[automation_pb2.Tick]:
        """Return ticks, newest first; `before` is the (start time, tick id) of the last seen."""
        owner = (key.location_name, key.sensor_name)
        return await tick_queries.page(
            self._engine, _OWNERS, owner, limit=limit, before=before, choice=choice
        )

    async def find_ticks(self, key: records.SensorKey, tick_id: str) -> list[automation_pb2.Tick]:
        """Return the ticks of a sensor whose id begins so, two at the most."""
        owner = (key.location_name, key.sensor_name)
        return await tick_queries.begin_with(self._engine, _OWNERS, owner, tick_id)

    async def latest_ticks(
        self, keys: Sequence[records.SensorKey]
    ) -> dict[records.SensorKey, automation_pb2.Tick]:
        """Return the newest tick of each sensor that has one."""
        wanted = [(key.location_name, key.sensor_name) for key in keys]
        found = await tick_queries.newest(self._engine, _OWNERS, wanted)
        return {records.SensorKey(*named): tick for named, tick in found.items()}


def _is(key: records.SensorKey) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SENSORS.location_name == key.location_name, _SENSORS.sensor_name == key.sensor_name
    )


def _named(key: records.SensorKey) -> list[object]:
    return [key.location_name, key.sensor_name]


def _state_of(row: Sequence[Any]) -> records.SensorState:
    return records.SensorState(records.SensorKey(row[0], row[1]), *row[2:])


async def _advance(
    raw: connections.RawConnection, commit: records.TickCommit
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    """Move the state on from the version that the tick began with; the answer is the time."""
    run_keys = [run.run_key for run in commit.runs if run.run_key]
    has_failed = commit.tick.status == _FAILURE
    values = [
        commit.cursor,
        None if commit.position is None else numeric.Int8(commit.position),
        run_keys[-1] if run_keys else None,
        has_failed,
        has_failed,
        numeric.Float8(commit.retry_after_s),
        *_named(commit.key),
        numeric.Int8(commit.expected_version),
    ]
    return await raw.execute(_ADVANCE, values, prepare=True)


async def _stale(raw: connections.RawConnection, commit: records.TickCommit) -> errors.StorageError:
    """Say why the state could not be moved on."""
    cursor = await raw.execute(_VERSION, _named(commit.key))
    row = await cursor.fetchone()
    if row is None:
        return errors.UnknownSensor(commit.key.location_name, commit.key.sensor_name)
    return errors.StaleTick(
        commit.key.location_name,
        commit.key.sensor_name,
        f"it began with version {commit.expected_version} of the state, which is at {row[0]} now",
    )


def _tick_values(tick: automation_pb2.Tick, commit: records.TickCommit) -> list[object]:
    return [
        tick.tick_id,
        tick.location_name,
        tick.sensor_name,
        numeric.Int2(tick.status),
        tick.start_time.ToDatetime(tzinfo=dt.UTC),
        numeric.Int8(tick.event_id) if tick.event_id else None,
        tick.SerializeToString(),
        numeric.Int8(commit.resets),
    ]

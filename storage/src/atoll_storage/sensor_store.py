"""Sensor states and ticks.

Called by the host's dispatcher and API. `commit_tick` is the heart: the tick, the cursor, the
position, the runs and the events of one evaluation are stored in one transaction, against the
version of the state that the evaluation began with.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import automation_pb2
from atoll_storage import (
    connections,
    errors,
    log_writer,
    notifications,
    records,
    run_rows,
    schema,
)

_SENSORS = schema.sensors.c
_TICKS = schema.ticks.c
_RUN_KEY_CONSTRAINT = "runs_sensor_run_key"
_EVENT_INDEX = "ticks_event"


class SensorStore:
    """What the host remembers of sensors."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    async def ensure(self, keys: Sequence[records.SensorKey]) -> None:
        """Make a state for each sensor that has none, positioned at the head of the log."""
        if not keys:
            return
        new = (
            sa.func.unnest(
                sa.cast([key.location_name for key in keys], postgresql.ARRAY(sa.Text)),
                sa.cast([key.sensor_name for key in keys], postgresql.ARRAY(sa.Text)),
            )
            .table_valued("location_name", "sensor_name")
            .render_derived(name="new")
        )
        source = sa.select(new.c.location_name, new.c.sensor_name, schema.log_head.c.head).join(
            schema.log_head, sa.true()
        )
        statement = postgresql.insert(schema.sensors).from_select(
            ["location_name", "sensor_name", "position"], source
        )
        async with connections.transaction(self._engine, "storing sensors") as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def states(self) -> list[records.SensorState]:
        """Return the states of all sensors, by location and name."""
        order = (_SENSORS.location_name, _SENSORS.sensor_name)
        async with connections.transaction(self._engine, "reading sensors") as connection:
            rows = await connection.execute(sa.select(schema.sensors).order_by(*order))
            return [_state_of(row) for row in rows.all()]

    async def state(self, key: records.SensorKey) -> records.SensorState | None:
        """Return the state of one sensor."""
        async with connections.transaction(self._engine, "reading a sensor") as connection:
            row = (
                await connection.execute(sa.select(schema.sensors).where(_is(key)))
            ).one_or_none()
        return None if row is None else _state_of(row)

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
            )
            .returning(schema.sensors)
        )
        async with connections.transaction(
            self._engine, "starting or stopping a sensor"
        ) as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                raise errors.UnknownSensor(key.location_name, key.sensor_name)
            await connection.execute(_notify(key))
        return _state_of(row)

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
            async with connections.transaction(self._engine, "committing a tick") as connection:
                end_time = await _advance(connection, commit)
                created = await _create_runs(connection, commit)
                tick = _complete(commit, created, end_time)
                await connection.execute(sa.insert(schema.ticks).values(_tick_values(tick)))
                await connection.execute(_notify(key))
                if created or commit.asset_events:
                    await _write_events(connection, commit, created)
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
        return tick

    async def ticks(
        self,
        key: records.SensorKey,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
        statuses: Sequence[automation_pb2.TickStatus] = (),
    ) -> list[automation_pb2.Tick]:
        """Return ticks, newest first; `before` is the (start time, tick id) of the last seen."""
        statement = sa.select(_TICKS.payload).where(
            _TICKS.location_name == key.location_name, _TICKS.sensor_name == key.sensor_name
        )
        if before is not None:
            statement = statement.where(
                sa.tuple_(_TICKS.start_time, _TICKS.tick_id) < sa.tuple_(*before)
            )
        if statuses:
            statement = statement.where(_TICKS.status.in_(list(statuses)))
        statement = statement.order_by(_TICKS.start_time.desc(), _TICKS.tick_id.desc()).limit(limit)
        async with connections.transaction(self._engine, "reading ticks") as connection:
            payloads = (await connection.scalars(statement)).all()
        return [automation_pb2.Tick.FromString(payload) for payload in payloads]

    async def latest_ticks(
        self, keys: Sequence[records.SensorKey]
    ) -> dict[records.SensorKey, automation_pb2.Tick]:
        """Return the newest tick of each sensor that has one."""
        if not keys:
            return {}
        newest = (
            sa.select(_TICKS.payload)
            .where(
                _TICKS.location_name == _SENSORS.location_name,
                _TICKS.sensor_name == _SENSORS.sensor_name,
            )
            .order_by(_TICKS.start_time.desc(), _TICKS.tick_id.desc())
            .limit(1)
            .lateral("newest")
        )
        wanted = sa.tuple_(_SENSORS.location_name, _SENSORS.sensor_name).in_(
            [(key.location_name, key.sensor_name) for key in keys]
        )
        statement = (
            sa.select(_SENSORS.location_name, _SENSORS.sensor_name, newest.c.payload)
            .join(newest, sa.true())
            .where(wanted)
        )
        async with connections.transaction(self._engine, "reading ticks") as connection:
            rows = (await connection.execute(statement)).all()
        return {
            records.SensorKey(row[0], row[1]): automation_pb2.Tick.FromString(row[2])
            for row in rows
        }


def _is(key: records.SensorKey) -> sa.ColumnElement[bool]:
    return sa.and_(
        _SENSORS.location_name == key.location_name, _SENSORS.sensor_name == key.sensor_name
    )


def _notify(key: records.SensorKey) -> sa.Select[Any]:
    # A payload of Postgres holds less than 8,000 bytes.
    hint = f"{key.location_name}/{key.sensor_name}"
    return sa.select(sa.func.pg_notify(notifications.SENSORS, hint if len(hint) < 1000 else ""))  # noqa: PLR2004


def _state_of(row: Any) -> records.SensorState:
    return records.SensorState(
        key=records.SensorKey(row.location_name, row.sensor_name),
        running=row.running,
        cursor=row.cursor,
        position=row.position,
        version=row.version,
        start_time=row.start_time,
        last_tick_time=row.last_tick_time,
        last_run_key=row.last_run_key,
    )


async def _advance(
    connection: sa_asyncio.AsyncConnection, commit: records.TickCommit
) -> dt.datetime:
    """Move the state on from the version that the tick began with; return the time."""
    values: dict[str, Any] = {
        "version": _SENSORS.version + 1,
        "last_tick_time": sa.func.clock_timestamp(),
    }
    if commit.cursor is not None:
        values["cursor"] = commit.cursor
    if commit.position is not None:
        values["position"] = commit.position
    run_keys = [run.run_key for run in commit.runs if run.run_key]
    if run_keys:
        values["last_run_key"] = run_keys[-1]
    statement = (
        sa.update(schema.sensors)
        .where(_is(commit.key), _SENSORS.version == commit.expected_version)
        .values(values)
        .returning(_SENSORS.last_tick_time)
    )
    moment: dt.datetime | None = await connection.scalar(statement)
    if moment is not None:
        return moment
    version = await connection.scalar(sa.select(_SENSORS.version).where(_is(commit.key)))
    if version is None:
        raise errors.UnknownSensor(commit.key.location_name, commit.key.sensor_name)
    raise errors.StaleTick(
        commit.key.location_name,
        commit.key.sensor_name,
        f"it began with version {commit.expected_version} of the state, which is at {version} now",
    )


async def _create_runs(
    connection: sa_asyncio.AsyncConnection, commit: records.TickCommit
) -> list[str]:
    """Queue the runs, but for those whose run key has one; return the ids in order."""
    if not commit.runs:
        return []
    insert = (
        postgresql.insert(schema.runs)
        .values([run_rows.values_of(run, commit.key.location_name) for run in commit.runs])
        .on_conflict_do_nothing(constraint=_RUN_KEY_CONSTRAINT)
        .returning(schema.runs.c.run_id)
    )
    created = set((await connection.scalars(insert)).all())
    return [run.run_id for run in commit.runs if run.run_id in created]


def _complete(
    commit: records.TickCommit, created: Sequence[str], end_time: dt.datetime
) -> automation_pb2.Tick:
    """Fill in what only the commit knows."""
    tick = automation_pb2.Tick()
    tick.CopyFrom(commit.tick)
    tick.location_name, tick.sensor_name = commit.key.location_name, commit.key.sensor_name
    tick.end_time.FromDatetime(end_time)
    if not tick.HasField("start_time"):
        tick.start_time.CopyFrom(tick.end_time)
    del tick.run_ids[:]
    del tick.skipped_run_keys[:]
    tick.run_ids.extend(created)
    tick.skipped_run_keys.extend(
        run.run_key for run in commit.runs if run.run_id not in frozenset(created)
    )
    return tick


def _tick_values(tick: automation_pb2.Tick) -> dict[str, Any]:
    return {
        "tick_id": tick.tick_id,
        "location_name": tick.location_name,
        "sensor_name": tick.sensor_name,
        "status": int(tick.status),
        "start_time": tick.start_time.ToDatetime(tzinfo=dt.UTC),
        "event_id": tick.event_id or None,
        "payload": tick.SerializeToString(),
    }


async def _write_events(
    connection: sa_asyncio.AsyncConnection, commit: records.TickCommit, created: Sequence[str]
) -> None:
    """Write the events of a tick, last of all: the append lock is held to the commit."""
    writer = await log_writer.open_writer(connection)
    runs = {run.run_id: run for run in commit.runs}
    for run_id in created:
        run = runs[run_id]
        writer.add(run_rows.enqueued(run_id, run.job_name, writer.now), run.location_name)
        writer.notify_runs(run_id)
    writer.add_all(commit.asset_events, commit.key.location_name)
    await writer.write()

"""What is remembered of automation conditions: states, evaluations, and the commit of a round.

Called by the host's evaluator of conditions and its API. `commit` is the heart: everything that one
round decided is stored in one transaction, against the versions that it began with. What conditions
ask of the log is read in `condition_facts`.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.definitions.v1 import values_pb2
from atoll_storage import (
    announcing,
    condition_records,
    connections,
    errors,
    records,
    tick_effects,
)

# ruff: noqa: S608 - statements are put together from constants; values are parameters

KEPT_PER_TARGET = 100
"""So many evaluations of each target are kept."""

_STATE_NAMES = ", ".join(
    field.name for field in dataclasses.fields(condition_records.ConditionState)
)
_STATES = f"SELECT {_STATE_NAMES} FROM condition_state".encode()
_STATES_OF = _STATES + b" WHERE target_key = ANY(%b::text[])"
# A sensor that somebody started or stopped since is at another version.
_HOLD_SENSOR = """
SELECT NULL FROM sensors WHERE location_name = %s AND sensor_name = %s AND version = %s FOR SHARE
"""
_ADVANCE_SENSOR = """
UPDATE sensors SET version = version + 1, last_tick_time = clock_timestamp()
WHERE location_name = %s AND sensor_name = %s AND version = %s
RETURNING last_tick_time
"""
_SET = """
INSERT INTO condition_state AS old (target_key, version, position, evaluation_time, location_name,
    sensor_name, state, held, failures, failure)
SELECT target_key, version + 1, %s, %s::timestamptz, location_name, sensor_name, state, held,
    failures, failure
FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::text[], %b::bytea[], %b::bytea[], %b::int[],
    %b::bytea[])
AS new (target_key, version, location_name, sensor_name, state, held, failures, failure)
ON CONFLICT (target_key) DO UPDATE SET
    version = excluded.version, position = excluded.position,
    evaluation_time = excluded.evaluation_time, location_name = excluded.location_name,
    sensor_name = excluded.sensor_name, state = excluded.state, held = excluded.held,
    failures = excluded.failures, failure = excluded.failure
WHERE old.version = excluded.version - 1
"""
_TOUCH = """
UPDATE condition_state AS old SET version = old.version + 1, position = %s, evaluation_time = %s
FROM unnest(%b::text[], %b::bigint[]) AS new (target_key, version)
WHERE old.target_key = new.target_key AND old.version = new.version
"""
_FAIL = """
INSERT INTO condition_state AS old (target_key, version, position, evaluation_time, location_name,
    sensor_name, state, failures, failure)
SELECT target_key, version + 1, 0, 'epoch', location_name, sensor_name, ''::bytea, failures, failure
FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::text[], %b::int[], %b::bytea[])
AS new (target_key, version, location_name, sensor_name, failures, failure)
ON CONFLICT (target_key) DO UPDATE SET
    version = excluded.version, failures = excluded.failures, failure = excluded.failure
WHERE old.version = excluded.version - 1
"""
_ADD_EVALUATIONS = """
INSERT INTO condition_evaluations (target_key, evaluation_id, evaluation_time, requested, payload)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::timestamptz[], %b::bigint[], %b::bytea[])
ON CONFLICT DO NOTHING
"""
_TRIM_EVALUATIONS = f"""
DELETE FROM condition_evaluations AS old
USING unnest(%b::text[]) AS target (target_key)
WHERE old.target_key = target.target_key AND old.evaluation_id <= (
    SELECT evaluation_id FROM condition_evaluations AS kept
    WHERE kept.target_key = target.target_key
    ORDER BY evaluation_id DESC OFFSET {KEPT_PER_TARGET} LIMIT 1
)
""".encode()
_INSERT_TICK = """
INSERT INTO ticks (tick_id, location_name, sensor_name, status, start_time, event_id, payload)
VALUES (%s, %s, %s, %s, %s, NULL, %b)
"""
_EVALUATION = "SELECT target_key, evaluation_id, evaluation_time, requested, payload "
_EVALUATIONS = f"""
{_EVALUATION} FROM condition_evaluations
WHERE target_key = %s AND evaluation_id < %s AND requested >= %s
ORDER BY evaluation_id DESC LIMIT %s
""".encode()
_LATEST = f"""
SELECT newest.* FROM unnest(%b::text[]) AS target (target_key) CROSS JOIN LATERAL (
    {_EVALUATION} FROM condition_evaluations AS kept WHERE kept.target_key = target.target_key
    ORDER BY evaluation_id DESC LIMIT 1
) AS newest
""".encode()
_BY_ID = f"""
{_EVALUATION} FROM condition_evaluations WHERE target_key = %s AND evaluation_id = %s
""".encode()
_LAST_ID = 2**63 - 1


class ConditionStore:
    """States and evaluations of automation conditions."""

    def __init__(self, engine: sa_asyncio.AsyncEngine, announcer: announcing.Announcer) -> None:
        self._engine = engine
        self._announcer = announcer

    async def states(
        self, target_keys: Sequence[str] | None = None
    ) -> list[condition_records.ConditionState]:
        """Return what is remembered of all targets, or of some."""
        doing = "reading conditions"
        if target_keys is None:
            rows = await connections.fetch(self._engine, doing, _STATES)
        else:
            rows = await connections.fetch(self._engine, doing, _STATES_OF, [list(target_keys)])
        return [_state_of(row) for row in rows]

    async def commit(self, commit: condition_records.ConditionCommit) -> list[str]:
        """Store a round of evaluations and its runs: all or nothing.

        Returns:
            The ids of the runs that were created.

        Raises:
            StaleEvaluation: A sensor or a target moved on since the round began.
        """
        doing = "committing evaluations of conditions"
        async with connections.driver_connection(self._engine, doing) as raw:
            async with raw.pipeline():
                held = [await _take_sensor(raw, each) for each in commit.sensors]
                moved = [await raw.execute(*each, prepare=True) for each in _moves(commit)]
                for statement, values in _evaluations(commit):
                    await raw.execute(statement, values, prepare=True)
                sent = await tick_effects.send(raw, tick_effects.Effects(commit.runs))
            await _check_sensors(commit, held)
            stale = len(commit.targets) - sum(cursor.rowcount for cursor in moved)
            if stale:
                raise errors.StaleEvaluation(
                    f"{stale} of {len(commit.targets)} targets were evaluated meanwhile"
                )
            created = await sent.created()
            ticks: list[tuple[connections.Statement, Sequence[object]]] = [
                (_INSERT_TICK, values) for values in _tick_values(commit, created)
            ]
            await sent.commit(raw, self._announcer, created, ticks)
            return [run.run_id for run in created]

    async def evaluations(
        self, target_key: str, *, limit: int, before_id: int = 0, requested_only: bool = False
    ) -> list[condition_records.EvaluationRecord]:
        """Return kept evaluations of a target, newest first, before one of them."""
        values = [target_key, before_id or _LAST_ID, int(requested_only), limit]
        rows = await connections.fetch(self._engine, "reading evaluations", _EVALUATIONS, values)
        return [condition_records.EvaluationRecord(*row) for row in rows]

    async def latest(
        self, target_keys: Sequence[str]
    ) -> dict[str, condition_records.EvaluationRecord]:
        """Return the newest kept evaluation of each target that has one."""
        rows = await connections.fetch(
            self._engine, "reading evaluations", _LATEST, [list(target_keys)]
        )
        return {row[0]: condition_records.EvaluationRecord(*row) for row in rows}

    async def evaluation(
        self, target_key: str, evaluation_id: int
    ) -> condition_records.EvaluationRecord | None:
        """Return one evaluation, None where it is not kept."""
        rows = await connections.fetch(
            self._engine, "reading an evaluation", _BY_ID, [target_key, evaluation_id]
        )
        return condition_records.EvaluationRecord(*rows[0]) if rows else None


def _state_of(row: Sequence[Any]) -> condition_records.ConditionState:
    failure = None if row[-1] is None else values_pb2.Failure.FromString(row[-1])
    values: list[Any] = [*row[:-1], failure]
    return condition_records.ConditionState(*values)


async def _take_sensor(
    raw: connections.RawConnection, each: condition_records.SensorRound
) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    statement = _HOLD_SENSOR if each.tick is None else _ADVANCE_SENSOR
    key = each.key
    values = [key.location_name, key.sensor_name, numeric.Int8(each.expected_version)]
    return await raw.execute(statement, values, prepare=True)


async def _check_sensors(
    commit: condition_records.ConditionCommit,
    held: Sequence[psycopg.AsyncCursor[tuple[Any, ...]]],
) -> None:
    """See to it that no sensor moved on, and note when their ticks end."""
    for each, cursor in zip(commit.sensors, held, strict=True):
        row = await cursor.fetchone()
        if row is None:
            raise errors.StaleEvaluation(
                f"sensor {each.key.sensor_name!r} of location {each.key.location_name!r} was "
                "started, stopped or evaluated meanwhile"
            )
        if each.tick is not None:
            each.tick.end_time.FromDatetime(row[0])


def _moves(
    commit: condition_records.ConditionCommit,
) -> list[tuple[connections.Statement, Sequence[object]]]:
    """Return the statements that move targets on, a row for each."""
    targets = sorted(commit.targets, key=lambda each: each.target_key)
    anew = [each for each in targets if each.state is not None]
    failed = [each for each in targets if each.state is None and each.stays]
    touched = [each for each in targets if each.state is None and not each.stays]
    statements: list[tuple[connections.Statement, Sequence[object]]] = []
    if anew:
        columns = [
            *_named(anew),
            [each.state for each in anew],
            [each.held for each in anew],
            [numeric.Int4(each.failures) for each in anew],
            [_encoded(each.failure) for each in anew],
        ]
        values = [numeric.Int8(commit.position), commit.evaluation_time, *columns]
        statements.append((_SET, values))
    if touched:
        keys, versions, *_ = _named(touched)
        values = [numeric.Int8(commit.position), commit.evaluation_time, keys, versions]
        statements.append((_TOUCH, values))
    if failed:
        columns = [
            *_named(failed),
            [numeric.Int4(each.failures) for each in failed],
            [_encoded(each.failure) for each in failed],
        ]
        statements.append((_FAIL, list(columns)))
    return statements


def _evaluations(
    commit: condition_records.ConditionCommit,
) -> list[tuple[connections.Statement, Sequence[object]]]:
    """Return the statements that store evaluations, and forget old ones."""
    if not commit.evaluations:
        return []
    keys: list[object] = [each.target_key for each in commit.evaluations]
    columns: list[object] = [
        keys,
        [numeric.Int8(each.evaluation_id) for each in commit.evaluations],
        [each.evaluation_time for each in commit.evaluations],
        [numeric.Int8(each.requested) for each in commit.evaluations],
        [each.payload for each in commit.evaluations],
    ]
    return [(_ADD_EVALUATIONS, columns), (_TRIM_EVALUATIONS, [keys])]


def _named(targets: Sequence[condition_records.EvaluatedTarget]) -> list[list[object]]:
    return [
        [each.target_key for each in targets],
        [numeric.Int8(each.expected_version) for each in targets],
        [each.sensor.location_name for each in targets],
        [each.sensor.sensor_name for each in targets],
    ]


def _encoded(failure: values_pb2.Failure | None) -> bytes | None:
    return None if failure is None else failure.SerializeToString()


def _tick_values(
    commit: condition_records.ConditionCommit, created: Sequence[records.NewRun]
) -> list[list[object]]:
    """Return the rows of the ticks, completed with the runs that they created."""
    rows: list[list[object]] = []
    for each in commit.sensors:
        tick = each.tick
        if tick is None:
            continue
        del tick.run_ids[:]
        tick.run_ids.extend(run.run_id for run in created if run.tick_id == tick.tick_id)
        start_time = tick.start_time.ToDatetime(tzinfo=dt.UTC)
        rows.append(
            [
                tick.tick_id,
                each.key.location_name,
                each.key.sensor_name,
                numeric.Int2(tick.status),
                start_time,
                tick.SerializeToString(),
            ]
        )
    return rows

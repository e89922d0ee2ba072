"""Alerts and their deliveries: decided once, delivered at least once.

Called by the host's term of alerts and by its API. What was decided is stored in one transaction
with the position up to which the log was looked at, against the version that the decision began
with. Deliveries are claimed for a while, so that one which a host died with is tried again. What
must not come in: rules, and sending.
"""

import datetime as dt
from collections.abc import Collection, Sequence

from psycopg.types import numeric
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import alerts_pb2, automation_pb2
from atoll_storage import alert_records, connections, event_rows

_ENSURE = b"""
INSERT INTO alert_positions (follower, position, version) SELECT %s, head, 0 FROM log_head
ON CONFLICT (follower) DO NOTHING
"""
_POSITION = b"SELECT position, version FROM alert_positions WHERE follower = %s"
_ADVANCE = b"""
UPDATE alert_positions SET position = greatest(position, %s), version = version + 1
WHERE follower = %s AND version = %s RETURNING version
"""
_DROP = b"DELETE FROM alert_positions WHERE follower = %s"
_MEMORIES = b"""
SELECT known.rule, known.subject, known.alert_time, known.suppressed_count, known.update_time
FROM unnest(%s::text[], %s::text[]) AS asked (rule, subject)
JOIN alert_subjects AS known ON known.rule = asked.rule AND known.subject = asked.subject
"""
_REMEMBER = b"""
INSERT INTO alert_subjects AS known (rule, subject, alert_time, suppressed_count, update_time)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (rule, subject) DO UPDATE SET alert_time = excluded.alert_time,
    suppressed_count = excluded.suppressed_count, update_time = excluded.update_time
"""
_ADD_ALERT = b"INSERT INTO alerts (alert_id, rule, create_time, payload) VALUES (%s, %s, %s, %b)"
_ADD_DELIVERY = b"""
INSERT INTO alert_deliveries (delivery_id, alert_id, rule, target, target_name, status, attempts,
    error, create_time, next_attempt_time) VALUES (%s, %s, %s, %s, %s, 1, 0, '', %s, %s)
"""
_CLAIM = b"""
UPDATE alert_deliveries AS taken SET attempts = attempts + 1,
    next_attempt_time = clock_timestamp() + make_interval(secs => %s)
FROM alerts WHERE alerts.alert_id = taken.alert_id AND taken.delivery_id IN (
    SELECT delivery_id FROM alert_deliveries WHERE status = 1
    AND next_attempt_time <= clock_timestamp() ORDER BY next_attempt_time LIMIT %s
    FOR UPDATE SKIP LOCKED
)
RETURNING taken.delivery_id, taken.rule, taken.target, taken.target_name, taken.attempts,
    alerts.payload
"""
_FINISH = b"""
UPDATE alert_deliveries SET status = %s, error = %s,
    next_attempt_time = clock_timestamp() + make_interval(secs => %s),
    end_time = CASE WHEN %s THEN clock_timestamp() END
WHERE delivery_id = %s AND status = 1
"""
_NEXT_DUE = b"""
SELECT extract(epoch FROM min(next_attempt_time) - clock_timestamp())::float8
FROM alert_deliveries WHERE status = 1
"""
_ALERTS = b"""
SELECT payload, create_time FROM alerts
WHERE (create_time, alert_id) < (%s, %s) AND (%s::text = '' OR rule = %s::text)
ORDER BY create_time DESC, alert_id DESC LIMIT %s
"""
_COLUMNS = (
    b"delivery_id, alert_id, rule, target_name, status, attempts, error, create_time, "
    b"CASE WHEN status = 1 THEN next_attempt_time END, end_time"
)
_DELIVERIES = (
    b"SELECT " + _COLUMNS + b" FROM alert_deliveries "
    b"WHERE (create_time, delivery_id) < (%s, %s) "
    b"AND (cardinality(%s::smallint[]) = 0 OR status = ANY(%s::smallint[])) "
    b"ORDER BY create_time DESC, delivery_id DESC LIMIT %s"
)
_DELIVERIES_OF = (
    b"SELECT " + _COLUMNS + b" FROM alert_deliveries WHERE alert_id = ANY(%s) "
    b"ORDER BY alert_id, target"
)
# Of each name that failed lately, its newest ticks.
_FAILING = b"""
SELECT failed.location_name, failed.sensor_name, failed.schedule_name, recent.statuses,
    recent.newest_time, recent.payload
FROM (
    SELECT DISTINCT location_name, sensor_name, schedule_name FROM ticks
    WHERE start_time > %s AND status = %s
) AS failed CROSS JOIN LATERAL (
    SELECT array_agg(status ORDER BY start_time DESC, tick_id DESC) AS statuses,
        max(start_time) AS newest_time,
        (array_agg(payload ORDER BY start_time DESC, tick_id DESC))[1] AS payload
    FROM (
        (SELECT status, start_time, tick_id, payload FROM ticks
        WHERE failed.schedule_name = '' AND ticks.location_name = failed.location_name
        AND ticks.sensor_name = failed.sensor_name
        ORDER BY start_time DESC, tick_id DESC LIMIT %s)
        UNION ALL
        (SELECT status, start_time, tick_id, payload FROM ticks
        WHERE failed.schedule_name <> '' AND ticks.location_name = failed.location_name
        AND ticks.schedule_name = failed.schedule_name AND ticks.schedule_name <> ''
        ORDER BY start_time DESC, tick_id DESC LIMIT %s)
    ) AS newest
) AS recent
"""
_LAST = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_LAST_ID = "\U0010ffff"


class AlertStore:
    """What the rules for alerts found, and who was told."""

    def __init__(self, engine: sa_asyncio.AsyncEngine) -> None:
        self._engine = engine

    # Deciding.

    async def follow(self, follower: str) -> tuple[int, int]:
        """Return how far a follower has looked, and the version of that.

        A new one is at the head.
        """
        async with connections.driver_connection(self._engine, "looking for alerts") as raw:
            await raw.execute(_ENSURE, [follower])
            cursor = await raw.execute(_POSITION, [follower])
            row = await cursor.fetchone()
            await raw.commit()
        if row is None:
            raise AssertionError("the row was just made")
        return row[0], row[1]

    async def unfollow(self, follower: str) -> None:
        """Forget a follower, so that nothing is kept for it."""
        async with connections.driver_connection(self._engine, "forgetting a follower") as raw:
            await raw.execute(_DROP, [follower])
            await raw.commit()

    async def memories(
        self, keys: Collection[alert_records.AlertKey]
    ) -> dict[alert_records.AlertKey, alert_records.AlertMemory]:
        """Return what is remembered of rules and subjects."""
        if not keys:
            return {}
        by_column = {(key.rule, event_rows.indexed(key.subject)): key for key in keys}
        columns = [list(column) for column in zip(*by_column, strict=True)]
        rows = await connections.fetch(self._engine, "reading alerts", _MEMORIES, columns)
        return {by_column[row[0], row[1]]: alert_records.AlertMemory(*row[2:]) for row in rows}

    async def commit(self, commit: alert_records.AlertCommit) -> bool:
        """Store what was decided, as a whole; say whether it was still to be decided."""
        async with connections.driver_connection(self._engine, "storing alerts") as raw:
            values: list[object] = [
                numeric.Int8(commit.position),
                commit.follower,
                numeric.Int8(commit.expected_version),
            ]
            cursor = await raw.execute(_ADVANCE, values)
            if await cursor.fetchone() is None:
                await raw.rollback()
                return False
            for key, memory in commit.memories.items():
                subject = event_rows.indexed(key.subject)
                known = [memory.alert_time, memory.suppressed_count, memory.update_time]
                await raw.execute(_REMEMBER, [key.rule, subject, *known])
            for alert in commit.alerts:
                now = alert.create_time.ToDatetime(tzinfo=dt.UTC)
                stored = alerts_pb2.Alert()
                stored.CopyFrom(alert)
                del stored.deliveries[:]
                await raw.execute(
                    _ADD_ALERT, [alert.alert_id, alert.rule, now, stored.SerializeToString()]
                )
                for target, each in enumerate(alert.deliveries):
                    told = [each.delivery_id, alert.alert_id, alert.rule, target, each.target]
                    await raw.execute(_ADD_DELIVERY, [*told, now, now])
            await raw.commit()
        return True

    async def failing(self, since: dt.datetime, *, limit: int) -> list[alert_records.FailingTicks]:
        """Return the newest ticks of every sensor and schedule that failed after a moment."""
        values = [since, automation_pb2.TICK_STATUS_FAILURE, limit, limit]
        rows = await connections.fetch(self._engine, "looking for failing ticks", _FAILING, values)
        return [
            alert_records.FailingTicks(
                location_name=row[0],
                name=row[1] or row[2],
                is_sensor=not row[2],
                statuses=tuple(row[3]),
                newest_time=row[4],
                newest=automation_pb2.Tick.FromString(row[5]),
            )
            for row in rows
        ]

    # Delivering.

    async def claim(self, *, limit: int, lease_s: float) -> list[alert_records.ClaimedDelivery]:
        """Take deliveries that are due; they are due again when the lease runs out."""
        async with connections.driver_connection(self._engine, "taking deliveries") as raw:
            cursor = await raw.execute(_CLAIM, [lease_s, limit])
            rows = await cursor.fetchall()
            await raw.commit()
        return [
            alert_records.ClaimedDelivery(
                row[0], row[1], row[2], row[3], row[4], alerts_pb2.Alert.FromString(row[5])
            )
            for row in rows
        ]

    async def finish(
        self,
        delivery_id: str,
        status: alerts_pb2.DeliveryStatus.ValueType,
        *,
        error: str = "",
        again_after_s: float = 0.0,
    ) -> None:
        """Store how a try went. One that is to be tried again stays WAITING."""
        is_over = status != alerts_pb2.DELIVERY_STATUS_WAITING
        async with connections.driver_connection(self._engine, "storing a delivery") as raw:
            values = [numeric.Int2(status), error, again_after_s, is_over, delivery_id]
            await raw.execute(_FINISH, values)
            await raw.commit()

    async def next_due_in_s(self) -> float | None:
        """Return how long until a delivery is due, None where none waits."""
        rows = await connections.fetch(self._engine, "looking for deliveries", _NEXT_DUE)
        return None if rows[0][0] is None else max(0.0, float(rows[0][0]))

    # Showing.

    async def list_alerts(
        self, *, limit: int, before: tuple[dt.datetime, str] | None = None, rule: str = ""
    ) -> list[alerts_pb2.Alert]:
        """Return alerts with their deliveries, newest first."""
        moment, alert_id = before or (_LAST, _LAST_ID)
        rows = await connections.fetch(
            self._engine, "reading alerts", _ALERTS, [moment, alert_id, rule, rule, limit]
        )
        found = [alerts_pb2.Alert.FromString(row[0]) for row in rows]
        by_id = {alert.alert_id: alert for alert in found}
        if by_id:
            deliveries = await connections.fetch(
                self._engine, "reading alerts", _DELIVERIES_OF, [list(by_id)]
            )
            for row in deliveries:
                by_id[row[1]].deliveries.append(_delivery(row))
        return found

    async def list_deliveries(
        self,
        *,
        limit: int,
        before: tuple[dt.datetime, str] | None = None,
        statuses: Sequence[int] = (),
    ) -> list[alerts_pb2.AlertDelivery]:
        """Return deliveries, newest first."""
        moment, delivery_id = before or (_LAST, _LAST_ID)
        wanted = list(statuses)
        values = [moment, delivery_id, wanted, wanted, limit]
        rows = await connections.fetch(self._engine, "reading deliveries", _DELIVERIES, values)
        return [_delivery(row) for row in rows]


def _delivery(row: Sequence[object]) -> alerts_pb2.AlertDelivery:
    names = ("delivery_id", "alert_id", "rule", "target", "status", "attempts", "error")
    delivery = alerts_pb2.AlertDelivery(**dict(zip(names, row[:7], strict=True)))  # type: ignore[arg-type]
    times = zip(("create_time", "next_attempt_time", "end_time"), row[7:], strict=True)
    for name, moment in times:
        if isinstance(moment, dt.datetime):
            getattr(delivery, name).FromDatetime(moment)
    return delivery

"""Reading ticks: by pages, and the newest of each sensor or schedule.

Called by the stores of sensors and schedules. How ticks come about stays out.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll.api.v1 import automation_pb2
from atoll_storage import connections, schema

_TICKS = schema.ticks.c
_LAST_CHARACTER = "\U0010ffff"
_NEWEST_FIRST = (_TICKS.start_time.desc(), _TICKS.tick_id.desc())


@dataclasses.dataclass(frozen=True, slots=True)
class Owners:
    """What has ticks.

    Attributes:
        states: The table of its states.
        column: What it is named by beside its location, in that table and in the one of ticks.
        only: What tells its ticks from others by an index of their own.
    """

    states: sa.Table
    column: str
    only: sa.ColumnElement[bool] = dataclasses.field(default_factory=sa.true)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Which ticks of an owner are meant. All given conditions must hold.

    Attributes:
        statuses: Only ticks with these outcomes; all of them where there are none.
        started_from: Only ticks that began then or later.
        started_before: Only ticks that began before.
    """

    statuses: Sequence[automation_pb2.TickStatus] = ()
    started_from: dt.datetime | None = None
    started_before: dt.datetime | None = None


ALL = Choice()
"""All ticks."""


async def page(
    engine: sa_asyncio.AsyncEngine,
    owners: Owners,
    owner: tuple[str, str],
    *,
    limit: int,
    before: tuple[dt.datetime, str] | None,
    choice: Choice,
) -> list[automation_pb2.Tick]:
    """Return ticks of one owner, newest first.

    Args:
        engine: Where they are stored.
        owners: What kind of owner it is.
        owner: Its location and name.
        limit: How many at the most.
        before: The (start time, tick id) of the last seen.
        choice: Which of them.
    """
    location_name, name = owner
    statement = sa.select(_TICKS.payload).where(
        owners.only, _TICKS.location_name == location_name, _TICKS[owners.column] == name
    )
    if before is not None:
        statement = statement.where(
            sa.tuple_(_TICKS.start_time, _TICKS.tick_id) < sa.tuple_(*before)
        )
    if choice.statuses:
        statement = statement.where(_TICKS.status.in_(list(choice.statuses)))
    if choice.started_from is not None:
        statement = statement.where(_TICKS.start_time >= choice.started_from)
    if choice.started_before is not None:
        statement = statement.where(_TICKS.start_time < choice.started_before)
    statement = statement.order_by(*_NEWEST_FIRST).limit(limit)
    async with connections.transaction(engine, "reading ticks") as connection:
        payloads = (await connection.scalars(statement)).all()
    return [automation_pb2.Tick.FromString(payload) for payload in payloads]


async def begin_with(
    engine: sa_asyncio.AsyncEngine, owners: Owners, owner: tuple[str, str], tick_id: str
) -> list[automation_pb2.Tick]:
    """Return the ticks of one owner whose id begins so, two at the most."""
    location_name, name = owner
    statement = (
        sa.select(_TICKS.payload)
        .where(_TICKS.tick_id >= tick_id, _TICKS.tick_id <= tick_id + _LAST_CHARACTER)
        .where(owners.only, _TICKS.location_name == location_name, _TICKS[owners.column] == name)
        .limit(2)
    )
    async with connections.transaction(engine, "reading a tick") as connection:
        payloads = (await connection.scalars(statement)).all()
    return [automation_pb2.Tick.FromString(payload) for payload in payloads]


async def newest(
    engine: sa_asyncio.AsyncEngine, owners: Owners, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], automation_pb2.Tick]:
    """Return the newest tick of each owner that has one, by location and name."""
    if not wanted:
        return {}
    location_name, name = owners.states.c.location_name, owners.states.c[owners.column]
    tick = (
        sa.select(_TICKS.payload)
        .where(owners.only, _TICKS.location_name == location_name, _TICKS[owners.column] == name)
        .order_by(*_NEWEST_FIRST)
        .limit(1)
        .lateral("newest")
    )
    statement = (
        sa.select(location_name, name, tick.c.payload)
        .join(tick, sa.true())
        .where(sa.tuple_(location_name, name).in_(wanted))
    )
    async with connections.transaction(engine, "reading ticks") as connection:
        rows = (await connection.execute(statement)).all()
    return {(row[0], row[1]): automation_pb2.Tick.FromString(row[2]) for row in rows}

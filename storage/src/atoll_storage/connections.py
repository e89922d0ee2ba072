"""Reaching Postgres: the URL, the pool, other connections, what the driver's errors mean.

Called by `database` and by every store, which wraps its work in `translating`. What must not come
in: statements of stores.
"""

import contextlib
import select
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, LiteralString, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy import exc as sa_exc
from sqlalchemy import pool as sa_pool
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import interfaces as sa_interfaces
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import errors

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
IDLE_IN_TRANSACTION_TIMEOUT_S = 10
"""How long a host that stands still may keep the locks of a transaction from the others."""

POOL_TIMEOUT_S = 15
TRUSTED_IDLE_S = 5.0
"""A pooled connection that rested for longer is asked for a sign of life before it is used."""

OLDEST_SERVER_VERSION = 140000

RawConnection = psycopg.AsyncConnection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Statement = LiteralString | bytes
"""SQL for the driver; bytes where it is put together from more than literals."""

# Classes of SQLSTATE that may pass by themselves: connection, resources, rollback for concurrency,
# operator. And single ones: a lock, a standby, a transaction that rested for too long.
_PASSING_CLASSES = ("08", "53", "40", "57", "58")
_PASSING_STATES = ("55P03", "25006", "25P03", "25P04")
# What a server says at the door while it starts, stops or is full. These come without SQLSTATE.
_PASSING_WORDS = ("starting up", "shutting down", "too many", "recovery", "not yet accepting")
_SCHEMA_STATES = ("42P01", "42703", "42883", "3F000")
_RESTS_SINCE = "atoll_rests_since"


def parse_url(url: str) -> sa.URL:
    """Read the URL of a Postgres database. Raises DatabaseRefused, with the password hidden."""
    try:
        parsed = sa.make_url(url)
    except (sa_exc.ArgumentError, ValueError) as error:
        # The text may hold a password, and what cannot be parsed cannot be masked.
        raise errors.DatabaseRefused(
            "The database URL cannot be read. It looks like "
            "postgresql://user:password@host:5432/name."
        ) from error
    if parsed.drivername not in {"postgresql", "postgres", "postgresql+psycopg"}:
        raise errors.DatabaseRefused(
            f"The database URL {shown(parsed)} is not of Postgres: it begins with "
            f"{parsed.drivername!r}. "
            "Use postgresql://user:password@host:5432/name."
        )
    return parsed.set(drivername="postgresql+psycopg")


def shown(url: sa.URL) -> str:
    """Return the URL as messages may show it."""
    plain = url.set(drivername="postgresql") if url.drivername.startswith("postgres") else url
    if "password" in plain.query:
        plain = plain.update_query_dict({"password": "***"})
    return plain.render_as_string(hide_password=True)


def _arguments(url: sa.URL) -> dict[str, Any]:
    """Settings of every connection; what the URL says itself comes first."""
    ours: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "atoll-host",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 15000,
        "options": (
            f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c "
            f"idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S}s "
            "-c timezone=UTC"
        ),
    }
    return {name: value for name, value in ours.items() if name not in url.query}


def make_engine(url: sa.URL, pool_size: int) -> sa_asyncio.AsyncEngine:
    """Make the engine with its bounded pool.

    Connections are looked at before use, so a restart of Postgres heals.
    """
    engine = sa_asyncio.create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,
        connect_args=_arguments(url),
    )
    dialect = engine.dialect

    def look_at(
        adapted: sa_interfaces.DBAPIConnection,
        record: sa_pool.ConnectionPoolEntry,
        _proxy: sa_pool.PoolProxiedConnection,
    ) -> None:
        if _is_usable(cast("RawConnection", adapted.driver_connection), record):
            return
        try:
            dialect.do_ping(adapted)
        except psycopg.Error as error:
            raise sa_exc.InvalidatePoolError from error

    sa_event.listen(engine.sync_engine, "checkout", look_at)
    sa_event.listen(engine.sync_engine, "checkin", _note_rest)
    return engine


def _is_usable(raw: RawConnection, record: sa_pool.ConnectionPoolEntry) -> bool:
    """Say whether a pooled connection can be used without asking the server first.

    A round trip before each use would double the cost of most of them. A server that ends says so:
    then there is something to read, as on no connection at rest. One that vanished without a word
    is found by whoever uses a connection that has rested for long.
    """
    if raw.closed:
        return False
    rests_since = record.info.get(_RESTS_SINCE)
    if rests_since is not None and time.monotonic() - rests_since > TRUSTED_IDLE_S:
        return False
    poll = select.poll()
    poll.register(raw.fileno(), select.POLLIN)
    return not poll.poll(0)


def _note_rest(_adapted: object, record: sa_pool.ConnectionPoolEntry) -> None:
    record.info[_RESTS_SINCE] = time.monotonic()


async def connect_raw(url: sa.URL) -> RawConnection:
    """Open a connection outside the pool, in autocommit mode.

    The caller translates errors and closes it.
    """
    keywords = url.set(drivername="postgresql").translate_connect_args(
        username="user", database="dbname"
    )
    arguments: dict[str, Any] = {
        **_arguments(url),
        **{name: _joined(value) for name, value in url.query.items()},
    }
    return await psycopg.AsyncConnection.connect(**{**keywords, **arguments}, autocommit=True)


def _joined(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


async def raw_of(connection: sa_asyncio.AsyncConnection) -> RawConnection:
    """Return the driver's connection below; its statements take part in the same transaction."""
    pooled = await connection.get_raw_connection()
    return cast("RawConnection", pooled.driver_connection)


@contextlib.contextmanager
def translating(doing: str) -> Generator[None]:
    """Turn errors of the driver into those of `errors`.

    Args:
        doing: What was being done, as it reads after "while": "storing events".
    """
    try:
        yield
    except (psycopg.Error, sa_exc.DBAPIError, sa_exc.TimeoutError, OSError) as error:
        raise translated(error, doing) from error


@contextlib.asynccontextmanager
async def transaction(
    engine: sa_asyncio.AsyncEngine, doing: str
) -> AsyncGenerator[sa_asyncio.AsyncConnection]:
    """Open a transaction on a connection of the pool; commits at the end, translates errors."""
    with translating(doing):
        async with engine.begin() as connection:
            yield connection


@contextlib.asynccontextmanager
async def driver_connection(
    engine: sa_asyncio.AsyncEngine, doing: str
) -> AsyncGenerator[RawConnection]:
    """Lend the driver's connection of one of the pool, for paths where each round trip counts.

    A transaction begins with the first statement. The body commits, best in one `pipeline` with
    what comes before; what it leaves open is rolled back. Errors are translated.
    """
    with translating(doing):
        async with engine.connect() as connection:
            raw = await raw_of(connection)
            try:
                yield raw
            except BaseException:
                if raw.closed or raw.autocommit:
                    await connection.invalidate()
                raise


async def fetch(
    engine: sa_asyncio.AsyncEngine,
    doing: str,
    statement: Statement,
    parameters: Sequence[object] = (),
) -> Rows:
    """Run one statement that only reads, in one round trip, and return its rows."""
    async with driver_connection(engine, doing) as raw:
        # Without a transaction around it: a statement has a snapshot of its own anyway.
        await raw.set_autocommit(True)
        cursor = await raw.execute(statement, parameters, prepare=True)
        rows = await cursor.fetchall()
        await raw.set_autocommit(False)
        return rows


async def fetch_each(
    engine: sa_asyncio.AsyncEngine,
    doing: str,
    *statements: tuple[Statement, Sequence[object]],
) -> list[Rows]:
    """Run statements that only read, one after the other in one round trip.

    Each sees at least what the one before it saw.
    """
    async with driver_connection(engine, doing) as raw:
        await raw.set_autocommit(True)
        async with raw.pipeline():
            cursors = [
                await raw.execute(statement, parameters, prepare=True)
                for statement, parameters in statements
            ]
        rows = [await cursor.fetchall() for cursor in cursors]
        await raw.set_autocommit(False)
        return rows


def compiled(statement: sa.Select[Any]) -> bytes:
    """Return the text of a statement for the driver; its values are constants."""
    dialect = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
    text = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(text).encode()


def translated(error: BaseException, doing: str) -> errors.StorageError:
    """Say what an error of the driver means."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if isinstance(error, sa_exc.TimeoutError):
        return errors.StorageUnavailable(
            f"No connection to the database came free within {POOL_TIMEOUT_S} s while {doing}. "
            "Try again; if it lasts, give the host a larger pool."
        )
    if isinstance(cause, psycopg.DataError):
        return errors.InvalidValue(
            f"A value cannot be stored while {doing}: Postgres refuses it (SQLSTATE "
            f"{state or 'none'}; a NUL "
            "character in a text is the usual reason). Change the value."
        )
    if state in _SCHEMA_STATES:
        return errors.DatabaseRefused(
            f"The database lacks tables or columns that were needed while {doing} (SQLSTATE "
            f"{state}). "
            "Migrate its schema: the host does so at its start."
        )
    if _is_passing(cause, state):
        return errors.StorageUnavailable(
            f"The database did not answer while {doing}{f' (SQLSTATE {state})' if state else ''}. "
            "Try again."
        )
    return errors.StorageError(
        f"The database refused a statement while {doing} (SQLSTATE {state or 'none'})."
    )


def _is_passing(cause: BaseException, state: str | None) -> bool:
    if state is None:
        return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError, OSError))
    return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES


def refused_at_connect(error: BaseException, url: sa.URL) -> errors.StorageError:
    """Say what a failed first connection means: nothing answers, or we are turned away."""
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split())
    if "FATAL" in said and not any(word in said for word in _PASSING_WORDS):
        words = said.split("FATAL:", 1)[-1].strip()
        return errors.DatabaseRefused(
            f"Postgres turned the connection to {shown(url)} away: {words}. "
            "Check the user, the password and the name of the database in the URL."
        )
    return errors.StorageUnavailable(
        f"No Postgres server answers at {shown(url)} (waited up to {CONNECT_TIMEOUT_S} s). "
        "Check the host and the port in the URL, and that the server runs."
    )

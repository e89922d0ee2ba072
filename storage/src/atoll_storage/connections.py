"""Reaching Postgres: the URL, the pool, other connections, what the driver's errors mean.

Called by `database` and by every store, which wraps its work in `translating`. What must not come
in: statements of stores.
"""

import contextlib
from collections.abc import AsyncGenerator, Generator
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import errors

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
POOL_TIMEOUT_S = 15
OLDEST_SERVER_VERSION = 140000

RawConnection = psycopg.AsyncConnection[tuple[Any, ...]]

# Classes of SQLSTATE that may pass by themselves: connection, resources, rollback for concurrency,
# operator.
_PASSING_CLASSES = ("08", "53", "40", "57", "58")
_PASSING_STATES = ("55P03", "25006")
# What a server says at the door while it starts, stops or is full. These come without SQLSTATE.
_PASSING_WORDS = ("starting up", "shutting down", "too many", "recovery", "not yet accepting")
_SCHEMA_STATES = ("42P01", "42703", "42883", "3F000")


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
            "idle_in_transaction_session_timeout=60s "
            "-c timezone=UTC"
        ),
    }
    return {name: value for name, value in ours.items() if name not in url.query}


def make_engine(url: sa.URL, pool_size: int) -> sa_asyncio.AsyncEngine:
    """Make the engine with its bounded pool.

    Connections are tried before use, so a restart of Postgres heals.
    """
    return sa_asyncio.create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args=_arguments(url),
    )


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

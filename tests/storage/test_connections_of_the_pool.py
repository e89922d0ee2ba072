"""Connections of the pool: dead ones are replaced unseen, and none is left in another state."""

import asyncio

import psycopg
import pytest
from sqlalchemy.ext import asyncio as sa_asyncio

from atoll_storage import connections, errors
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres

_OURS = "datname = current_database() AND application_name = 'atoll-host'"


async def sessions(url: str, what: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        statement = f"SELECT {what} FROM pg_stat_activity WHERE {_OURS}"  # noqa: S608
        return await (await connection.execute(statement.encode())).fetchall()


@pytest.fixture
async def database(own_database_url: str):
    connected = await Database.connect(own_database_url)
    yield connected
    await connected.close()


async def test_a_connection_that_was_ended_is_replaced_before_it_is_used(
    database: Database, own_database_url: str
):
    await database.runs.create(support.new_run())
    for _ in range(3):
        assert await sessions(own_database_url, "pg_terminate_backend(pid, 5000)") == [(True,)]
        await database.runs.create(support.new_run())
    assert await database.events.head() == 4


async def test_a_connection_at_rest_is_asked_for_a_sign_of_life_and_no_other(
    database: Database, own_database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async def newest_statement() -> str:
        ((said,),) = await sessions(own_database_url, "query")
        return said

    engine = connections.make_engine(connections.parse_url(own_database_url), 1)
    await database.close()
    try:
        await connections.fetch(engine, "testing", "SELECT 42")
        async with connections.driver_connection(engine, "testing"):
            assert "42" in await newest_statement()
        monkeypatch.setattr(connections, "TRUSTED_IDLE_S", -1.0)
        async with connections.driver_connection(engine, "testing"):
            assert "42" not in await newest_statement()
    finally:
        await engine.dispose()


@pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SELECT pg_sleep(60)"])
async def test_a_read_that_fails_leaves_no_connection_without_transactions(
    own_database_url: str, statement: str
):
    """Reads go without a transaction; were one to leave its connection so, ticks would tear."""
    engine = connections.make_engine(connections.parse_url(own_database_url), 1)
    try:
        with pytest.raises((errors.InvalidValue, TimeoutError)):
            async with asyncio.timeout(0.2):
                await connections.fetch(engine, "testing", statement.encode())
        with pytest.raises((errors.InvalidValue, TimeoutError)):
            async with asyncio.timeout(0.2):
                await connections.fetch_each(engine, "testing", (statement.encode(), ()))
        async with connections.driver_connection(engine, "testing") as raw:
            assert not raw.autocommit
            assert await (await raw.execute("SELECT 1")).fetchone() == (1,)
    finally:
        await engine.dispose()


async def in_pipeline(engine: sa_asyncio.AsyncEngine, statement: str) -> None:
    """Run a statement between others, as commits do."""
    async with connections.driver_connection(engine, "testing") as raw, raw.pipeline():
        await raw.execute("SELECT 1")
        await raw.execute(statement.encode())
        await raw.execute("SELECT 2")
        await raw.execute("COMMIT")


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(60)", "SELECT 1 / 0"])
async def test_a_pipeline_that_breaks_off_leaves_nothing_to_the_next(
    own_database_url: str, statement: str
):
    engine = connections.make_engine(connections.parse_url(own_database_url), 1)
    try:
        for _ in range(2):
            with pytest.raises((errors.InvalidValue, TimeoutError)):
                await asyncio.wait_for(in_pipeline(engine, statement), 0.2)
            async with connections.driver_connection(engine, "testing") as raw:
                assert await (await raw.execute("SELECT 3")).fetchone() == (3,)
                async with raw.cursor().copy("COPY (SELECT 4) TO STDOUT") as copy:
                    assert b"".join([bytes(part) async for part in copy]) == b"4\n"
    finally:
        await engine.dispose()


async def test_a_call_that_is_given_up_holds_up_no_other(database: Database, own_database_url: str):
    async with await psycopg.AsyncConnection.connect(own_database_url) as rival:
        await rival.execute("LOCK TABLE log_head IN SHARE MODE")  # stops the commit, not reads
        creating = asyncio.create_task(database.runs.create(support.new_run()))
        while ("Lock",) not in await sessions(own_database_url, "wait_event_type"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # Postgres tells nobody that a session waits
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
    async with asyncio.timeout(5):
        await database.runs.create(support.new_run())
    assert await database.runs.queued_counts() == {"a": 1}

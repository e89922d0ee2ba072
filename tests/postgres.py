"""Databases for tests: one embedded server a session, one migrated database that is emptied before
each test.

Use `database_url` (or `database`, connected) wherever committed data is fine to be deleted with
DELETE; a test that changes the schema, kills connections or drops partitions takes
`own_database_url`; one that migrates takes `empty_database_url`. `ATOLL_TEST_DATABASE_URL` names a
server to use instead of an embedded one; its user must be allowed to create databases.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import sql

from atoll_storage import database as database_module
from atoll_storage import embedded, schema

# Tables that others refer to come last.
_EMPTY_ALL = "\n".join(
    "UPDATE log_head SET head = 0, pruned_through = 0;"
    if table is schema.log_head
    else f"DELETE FROM {table.name};"  # noqa: S608 - names of our own tables
    for table in reversed(schema.metadata.sorted_tables)
)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    before, separator, query = url.partition("?")
    return before.rpartition("/")[0] + "/" + name + separator + query


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server's maintenance database."""
    given = os.environ.get("ATOLL_TEST_DATABASE_URL")
    if given:
        yield given
        return
    data_dir = tmp_path_factory.mktemp("postgres") / "data"
    server = embedded.EmbeddedPostgres.start_blocking(data_dir, durable=False)
    try:
        yield server.url
    finally:
        server.stop_blocking()


@pytest.fixture(scope="session")
def postgres_admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str, postgres_admin: psycopg.Connection) -> Iterator[str]:
    """The name of a migrated database to copy others from. Nothing may stay connected to it."""
    name = _create(postgres_admin)

    async def migrate() -> None:
        database = await database_module.Database.connect(with_database(postgres_url, name))
        try:
            await database.migrate()
        finally:
            await database.close()

    asyncio.run(migrate())
    yield name
    _drop(postgres_admin, name)


@pytest.fixture(scope="session")
def _shared_database_url(
    postgres_url: str, postgres_admin: psycopg.Connection, migrated_template: str
) -> Iterator[str]:
    name = _create(postgres_admin, migrated_template)
    yield with_database(postgres_url, name)
    _drop(postgres_admin, name)


@pytest.fixture(scope="session")
def _shared_connection(_shared_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(_shared_database_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '10s'")
        yield connection


@pytest.fixture
def database_url(_shared_database_url: str, _shared_connection: psycopg.Connection) -> str:
    """A migrated and empty database."""
    with _shared_connection.transaction():
        _shared_connection.execute(_EMPTY_ALL)
    return _shared_database_url


@pytest.fixture
def own_database_url(
    postgres_url: str, postgres_admin: psycopg.Connection, migrated_template: str
) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = _create(postgres_admin, migrated_template)
    yield with_database(postgres_url, name)
    _drop(postgres_admin, name)


@pytest.fixture
def empty_database_url(postgres_url: str, postgres_admin: psycopg.Connection) -> Iterator[str]:
    """A database without a schema."""
    name = _create(postgres_admin)
    yield with_database(postgres_url, name)
    _drop(postgres_admin, name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[database_module.Database]:
    """Storage on a migrated and empty database."""
    connected = await database_module.Database.connect(database_url)
    try:
        yield connected
    finally:
        await connected.close()


def _create(admin: psycopg.Connection, template: str = "template0") -> str:
    name = f"atoll_test_{uuid.uuid4().hex[:12]}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}")
    strategy = sql.Identifier("file_copy" if template == "template0" else "wal_log")
    admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template), strategy))
    return name


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

"""Migrations build what the models say; a database of another release is recognised."""

import asyncio

import psycopg
import pytest
import sqlalchemy as sa

from atoll_storage import errors, migrating, schema
from atoll_storage.database import Database

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

CATALOG = """
SELECT 'column', c.relname, a.attname,
    format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' ' || a.attidentity::text || ' '
    || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || ' ' || coalesce(co.collname, '') || ' '
    || coalesce(col_description(c.oid, a.attnum), '')
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') {ours}
UNION ALL
SELECT 'constraint', c.relname, k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE true {ours}
UNION ALL
SELECT 'index', c.relname, i.relname, pg_get_indexdef(x.indexrelid)
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid WHERE
true {ours} UNION ALL SELECT 'table', c.relname, c.relkind::text,
    coalesce(array_to_string(c.reloptions, ','), '') || ' ' || coalesce(pg_get_partkeydef(c.oid),
    '') || ' ' || coalesce(obj_description(c.oid), '')
FROM pg_class c WHERE c.relkind IN ('r', 'p', 'S') {ours}
ORDER BY 1, 2, 3
""".format(
    ours="AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition "
    "AND c.relname <> 'alembic_version'"
)


def catalog(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(CATALOG).fetchall()


def test_migrations_build_what_the_models_say(own_database_url: str, empty_database_url: str):
    engine = sa.create_engine(empty_database_url.replace("postgresql:", "postgresql+psycopg:"))
    schema.metadata.create_all(engine)
    engine.dispose()
    assert catalog(own_database_url) == catalog(empty_database_url)
    assert len(catalog(own_database_url)) > 100


async def test_two_hosts_may_migrate_at_once(empty_database_url: str):
    hosts = [await Database.connect(empty_database_url) for _ in range(2)]
    try:
        await asyncio.gather(*(host.migrate() for host in hosts))
        await hosts[0].migrate()
        assert await hosts[1].events.head() == 0
    finally:
        for host in hosts:
            await host.close()


async def test_a_newer_schema_is_refused(own_database_url: str):
    database = await Database.connect(own_database_url)
    with psycopg.connect(own_database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(errors.DatabaseRefused, match=r"'9999'.*Upgrade this host"):
            await database.migrate()
        with pytest.raises(errors.DatabaseRefused, match=r"'9999'.*Upgrade this host"):
            await Database.connect(own_database_url)
    finally:
        await database.close()


async def test_a_database_without_schema_says_so(empty_database_url: str):
    database = await Database.connect(empty_database_url)
    try:
        with pytest.raises(errors.DatabaseRefused, match="Migrate its schema"):
            await database.events.head()
    finally:
        await database.close()


def test_revisions_are_one_line():
    assert migrating.known_revisions() == [
        "0001",
        "0002",
        "0003",
        "0004",
        "0005",
        "0006",
        "0007",
        "0008",
        "0009",
        "0010",
        "0011",
        "0012",
        "0013",
        "0014",
    ]

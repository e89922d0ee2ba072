"""A database that cannot serve is refused with the reason; one that comes back is used again."""

import asyncio
import pathlib

import psycopg
import pytest

from atoll_storage import connections, embedded, errors
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///x.db", "not of Postgres.*'sqlite'"),
        ("mysql://u:secret@h/d", r"not of Postgres.*'mysql'"),
        ("no url at all", "cannot be read"),
        ("postgresql://u:secret@h:port/d", "cannot be read"),
    ],
)
async def test_what_is_no_url_of_postgres_is_refused(url: str, said: str):
    with pytest.raises(errors.DatabaseRefused, match=said) as raised:
        await Database.connect(url)
    assert "secret" not in str(raised.value)


async def test_nothing_there_says_where():
    url = "postgresql://u:secret@127.0.0.1:1/d"
    with pytest.raises(errors.StorageUnavailable, match=r"u:\*\*\*@127.0.0.1:1/d") as raised:
        await Database.connect(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("change", [("user", "nobody_there"), ("dbname", "no_such_database")])
async def test_a_refusal_of_the_server_is_passed_on(postgres_url: str, change: tuple[str, str]):
    url = connections.parse_url(postgres_url)
    url = url.set(username=change[1]) if change[0] == "user" else url.set(database=change[1])
    with pytest.raises(errors.DatabaseRefused, match=f'{change[1]}" does not exist'):
        await Database.connect(url.render_as_string(hide_password=False))


async def test_a_wrong_password_is_refused(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    try:
        rules = tmp_path / "pg" / "pg_hba.conf"
        rules.write_text("local all atoll trust\nlocal all guest scram-sha-256\n")
        with psycopg.connect(server.url, autocommit=True) as admin:
            admin.execute("CREATE ROLE guest LOGIN PASSWORD 'right'")
            admin.execute("SELECT pg_reload_conf()")
        url = server.url.replace("atoll@", "guest:wrong-secret@")
        with pytest.raises(errors.DatabaseRefused, match="password authentication failed") as said:
            await Database.connect(url)
        assert "wrong-secret" not in str(said.value)
    finally:
        await server.stop()


@pytest.mark.slow
async def test_a_restart_of_postgres_heals_by_itself(tmp_path: pathlib.Path):
    server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
    database = await Database.connect(server.url, pool_size=3)
    try:
        await database.migrate()
        run = await support.started_run(database)
        acknowledged = 0
        failures = 0
        up_again = asyncio.Event()

        async def produce() -> None:
            nonlocal acknowledged, failures
            while not (up_again.is_set() and acknowledged >= 300):
                events = [support.event(run.run_id, acknowledged + 1 + i) for i in range(5)]
                try:
                    [outcome] = await database.events.append([support.batch(events)])
                except errors.StorageUnavailable:
                    failures += 1
                    await asyncio.sleep(0.01)
                else:
                    acknowledged = outcome.acknowledged[run.run_id]

        async with asyncio.timeout(30):
            producing = asyncio.create_task(produce())
            while acknowledged < 50:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await server.stop()
            with pytest.raises(errors.StorageUnavailable):
                await database.runs.get(run.run_id)
            while not failures:  # noqa: ASYNC110
                await asyncio.sleep(0)
            server = await embedded.EmbeddedPostgres.start(tmp_path / "pg", durable=False)
            up_again.set()
            await producing
        assert failures
        assert await support.stored_seqs(database, run.run_id) == list(range(1, acknowledged + 1))
        assert await database.runs.get(run.run_id) is not None
    finally:
        await database.close()
        await server.stop()

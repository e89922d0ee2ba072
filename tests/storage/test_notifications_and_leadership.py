"""Hosts learn of each other's changes at once, and one of them leads."""

import asyncio
import contextlib

import psycopg
import pytest

from atoll_storage import notifications
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres


async def kill_backends(url: str, pattern: str) -> int:
    """End the sessions whose last statement is like a pattern, as the death of a host would."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ %s"
    )
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(query, [pattern])
        return (await cursor.fetchone())[0]


async def test_changes_are_told(database: Database):
    channels = (
        notifications.EVENTS,
        notifications.RUNS,
        notifications.SENSORS,
        notifications.LOCATIONS,
    )
    async with database.notifications(*channels) as listener, asyncio.timeout(5):
        run = await database.runs.create(support.new_run())
        told = [await anext(listener) for _ in range(2)]
        assert {(n.channel, n.payload) for n in told} == {
            (notifications.RUNS, run.run_id),
            (notifications.EVENTS, "1"),
        }
        await database.locations.register(support.registration())
        told = await anext(listener)
        assert (told.channel, told.payload) == (notifications.LOCATIONS, "a")


async def test_a_listener_reconnects_and_says_so(own_database_url: str):
    database = await Database.connect(own_database_url)
    try:
        async with database.notifications(notifications.EVENTS) as listener, asyncio.timeout(10):
            assert await kill_backends(own_database_url, "LISTEN") == 1
            assert (await anext(listener)).channel == notifications.RECONNECTED
            await database.events.append_host_events([support.event("", 0)])
            assert (await anext(listener)).channel == notifications.EVENTS
    finally:
        await database.close()


@pytest.mark.slow
async def test_one_leads_and_the_next_takes_over(own_database_url: str):
    database = await Database.connect(own_database_url)
    try:
        async with asyncio.timeout(15), database.leadership("x") as first:
            await first.wait_acquired()
            async with database.leadership("x") as second, database.leadership("y") as other:
                await other.wait_acquired()
                assert (first.held, second.held) == (True, False)
                lost = first.lost
                assert not lost.is_set()
                assert await kill_backends(own_database_url, "pg_try_advisory_lock|SELECT 1") >= 2
                await lost.wait()
                winner = asyncio.create_task(first.wait_acquired())
                rival = asyncio.create_task(second.wait_acquired())
                await asyncio.wait([winner, rival], return_when=asyncio.FIRST_COMPLETED)
                assert first.held != second.held
                for task in (winner, rival):
                    task.cancel()
    finally:
        await database.close()


@pytest.mark.slow
async def test_leaving_gives_the_lead_away_within_a_second_or_so(database: Database):
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        async with contextlib.AsyncExitStack() as stack:
            leaver = await stack.enter_async_context(database.leadership("z"))
            await leaver.wait_acquired()
            async with database.leadership("z") as follower:
                lost = leaver.lost
                left = loop.time()
                await stack.aclose()
                assert lost.is_set()
                assert not leaver.held
                await follower.wait_acquired()
                assert loop.time() - left < 2

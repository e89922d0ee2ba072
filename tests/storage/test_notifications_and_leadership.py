"""Hosts learn of each other's changes at once, and one of them leads."""

import asyncio
import contextlib

import psycopg
import pytest

from atoll_storage import errors, notifications, records
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


CHANNELS = (
    notifications.EVENTS,
    notifications.RUNS,
    notifications.SENSORS,
    notifications.LOCATIONS,
)


async def test_changes_are_told_to_other_hosts(database: Database, database_url: str):
    other = await Database.connect(database_url)
    try:
        async with other.notifications(*CHANNELS) as listener, asyncio.timeout(5):
            await database.runs.create(support.new_run())
            told = [await anext(listener) for _ in range(2)]
            assert {(n.channel, n.payload, n.own) for n in told} == {
                (notifications.RUNS, "QUEUED", False),
                (notifications.EVENTS, "1", False),
            }
            await database.locations.register(support.registration())
            told = await anext(listener)
            assert (told.channel, told.payload) == (notifications.LOCATIONS, "a")
            await database.sensors.ensure([records.SensorKey("a", "s")])
            await database.sensors.set_running(records.SensorKey("a", "s"), True)
            told = await anext(listener)
            assert (told.channel, told.payload) == (notifications.SENSORS, "a/s")
    finally:
        await other.close()


async def test_a_host_knows_its_own_changes_from_those_of_others(database: Database):
    async with database.notifications(*CHANNELS) as listener, asyncio.timeout(5):
        await database.runs.create(support.new_run())
        assert [(await anext(listener)).own for _ in range(2)] == [True, True]


async def test_what_was_stored_is_told_at_once(database: Database):
    told: list[records.Stored] = []
    database.on_stored(told.append)
    run = await support.started_run(database)
    status, change = records.RunStatus, records.RunChange
    queued, starting = change(status.QUEUED, "a", "job"), change(status.STARTING, "a", "job")
    assert told == [
        records.Stored(0, 1, (), frozenset({status.QUEUED}), ((1, queued),)),
        records.Stored(1, 2, (), frozenset({status.STARTING}), ((2, starting),)),
    ]
    told.clear()
    events = [
        support.event(run.run_id, 1, "run_started"),
        support.materialization(run.run_id, 2, "x", "y"),
        support.materialization(run.run_id, 3, "z"),
        support.event(run.run_id, 4, "run_succeeded"),
    ]
    for _ in range(2):
        await database.events.append([support.batch(events)])
    made = ((4, ("x", "y")), (5, ("z",)))
    started, ended = change(status.STARTED, "a", "job"), change(status.SUCCESS, "a", "job")
    assert told == [
        records.Stored(2, 6, made, frozenset({status.SUCCESS}), ((3, started), (6, ended))),
        records.Stored(6, 6),  # a repeat
    ]


async def test_an_unknown_outcome_is_told_too(own_database_url: str):
    """Whoever follows must look then: the notification of Postgres counts as its own."""
    database = await Database.connect(own_database_url)
    told: list[records.Stored] = []
    database.on_stored(told.append)
    try:
        async with (
            asyncio.timeout(10),
            await psycopg.AsyncConnection.connect(own_database_url) as rival,
        ):
            await rival.execute("LOCK TABLE log_head IN SHARE MODE")  # stops the commit, not reads
            creating = asyncio.create_task(database.runs.create(support.new_run()))
            while not await kill_backends(own_database_url, "UPDATE log_head"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # Postgres tells nobody that a session waits
            with pytest.raises(errors.StorageUnavailable):
                await creating
        assert told == [records.STORED_UNKNOWN]
        assert await database.runs.queued_counts() == {}
    finally:
        await database.close()


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

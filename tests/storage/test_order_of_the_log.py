"""However many write, a watcher of `id > cursor` sees every event exactly once, in order."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from atoll_storage.database import Database
from tests.storage import support

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

WRITERS = 8
BATCHES = 25
BATCH_SIZE = 7

Read = Callable[[int], Awaitable[list[int]]]


async def watch(read: Read, done: asyncio.Event) -> list[int]:
    """Follow a log by its ids until the writers are done and nothing more comes."""
    seen: list[int] = []
    while True:
        finished = done.is_set()
        new = await read(seen[-1] if seen else 0)
        seen.extend(new)
        if finished and not new:
            return seen


async def test_a_watcher_misses_nothing_while_two_hosts_append(own_database_url: str):
    hosts = [await Database.connect(own_database_url, pool_size=6) for _ in range(2)]
    watcher = await Database.connect(own_database_url, pool_size=1)
    try:
        runs = [await support.started_run(hosts[0]) for _ in range(WRITERS)]
        done = asyncio.Event()

        async def write(writer: int) -> None:
            run_id, host = runs[writer].run_id, hosts[writer % 2]
            for first in range(1, BATCHES * BATCH_SIZE, BATCH_SIZE):
                events = [support.event(run_id, first + i) for i in range(BATCH_SIZE)]
                [outcome] = await host.events.append([support.batch(events)])
                assert outcome.acknowledged == {run_id: first + BATCH_SIZE - 1}

        async def read(after_id: int) -> list[int]:
            return [s.id for s in await watcher.events.read(after_id, limit=50)]

        watching = asyncio.create_task(watch(read, done))
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        done.set()
        seen = await watching
        stored = [s.id for s in await support.stored(watcher)]
        assert seen == stored
        assert len(seen) >= WRITERS * BATCHES * BATCH_SIZE
        for run in runs:
            seqs = await support.stored_seqs(watcher, run.run_id)
            assert seqs == list(range(1, BATCHES * BATCH_SIZE + 1))
    finally:
        for host in (*hosts, watcher):
            await host.close()


async def test_eight_connections_without_group_commit_keep_the_order(own_database_url: str):
    """Each writer is a host of its own here, so that only the lock in the database orders them."""
    hosts = [await Database.connect(own_database_url, pool_size=1) for _ in range(WRITERS)]
    watcher = await Database.connect(own_database_url, pool_size=1)
    try:
        runs = [await support.started_run(hosts[0]) for _ in range(WRITERS)]
        done = asyncio.Event()

        async def write(writer: int) -> None:
            for seq in range(1, BATCHES + 1):
                event = support.event(runs[writer].run_id, seq)
                await hosts[writer].events.append([support.batch([event])])

        async def read(after_id: int) -> list[int]:
            return [s.id for s in await watcher.events.read(after_id, limit=5)]

        watching = asyncio.create_task(watch(read, done))
        await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
        done.set()
        assert await watching == [s.id for s in await support.stored(watcher)]
    finally:
        for host in (*hosts, watcher):
            await host.close()


async def test_the_same_check_fails_on_a_bare_sequence(own_database_url: str):
    """Why the append lock is there: ids of a bigserial are not given in the order of commits.

    Writer 1 takes id 1 and commits last; whoever has seen id 2 by then never sees it.
    """
    writers = [await psycopg.AsyncConnection.connect(own_database_url) for _ in range(2)]
    watcher = await psycopg.AsyncConnection.connect(own_database_url, autocommit=True)
    try:
        await watcher.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, writer int)")
        done = asyncio.Event()
        first_seen = asyncio.Event()

        async def read(after_id: int) -> list[int]:
            query = "SELECT id FROM bare WHERE id > %s ORDER BY id"
            cursor = await watcher.execute(query, [after_id])
            found = [row[0] for row in await cursor.fetchall()]
            if found:
                first_seen.set()
            return found

        insert = "INSERT INTO bare (writer) VALUES (%s)"
        watching = asyncio.create_task(watch(read, done))
        await writers[0].execute(insert, [1])
        await writers[1].execute(insert, [2])
        await writers[1].commit()
        await first_seen.wait()
        await writers[0].commit()
        done.set()
        seen = await watching
        assert await read(0) == [1, 2]
        assert seen == [2]
    finally:
        for connection in (*writers, watcher):
            await connection.close()

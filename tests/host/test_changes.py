"""What this host stores is told at once and once; what other hosts do is told by Postgres."""

import asyncio

import pytest

from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_storage import database as databases
from atoll_storage import queue_records, records
from tests.storage import support

pytestmark = pytest.mark.postgres

LIMITS = queue_records.ClaimLimits(10, 10)


@pytest.fixture
async def changes(database: databases.Database):
    service = host_changes.Changes(database)
    settled = service.locations.subscribe()
    await service.start()
    await settled.wait(5)  # listens, and has poked everybody
    yield service
    await service.stop()


@pytest.fixture
async def other(database_url: str):
    connected = await databases.Database.connect(database_url)
    yield connected
    await connected.close()


async def host_event(database: databases.Database) -> None:
    await database.events.append_host_events([events_pb2.Event()])


async def test_own_changes_are_told_before_the_call_returns_and_never_again(
    database: databases.Database, other: databases.Database, changes: host_changes.Changes
) -> None:
    runs, events = changes.runs.subscribe(), changes.events.subscribe()
    await database.runs.create(support.new_run())
    assert await runs.wait(0)
    assert await events.wait(0)
    assert changes.newest_event_id == 1
    await host_event(other)  # by then the notifications of the own change have been read as well
    assert await events.wait(5)
    assert changes.newest_event_id == 2
    assert not await runs.wait(0)


async def test_only_what_can_begin_wakes_the_launcher(
    database: databases.Database, changes: host_changes.Changes
) -> None:
    runs, cancels = changes.runs.subscribe(), changes.cancels.subscribe()
    run = await support.started_run(database)
    assert await runs.wait(0)
    await database.events.append([support.batch([support.event(run.run_id, 1, "run_started")])])
    assert not await runs.wait(0)
    await database.runs.request_cancel(run.run_id, "")
    assert await cancels.wait(0)
    assert not await runs.wait(0)
    failure = values_pb2.Failure(message="x")
    await database.runs.fail(run.run_id, failure, expected=frozenset(records.RunStatus))
    assert await runs.wait(0)
    assert not await cancels.wait(0)


async def test_changes_of_other_hosts_are_told(
    other: databases.Database, changes: host_changes.Changes
) -> None:
    runs, cancels = changes.runs.subscribe(), changes.cancels.subscribe()
    locations, sensors = changes.locations.subscribe(), changes.sensors.subscribe()
    run = await support.started_run(other)
    assert await runs.wait(5)
    assert await locations.wait(5)
    await other.runs.request_cancel(run.run_id, "")
    assert await cancels.wait(5)
    await other.sensors.ensure([records.SensorKey("a", "s")])
    await other.sensors.set_running(records.SensorKey("a", "s"), True)
    assert await sensors.wait(5)


async def test_an_outcome_that_nobody_knows_makes_everybody_look(
    changes: host_changes.Changes,
) -> None:
    pokes = [changes.runs.subscribe(), changes.events.subscribe(), changes.cancels.subscribe()]
    tail = changes.tail()
    assert tail.take(0)[2]
    changes.stored(records.STORED_UNKNOWN)
    assert [await poke.wait(0) for poke in pokes] == [True] * 3
    await asyncio.wait_for(tail.wait(60), 5)
    assert tail.take(0) == ([], 0, True)

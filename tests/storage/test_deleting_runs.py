"""A run that somebody asks to be gone goes with what is its own, unless something needs it."""

import asyncio

import psycopg
import pytest

from atoll_storage import errors, records, run_deletion
from atoll_storage.database import Database
from tests.storage import support

pytestmark = pytest.mark.postgres

NEED = run_deletion.Need
STATUS = records.RunStatus


async def ended_run(database: Database, **fields) -> str:
    run = await database.runs.create(support.new_run(**fields))
    await database.runs.request_cancel(run.run_id, "")
    return run.run_id


async def failed_run(database: Database) -> str:
    run = await database.runs.create(support.new_run())
    expected = frozenset({STATUS.QUEUED})
    assert await database.runs.fail(run.run_id, support.failure("x"), expected=expected)
    return run.run_id


async def test_a_run_goes_with_its_output_and_its_events_stay(database: Database):
    run = await support.started_run(database)
    piece = records.OutputPiece(run.run_id, "", 1, 0, b"hello")
    await database.outputs.append(piece, location_name="a", server_id="s1", epoch=1)
    await database.events.append(
        [support.batch([support.event(run.run_id, 1, "run_started")])],
    )
    await database.events.append([support.batch([support.event(run.run_id, 2, "run_succeeded")])])
    before = await support.stored(database, run.run_id)
    assert await database.run_deletion.delete(run.run_id) is STATUS.SUCCESS
    assert await database.runs.get(run.run_id) is None
    assert await database.outputs.arrived(run.run_id, None, 0, limit=9) == []
    assert await support.stored(database, run.run_id) == before
    assert await database.run_deletion.delete(run.run_id) is None


async def test_a_run_that_has_not_ended_stays(database: Database):
    run = await database.runs.create(support.new_run())
    assert await database.run_deletion.delete(run.run_id) is STATUS.QUEUED
    assert await database.runs.get(run.run_id) is not None


async def test_a_run_about_which_a_retry_is_to_be_decided_stays(database: Database):
    run_id = await failed_run(database)
    assert await database.run_deletion.delete(run_id) is NEED.RETRY
    await database.retries.decline([run_id])
    assert await database.run_deletion.delete(run_id) is STATUS.FAILURE


async def test_a_run_key_keeps_its_run_for_as_long_as_there_is_the_sensor(database: Database):
    run_id = await ended_run(database, sensor_name="s", run_key="k")
    await database.sensors.ensure([records.SensorKey("a", "s")])
    assert await database.run_deletion.delete(run_id) is NEED.RUN_KEY
    other = await ended_run(database, sensor_name="gone", run_key="k")
    assert await database.run_deletion.delete(other) is STATUS.CANCELED


async def test_a_run_that_says_why_an_asset_has_no_data_stays(database: Database):
    run = await support.started_run(database)
    planned = support.event(run.run_id, 2, "asset_materialization_planned")
    planned.asset_materialization_planned.asset_key.path.append("x")
    events = [
        support.event(run.run_id, 1, "run_started"),
        planned,
        support.event(run.run_id, 3, "run_failed"),
    ]
    await database.events.append([support.batch(events)])
    await database.retries.decline([run.run_id])
    assert await database.run_deletion.delete(run.run_id) is NEED.ASSET
    later = await support.started_run(database)
    await database.events.append([support.batch([support.materialization(later.run_id, 1, "x")])])
    assert await database.run_deletion.delete(run.run_id) is STATUS.FAILURE


async def test_a_run_that_an_open_one_goes_back_to_stays(database: Database):
    run_id = await ended_run(database)
    target = records.RunTarget(parent_run_id=run_id, root_run_id=run_id)
    again = await database.runs.create(support.new_run(target=target))
    assert await database.run_deletion.delete(run_id) is NEED.RUN
    await database.runs.request_cancel(again.run_id, "")
    assert await database.run_deletion.delete(run_id) is STATUS.CANCELED
    with pytest.raises(errors.UnknownParent, match=run_id):
        await database.runs.create(support.new_run(target=target))


async def test_of_a_deletion_and_a_run_that_goes_back_the_first_counts(
    database: Database, database_url: str
):
    run_id = await ended_run(database)
    target = records.RunTarget(parent_run_id=run_id)
    async with await psycopg.AsyncConnection.connect(database_url) as holding:
        await holding.execute("SELECT FROM runs WHERE run_id = %s FOR UPDATE", [run_id])
        creating = asyncio.create_task(database.runs.create(support.new_run(target=target)))
        deleting = asyncio.create_task(database.run_deletion.delete(run_id))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(creating, deleting, return_exceptions=True)
    if isinstance(outcomes[0], errors.UnknownParent):
        assert outcomes[1] is STATUS.CANCELED
    else:
        assert outcomes[1] is NEED.RUN

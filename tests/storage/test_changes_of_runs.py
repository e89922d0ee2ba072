"""What sensors on the status of runs are told: each run once, by location and job, in log order."""

import datetime as dt

import pytest

from atoll.definitions.v1 import values_pb2
from atoll_storage import event_log
from atoll_storage.database import Database
from atoll_storage.records import RunChange, RunChangeQuery, RunStatus, SensorKey, Stored
from tests.storage import support

pytestmark = pytest.mark.postgres

SUCCESS, FAILURE, QUEUED = RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.QUEUED


async def ended(database: Database, *, location: str = "a", how: str = "run_succeeded", **fields):
    run = await support.started_run(database, location, f"{location}-server", **fields)
    events = [support.event(run.run_id, 1, "run_started"), support.event(run.run_id, 2, how)]
    await database.events.append([support.batch(events, location, f"{location}-server")])
    return run


async def all_of(database: Database, query: RunChangeQuery) -> list[str]:
    """Return the runs that a sensor is told of, one after the other."""
    found, position = [], 0
    while (stored := await database.events.next_run_change(query, position)) is not None:
        found.append(stored.event.run_id)
        position = stored.id
    return found


async def test_each_run_is_found_once_in_log_order(database: Database):
    runs = [await ended(database) for _ in range(3)]
    await ended(database, how="run_failed")
    assert await all_of(database, RunChangeQuery(SUCCESS)) == [run.run_id for run in runs]
    assert len(await all_of(database, RunChangeQuery(QUEUED))) == 4


async def test_a_job_is_told_apart_from_one_of_the_same_name_elsewhere(database: Database):
    mine = await ended(database, location="a", job_name="nightly")
    theirs = await ended(database, location="b", job_name="nightly")
    other = await ended(database, location="a", job_name="other")
    one = RunChangeQuery(SUCCESS, monitored=(("a", "nightly"),))
    assert await all_of(database, one) == [mine.run_id]
    whole = RunChangeQuery(SUCCESS, monitored=(("a", ""),))
    assert await all_of(database, whole) == [mine.run_id, other.run_id]
    two = RunChangeQuery(SUCCESS, monitored=(("b", "nightly"), ("a", "other")))
    assert await all_of(database, two) == [theirs.run_id, other.run_id]
    assert await all_of(database, RunChangeQuery(SUCCESS, monitored=())) == []
    ignoring = RunChangeQuery(SUCCESS, ignored_jobs=(("a", "nightly"),))
    assert await all_of(database, ignoring) == [theirs.run_id, other.run_id]


async def test_runs_that_the_sensor_asked_for_do_not_count(database: Database):
    own = await ended(database, sensor_name="watch", run_key="k", tick_id="t")
    plain = await ended(database)
    mine = RunChangeQuery(SUCCESS, asked_by=SensorKey("a", "watch"))
    assert await all_of(database, mine) == [plain.run_id]
    elsewhere = RunChangeQuery(SUCCESS, asked_by=SensorKey("b", "watch"))
    assert await all_of(database, elsewhere) == [own.run_id, plain.run_id]


async def test_what_a_worker_says_after_its_run_was_ended_does_not_count(database: Database):
    run = await support.started_run(database)
    failure = values_pb2.Failure(message="its code server was away for too long")
    await database.runs.fail(run.run_id, failure, expected=frozenset(RunStatus))
    late = [
        support.event(run.run_id, 1, "run_succeeded"),
        support.event(run.run_id, 2, "run_failed"),
    ]
    await database.events.append([support.batch(late)])
    assert await all_of(database, RunChangeQuery(SUCCESS)) == []
    assert await all_of(database, RunChangeQuery(FAILURE)) == [run.run_id]


async def test_followers_are_told_of_what_was_stored_and_may_read_the_same(database: Database):
    told: list[Stored] = []
    database.on_stored(told.append)
    await ended(database, job_name="job")
    changes = [change for stored in told for change in stored.run_changes]
    read, position = await database.events.run_changes_after(0, limit=100)
    assert changes == read
    assert [change.status for _, change in read] == [
        RunStatus.QUEUED,
        RunStatus.STARTING,
        RunStatus.STARTED,
        RunStatus.SUCCESS,
    ]
    assert {change for _, change in read if change.status is SUCCESS} == {
        RunChange(SUCCESS, "a", "job")
    }
    assert position == await database.events.head()
    newest = await database.events.newest_run_changes()
    assert newest == {change.status: event_id for event_id, change in read}


async def test_a_page_of_changes_ends_where_the_next_begins(database: Database):
    for _ in range(3):
        await ended(database)
    whole, _ = await database.events.run_changes_after(0, limit=1000)
    found, position = [], 0
    while True:
        page, position = await database.events.run_changes_after(position, limit=2)
        found += page
        if len(page) < 2:
            break
    assert found == whole


async def test_a_time_names_the_position_before_what_was_stored_from_then_on(database: Database):
    assert await database.events.position_at(support.SOME_TIME) == 0
    for _ in range(9):
        await database.events.append_host_events([support.event("", 0)])
    stored = await database.events.read(0, limit=100)
    for one in stored:
        moment = one.stored_time.ToDatetime(tzinfo=dt.UTC)
        assert await database.events.position_at(moment) == one.id - 1
    later = stored[-1].stored_time.ToDatetime(tzinfo=dt.UTC) + dt.timedelta(seconds=1)
    assert await database.events.position_at(later) == 9


async def test_a_rare_change_is_looked_for_piece_by_piece(database: Database, monkeypatch):
    monkeypatch.setattr(event_log, "RUN_CHANGES_PIECE", 3)
    for _ in range(4):
        await ended(database, job_name="often")
    rare = await ended(database, job_name="rarely")
    query = RunChangeQuery(SUCCESS, monitored=(("a", "rarely"),))
    assert await all_of(database, query) == [rare.run_id]
    found = await database.events.next_run_change(query, 0)
    assert await database.events.next_run_change(query, 0, through_id=found.id - 1) is None
    assert await database.events.next_run_change(query, 0, through_id=found.id) == found

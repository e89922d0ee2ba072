"""What code servers append is stored exactly once, in order, and only what is theirs to append."""

import asyncio

import pytest

from atoll_storage.database import Database
from atoll_storage.records import RunStatus
from tests.storage import support

pytestmark = pytest.mark.postgres


async def append(database: Database, *batches):
    return await database.events.append(batches)


async def test_events_are_stored_in_order_and_acknowledged(database: Database):
    run = await support.started_run(database)
    [outcome] = await append(
        database, support.batch(support.event(run.run_id, seq) for seq in (1, 2, 3))
    )
    assert outcome.acknowledged == {run.run_id: 3}
    assert not outcome.fenced
    assert outcome.stale_epoch is None
    assert await support.stored_seqs(database, run.run_id) == [1, 2, 3]
    assert outcome.last_event_id == await database.events.head()


async def test_repeats_are_dropped_and_acknowledged_again(database: Database):
    run = await support.started_run(database)
    batch = support.batch(support.event(run.run_id, seq) for seq in (1, 2))
    await append(database, batch)
    [outcome] = await append(database, batch)
    assert outcome.acknowledged == {run.run_id: 2}
    assert outcome.last_event_id == 0
    assert await support.stored_seqs(database, run.run_id) == [1, 2]


async def test_a_gap_ends_what_is_taken(database: Database):
    run = await support.started_run(database)
    other = await support.started_run(database)
    [outcome] = await append(
        database,
        support.batch(
            [
                support.event(run.run_id, 1),
                support.event(run.run_id, 3),
                support.event(run.run_id, 4),
                support.event(other.run_id, 1),
            ]
        ),
    )
    assert outcome.acknowledged == {run.run_id: 1, other.run_id: 1}
    assert await support.stored_seqs(database, run.run_id) == [1]


async def test_batches_of_one_call_build_on_each_other(database: Database):
    run = await support.started_run(database)
    first, second = await append(
        database,
        support.batch([support.event(run.run_id, 1)]),
        support.batch([support.event(run.run_id, 1), support.event(run.run_id, 2)]),
    )
    # Both tell what is stored once the call is over.
    assert first.acknowledged == {run.run_id: 2}
    assert second.acknowledged == {run.run_id: 2}
    assert 0 < first.last_event_id < second.last_event_id
    assert await support.stored_seqs(database, run.run_id) == [1, 2]


async def test_a_stale_epoch_stores_nothing(database: Database):
    run = await support.started_run(database)
    await database.locations.register(support.registration())
    [outcome] = await append(database, support.batch([support.event(run.run_id, 1)], epoch=1))
    assert outcome.stale_epoch == 2
    assert not outcome.acknowledged
    assert await support.stored_seqs(database, run.run_id) == []
    [outcome] = await append(database, support.batch([support.event(run.run_id, 1)], epoch=2))
    assert outcome.acknowledged == {run.run_id: 1}


async def test_a_server_that_never_registered_is_stale(database: Database):
    run = await support.started_run(database)
    [outcome] = await append(
        database, support.batch([support.event(run.run_id, 1)], server_id="nobody", epoch=1)
    )
    assert outcome.stale_epoch == 0


@pytest.mark.parametrize("run_id", ["no such run", "", "nul \0 in it"])
async def test_an_unknown_run_is_fenced_and_others_are_not(database: Database, run_id: str):
    run = await support.started_run(database)
    [outcome] = await append(
        database, support.batch([support.event(run_id, 1), support.event(run.run_id, 1)])
    )
    assert outcome.fenced == {run_id: "unknown run"}
    assert outcome.acknowledged == {run.run_id: 1}


@pytest.mark.parametrize(("location_name", "server_id"), [("a", "s2"), ("b", "s1")])
async def test_events_of_a_run_of_another_server_are_fenced(
    database: Database, location_name: str, server_id: str
):
    run = await support.started_run(database)
    await database.locations.register(support.registration(location_name, server_id))
    [outcome] = await append(
        database,
        support.batch(
            [support.event(run.run_id, 1)], location_name=location_name, server_id=server_id
        ),
    )
    assert "'s1' of location 'a'" in outcome.fenced[run.run_id]
    assert await support.stored_seqs(database, run.run_id) == []


async def test_a_run_that_waits_is_bound_to_nobody(database: Database):
    await database.locations.register(support.registration())
    run = await database.runs.create(support.new_run())
    [outcome] = await append(database, support.batch([support.event(run.run_id, 1)]))
    assert "QUEUED" in outcome.fenced[run.run_id]


async def test_a_superseded_server_still_appends_to_its_runs(database: Database):
    run = await support.started_run(database)
    await database.locations.register(support.registration(server_id="s2"))
    [outcome] = await append(database, support.batch([support.event(run.run_id, 1)]))
    assert outcome.acknowledged == {run.run_id: 1}


async def test_nothing_that_a_producer_writes_stops_the_intake(database: Database):
    run = await support.started_run(database)
    odd = [
        support.event(run.run_id, 1, step_key="nul \0 here", message="\0"),
        support.materialization(run.run_id, 2, "x" * 5000, "\0", partition="\0"),
        support.materialization(run.run_id, 3, "päth", "汉", '"', "\\"),
        support.event(run.run_id, 4),
        support.event(run.run_id, 5, "run_started"),
    ]
    odd[3].timestamp.seconds = 2**62
    odd[3].timestamp.nanos = -5
    odd[3].ClearField("log_message")
    odd[4].run_started.build_id = "b\0"
    odd[4].timestamp.seconds = -(2**62)
    [outcome] = await append(database, support.batch(odd))
    assert outcome.acknowledged == {run.run_id: 5}
    events = [s.event for s in await support.stored(database, run.run_id) if s.event.seq]
    assert events == odd
    long_key = ("x" * 5000, "\0")
    found, _ = await database.events.materializations_after(0, limit=10)
    assert [key for _, key in found] == [long_key, ("päth", "汉", '"', "\\")]
    [latest] = await database.events.latest_materializations([long_key])
    assert latest.event == odd[1]


async def test_many_calls_share_transactions(database: Database):
    runs = [await support.started_run(database) for _ in range(20)]
    outcomes = await asyncio.gather(
        *(
            append(database, support.batch([support.event(run.run_id, seq)]))
            for seq in range(1, 6)
            for run in runs
        )
    )
    assert len(outcomes) == 100
    for run in runs:
        assert await support.stored_seqs(database, run.run_id) == [1, 2, 3, 4, 5]
    ids = [s.id for s in await support.stored(database)]
    assert ids == list(range(1, len(ids) + 1))


async def test_a_cancelled_call_leaves_the_others_alone(database: Database):
    first, second = [await support.started_run(database) for _ in range(2)]
    gone = asyncio.create_task(append(database, support.batch([support.event(first.run_id, 1)])))
    stays = asyncio.create_task(append(database, support.batch([support.event(second.run_id, 1)])))
    await asyncio.sleep(0)
    gone.cancel()
    [outcome] = await stays
    assert outcome.acknowledged == {second.run_id: 1}
    [outcome] = await append(database, support.batch([support.event(first.run_id, 1)]))
    assert outcome.acknowledged == {first.run_id: 1}


async def test_started_and_succeeded_move_the_run(database: Database):
    run = await support.started_run(database)
    begin = support.event(run.run_id, 1, "run_started")
    begin.run_started.build_id = "build 7"
    begin.timestamp.FromSeconds(1_700_000_000)
    await append(database, support.batch([begin]))
    found = await database.runs.get(run.run_id)
    assert (found.status, found.build_id) == (RunStatus.STARTED, "build 7")
    assert found.start_time.timestamp() == 1_700_000_000
    assert found.end_time is None
    await append(database, support.batch([support.event(run.run_id, 2, "run_succeeded")]))
    found = await database.runs.get(run.run_id)
    assert (found.status, found.build_id) == (RunStatus.SUCCESS, "build 7")
    assert found.end_time is not None
    assert found.start_time.timestamp() == 1_700_000_000


async def test_a_final_state_never_changes_but_late_events_are_stored(database: Database):
    run = await support.started_run(database)
    failed = support.event(run.run_id, 1, "run_failed")
    failed.run_failed.failure.message = "first"
    await append(database, support.batch([failed]))
    before = await database.runs.get(run.run_id)
    late = [
        support.event(run.run_id, 2, "run_started"),
        support.event(run.run_id, 3, "run_succeeded"),
        support.materialization(run.run_id, 4, "k"),
    ]
    await append(database, support.batch(late))
    assert await database.runs.get(run.run_id) == before
    assert before.status is RunStatus.FAILURE
    assert before.failure.message == "first"
    assert await support.stored_seqs(database, run.run_id) == [1, 2, 3, 4]


async def test_a_canceling_run_stays_so_until_its_worker_says_how_it_ended(database: Database):
    run = await support.started_run(database)
    await database.runs.request_cancel(run.run_id, "enough")
    await append(database, support.batch([support.event(run.run_id, 1, "run_started")]))
    assert (await database.runs.get(run.run_id)).status is RunStatus.CANCELING
    await append(database, support.batch([support.event(run.run_id, 2, "run_canceled")]))
    assert (await database.runs.get(run.run_id)).status is RunStatus.CANCELED

"""Runs are found by what they are, and keep what they are to run."""

import pytest

from atoll_storage.database import Database
from atoll_storage.records import RunOrder, RunQuery, RunStatus, RunTarget
from tests.storage import support

pytestmark = pytest.mark.postgres


async def test_a_run_keeps_what_it_is_to_run(database: Database):
    parent = await database.runs.create(support.new_run())
    target = RunTarget(
        partition_range_start="a",
        partition_range_end="b",
        op_selection=("x", "*y"),
        asset_check_selection=((("lake", "sales"), "fresh"),),
        step_keys=("s",),
        parent_run_id=parent.run_id,
        root_run_id="root",
    )
    created = await database.runs.create(support.new_run(target=target))
    assert created.target == target
    assert await database.runs.get(created.run_id) == created
    plain = await database.runs.create(support.new_run())
    assert plain.target == RunTarget()
    assert plain.queue_order > created.queue_order


async def test_each_change_of_status_is_a_new_update(database: Database):
    created = await database.runs.create(support.new_run())
    await database.locations.register(support.registration())
    (claimed,) = await database.runs.claim({"a": "s1"}, support.LIMITS, batch_max=1)
    await database.events.append([support.batch([support.event(claimed.run_id, 1, "run_started")])])
    started = await database.runs.get(claimed.run_id)
    canceling = await database.runs.request_cancel(claimed.run_id, "")
    times = [run.update_time for run in (created, claimed, started, canceling)]
    assert times == sorted(set(times))


async def test_conditions_hold_together(database: Database):
    first = await database.runs.create(support.new_run(tags={"team": "a", "kind": "x"}))
    second = await database.runs.create(support.new_run(tags={"team": "b"}, job_name="other"))

    async def find(**conditions):
        found, _ = await database.runs.page(RunQuery(**conditions), limit=10)
        assert await database.runs.count(RunQuery(**conditions)) == len(found)
        return [run.run_id for run in found]

    assert await find() == [second.run_id, first.run_id]
    assert await find(tags={"team": ["a", "b"]}) == [second.run_id, first.run_id]
    assert await find(tags={"team": ["a", "b"], "kind": ["x"]}) == [first.run_id]
    assert await find(absent_tags=("kind",)) == [second.run_id]
    assert await find(run_ids=(first.run_id,), job_name="other") == []
    assert await find(statuses=(RunStatus.QUEUED,), job_name="other") == [second.run_id]
    assert await find(created_after=first.create_time) == [second.run_id]
    assert await find(updated_before=second.update_time) == [first.run_id]


async def test_pages_follow_the_order(database: Database):
    made = [(await database.runs.create(support.new_run())).run_id for _ in range(4)]
    await database.runs.request_cancel(made[1], "")

    async def pages(**order):
        found, after, more = [], "", True
        while more:
            page, more = await database.runs.page(RunQuery(), after_run_id=after, limit=3, **order)
            found += [run.run_id for run in page]
            after = found[-1]
        return found

    assert await pages() == made[::-1]
    assert await pages(ascending=True) == made
    by_update = [made[0], made[2], made[3], made[1]]
    assert await pages(order=RunOrder.UPDATE_TIME, ascending=True) == by_update
    assert await pages(order=RunOrder.UPDATE_TIME) == by_update[::-1]
    nothing = await database.runs.page(RunQuery(), after_run_id="nothing", limit=3)
    assert nothing == ([], False)

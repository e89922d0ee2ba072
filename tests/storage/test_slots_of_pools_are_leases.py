"""Slots are given in order, never more than there are, and come back with whatever ends."""

import asyncio
import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll_storage import claiming, errors, queue_records, records
from atoll_storage.database import Database
from tests.storage import support

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

EVERY = frozenset(records.RunStatus)


def wants(run: records.RunRecord, **wanted: str) -> queue_records.SlotRequest:
    return queue_records.SlotRequest(run.run_id, run.attempt, wanted)


async def end_step(database: Database, run: records.RunRecord, step: str, seq: int) -> None:
    ended = support.event(run.run_id, seq, "step_succeeded", step_key=step)
    await database.events.append([support.batch([ended])])


async def test_a_slot_is_free_when_its_step_has_ended(database: Database):
    one, other = [await support.started_run(database) for _ in range(2)]
    await database.pools.set_limit("p", 1)
    assert (await database.pools.acquire(wants(one, a="p"), None)).granted == {"a"}
    assert (await database.pools.acquire(wants(one, a="p"), None)).granted == {"a"}
    answer = await database.pools.acquire(wants(other, b="p"), None)
    assert (answer.granted, answer.waiting) == (frozenset(), {"b": 1})
    await end_step(database, one, "a", 1)
    await database.pools.grant(None)
    assert await database.pools.granted_among([one.run_id, other.run_id]) == {(other.run_id, "b")}


async def test_a_slot_is_free_when_its_run_has_ended(database: Database):
    one, other = [await support.started_run(database) for _ in range(2)]
    assert (await database.pools.acquire(wants(one, a="p"), 1)).granted
    assert not (await database.pools.acquire(wants(other, a="p"), 1)).granted
    await database.runs.fail(one.run_id, support.failure("died"), expected=EVERY)
    assert (await database.pools.acquire(wants(other, a="p"), 1)).granted == {"a"}


async def test_a_slot_of_an_earlier_attempt_is_free(database: Database):
    one, other = [await support.started_run(database) for _ in range(2)]
    assert (await database.pools.acquire(wants(one, a="p"), 1)).granted
    await database.runs.requeue(one.run_id, attempt=1, reason="refused")
    assert (await database.pools.acquire(wants(other, a="p"), 1)).granted
    with pytest.raises(errors.RunFenced, match="attempt 1 of the run is not active"):
        await database.pools.acquire(wants(one, a="p"), 1)


async def test_the_highest_priority_goes_first_then_who_came_first(database: Database):
    holder, late, early = [await support.started_run(database) for _ in range(3)]
    urgent = await support.started_run(database, tags={"atoll/priority": "5"})
    assert (await database.pools.acquire(wants(holder, s="p"), 1)).granted
    for run in (early, late, urgent):
        assert not (await database.pools.acquire(wants(run, s="p"), 1)).granted
    order = []
    for run in (holder, urgent, early):
        await database.runs.fail(run.run_id, support.failure("x"), expected=EVERY)
        await database.pools.grant(1)
        waiting = [early.run_id, late.run_id, urgent.run_id]
        order += [run_id for run_id, _ in await database.pools.granted_among(waiting)]
    assert order == [urgent.run_id, early.run_id, late.run_id]


async def test_a_pool_without_limit_holds_up_nothing_and_one_of_zero_everything(
    database: Database,
):
    run = await support.started_run(database)
    await database.pools.set_limit("closed", 0)
    answer = await database.pools.acquire(wants(run, a="free", b="closed"), None)
    assert (answer.granted, answer.waiting) == ({"a"}, {"b": 0})
    assert await database.pools.delete_limit("closed")
    assert not await database.pools.delete_limit("closed")
    assert (await database.pools.acquire(wants(run, b="closed"), None)).granted == {"b"}


async def test_the_use_of_pools_is_told(database: Database):
    run = await support.started_run(database)
    await database.pools.acquire(wants(run, a="p", b="p", c="q"), 1)
    assert await database.pools.usage(of_runs=False) == {"p": (1, 1), "q": (1, 0)}
    first, second = await database.pools.slots("p", of_runs=False, limit=10)
    assert (first.step_key, second.step_key) == ("a", "b")
    assert first.grant_time is not None
    assert second.grant_time is None


async def test_where_runs_take_slots_the_queue_keeps_to_the_limits(database: Database):
    await database.pools.set_limit("p", 1)
    urgent = support.new_run(pools=("p",), tags={"atoll/priority": "3"})
    for new in (support.new_run(pools=("p", "q")), support.new_run(pools=("q",)), urgent):
        await database.runs.create(new)
    limits = queue_records.ClaimLimits(9, 9, pools=queue_records.PoolLimits(None))
    claimed = await database.runs.claim({"a": "s1"}, limits, batch_max=9)
    assert [run.pools for run in claimed] == [("p",), ("q",)]
    assert await database.pools.usage(of_runs=True) == {"p": (1, 1), "q": (1, 1)}
    first, second = await database.pools.slots("p", of_runs=True, limit=9)
    assert (first.run_id, first.rank) == (urgent.run_id, -3)
    assert first.grant_time is not None
    assert second.grant_time is None
    counts = await database.runs.claim_counts(limits)
    waiting = await database.runs.get(second.run_id)
    assert waiting is not None
    full = counts.full(claiming.like(waiting))
    assert full is not None
    assert full.subject == "pool 'p'"


@dataclasses.dataclass
class Model:
    """What should be: who asked in which order, and who has a slot."""

    limit: int = 1
    asked: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    granted: set[tuple[int, str]] = dataclasses.field(default_factory=set)
    priorities: tuple[int, ...] = (0, 0, 7)

    def grant(self) -> None:
        waiting = [each for each in self.asked if each not in self.granted]
        waiting.sort(key=lambda each: -self.priorities[each[0]])  # stable: then as they came
        room = max(0, self.limit - len(self.granted))
        self.granted |= set(waiting[:room])

    def drop(self, gone: set[tuple[int, str]]) -> None:
        self.asked = [each for each in self.asked if each not in gone]
        self.granted -= gone


run_numbers = st.integers(0, 2)
steps = st.sampled_from("abc")
actions = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), run_numbers, steps),
        st.tuples(st.just("end"), run_numbers, steps),
        st.tuples(st.just("kill"), run_numbers, st.none()),
        st.tuples(st.just("limit"), st.integers(0, 3), st.none()),
        st.tuples(st.just("grant"), st.none(), st.none()),
    ),
    max_size=25,
)


class World:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.model = Model()
        self.runs: list[records.RunRecord] = []
        self.seqs = [0, 0, 0]

    async def begin(self) -> None:
        await self.database.pools.set_limit("p", self.model.limit)
        for priority in self.model.priorities:
            tags = {"atoll/priority": str(priority)}
            self.runs.append(await support.started_run(self.database, tags=tags))

    async def do(self, action: str, number, step) -> None:
        if action == "ask":
            if (number, step) not in self.model.asked:
                self.model.asked.append((number, step))
            self.model.grant()
            answer = await self.database.pools.acquire(wants(self.runs[number], **{step: "p"}), 9)
            assert (step in answer.granted) == ((number, step) in self.model.granted)
        elif action == "end":
            self.seqs[number] += 1
            self.model.drop({(number, step)})
            await end_step(self.database, self.runs[number], step, self.seqs[number])
        elif action == "kill":
            self.model.drop({each for each in self.model.asked if each[0] == number})
            failure = support.failure("died")
            await self.database.runs.fail(self.runs[number].run_id, failure, expected=EVERY)
            tags = self.runs[number].tags
            self.runs[number] = await support.started_run(self.database, tags=tags)
            self.seqs[number] = 0
        elif action == "limit":
            self.model.limit = number
            await self.database.pools.set_limit("p", number)
        else:
            self.model.grant()
            await self.database.pools.grant(9)
        taken, waiting = (await self.database.pools.usage(of_runs=False)).get("p", (0, 0))
        assert (taken, waiting) == (
            len(self.model.granted),
            len(self.model.asked) - len(self.model.granted),
        )

    async def end(self) -> None:
        for run in self.runs:
            await self.database.runs.fail(run.run_id, support.failure("x"), expected=EVERY)
        assert await self.database.pools.usage(of_runs=False) == {}


def test_no_slot_is_lost_or_given_twice(database_url: str):
    async def check(todo) -> None:
        database = await Database.connect(database_url)
        try:
            world = World(database)
            await world.begin()
            for action in todo:
                await world.do(*action)
            await world.end()
        finally:
            await database.close()

    @hypothesis.settings(
        max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(actions)
    def everything(todo):
        asyncio.run(check(todo))

    everything()

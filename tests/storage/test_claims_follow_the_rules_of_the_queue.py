"""What storage claims is what an obvious reading of the rules gives, whatever the queue holds."""

import asyncio
import dataclasses

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll_storage import claiming, queue_records, records, run_claims
from atoll_storage.database import Database
from tests.storage import support

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

LOCATIONS = ("a", "b", "c")
SERVERS = {"a": "s1", "b": "s2"}  # nobody serves c


@dataclasses.dataclass
class Run:
    run_id: str
    location: str
    job: str
    tags: dict[str, str]
    pools: tuple[str, ...]
    order: int
    state: str = "queued"

    @property
    def priority(self) -> int:
        text = self.tags.get("atoll/priority", "0")
        return int(text) if text.lstrip("+-").isdecimal() else 0


def allowed(run: Run, active: list[Run], limits: queue_records.ClaimLimits) -> bool:
    """The rules once more, as they would be told to somebody."""

    def like(condition) -> int:
        return sum(1 for other in active if condition(other))

    if len(active) >= limits.active_max:
        return False
    if like(lambda o: o.location == run.location) >= limits.in_location(run.location):
        return False
    job = limits.jobs.get(f"{run.location}/{run.job}")
    if job is not None and like(lambda o: (o.location, o.job) == (run.location, run.job)) >= job:
        return False
    for rule in limits.tags:
        value = run.tags.get(rule.key)
        if value is None or rule.value not in {None, value}:
            continue
        one = rule.value is not None or rule.per_unique_value
        if like(
            lambda o, key=rule.key, value=value, one=one: (
                key in o.tags and (not one or o.tags[key] == value)
            )
        ) >= (rule.limit):
            return False
    for pool in run.pools if limits.pools is not None else ():
        limit = limits.pools.of(pool)
        if limit is not None and like(lambda o, pool=pool: pool in o.pools) >= limit:
            return False
    return True


def expected(runs: list[Run], limits: queue_records.ClaimLimits, batch_max: int) -> list[str]:
    active = [run for run in runs if run.state == "active"]
    chosen: list[Run] = []
    while len(chosen) < batch_max:
        heads = []
        for name in SERVERS:
            waiting = [r for r in runs if r.state == "queued" and r.location == name]
            may_go = [r for r in waiting if r not in chosen and allowed(r, active, limits)]
            if may_go:
                heads.append(min(may_go, key=lambda r: (-r.priority, r.order)))
        if not heads:
            break
        busy = {name: sum(1 for r in active if r.location == name) for name in SERVERS}
        run = min(heads, key=lambda r: (busy[r.location], r.order))
        chosen.append(run)
        active.append(run)
    return [run.run_id for run in chosen]


priorities = st.sampled_from(["", "0", "5", "-3", "10", "x", "1.5", "+2"])
tags = st.fixed_dictionaries(
    {}, optional={"db": st.sampled_from(["x", "y"]), "who": st.sampled_from("mno")}
)
new_runs = st.tuples(
    st.sampled_from(LOCATIONS),
    st.sampled_from(["j", "k"]),
    tags,
    priorities,
    st.sampled_from([(), ("p",), ("p", "q")]),
)
small = st.integers(0, 3)
tag_limits = st.one_of(
    st.builds(queue_records.TagLimit, st.just("db"), st.sampled_from(["x", None]), small),
    st.builds(queue_records.TagLimit, st.just("who"), st.none(), small, st.booleans()),
)
claim_limits = st.builds(
    queue_records.ClaimLimits,
    active_max=st.integers(1, 8),
    active_per_location_max=st.integers(1, 6),
    locations=st.dictionaries(st.sampled_from(LOCATIONS), small, max_size=1),
    jobs=st.dictionaries(st.sampled_from(["a/j", "b/k"]), small, max_size=2),
    tags=st.lists(tag_limits, max_size=3).map(tuple),
    pools=st.none() | st.builds(queue_records.PoolLimits, st.none() | small),
)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), claim_limits, st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(0, 9), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.none()),
        st.tuples(st.just("requeue"), st.integers(0, 9), st.none()),
    ),
    min_size=1,
    max_size=8,
)


class World:
    """A database and what it should hold."""

    def __init__(self, database: Database, pages: tuple[int, int]) -> None:
        self.database = database
        self.runs: list[Run] = []
        self.pools: dict[str, int] = {}
        engine, announcer = database.runs._engine, database.runs._announcer
        self.claims = run_claims.Claims(
            engine, announcer, page_rows=pages[0], passed_over_max=pages[1]
        )

    async def add(self, news: list[tuple]) -> None:
        for location, job, given, priority, pools in news:
            tags = {**given, **({"atoll/priority": priority} if priority else {})}
            new = support.new_run(location, job_name=job, tags=tags, pools=pools)
            run = await self.database.runs.create(new)
            self.runs.append(Run(run.run_id, location, job, tags, pools, run.queue_order))

    async def do(self, action: str, what, count) -> None:
        if action == "claim":
            await self.claim(what, count)
            return
        active = [run for run in self.runs if run.state == "active"]
        queued = [run for run in self.runs if run.state == "queued"]
        chosen = (queued if action == "cancel" else active)[what : what + 1]
        for run in chosen:
            if action == "cancel":
                await self.database.runs.request_cancel(run.run_id, "")
                run.state = "ended"
            elif action == "requeue":
                found = await self.database.runs.get(run.run_id)
                assert await self.database.runs.requeue(
                    run.run_id, attempt=found.attempt, reason="x"
                )
                run.state = "queued"
            else:
                expected_of = frozenset(records.RunStatus)
                await self.database.runs.fail(
                    run.run_id, support.failure("x"), expected=expected_of
                )
                run.state = "ended"

    async def claim(self, limits: queue_records.ClaimLimits, batch_max: int) -> None:
        should = expected(self.runs, limits, batch_max)
        claimed = [
            run.run_id for run in await self.claims.claim(SERVERS, limits, batch_max=batch_max)
        ]
        assert claimed == should
        for run in self.runs:
            if run.run_id in claimed:
                run.state = "active"


async def empty(database: Database) -> None:
    for run in await database.runs.active():
        await database.runs.fail(
            run.run_id, support.failure("x"), expected=frozenset(records.RunStatus)
        )
    for run in await database.runs.list(
        records.RunQuery(statuses=(records.RunStatus.QUEUED,)), limit=100
    ):
        await database.runs.request_cancel(run.run_id, "")


def test_claims_are_what_the_rules_say(database_url: str):
    async def check(news, todo, pages) -> None:
        database = await Database.connect(database_url)
        try:
            await empty(database)
            world = World(database, pages)
            await world.add(news)
            for action in todo:
                await world.do(*action)
        finally:
            await database.close()

    @hypothesis.settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        st.lists(new_runs, min_size=1, max_size=14), actions, st.sampled_from([(1, 0), (3, 2)])
    )
    def everything(news, todo, pages):
        asyncio.run(check(news, todo, pages))

    everything()


def test_a_key_of_a_limit_is_short():
    limits = queue_records.ClaimLimits(
        1, 1, tags=(queue_records.TagLimit("k", None, 1, per_unique_value=True),)
    )
    run = claiming.Candidate("r", "a", "j", tags={"k": "v" * 10_000})
    (key,) = claiming.limits_of(run, limits)
    assert len(key) < 300


async def test_a_queue_that_is_held_up_hides_none_behind_it(database: Database):
    limits = queue_records.ClaimLimits(50, 50, tags=(queue_records.TagLimit("db", "x", 1),))
    for _ in range(60):
        await database.runs.create(support.new_run(tags={"db": "x"}))
    free = await database.runs.create(support.new_run())
    claims = run_claims.Claims(
        database.runs._engine, database.runs._announcer, page_rows=10, passed_over_max=2
    )
    claimed = await claims.claim({"a": "s1"}, limits, batch_max=10)
    assert [run.tags for run in claimed] == [{"db": "x"}, {}]
    assert claimed[1].run_id == free.run_id
    assert await claims.claim({"a": "s1"}, limits, batch_max=10) == []
    await database.runs.fail(
        claimed[0].run_id, support.failure("x"), expected=frozenset(records.RunStatus)
    )
    assert len(await claims.claim({"a": "s1"}, limits, batch_max=10)) == 1

"""Whatever repeats, gaps and overlaps arrive: the log holds what producers wrote, each once."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atoll_storage import acceptance, records
from atoll_storage.database import Database
from tests.storage import support

SPANS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(1, 6)), min_size=1, max_size=25
)


def expected_marks(spans: list[tuple[int, int, int]]) -> dict[int, int]:
    """What must be stored after spans (run, first seq, count), told in the simplest way."""
    marks = {0: 0, 1: 0, 2: 0}
    for run, first, count in spans:
        if first <= marks[run] + 1:
            marks[run] = max(marks[run], first + count - 1)
    return marks


@given(spans=SPANS, sizes=st.lists(st.integers(1, 4), min_size=25, max_size=25))
def test_the_decision_takes_each_event_once(spans: list[tuple[int, int, int]], sizes: list[int]):
    producers = {
        f"r{run}": acceptance.Producer(f"r{run}", "a", records.RunStatus.STARTED, "s1", 1, 0)
        for run in range(3)
    }
    batches = [
        support.batch(support.event(f"r{run}", first + i) for i in range(count))
        for run, first, count in spans
    ]
    taken: dict[str, list[int]] = {"r0": [], "r1": [], "r2": []}
    now = support.SOME_TIME
    while batches:
        size = sizes.pop()
        verdicts = acceptance.judge(batches[:size], {("a", "s1"): 1}, producers, now)
        del batches[:size]
        for verdict in verdicts:
            for event in verdict.taken:
                taken[event.run_id].append(event.seq)
    for run, mark in expected_marks(spans).items():
        assert taken[f"r{run}"] == list(range(1, mark + 1))


@pytest.mark.postgres
@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(spans=SPANS, concurrent=st.booleans())
def test_the_database_ends_with_each_event_once(
    database_url: str, spans: list[tuple[int, int, int]], concurrent: bool
):
    async def check() -> None:
        database = await Database.connect(database_url, pool_size=2)
        try:
            runs = [await support.started_run(database) for _ in range(3)]
            batches = [
                support.batch(support.event(runs[run].run_id, first + i) for i in range(count))
                for run, first, count in spans
            ]
            calls = [database.events.append([batch]) for batch in batches]
            if concurrent:
                await asyncio.gather(*calls)
            else:
                for call in calls:
                    await call
            for run, mark in expected_marks(spans).items():
                seqs = await support.stored_seqs(database, runs[run].run_id)
                assert seqs == list(range(1, mark + 1))
        finally:
            await database.close()

    asyncio.run(check())

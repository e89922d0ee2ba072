"""Many followers share one reader of the log: each sees everything once, within a bound."""

import asyncio

import pytest

from atoll.api.v1 import events_pb2 as api_events_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.api import feeds, watching
from atoll_storage import errors as storage_errors
from atoll_storage import event_matching, records

TIMEOUT_S = 10.0


class Log:
    """An event log in memory that counts how often it is read."""

    def __init__(self) -> None:
        self.stored: list[events_pb2.StoredEvent] = []
        self.pruned = 0
        self.reads = 0

    def add(self, count: int, *, run_id: str = "r", size: int = 0) -> None:
        for _ in range(count):
            event = events_pb2.Event(run_id=run_id, message="x" * size)
            event.log_message.SetInParent()
            self.stored.append(events_pb2.StoredEvent(id=len(self.stored) + 1, event=event))

    async def head(self) -> int:
        return len(self.stored)

    async def oldest(self) -> int:
        return self.pruned + 1

    async def follow(self, after_id, *, limit, query=None, complete=True):
        self.reads += 1
        if after_id < self.pruned:
            raise storage_errors.Compacted(after_id, self.pruned + 1)
        found = [
            each
            for each in self.stored[after_id:]
            if query is None or event_matching.Known.of(each).is_of(query)
        ][:limit]
        return found, found[-1].id if len(found) == limit else max(after_id, len(self.stored))


class Around:
    """A log, what tells of it, and those who follow it."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.changes = host_changes.Changes(None)  # type: ignore[arg-type] # never started
        self.feed = feeds.Feed(log, self.changes)  # type: ignore[arg-type] # as much as it needs
        self.watches = watching.Watching(
            log,  # type: ignore[arg-type]
            self.feed,
            clocks.SystemClock(),
            bookmark_every_s=60.0,
        )

    def add(self, count: int, **event) -> None:
        self.log.add(count, **event)
        self.changes.events.set()

    async def begin(self, **request) -> "Reader":
        reader = Reader(self.watches, request)
        await reader.next()
        return reader


class Reader:
    def __init__(self, watches: watching.Watching, request) -> None:
        self.answers = watches.watch(api_events_pb2.WatchEventsRequest(**request))
        self.token = ""
        self.ids: list[int] = []

    async def next(self) -> None:
        answer = await asyncio.wait_for(anext(self.answers), TIMEOUT_S)
        self.token = answer.resume_token
        self.ids += [each.id for each in answer.events]

    async def until(self, event_id: int) -> list[int]:
        while not self.ids or self.ids[-1] < event_id:
            await self.next()
        return self.ids

    async def close(self) -> None:
        await self.answers.aclose()


@pytest.fixture
async def around():
    made = Around(Log())
    await made.feed.start()
    yield made
    await made.feed.stop()


async def test_many_followers_cost_as_many_reads_as_one(around):
    readers = [await around.begin() for _ in range(20)]
    around.add(1)
    for reader in readers:
        await reader.until(1)
    before = around.log.reads
    for number in range(2, 30):
        around.add(1)
        for reader in readers:
            assert (await reader.until(number))[-1] == number
    # One read for each event, and one to see that there is no more, but none for each reader.
    assert around.log.reads - before <= 3 * 28
    assert all(reader.ids == list(range(1, 30)) for reader in readers)


async def test_few_followers_read_only_what_they_want(around):
    reader = await around.begin(filter=api_events_pb2.EventFilter(run_id="wanted"))
    around.add(5, run_id="other")
    around.add(1, run_id="wanted")
    assert await reader.until(6) == [6]
    assert around.feed.next(6, None) is None


async def test_each_sees_what_it_asked_for(around):
    wanted = api_events_pb2.EventFilter(run_id="wanted")
    readers = [await around.begin(filter=wanted) for _ in range(5)]
    everything = await around.begin()
    around.add(1)
    await everything.until(1)
    for _ in range(10):
        around.add(3, run_id="other")
        around.add(1, run_id="wanted")
    await everything.until(41)
    assert everything.ids == list(range(1, 42))
    for reader in readers:
        assert await reader.until(41) == [5 + 4 * number for number in range(10)]


async def test_who_is_far_behind_reads_the_log_and_misses_nothing(around):
    readers = [await around.begin() for _ in range(4)]
    lazy = await around.begin()
    total = 0
    while total < 3 * feeds.KEPT_EVENTS_MAX:
        around.add(500)
        total += 500
        for reader in readers:
            await reader.until(total)
        around.log.stored[total - 500].event.message = "looked at"
    assert around.feed.next(0, None) is None
    assert await lazy.until(total) == list(range(1, total + 1))


async def test_what_is_kept_is_bounded_by_its_size(around):
    readers = [await around.begin() for _ in range(4)]
    for number in range(1, 41):
        around.add(1, size=1024 * 1024)
        for reader in readers:
            await reader.until(number)
            reader.ids.clear()
    kept, position = [], around.log.stored[-1].id
    while (piece := around.feed.next(position - 1, None)) is not None and piece.events:
        kept.append(piece.size)
        position = piece.after_id
    assert 0 < sum(kept) <= feeds.KEPT_BYTES_MAX


async def test_a_follower_whose_events_are_pruned_is_told(around):
    readers = [await around.begin() for _ in range(4)]
    around.add(10)
    for reader in readers:
        await reader.until(10)
    around.log.pruned = 5
    late = watching.Watching(around.log, around.feed, clocks.SystemClock())
    token = (await anext(around.watches.watch(api_events_pb2.WatchEventsRequest()))).resume_token
    assert token
    request = api_events_pb2.WatchEventsRequest(after_event_id=2)
    answers = late.watch(request)
    await anext(answers)
    # What is kept lately may still be told; what is not, is said to be gone.
    around.feed._rest()
    with pytest.raises(errors.EventsCompacted):
        await anext(answers)


async def test_what_an_event_cannot_answer_is_read_from_the_log(around):
    for _ in range(5):
        await around.begin()
    around.add(1)
    query = records.EventQuery(job_names=("j",))
    assert around.feed.next(1, query) is None

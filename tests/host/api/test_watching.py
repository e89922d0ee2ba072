"""A watch misses nothing, repeats nothing, and says where it is."""

import asyncio
from typing import Any

import pytest

from atoll.api.v1 import events_pb2 as api_events_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.api import feeds, watching
from atoll_storage import errors as storage_errors


class Log:
    """An event log in memory, with what a watch asks of it."""

    def __init__(self) -> None:
        self.stored: list[events_pb2.StoredEvent] = []
        self.pruned = 0
        self.away = 0
        self.thinned = 0

    def add(self, run_id: str, size: int = 0) -> None:
        self.stored.append(
            events_pb2.StoredEvent(
                id=len(self.stored) + 1,
                event=events_pb2.Event(run_id=run_id, message="x" * size),
            )
        )

    async def head(self):
        return len(self.stored)

    async def oldest(self):
        return self.pruned + 1 if len(self.stored) > self.pruned else 0

    async def follow(self, after_id, *, limit, query=None, complete=True):
        if self.away:
            self.away -= 1
            raise storage_errors.StorageUnavailable("away")
        gone = max(self.pruned, self.thinned) if complete else self.pruned
        if after_id < gone:
            raise storage_errors.Compacted(after_id, gone + 1)
        found = [
            each
            for each in self.stored
            if each.id > after_id and (query is None or each.event.run_id == query.run_id)
        ][:limit]
        return found, found[-1].id if len(found) == limit else max(after_id, len(self.stored))


class Reader:
    """Reads one watch."""

    def __init__(self, log: Any, changes, **request) -> None:
        # Few follow, so that nothing but the log is read.
        feed = feeds.Feed(log, changes)
        watches = watching.Watching(log, feed, clocks.SystemClock(), bookmark_every_s=0.02)
        self.answers = watches.watch(api_events_pb2.WatchEventsRequest(**request))
        self.token = ""

    async def next(self) -> list[int]:
        answer = await asyncio.wait_for(anext(self.answers), 5)
        self.token = answer.resume_token
        return [each.id for each in answer.events]

    async def ids(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            found += await self.next()
        return found


@pytest.fixture
async def log():
    return Log()


@pytest.fixture
async def changes():
    return host_changes.Changes(None)  # type: ignore[arg-type] # its loop does not run here


async def test_a_new_watch_begins_with_a_bookmark_and_the_next_event(log, changes):
    log.add("old")
    reader = Reader(log, changes)
    assert await reader.next() == []
    log.add("new")
    changes.events_stored(2)
    assert await reader.ids(1) == [2]


async def test_a_watch_from_the_beginning_sees_all(log, changes):
    for _ in range(1234):
        log.add("r")
    assert await Reader(log, changes, from_beginning=True).ids(1234) == list(range(1, 1235))


async def test_a_token_resumes_after_what_was_sent(log, changes):
    for _ in range(5):
        log.add("r")
    reader = Reader(log, changes, from_beginning=True)
    await reader.ids(5)
    for _ in range(3):
        log.add("r")
    assert await Reader(log, changes, resume_token=reader.token).ids(3) == [6, 7, 8]


async def test_bookmarks_of_a_filtered_watch_move_past_what_does_not_match(log, changes):
    event_filter = api_events_pb2.EventFilter(run_id="mine")
    reader = Reader(log, changes, filter=event_filter)
    await reader.next()
    before = reader.token
    for _ in range(10):
        log.add("others")
    changes.events_stored(10)
    while reader.token == before:
        assert await reader.next() == []
    log.add("mine")
    resumed = Reader(log, changes, filter=event_filter, resume_token=reader.token)
    assert await resumed.ids(1) == [11]


async def test_a_token_that_is_too_old_says_so(log, changes):
    reader = Reader(log, changes)
    await reader.next()
    for _ in range(9):
        log.add("r")
    log.pruned = 5
    resumed = Reader(log, changes, resume_token=reader.token)
    with pytest.raises(errors.EventsCompacted, match="6"):
        await resumed.ids(1)


async def test_a_token_that_is_none_is_refused(log, changes):
    with pytest.raises(errors.InvalidPageToken):
        await Reader(log, changes, resume_token="nonsense").next()


async def test_an_unknown_kind_is_refused_with_the_kinds_there_are(log, changes):
    reader = Reader(log, changes, filter=api_events_pb2.EventFilter(kinds=["nonsense"]))
    with pytest.raises(errors.InvalidRequest, match="asset_materialization"):
        await reader.next()


async def test_a_watch_survives_storage_being_away(log, changes):
    reader = Reader(log, changes, from_beginning=True)
    await reader.next()
    log.away = 1
    log.add("r")
    assert await reader.ids(1) == [1]


async def test_large_events_come_in_answers_that_fit_a_message(log, changes):
    for _ in range(4):
        log.add("r", size=1_500_000)
    reader = Reader(log, changes, from_beginning=True)
    await reader.next()
    assert await reader.next() == [1]
    assert await reader.next() == [2]


async def test_a_watch_from_the_beginning_reads_what_is_left_and_then_follows(log, changes):
    for _ in range(1200):
        log.add("r")
    log.thinned = 900
    reader = Reader(log, changes, from_beginning=True)
    first = await reader.ids(500)
    resumed = Reader(log, changes, resume_token=reader.token)
    assert first + await resumed.ids(1200 - len(first)) == list(range(1, 1201))
    assert len(first) < 1200
    # Beyond where it began, it has to see everything.
    log.add("r")
    log.thinned = 1201
    late = Reader(log, changes, resume_token=resumed.token)
    await late.next()
    with pytest.raises(errors.EventsCompacted):
        await late.next()

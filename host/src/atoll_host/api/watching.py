"""Watches: every matching event of the log after a position, in order and each once.

Called by the events servicer, one `watch` for each stream. Since the order of ids is the order of
commits, the position is the whole state of a watch, and a resume token is that position. A reader
that is slow is simply asked later; nothing is kept for it. Those who keep up share what `feeds`
reads.
"""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Generator, Iterator, Sequence

from atoll.api.v1 import events_pb2 as api_events_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services, signals
from atoll_host.api import feeds, pages
from atoll_storage import errors as storage_errors
from atoll_storage import event_log, records

BOOKMARK_EVERY_S = 10.0
BATCH_EVENTS_MAX = 500
_FIRST_EVENTS_MAX = 100
_EVENTS_MIN = 10
_BATCH_BYTES_MAX = 2 * 1024 * 1024
_TOKEN_SCOPE = b"watch"
RETRY = services.Backoff(first_s=0.1, max_s=2.0)
"""The pauses while storage is away."""


def query_of(event_filter: api_events_pb2.EventFilter) -> records.EventQuery | None:
    """Return what a filter asks for, None for everything.

    Raises:
        errors.InvalidRequest: It names a kind of event that does not exist.
    """
    known = events_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields
    names = {field.name for field in known}
    for kind in event_filter.kinds:
        if kind not in names:
            raise errors.InvalidRequest(
                f"There is no kind of event {kind!r}. The kinds are {', '.join(sorted(names))}.",
                field="filter.kinds",
            )
    query = records.EventQuery(
        run_id=event_filter.run_id or None,
        location_name=event_filter.location_name or None,
        asset_key=tuple(event_filter.asset_key.path) or None,
        kinds=tuple(event_filter.kinds),
        job_names=(event_filter.job_name,) if event_filter.job_name else (),
        step_key=event_filter.step_key or None,
        partitions=(event_filter.partition_key,) if event_filter.partition_key else (),
    )
    return None if query == records.EventQuery() else query


class Follower:
    """Somebody's place in the log. Reads what comes next, from the feed where it has that."""

    def __init__(
        self, around: "Around", query: records.EventQuery | None, poke: signals.Poke
    ) -> None:
        """Begin at no place yet.

        Args:
            around: The log.
            query: Which events.
            poke: Tells of news.
        """
        self._around = around
        self._query = query
        self._poke = poke
        self.position = 0
        self.reads_until = 0
        self.may_have_more = True
        self._limit = _FIRST_EVENTS_MAX

    async def next(self) -> list[events_pb2.StoredEvent]:
        """Return the next matching events, which may be none yet; wait while storage is away.

        Raises:
            errors.EventsCompacted: They are pruned.
        """
        if self.position >= self.reads_until:
            piece = self._around.feed.next(self.position, self._query)
            if piece is not None:
                return self._taken(piece)
        failures = 0
        while True:
            try:
                events, self.position = await self._around.log.follow(
                    self.position,
                    limit=self._limit,
                    query=self._query,
                    complete=self.position >= self.reads_until,
                )
            except storage_errors.Compacted as error:
                raise errors.EventsCompacted(error.oldest_id) from error
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._around.clock.sleep(RETRY.delay_s(failures))
            else:
                self.may_have_more = len(events) == self._limit
                if events:
                    self._limit = _next_limit(events)
                return events

    async def wait(self, timeout_s: float) -> None:
        """Wait until there may be more."""
        if not self.may_have_more:
            await self._poke.wait(min(host_changes.BACKSTOP_S, timeout_s))

    def _taken(self, piece: feeds.Piece) -> list[events_pb2.StoredEvent]:
        self.may_have_more = piece.last_id > self.position
        query = self._query
        found = [
            each.stored
            for each in piece.events
            if each.stored.id > self.position and (query is None or each.is_of(query))
        ]
        self.position = piece.last_id
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Around:
    """What following takes."""

    log: event_log.EventLog
    feed: feeds.Feed
    clock: clocks.Clock


class Watching:
    """Follows the log for readers."""

    def __init__(
        self,
        log: event_log.EventLog,
        feed: feeds.Feed,
        clock: clocks.Clock,
        *,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
    ) -> None:
        self._event_log = log
        self._around = Around(log, feed, clock)
        self._clock = clock
        self._bookmark_every_s = bookmark_every_s

    async def watch(
        self, request: api_events_pb2.WatchEventsRequest
    ) -> AsyncIterator[api_events_pb2.WatchEventsResponse]:
        """Yield matching events and bookmarks for ever; first a bookmark of where it begins.

        Raises:
            errors.InvalidRequest: The filter or the token is none.
            errors.EventsCompacted: The events after the token are pruned.
        """
        query = query_of(request.filter)
        with self._around.feed.following() as poke:
            follower = Follower(self._around, query, poke)
            follower.position, follower.reads_until = await self._begin(request)
            yield _answer((), follower.position, follower.reads_until)
            spoke_at = self._clock.monotonic()
            while True:
                events = await follower.next()
                for batch in _batches(events):
                    yield _answer(batch, batch[-1].id, follower.reads_until)
                if events:
                    spoke_at = self._clock.monotonic()
                idle_s = self._clock.monotonic() - spoke_at
                if idle_s >= self._bookmark_every_s:
                    yield _answer((), follower.position, follower.reads_until)
                    spoke_at = self._clock.monotonic()
                    idle_s = 0.0
                await follower.wait(self._bookmark_every_s - idle_s)

    @contextlib.contextmanager
    def following(self, query: records.EventQuery, position: int) -> Generator[Follower]:
        """Follow some events from a position on, while the block lasts."""
        with self._around.feed.following() as poke:
            follower = Follower(self._around, query, poke)
            follower.position = position
            yield follower

    async def _begin(self, request: api_events_pb2.WatchEventsRequest) -> tuple[int, int]:
        """Return where to begin, and up to where what is left is read.

        A watch from the beginning shows what is left of the past, however much of it was taken out;
        from where it began to follow on, it shows everything or says that it cannot.
        """
        if request.resume_token:
            position, *reads_until = pages.decode(request.resume_token, _TOKEN_SCOPE)
            return int(position), int(reads_until[0]) if reads_until else 0
        if request.after_event_id:
            return checked_position(request.after_event_id), 0
        head = await self._event_log.head()
        if request.from_beginning:
            return await before_oldest(self._event_log), head
        return head, 0


def checked_position(event_id: int) -> int:
    """Return a position that a request gives.

    Raises:
        errors.InvalidRequest: It is none.
    """
    if event_id < 0:
        raise errors.InvalidRequest(
            f"after_event_id is {event_id}. Give the position of an event, or 0 for none.",
            field="after_event_id",
        )
    return event_id


async def before_oldest(log: event_log.EventLog) -> int:
    """Return the position before the oldest stored event."""
    oldest_id = await log.oldest()
    return oldest_id - 1 if oldest_id else await log.head()


def _next_limit(events: Sequence[events_pb2.StoredEvent]) -> int:
    """Return how many events to read next, so that those who wait for readers hold little."""
    size = sum(event.ByteSize() for event in events) // len(events)
    return max(_EVENTS_MIN, min(BATCH_EVENTS_MAX, _BATCH_BYTES_MAX // max(size, 1)))


def _answer(
    events: Sequence[events_pb2.StoredEvent], position: int, reads_until: int
) -> api_events_pb2.WatchEventsResponse:
    place = (position, reads_until) if position < reads_until else (position,)
    return api_events_pb2.WatchEventsResponse(
        events=events, resume_token=pages.encode(place, _TOKEN_SCOPE)
    )


def _batches(events: Sequence[events_pb2.StoredEvent]) -> Iterator[list[events_pb2.StoredEvent]]:
    """Cut events into batches that fit into a message; one event always fits."""
    batch: list[events_pb2.StoredEvent] = []
    size = 0
    for event in events:
        event_size = event.ByteSize()
        if batch and size + event_size > _BATCH_BYTES_MAX:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event_size
    if batch:
        yield batch

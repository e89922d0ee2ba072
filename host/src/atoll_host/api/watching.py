"""Watches: every matching event of the log after a position, in order and each once.

Called by the events servicer, one `watch` for each stream. Since the order of ids is the order of
commits, the position is the whole state of a watch, and a resume token is that position. A reader
that is slow is simply asked later; nothing is kept for it.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from atoll.api.v1 import events_pb2 as api_events_pb2
from atoll.events.v1 import events_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors, services
from atoll_host.api import pages
from atoll_storage import errors as storage_errors
from atoll_storage import event_log, records

BOOKMARK_EVERY_S = 10.0
BATCH_EVENTS_MAX = 500
_BATCH_BYTES_MAX = 2 * 1024 * 1024
_TOKEN_SCOPE = b"watch"
_RETRY = services.Backoff(first_s=0.1, max_s=2.0)


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
    )
    return None if query == records.EventQuery() else query


class Watching:
    """Follows the log for readers."""

    def __init__(
        self,
        log: event_log.EventLog,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        *,
        bookmark_every_s: float = BOOKMARK_EVERY_S,
    ) -> None:
        self._event_log = log
        self._changes = changes
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
        poke = self._changes.events.subscribe()
        position, reads_until = await self._begin(request)
        yield _answer((), position, reads_until)
        spoke_at = self._clock.monotonic()
        while True:
            complete = position >= reads_until
            events, position = await self._next(position, query, complete=complete)
            for batch in _batches(events):
                yield _answer(batch, batch[-1].id, reads_until)
            if events:
                spoke_at = self._clock.monotonic()
            if len(events) == BATCH_EVENTS_MAX:
                continue
            idle_s = self._clock.monotonic() - spoke_at
            if idle_s >= self._bookmark_every_s:
                yield _answer((), position, reads_until)
                spoke_at = self._clock.monotonic()
                idle_s = 0.0
            await poke.wait(min(host_changes.BACKSTOP_S, self._bookmark_every_s - idle_s))

    async def _begin(self, request: api_events_pb2.WatchEventsRequest) -> tuple[int, int]:
        """Return where to begin, and up to where what is left is read.

        A watch from the beginning shows what is left of the past, however much of it was taken out;
        from where it began to follow on, it shows everything or says that it cannot.
        """
        if request.resume_token:
            position, *reads_until = pages.decode(request.resume_token, _TOKEN_SCOPE)
            return int(position), int(reads_until[0]) if reads_until else 0
        head = await self._event_log.head()
        if request.from_beginning:
            return await before_oldest(self._event_log), head
        return head, 0

    async def _next(
        self, position: int, query: records.EventQuery | None, *, complete: bool
    ) -> tuple[list[events_pb2.StoredEvent], int]:
        """Return the next events and the position after them; wait while storage is away."""
        failures = 0
        while True:
            try:
                return await self._event_log.follow(
                    position, limit=BATCH_EVENTS_MAX, query=query, complete=complete
                )
            except storage_errors.Compacted as error:
                raise errors.EventsCompacted(error.oldest_id) from error
            except storage_errors.StorageUnavailable:
                failures += 1
                await self._clock.sleep(_RETRY.delay_s(failures))


async def before_oldest(log: event_log.EventLog) -> int:
    """Return the position before the oldest stored event."""
    oldest_id = await log.oldest()
    return oldest_id - 1 if oldest_id else await log.head()


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

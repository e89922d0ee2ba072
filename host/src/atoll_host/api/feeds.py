"""The end of the log, read once for all who follow it on this host.

Used by `watching`: where many follow, each new event is read from Postgres once, not once for each.
What was read lately is kept within a bound; whoever is further behind reads the log by themselves,
so that a slow reader costs others nothing. Where few follow, nothing is read here: they ask for
what they want only, and everything else need not be decoded.

    resting --enough follow--> reading --too few follow, or storage away--> resting

Positions decide, as everywhere: the pieces that are kept follow each other without a gap.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Generator

from atoll_host import changes as host_changes
from atoll_host import services, signals
from atoll_storage import errors as storage_errors
from atoll_storage import event_log, event_matching, records

FOLLOWERS_MIN = 3
"""From so many on, one reads for all."""

PIECE_EVENTS_MAX = 500
KEPT_BYTES_MAX = 8 * 1024 * 1024
KEPT_EVENTS_MAX = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """What the log holds between two positions.

    Attributes:
        after_id: The position before it.
        last_id: The position after it.
        events: Its events, in order.
        size: How many bytes they take.
    """

    after_id: int
    last_id: int
    events: tuple[event_matching.Known, ...]
    size: int


class Feed(services.Loop):
    """Reads the end of the log for its followers. See the module.

    Attributes:
        news: Set when there may be something new, whoever reads it.
    """

    def __init__(self, log: event_log.EventLog, changes: host_changes.Changes) -> None:
        super().__init__("event feed", expected=(storage_errors.StorageUnavailable,))
        self._event_log = log
        self._poke = changes.events.subscribe()
        self._pieces: collections.deque[Piece] = collections.deque()
        self._followers = 0
        self._end: int | None = None
        self._bytes = 0
        self._events = 0
        self.news = signals.Broadcast()

    @property
    def kept_events(self) -> int:
        """How many events are kept."""
        return self._events

    @contextlib.contextmanager
    def following(self) -> Generator[signals.Poke]:
        """Count somebody as a follower, and return what pokes them when there is news."""
        self._followers += 1
        try:
            yield self.news.subscribe()
        finally:
            self._followers -= 1

    def next(self, position: int, query: records.EventQuery | None) -> Piece | None:
        """Return what comes right after a position; None where the follower has to read the log.

        An empty piece that ends where it begins says that there is nothing yet.

        Args:
            position: Where the follower is.
            query: What the follower wants; the piece holds everything.
        """
        if self._end is None or (query is not None and not event_matching.answers(query)):
            return None
        if position == self._end:
            return Piece(position, position, (), 0)
        if not self._pieces or not self._pieces[0].after_id <= position < self._end:
            return None
        # The newest first: whoever keeps up wants the last one.
        return next(piece for piece in reversed(self._pieces) if piece.after_id <= position)

    async def run(self) -> None:
        """Read what is new for as long as enough follow."""
        self._rest()
        while True:
            if self._followers < FOLLOWERS_MIN:
                self._rest()
            else:
                await self._read()
            self.did_well()
            self.news.set()
            await self._poke.wait(host_changes.BACKSTOP_S)

    async def _read(self) -> None:
        """Read up to the end of the log, telling the followers of each piece."""
        position = await self._event_log.head() if self._end is None else self._end
        self._end = position
        while self._followers >= FOLLOWERS_MIN:
            try:
                events, last_id = await self._event_log.follow(position, limit=PIECE_EVENTS_MAX)
            except storage_errors.Compacted:
                # Whoever followed finds out by themselves that they have missed something.
                self._rest()
                return
            if last_id > position:
                known = tuple(map(event_matching.Known.of, events))
                self._keep(Piece(position, last_id, known, sum(each.size for each in known)))
                position = last_id
                self.news.set()
            if len(events) < PIECE_EVENTS_MAX:
                return

    def _keep(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._end = piece.last_id
        self._bytes += piece.size
        self._events += len(piece.events)
        while len(self._pieces) > 1 and (
            self._bytes > KEPT_BYTES_MAX or self._events > KEPT_EVENTS_MAX
        ):
            oldest = self._pieces.popleft()
            self._bytes -= oldest.size
            self._events -= len(oldest.events)

    def _rest(self) -> None:
        self._pieces.clear()
        self._end = None
        self._bytes = self._events = 0

"""The ticks of a cron schedule in a time zone, numbered: the arithmetic under time windows.

Called by the definitions of time windows; schedules can walk their ticks by it too. A tick's number
follows from its moment, and its moment from its number, without walking over those between. The
time line is cut where the zone's offset changes; within a piece wall clocks run evenly.

Unless `Daylight` says otherwise, a time of the day that the clock skips fires at the first moment
there is, one that it repeats fires the first time only. A schedule for every hour follows the time
that passes instead.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from atoll._partitions import crons, day_rules, zones

_BASE_YEAR = 1970
_EPOCH_ORDINAL = zones.EPOCH.toordinal()


# The clock is never put back by more than a day, and never twice within so many.
_REPEATED_WITHIN_S = 2 * zones.SECONDS_A_DAY


class Daylight(NamedTuple):
    """What becomes of times of the day that the clock skips or repeats.

    Attributes:
        shift_skipped: Whether a skipped time fires at the first moment there is; else it does not.
        first_repeated: Whether a repeated time fires the first time.
        last_repeated: Whether a repeated time fires the last time.
    """

    shift_skipped: bool = True
    first_repeated: bool = True
    last_repeated: bool = False


DAYLIGHT = Daylight()


class Tick(NamedTuple):
    """One tick.

    Attributes:
        timestamp: The moment, in seconds since 1970.
        offset: By how many seconds wall clocks are ahead of UTC then.
        wall: The time that names the tick, counted as if it were UTC: what wall clocks show, or
            what they would have shown if they had not skipped to another date.
        repeated: Whether wall clocks show the time of the tick for the second time.
    """

    timestamp: int
    offset: int
    wall: int
    repeated: bool


class _Piece(NamedTuple):
    """A stretch of time with one offset.

    Attributes:
        start: Its first moment.
        offset: The offset in it.
        first: The number, among the times that wall clocks could show, of its first regular tick.
        skipped: The wall time of the tick at `start` for times that the clock skipped, or None.
        repeats_until: Wall times before this one are shown for the second time.
        ticks: How many ticks it has.
    """

    start: int
    offset: int
    first: int
    skipped: int | None
    repeats_until: int
    ticks: int


class Timeline:
    """The ticks of a cron schedule in a time zone.

    Attributes:
        cron: The schedule.
        zone: The time zone.
        daylight: What becomes of times that the clock skips or repeats.

    Args:
        base_year: The year from which ticks are numbered; each between it and a tick that is asked
            for is looked at once.
    """

    def __init__(
        self,
        cron: crons.Cron,
        zone: zones.Zone,
        daylight: Daylight = DAYLIGHT,
        base_year: int = _BASE_YEAR,
    ) -> None:
        self.cron = cron
        self.zone = zone
        self.daylight = daylight
        self._lock = threading.Lock()
        # Years from the first to before the last are known; ticks are numbered from the base year.
        self._years = (base_year, base_year)
        self._starts: list[int] = []
        self._pieces: list[_Piece] = []
        self._numbers = [0]
        self._cover(base_year)

    def before(self, timestamp: float) -> int:
        """Return the number of the first tick at or after a moment."""
        # Ticks fall on whole seconds: one within a second comes after all before that second's end.
        moment = self.zone.clamped(-int(-timestamp // 1))
        self._cover(time.gmtime(moment).tm_year)
        place = bisect.bisect_right(self._starts, moment) - 1
        piece = self._pieces[place]
        number = self._numbers[place]
        if moment == piece.start:
            return number
        regular = self._wall_ticks_before(moment + piece.offset) - piece.first
        return number + max(0, regular) + (piece.skipped is not None)

    def at(self, number: int) -> Tick:
        """Return the tick with a number.

        Raises:
            OverflowError: The tick is out of the calendar.
        """
        while number >= self._numbers[-1]:
            self._cover(self._years[1])
        while number < self._numbers[0]:
            self._cover(self._years[0] - 1)
        place = bisect.bisect_right(self._numbers, number) - 1
        return self._tick(self._pieces[place], number - self._numbers[place])

    def ticks(self, start: int, end: int) -> Iterator[Tick]:
        """Yield the ticks with numbers from one to before another."""
        return map(self.at, range(start, end))

    def is_tick(self, timestamp: float) -> bool:
        """Return whether there is a tick at a moment."""
        return self.at(self.before(timestamp)).timestamp == timestamp

    def _tick(self, piece: _Piece, place: int) -> Tick:
        if piece.skipped is not None:
            if place == 0:
                return Tick(piece.start, piece.offset, piece.skipped, repeated=False)
            place -= 1
        wall = self._wall_tick(piece.first + place)
        return Tick(wall - piece.offset, piece.offset, wall, wall < piece.repeats_until)

    def _wall_ticks_before(self, wall: int) -> int:
        """Count the times before one at which an even wall clock would let the cron fire."""
        day, second = divmod(wall, zones.SECONDS_A_DAY)
        days, times = self.cron.days, self.cron.times
        ordinal = day + _EPOCH_ORDINAL
        before = days.count_before(ordinal)
        count = before * len(times)
        if second and days.count_before(ordinal + 1) > before:
            count += bisect.bisect_left(times, second)
        return count

    def _wall_tick(self, number: int) -> int:
        times = self.cron.times
        day, place = divmod(number, len(times))
        ordinal = self.cron.days.nth(day)
        return (ordinal - _EPOCH_ORDINAL) * zones.SECONDS_A_DAY + times[place]

    def _cover(self, year: int) -> None:
        first, last = self._years
        if first <= year < last:
            return
        if not day_rules.YEAR_MIN < year < day_rules.YEAR_MAX:
            raise OverflowError(f"The year {year} is out of the calendar.")
        with self._lock:
            for each in range(self._years[1], year + 1):
                pieces = self._pieces_of(each)
                self._pieces += pieces
                self._starts += [piece.start for piece in pieces]
                for piece in pieces:
                    self._numbers.append(self._numbers[-1] + piece.ticks)
            if year < self._years[0]:
                self._cover_earlier(year)
            self._years = (min(self._years[0], year), max(self._years[1], year + 1))

    def _cover_earlier(self, year: int) -> None:
        earlier = [piece for each in range(year, self._years[0]) for piece in self._pieces_of(each)]
        numbers = [self._numbers[0]]
        for piece in reversed(earlier):
            numbers.append(numbers[-1] - piece.ticks)
        self._pieces = earlier + self._pieces
        self._starts = [piece.start for piece in self._pieces]
        self._numbers = numbers[:0:-1] + self._numbers

    def _pieces_of(self, year: int) -> list[_Piece]:
        start, end = zones.year_start(year), zones.year_start(year + 1)
        offset = self.zone.offset_at(start)
        changes = [(start, offset), *self.zone.changes_in(year)]
        reached = self._reached_before(start)
        pieces: list[_Piece] = []
        for place, (moment, offset) in enumerate(changes):
            until = changes[place + 1][0] if place + 1 < len(changes) else end
            pieces.append(self._piece(moment, until, offset, reached))
            reached = max(reached, until + offset)
        return pieces

    def _reached_before(self, start: int) -> int:
        """Return the latest wall time that was shown before a moment."""
        earlier = start - 2 * zones.SECONDS_A_DAY
        offset = self.zone.offset_at(earlier)
        reached = earlier
        for moment, new in self.zone.changes(earlier, start - 1):
            reached = max(reached, moment + offset)
            offset = new
        return max(reached, start + offset)

    def _piece(self, start: int, end: int, offset: int, reached: int) -> _Piece:
        shown = start + offset
        first = self._wall_ticks_before(shown)
        last = self._wall_ticks_before(end + offset)
        skipped: int | None = None
        if not self.cron.every_hour:
            if not self.daylight.first_repeated:
                # What the clock will show again fires then.
                again = self._wall_ticks_before(self._shown_after(end))
                last = max(first, min(last, again))
            if reached > shown and not self.daylight.last_repeated:
                # The clock was put back: what it shows again has fired already.
                first = min(self._wall_ticks_before(reached), last)
            elif reached < shown and self.daylight.shift_skipped:
                skipped = self._skipped_tick(reached, shown, first)
        count = last - first + (skipped is not None)
        return _Piece(start, offset, first, skipped, reached, count)

    def _shown_after(self, end: int) -> int:
        """Return the earliest wall time that is shown from a moment on."""
        changes = self.zone.changes(end, end + _REPEATED_WITHIN_S)
        shown = [moment + offset for moment, offset in changes]
        return min([end + self.zone.offset_at(end), *shown])

    def _skipped_tick(self, reached: int, shown: int, first: int) -> int | None:
        """Return the wall time that names the tick for what the clock skipped, if there is one."""
        missed = self._wall_ticks_before(reached)
        if missed == first or self._wall_tick(first) == shown:
            return None
        wall = self._wall_tick(missed)
        # Two ticks would have the same date if one that is moved to another date were named by it.
        same_date = wall // zones.SECONDS_A_DAY == shown // zones.SECONDS_A_DAY
        return shown if same_date else wall


@functools.lru_cache(maxsize=4096)
def timeline(
    cron_schedule: str,
    timezone: str,
    daylight: Daylight = DAYLIGHT,
    base_year: int = _BASE_YEAR,
) -> Timeline:
    """Return the ticks of a cron schedule in a time zone.

    Args:
        cron_schedule: The schedule.
        timezone: The name of the zone.
        daylight: What becomes of times that the clock skips or repeats.
        base_year: The year from which ticks are numbered.

    Raises:
        InvalidDefinitionError: The schedule or the zone cannot be used.
    """
    return Timeline(crons.parse(cron_schedule), zones.zone(timezone), daylight, base_year)


def wall_datetime(wall: int) -> dt.datetime:
    """Return what a wall clock shows, without a zone.

    Args:
        wall: The seconds, counted as if they were UTC.
    """
    return zones.EPOCH + dt.timedelta(seconds=wall)

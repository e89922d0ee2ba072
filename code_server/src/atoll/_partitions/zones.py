"""Time zones as pieces of constant offset, found once and remembered.

Called by timelines. `zoneinfo` answers for one moment; counting over a century needs to know
between which moments the offset stays the same.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

from atoll import errors
from atoll._partitions import day_rules

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # seconds of wall clocks are counted from here
SECONDS_A_DAY = 86_400
# No zone has ever changed its offset twice within this time: the closest were four days apart.
_STRIDE_S = 3 * SECONDS_A_DAY


def year_start(year: int) -> int:
    """Return the first second of a year in UTC, since 1970."""
    return (dt.date(year, 1, 1).toordinal() - EPOCH.toordinal()) * SECONDS_A_DAY


_EARLIEST = year_start(day_rules.YEAR_MIN + 1)
_LATEST = year_start(day_rules.YEAR_MAX)


class Zone:
    """A time zone.

    Attributes:
        name: Its name, such as "Europe/Berlin".
        tzinfo: It as the standard library has it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.tzinfo: dt.tzinfo = dt.timezone.utc if name == "UTC" else _zone_info(name)
        self._by_year: dict[int, list[tuple[int, int]]] = {}

    def clamped(self, timestamp: int) -> int:
        """Return the nearest moment that can be a date in every zone."""
        return min(max(timestamp, _EARLIEST), _LATEST)

    def offset_at(self, timestamp: int) -> int:
        """Return the seconds by which wall clocks are ahead of UTC at a moment."""
        return self._probe(self.clamped(timestamp))

    def changes(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the changes of the offset after a moment and up to another.

        Args:
            start: The moment; a change at it is left out.
            end: The other moment; a change at it is given.

        Returns:
            The moment of each change and the offset from then on, in order.
        """
        found: list[tuple[int, int]] = []
        if self.name == "UTC":
            return found
        before, offset = start, self._probe(start)
        while before < end:
            after = min(before + _STRIDE_S, end)
            new = self._probe(after)
            if new != offset:
                found.append((self._bisected(before, after, offset), new))
            before, offset = after, new
        return found

    def changes_in(self, year: int) -> list[tuple[int, int]]:
        """Return the changes of the offset after the start of a year (UTC) and up to the next.

        Args:
            year: The year.
        """
        found = self._by_year.get(year)
        if found is None:
            found = self.changes(year_start(year), year_start(year + 1) - 1)
            self._by_year[year] = found
        return found

    def earliest(self, wall: int) -> int:
        """Return the first moment at which a wall clock shows a time, or has gone past it.

        Args:
            wall: The seconds that the wall clock shows, counted as if it were UTC.
        """
        naive = EPOCH + dt.timedelta(seconds=wall)
        first = wall - self._offset_of(naive, fold=0)
        second = wall - self._offset_of(naive, fold=1)
        if second >= first:
            return first
        # The clock skips the time: the moment at which it does so.
        return self._bisected(second - 1, first, self._probe(second - 1))

    def _offset_of(self, naive: dt.datetime, *, fold: int) -> int:
        offset = naive.replace(tzinfo=self.tzinfo, fold=fold).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())

    def _probe(self, timestamp: int) -> int:
        offset = dt.datetime.fromtimestamp(timestamp, self.tzinfo).utcoffset()
        return 0 if offset is None else int(offset.total_seconds())

    def _bisected(self, before: int, after: int, offset: int) -> int:
        """Return the first moment with another offset than `before` has."""
        low, high = before, after
        while high - low > 1:
            middle = (low + high) // 2
            if self._probe(middle) == offset:
                low = middle
            else:
                high = middle
        return high


@functools.cache
def zone(name: str) -> Zone:
    """Return a time zone.

    Args:
        name: The name of the zone in the IANA database.

    Raises:
        InvalidDefinitionError: There is no such zone on this machine.
    """
    return Zone(name)


def _zone_info(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise errors.InvalidDefinitionError(
            f"The time zone {name!r} is not known on this machine. Use a name of the IANA database"
            " such as 'Europe/Berlin'; where the system has no database, install the package"
            " tzdata beside atoll."
        ) from error

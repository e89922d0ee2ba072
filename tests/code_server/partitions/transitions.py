"""Where the clocks of all zones change in a few years, and how ticks look there by brute force.

Called by the tests of time windows. Nothing here uses the arithmetic that is tested: moments are
walked over one by one, and the standard library says what clocks show.
"""

import datetime as dt
import functools
import zoneinfo

FIRST = int(dt.datetime(2023, 1, 1, tzinfo=dt.UTC).timestamp())
LAST = int(dt.datetime(2027, 1, 1, tzinfo=dt.UTC).timestamp())
DAY = 86_400
EPOCH = dt.datetime.fromisoformat("1970-01-01")


def all_zones():
    """Return the names of all zones of the IANA database."""
    return sorted(zoneinfo.available_timezones() - {"localtime"})


def offset_at(name, moment):
    """Return by how many seconds clocks are ahead of UTC."""
    when = dt.datetime.fromtimestamp(moment, zoneinfo.ZoneInfo(name))
    return int(when.utcoffset().total_seconds())


# Closer changes than this there have never been.
STRIDE = 3 * DAY


@functools.cache
def transitions(name):
    """Return the moments at which the clocks of a zone change."""
    zone = zoneinfo.ZoneInfo(name)
    probe = dt.datetime.fromtimestamp
    found = []
    before = probe(FIRST, zone).utcoffset()
    for after in range(FIRST + STRIDE, LAST, STRIDE):
        offset = probe(after, zone).utcoffset()
        if offset != before:
            low, high = after - STRIDE, after
            while high - low > 1:
                middle = (low + high) // 2
                same = probe(middle, zone).utcoffset() == before
                low, high = (middle, high) if same else (low, middle)
            found.append(high)
        before = offset
    return found


@functools.cache
def distinct_transitions():
    """Return a zone and a moment for each way in which clocks change: aliases are left out."""
    found = {}
    for name in all_zones():
        for moment in transitions(name):
            shape = (moment, offset_at(name, moment - 1), offset_at(name, moment))
            found.setdefault(shape, (name, moment))
    return sorted(found.values())


def wall_at(name, moment):
    """Return what clocks show, without a zone."""
    return EPOCH + dt.timedelta(seconds=moment + offset_at(name, moment))


def hourly_ticks(name, start, end, minute):
    """Return the moments at which the minute hand is at a minute, by looking at each quarter."""
    quarters = range(start - start % 900, end, 900)
    return [m for m in quarters if m >= start and wall_at(name, m).minute == minute]


def daily_ticks(name, start, end, times):
    """Return the first moments at which clocks show some times of the day, or have gone past."""
    zone = zoneinfo.ZoneInfo(name)
    found = set()
    day = wall_at(name, start).date() - dt.timedelta(days=2)
    while day <= wall_at(name, end).date() + dt.timedelta(days=2):
        for hour, minute in times:
            wall = dt.datetime.combine(day, dt.time(hour, minute))
            moment = int(wall.replace(tzinfo=zone).timestamp())
            if wall_at(name, moment) != wall:
                # The clock skips this time: walk from well before to where it does.
                moment = next(
                    m for m in range(moment - 2 * DAY, moment + DAY, 900) if wall_at(name, m) > wall
                )
            found.add(moment)
        day += dt.timedelta(days=1)
    return sorted(moment for moment in found if start <= moment < end)

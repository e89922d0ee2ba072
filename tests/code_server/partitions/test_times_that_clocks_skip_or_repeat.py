"""Every way to treat daylight saving, in every zone, against walking over the minutes."""

import datetime as dt
import zoneinfo

import pytest

from atoll._partitions import timelines
from tests.code_server.partitions import transitions

MINUTE = 60
SPAN = 7 * 3600
INNER = 4 * 3600
RULES = {
    (shift, repeated): timelines.Daylight(shift, repeated != "last", repeated != "first")
    for shift in (True, False)
    for repeated in ("first", "last", "both")
}
CRONS = ["30 2 * * *", "0 3 * * *", "0,30 1-3 * * *", "15 0,23 * * *", "*/10 2 * * 0,6"]


def walls(name, start, end):
    """Return what clocks show in each minute."""
    zone = zoneinfo.ZoneInfo(name)
    return [
        (moment, dt.datetime.fromtimestamp(moment, zone).replace(tzinfo=None))
        for moment in range(start - start % MINUTE, end, MINUTE)
    ]


def named(cron, wall):
    """Return whether a cron of this file names a time."""
    minutes, hours, _, _, weekdays = cron.split()
    minute = {
        "30": {30},
        "0": {0},
        "0,30": {0, 30},
        "15": {15},
        "*/10": {0, 10, 20, 30, 40, 50},
    }[minutes]
    hour = {"2": {2}, "3": {3}, "1-3": {1, 2, 3}, "0,23": {0, 23}}[hours]
    return (
        wall.minute in minute
        and wall.hour in hour
        and (weekdays == "*" or wall.weekday() in {5, 6})
    )


def shown_times(cron, shown):
    """Return the moments at which clocks show each of the times that a cron names."""
    moments = {}
    for moment, wall in shown:
        if named(cron, wall):
            moments.setdefault(wall, []).append(moment)
    return moments.values()


def after_skipped(cron, shown):
    """Return the moments at which clocks have gone past times that a cron names."""
    found = set()
    reached = shown[0][1]
    for moment, wall in shown:
        skipped = reached + dt.timedelta(minutes=1)
        while skipped < wall:
            if named(cron, skipped):
                found.add(moment)
            skipped += dt.timedelta(minutes=1)
        reached = max(reached, wall)
    return found


@pytest.mark.slow
def test_every_rule_agrees_with_walking_over_the_minutes():
    for name, transition in transitions.distinct_transitions():
        shown = walls(name, transition - SPAN, transition + SPAN)
        # At the edges a time may be shown again outside: they are not compared.
        inner = range(transition - INNER, transition + INNER)
        for cron in CRONS:
            times = shown_times(cron, shown)
            skipped = after_skipped(cron, shown)
            for (shift, repeated), rule in RULES.items():
                chosen = {"first": slice(0, 1), "last": slice(-1, None), "both": slice(None)}
                expected = {m for moments in times for m in moments[chosen[repeated]]}
                expected |= skipped if shift else set()
                line = timelines.timeline(cron, name, rule)
                numbers = (line.before(inner.start), line.before(inner.stop))
                ticks = {tick.timestamp for tick in line.ticks(*numbers)}
                assert ticks == {m for m in expected if m in inner}, (name, cron, shift, repeated)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES.values())
def test_a_cron_of_every_hour_follows_the_time_that_passes(rule):
    for name, transition in transitions.distinct_transitions():
        line = timelines.timeline("15 * * * *", name, rule)
        start, end = transition - 6 * 3600, transition + 6 * 3600
        ticks = [t.timestamp for t in line.ticks(line.before(start), line.before(end))]
        assert ticks == transitions.hourly_ticks(name, start, end, 15)

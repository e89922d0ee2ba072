"""When a schedule is due: its cron schedules, merged, in its time zone. Pure.

Called by `sessions`, which writes the timetable of a new schedule down, by `automation.schedules`,
which decides by it, and by the servicer that shows the next times. The arithmetic is that of
partitions: times are counted, never walked over. What becomes of the times stays out.
"""

import functools
import heapq
import itertools
import json
from collections.abc import Iterator
from typing import NamedTuple, cast

from atoll._partitions import timelines
from atoll.definitions.v1 import snapshot_pb2

UTC = "UTC"
COUNTED_MAX = 10_000
"""Up to so many times of several cron schedules are counted one by one."""

READ_MAX = 65_536
"""So many timetables are kept, for as many schedules: reading one takes about a millisecond."""

# Nothing was due before there were schedules: years before are not worth counting.
_BASE_YEAR = 2026
_SKIPPED = snapshot_pb2.SkippedTimes
_REPEATED = snapshot_pb2.RepeatedTimes


class Count(NamedTuple):
    """How many times there are; without `exact`, those of several cron schedules count each."""

    number: int
    exact: bool = True


class Timetable:
    """The times at which something is due, in seconds since 1970. A time of two crons is one.

    Args:
        lines: The times of each cron schedule.
    """

    def __init__(self, lines: tuple[timelines.Timeline, ...]) -> None:
        self._lines = lines

    def next_after(self, moment: int) -> int | None:
        """Return the first time after a moment; None where the calendar ends before."""
        return next(self.following(moment), None)

    def following(self, moment: int) -> Iterator[int]:
        """Yield the times after a moment, in order."""
        return _distinct(heapq.merge(*(_from(line, moment + 1) for line in self._lines)))

    def newest(self, after: int, until: int, count_max: int) -> list[int]:
        """Return the newest times after one moment and up to another, in order."""
        if count_max <= 0:
            return []
        found: set[int] = set()
        for line in self._lines:
            first, end = line.before(after + 1), line.before(until + 1)
            start = max(first, end - count_max)
            found.update(tick.timestamp for tick in line.ticks(start, max(start, end)))
        return sorted(found)[-count_max:]

    def count(self, after: int, until: int) -> Count:
        """Count the times after one moment and up to another."""
        numbers = [max(0, line.before(until + 1) - line.before(after + 1)) for line in self._lines]
        total = sum(numbers)
        if sum(map(bool, numbers)) <= 1:
            return Count(total)
        if total > COUNTED_MAX:
            return Count(total, exact=False)
        times = itertools.takewhile(lambda time: time <= until, self.following(after))
        return Count(sum(1 for _ in times))


class Written(NamedTuple):
    """A timetable as it was written down.

    Attributes:
        timetable: The times.
        runs_by_default: Whether the schedule is evaluated until somebody starts or stops it.
    """

    timetable: Timetable
    runs_by_default: bool


def write(definition: snapshot_pb2.ScheduleDefinition) -> str:
    """Return a text that says when a schedule is due; equal texts mean equal times.

    Args:
        definition: The schedule.
    """
    running = definition.default_status == snapshot_pb2.SCHEDULE_STATUS_RUNNING
    what = {
        "crons": sorted(set(definition.cron_schedules)),
        "zone": definition.execution_timezone or UTC,
        "shift": definition.skipped_times != _SKIPPED.SKIPPED_TIMES_SKIP,
        "first": definition.repeated_times != _REPEATED.REPEATED_TIMES_LAST,
        "last": definition.repeated_times
        in {_REPEATED.REPEATED_TIMES_LAST, _REPEATED.REPEATED_TIMES_BOTH},
        "running": running,
    }
    return json.dumps(what, separators=(",", ":"))


@functools.lru_cache(maxsize=READ_MAX)
def read(text: str) -> Written:
    """Return what `write` wrote down.

    Args:
        text: The text.

    Raises:
        atoll.errors.InvalidDefinitionError: This machine does not know the time zone.
    """
    what = cast("dict[str, object]", json.loads(text))
    daylight = timelines.Daylight(bool(what["shift"]), bool(what["first"]), bool(what["last"]))
    crons = cast("list[str]", what["crons"])
    zone = str(what["zone"])
    lines = tuple(timelines.timeline(cron, zone, daylight, _BASE_YEAR) for cron in crons)
    return Written(Timetable(lines), bool(what["running"]))


def _from(line: timelines.Timeline, moment: int) -> Iterator[int]:
    """Yield the times of a cron schedule from a moment on, up to the end of the calendar."""
    try:
        for number in itertools.count(line.before(moment)):
            yield line.at(number).timestamp
    except OverflowError:
        return


def _distinct(times: Iterator[int]) -> Iterator[int]:
    for time, _ in itertools.groupby(times):
        yield time

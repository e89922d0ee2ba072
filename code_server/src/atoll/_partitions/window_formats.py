"""The keys of time windows: a tick's name by a format, and the tick that a name means.

Called by window sequences. Every tick has a name of its own, and the name leads back to it.
"""

from __future__ import annotations

import datetime as dt
import functools
import re

from atoll import errors
from atoll._partitions import timelines, zones

_DATE = "%Y-%m-%d"
_DATE_AND_TIME = "%Y-%m-%d-%H:%M"
_OFFSET = re.compile(
    r"(?P<rest>.*)(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d)(?P<seconds>\d\d)?"
)
# Between the moment that a key says and the tick that it means there is at most the tick of a time
# that the clock skipped or showed before.
_CANDIDATES = 3
# As many ticks tell whether a format drops what tells ticks apart; the year is looked at by itself.
_SAMPLE = 40
_ANOTHER_YEAR = dt.datetime(2031, 11, 23, 14, 37)  # noqa: DTZ001  # what a wall clock shows


class WindowFormat:
    """The names of the ticks of a timeline.

    Attributes:
        fmt: The format, as `strftime` has it.
    """

    def __init__(self, timeline: timelines.Timeline, fmt: str) -> None:
        self.fmt = fmt
        self._timeline = timeline
        self._says_offset = "%z" in fmt

    def key(self, tick: timelines.Tick) -> str:
        """Return the name of a tick.

        Args:
            tick: The tick. One that wall clocks show for the second time gets their offset behind
                its name.
        """
        if self._says_offset:
            moment = dt.datetime.fromtimestamp(tick.timestamp, self._timeline.zone.tzinfo)
            return moment.strftime(self.fmt)
        key = self._written(timelines.wall_datetime(tick.wall))
        return key + _offset_text(tick.offset) if tick.repeated else key

    def number(self, key: str) -> int | None:
        """Return the number of the tick with a name, None where there is none.

        Args:
            key: The name.
        """
        moment = self.moment(key)
        if moment is None:
            return None
        try:
            first = self._timeline.before(moment)
            for number in range(first, first + _CANDIDATES):
                if self.key(self._timeline.at(number)) == key:
                    return number
        except OverflowError:
            return None
        return None

    def moment(self, key: str) -> int | None:
        """Return the moment that a name says, None where it says none.

        Args:
            key: The name; its format need not say all of a date.
        """
        read = self._read(key)
        if read is None:
            with_offset = None if self._says_offset else _OFFSET.fullmatch(key)
            if with_offset is None:
                return None
            read = self._read(with_offset["rest"])
            return None if read is None else _wall(read) - _offset_of(with_offset)
        if read.tzinfo is not None:
            return int(read.timestamp())
        return self._timeline.zone.earliest(_wall(read))

    def _written(self, naive: dt.datetime) -> str:
        # The formats that nearly all have are written ten times quicker this way.
        if self.fmt == _DATE:
            return naive.date().isoformat()
        if self.fmt == _DATE_AND_TIME:
            return naive.isoformat("-", "minutes")
        return naive.strftime(self.fmt)

    def _read(self, key: str) -> dt.datetime | None:
        try:
            if self.fmt == _DATE and len(key) == len("2024-01-01"):
                return dt.datetime.fromisoformat(key)
            if self.fmt == _DATE_AND_TIME and len(key) == len("2024-01-01-00:00"):
                return dt.datetime.fromisoformat(f"{key[:10]}T{key[11:]}")
            return dt.datetime.strptime(key, self.fmt)  # noqa: DTZ007  # wall clocks
        except (ValueError, OverflowError):
            return None


@functools.lru_cache(maxsize=4096)
def check(timeline: timelines.Timeline, fmt: str) -> None:
    """Say so if a format does not name every tick differently.

    Args:
        timeline: The ticks.
        fmt: The format.

    Raises:
        InvalidDefinitionError: Ticks cannot be told apart by their names, or names not be read.
    """
    format_ = WindowFormat(timeline, fmt)
    example = _ANOTHER_YEAR.replace(tzinfo=timeline.zone.tzinfo).strftime(fmt)
    first = timeline.before((_ANOTHER_YEAR - zones.EPOCH).total_seconds())
    ticks = timeline.ticks(first, first + _SAMPLE)
    try:
        year = dt.datetime.strptime(example, fmt).year  # noqa: DTZ007  # wall clocks
    except ValueError:
        year = 0
    if year == _ANOTHER_YEAR.year and all(
        format_.number(format_.key(tick)) == number for number, tick in enumerate(ticks, first)
    ):
        return
    raise errors.InvalidDefinitionError(
        f"The format {fmt!r} does not tell the windows of {timeline.cron.text!r} apart: it makes"
        f" keys such as {example!r}, which do not lead back to one window. Write what is missing"
        " into fmt: the year, the month, the day, or the time, such as '%Y-%m-%d-%H:%M'."
    )


def _wall(naive: dt.datetime) -> int:
    return int((naive.replace(tzinfo=None) - zones.EPOCH).total_seconds())


def _offset_text(offset: int) -> str:
    minutes, seconds = divmod(abs(offset), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{'-' if offset < 0 else '+'}{hours:02}{minutes:02}"
    return f"{text}{seconds:02}" if seconds else text


def _offset_of(match: re.Match[str]) -> int:
    seconds = int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"] or 0)
    return -seconds if match["sign"] == "-" else seconds

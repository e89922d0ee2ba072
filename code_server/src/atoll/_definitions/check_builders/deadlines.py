"""What checks of freshness share: deadlines by cron, times in words, and the metadata of results.

Called by the modules of the two kinds of such checks and by the sensor that has them evaluated.
The time is that of `partition_loading_context`, and the clock's where that says nothing.
"""

import datetime as dt
from typing import Any

from atoll import errors
from atoll._definitions import metadata as metadata_values
from atoll._partitions import contexts, timelines, zones

CHECK_NAME = "freshness_check"
PARAMS = "atoll/freshness_params"
LOWER_BOUND = "atoll/freshness_lower_bound_timestamp"
LATEST_DEADLINE = "atoll/latest_cron_tick_timestamp"
FRESH_UNTIL = "atoll/fresh_until_timestamp"
LAST_UPDATED = "atoll/last_updated_timestamp"
OVERDUE_SECONDS = "atoll/overdue_seconds"

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def now() -> float:
    """Return the time, in seconds since 1970."""
    return contexts.resolve().now.timestamp()


class Deadlines:
    """Times that come again and again.

    Args:
        cron: The cron schedule.
        timezone: The name of the time zone.

    Raises:
        InvalidDefinitionError: The schedule or the zone cannot be used.
    """

    def __init__(self, cron: str, timezone: str) -> None:
        self._timeline = timelines.timeline(cron, timezone)

    def latest(self, moment: float) -> float:
        """Return the last deadline up to a moment, that moment included."""
        number = self._timeline.before(moment)
        tick = self._timeline.at(number).timestamp
        return float(tick if tick <= moment else self._timeline.at(number - 1).timestamp)

    def following(self, moment: float) -> float:
        """Return the first deadline after a moment."""
        number = self._timeline.before(moment)
        tick = self._timeline.at(number).timestamp
        return float(tick if tick > moment else self._timeline.at(number + 1).timestamp)


def checked_timezone(timezone: str) -> str:
    """Return the name of a time zone.

    Raises:
        InvalidDefinitionError: There is no such zone on this machine.
    """
    return zones.zone(timezone).name


def checked_delta(delta: object) -> dt.timedelta:
    """Return a positive length of time.

    Raises:
        InvalidDefinitionError: It is none.
    """
    if isinstance(delta, dt.timedelta) and delta > dt.timedelta():
        return delta
    raise errors.InvalidDefinitionError(
        f"lower_bound_delta is a positive datetime.timedelta, got {delta!r}."
    )


def span_in_words(seconds: float) -> str:
    """Return a length of time in its two greatest units, such as "2 hours, 5 minutes"."""
    left = round(seconds)
    told: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            told.append(f"{count} {unit}{'' if count == 1 else 's'}")
        if len(told) == 2 or (told and not count):  # noqa: PLR2004 - the two greatest units
            break
    return ", ".join(told) or "less than a second"


def moment_in_words(timestamp: float, timezone: str) -> str:
    """Return what wall clocks show at a moment, with the zone."""
    shown = dt.datetime.fromtimestamp(timestamp, zones.zone(timezone).tzinfo)
    return f"{shown:%Y-%m-%d %H:%M:%S} ({timezone})"


def timestamp(moment: float) -> Any:
    """Return the metadata value of a moment."""
    return metadata_values.MetadataValue.timestamp(moment)

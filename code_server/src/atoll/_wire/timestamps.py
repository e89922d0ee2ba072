"""Points in time: seconds since 1970 as a float to `Timestamp` and back.

Exact for every time that a clock shows, where a float resolves no more than nanoseconds. Used by
the other modules of this package.
"""

from __future__ import annotations

import datetime as dt
import math

from google.protobuf import timestamp_pb2

_NANOS = 1_000_000_000
# What a Timestamp may hold: the years 1 to 9999.
SECONDS_MIN = -62_135_596_800
SECONDS_MAX = 253_402_300_799


def representable(seconds: float) -> bool:
    """Return whether a Timestamp can hold a point in time.

    Args:
        seconds: Seconds since 1970, of any kind a float has.
    """
    return SECONDS_MIN <= seconds <= SECONDS_MAX


def from_seconds(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a point in time as a message.

    Args:
        seconds: Seconds since 1970, `representable`.
    """
    whole = math.floor(seconds)
    nanos = round((seconds - whole) * _NANOS)
    if nanos == _NANOS:
        whole, nanos = whole + 1, 0
    return timestamp_pb2.Timestamp(seconds=whole, nanos=nanos)


def to_seconds(timestamp: timestamp_pb2.Timestamp) -> float:
    """Return a point in time as seconds since 1970.

    Args:
        timestamp: The message.
    """
    return timestamp.seconds + timestamp.nanos / _NANOS


def from_datetime(moment: dt.datetime) -> timestamp_pb2.Timestamp:
    """Return a point in time as a message.

    Args:
        moment: The point in time, with its zone.
    """
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(moment)
    return message


def to_datetime(timestamp: timestamp_pb2.Timestamp) -> dt.datetime:
    """Return a point in time in UTC.

    Args:
        timestamp: The message.
    """
    return timestamp.ToDatetime(tzinfo=dt.timezone.utc)


def nearest(seconds: float) -> timestamp_pb2.Timestamp:
    """Return a point in time as a message, or the first or last one that a message can hold.

    Args:
        seconds: Seconds since 1970, as a bound that users give.
    """
    return from_seconds(min(max(seconds, SECONDS_MIN), SECONDS_MAX))

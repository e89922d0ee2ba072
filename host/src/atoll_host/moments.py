"""Points in time in messages: reads them out of requests, writes them into answers. Pure."""

import datetime as dt

from google.protobuf import message as messages
from google.protobuf import timestamp_pb2

from atoll_host import errors


def of(message: messages.Message, field: str, prefix: str = "") -> dt.datetime | None:
    """Return the time that a field holds, None where it is unset.

    Args:
        message: The message.
        field: The field, a `google.protobuf.Timestamp`.
        prefix: What the path of the message within the request begins with.

    Raises:
        errors.InvalidRequest: It holds no time.
    """
    if not message.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(message, field)
    try:
        return stamp.ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError) as error:
        raise errors.InvalidRequest(
            f"{prefix}{field} is {stamp.seconds} s and {stamp.nanos} ns, which is no time. Give "
            "one of the years 1 to 9999.",
            field=f"{prefix}{field}",
        ) from error


def timestamp(moment: dt.datetime | None) -> timestamp_pb2.Timestamp | None:
    """Return a point in time as a message, None for None."""
    if moment is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(moment)
    return message

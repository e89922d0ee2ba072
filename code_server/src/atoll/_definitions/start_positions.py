"""Where an event-driven sensor begins in the log when it is first seen.

Called by the definitions of such sensors.
"""

import datetime as dt
from typing import Literal, TypeAlias

from atoll import errors

StartAt: TypeAlias = Literal["latest", "earliest"] | dt.datetime
_WORDS = ("latest", "earliest")


def checked(whose: str, start_at: object) -> StartAt | None:
    """Return a start as it was given, or say what is wrong with it.

    Args:
        whose: The sensor, for errors.
        start_at: What was given.

    Raises:
        InvalidDefinitionError: It is neither a known word nor a time with a zone.
    """
    if start_at is None:
        return None
    if start_at == "latest":
        return "latest"
    if start_at == "earliest":
        return "earliest"
    if not isinstance(start_at, dt.datetime):
        raise errors.InvalidDefinitionError(
            f"{whose} starts at {start_at!r}. Give one of {', '.join(map(repr, _WORDS))}, or a "
            "datetime with a time zone."
        )
    if start_at.tzinfo is None:
        raise errors.InvalidDefinitionError(
            f"{whose} starts at {start_at.isoformat()}, which has no time zone. Give it one, such "
            "as tzinfo=datetime.timezone.utc."
        )
    return start_at

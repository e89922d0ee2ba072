"""How the body of one kind of event is written and read: the entries of the tables of bodies.

Used by `events`, `step_events` and `asset_events`, which hold a table each. No kind of event is
known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Body(NamedTuple):
    """The body of one kind of event.

    Attributes:
        field: The field of the message `Event` that holds it.
        encode: Fills the body from the data of an event.
        decode: Returns the data that a body holds.
    """

    field: str
    encode: Callable[[Any, Any], None]
    decode: Callable[[Any], Any]


def empty(field: str) -> Body:
    """Return the body of a kind of event that has no data.

    Args:
        field: The field of the message `Event`.
    """
    return Body(field, _write_nothing, _read_nothing)


def _write_nothing(_body: Any, _data: Any) -> None:
    return None


def _read_nothing(_body: Any) -> None:
    return None

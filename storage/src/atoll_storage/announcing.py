"""Telling of what was stored: this process at once, other hosts by way of Postgres.

One `Announcer` for each `Database`. Whoever commits a transaction that wrote to the log calls
`tell`, so the services of this process need not wait for the notification of Postgres, nor read
back what they have just written. Notifications carry the sender, so that a listener can leave out
what its own process knows already.
"""

import secrets
from collections.abc import Callable
from typing import LiteralString

from atoll_storage import records

_SENDER_BYTES = 6
_NOTIFY = "SELECT pg_notify(%s, %s)"

Told = Callable[[records.Stored], None]


class Announcer:
    """Tells of what was stored. See the module."""

    def __init__(self) -> None:
        self._sender = secrets.token_hex(_SENDER_BYTES)
        self._told: list[Told] = []

    def subscribe(self, told: Told) -> None:
        """Have `told` called right after each transaction that wrote to the log."""
        self._told.append(told)

    def tell(self, stored: records.Stored) -> None:
        """Tell this process what one of its transactions stored."""
        for told in self._told:
            told(stored)

    def payload(self, hint: str) -> str:
        """Return the payload of a notification that this process sends."""
        return f"{self._sender} {hint}"

    def notice(self, channel: str, hint: str) -> tuple[LiteralString, list[object]]:
        """Return the statement that notifies whoever listens, and its parameters."""
        return _NOTIFY, [channel, self.payload(hint)]

    def read(self, channel: str, payload: str) -> records.Notification:
        """Return the notification of a payload."""
        sender, _, hint = payload.partition(" ")
        return records.Notification(channel, hint, own=sender == self._sender)

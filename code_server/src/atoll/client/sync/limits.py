"""The limits of a host: sizes of messages and pages, deadlines, how much runs at once.

For programs that do not await.
"""

from atoll.api.v1 import server_pb2
from atoll.client import limits as original
from atoll.client.sync import portal as portals


class Limits:
    """Tells limits."""

    def __init__(self, portal: portals.Portal, inner: original.Limits) -> None:
        self._portal = portal
        self._inner = inner

    def get(self) -> server_pb2.GetLimitsResponse:
        """Return the limits and features of the host."""
        return self._portal.run(self._inner.get())

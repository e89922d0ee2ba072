"""For how long a host keeps what it stored.

For programs that do not await.
"""

from atoll.api.v1 import retention_pb2
from atoll.client import retention as original
from atoll.client.sync import portal as portals


class Retention:
    """Shows what is kept, and sweeps."""

    def __init__(self, portal: portals.Portal, inner: original.Retention) -> None:
        self._portal = portal
        self._inner = inner

    def get(self) -> retention_pb2.GetRetentionResponse:
        """Return for how long each kind of thing is kept, and the newest sweeps."""
        return self._portal.run(self._inner.get())

    def run(self, *, dry_run: bool) -> retention_pb2.RetentionSweep:
        """Remove what may go now, or count it.

        Args:
            dry_run: Count and remove nothing.
        """
        return self._portal.run(self._inner.run(dry_run=dry_run))

"""What new definitions of a location would break.

For programs that do not await.
"""

from atoll.api.v1 import impact_pb2
from atoll.client import impact as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import snapshot_pb2


class Impact:
    """Compares definitions that are not served yet with what runs."""

    def __init__(self, portal: portals.Portal, inner: original.Impact) -> None:
        self._portal = portal
        self._inner = inner

    def check(
        self, location_name: str, snapshot: snapshot_pb2.LocationSnapshot
    ) -> impact_pb2.CheckImpactResponse:
        """Return what definitions would break if they were served. Nothing changes.

        Args:
            location_name: The location.
            snapshot: What it would define.

        Raises:
            errors.NotFoundError: The host knows no location of that name.
        """
        return self._portal.run(self._inner.check(location_name, snapshot))

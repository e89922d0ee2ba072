"""Which builds of locations were loaded when, and what changed between them.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import builds_pb2
from atoll.client import builds as original
from atoll.client.sync import portal as portals


class Builds:
    """Shows loads of locations."""

    def __init__(self, portal: portals.Portal, inner: original.Builds) -> None:
        self._portal = portal
        self._inner = inner

    def loads(self, location_name: str, *, limit: int | None = None) -> Iterator[builds_pb2.Load]:
        """Yield the loads of a location that are remembered, newest first.

        Args:
            location_name: The location.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.loads(location_name, limit=limit))

    def changes(
        self, location_name: str, *, from_build_id: str = "", to_build_id: str = ""
    ) -> builds_pb2.GetBuildChangesResponse:
        """Return what one build of a location defines otherwise than another.

        Args:
            location_name: The location.
            from_build_id: The build to compare with; empty means the one before.
            to_build_id: The build; empty means the one that serves.
        """
        return self._portal.run(
            self._inner.changes(location_name, from_build_id=from_build_id, to_build_id=to_build_id)
        )

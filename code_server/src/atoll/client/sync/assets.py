"""The asset graph and its materializations, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import assets_pb2
from atoll.client import assets as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Assets:
    """Lists and shows assets."""

    def __init__(self, portal: portals.Portal, inner: original.Assets) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, *, location_name: str = "", limit: int | None = None
    ) -> Iterator[assets_pb2.Asset]:
        """Yield the assets of the graph, by key.

        Args:
            location_name: Only those of this location; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(location_name=location_name, limit=limit)
        )

    def get(self, key: values_pb2.AssetKey) -> assets_pb2.Asset:
        """Return one asset."""
        return self._portal.run(self._inner.get(key))

    def materializations(
        self, key: values_pb2.AssetKey, *, limit: int | None = None
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield the materializations of an asset, newest first."""
        return self._portal.iterate(lambda: self._inner.materializations(key, limit=limit))

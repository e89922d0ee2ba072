"""The checks of assets and what they found, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import checks_pb2
from atoll.client import checks as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Checks:
    """Lists and shows checks."""

    def __init__(self, portal: portals.Portal, inner: original.Checks) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        *,
        asset_key: values_pb2.AssetKey | None = None,
        location_name: str = "",
        limit: int | None = None,
    ) -> Iterator[checks_pb2.AssetCheck]:
        """Yield the checks of all locations, by asset key and name.

        Args:
            asset_key: Only those of this asset; None means all.
            location_name: Only those that this location defines; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(asset_key=asset_key, location_name=location_name, limit=limit)
        )

    def get(self, key: values_pb2.AssetCheckKey) -> checks_pb2.AssetCheck:
        """Return one check."""
        return self._portal.run(self._inner.get(key))

    def evaluations(
        self,
        key: values_pb2.AssetCheckKey,
        *,
        partitions: Sequence[str] = (),
        limit: int | None = None,
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield the evaluations of a check, newest first.

        Args:
            key: The check.
            partitions: Only those of these partitions; none means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.evaluations(key, partitions=partitions, limit=limit)
        )

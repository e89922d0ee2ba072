"""How fresh assets are, as a host knows it.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

from atoll.api.v1 import freshness_pb2
from atoll.client import freshness as original
from atoll.client.sync import portal as portals
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Freshness:
    """Lists and shows the freshness of assets."""

    def __init__(self, portal: portals.Portal, inner: original.Freshness) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        *,
        location_name: str = "",
        states: Sequence[events_pb2.FreshnessState.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[freshness_pb2.AssetFreshness]:
        """Yield the freshness of the assets that have a policy, by key.

        Args:
            location_name: Only those whose policy this location gives; empty means all.
            states: Only those in one of these states; empty means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(location_name=location_name, states=states, limit=limit)
        )

    def get(self, key: values_pb2.AssetKey) -> freshness_pb2.AssetFreshness:
        """Return the freshness of one asset."""
        return self._portal.run(self._inner.get(key))

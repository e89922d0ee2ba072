"""The assets of all locations and what became of them, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator, Sequence

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
        self,
        key: values_pb2.AssetKey,
        wanted: original.Wanted = original.EVERYTHING,
        *,
        limit: int | None = None,
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield the materializations of an asset, newest first.

        Args:
            key: The asset.
            wanted: Which of them.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.materializations(key, wanted, limit=limit))

    def observations(
        self,
        key: values_pb2.AssetKey,
        wanted: original.Wanted = original.EVERYTHING,
        *,
        limit: int | None = None,
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield the observations of an asset, newest first.

        Args:
            key: The asset.
            wanted: Which of them.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.observations(key, wanted, limit=limit))

    def partition_states(self, key: values_pb2.AssetKey) -> assets_pb2.GetAssetPartitionsResponse:
        """Return how many partitions of an asset are in which state, and which those are."""
        return self._portal.run(self._inner.partition_states(key))

    def partitions(
        self,
        key: values_pb2.AssetKey,
        *,
        states: Sequence[assets_pb2.PartitionState.ValueType] = (),
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[assets_pb2.AssetPartition]:
        """Yield the partitions of an asset with their states, in the order of their definition.

        Args:
            key: The asset.
            states: Only partitions in one of these states; none means all.
            descending: Whether the last partition comes first.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.partitions(key, states=states, descending=descending, limit=limit)
        )

    def staleness(
        self, key: values_pb2.AssetKey, *, partition: str = ""
    ) -> assets_pb2.AssetStaleness:
        """Return whether an asset is stale, and why.

        Args:
            key: The asset.
            partition: The partition to look at; empty means the newest materialization.
        """
        return self._portal.run(self._inner.staleness(key, partition=partition))

    def all_staleness(
        self,
        selection: str = "",
        *,
        location_name: str = "",
        statuses: Sequence[assets_pb2.StaleStatus.ValueType] = (),
        limit: int | None = None,
    ) -> Iterator[assets_pb2.AssetStaleness]:
        """Yield whether assets are stale, and why, by key. What is given all has to hold.

        Args:
            selection: A selection of assets, as text; empty means all that locations can make.
            location_name: Only those of this location; empty means all.
            statuses: Only those of one of these statuses; none means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.all_staleness(
                selection, location_name=location_name, statuses=statuses, limit=limit
            )
        )

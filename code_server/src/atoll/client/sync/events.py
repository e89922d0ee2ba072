"""The event log of a host: pages of it, and a watch that does not end when a connection does.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import events as original
from atoll.client.sync import portal as portals
from atoll.client.sync import watches
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Events:
    """Reads and watches the event log."""

    def __init__(self, portal: portals.Portal, inner: original.Events) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        after_event_id: int = 0,
        limit: int | None = None,
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield stored events in the order of the log.

        Args:
            query: Which events; None means all.
            after_event_id: Only events after this position; 0 means from the oldest.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(query, after_event_id=after_event_id, limit=limit)
        )

    def watch(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        resume_token: str = "",
        from_beginning: bool = False,
        after_event_id: int = 0,
        patience_s: float | None = 60.0,
    ) -> watches.Watch[events_pb2.StoredEvent]:
        """Return an iterator over matching events that goes on as new ones arrive.

        Args:
            query: Which events; None means all.
            resume_token: Goes on after what the holder of the token has seen; empty begins with
                the next event.
            from_beginning: With no token, begins with the oldest stored event instead.
            after_event_id: With no token, begins after this position instead.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        return watches.Watch(
            self._portal,
            self._portal.call(
                lambda: self._inner.watch(
                    query,
                    resume_token=resume_token,
                    from_beginning=from_beginning,
                    after_event_id=after_event_id,
                    patience_s=patience_s,
                )
            ),
        )

    def wait_for_materialization(
        self,
        asset_key: values_pb2.AssetKey,
        *,
        partition_key: str = "",
        after_event_id: int = 0,
        timeout_s: float | None = None,
    ) -> events_pb2.StoredEvent:
        """Return the next materialization of an asset.

        Args:
            asset_key: The asset.
            partition_key: Only of this partition; empty means of any, or of none.
            after_event_id: The first after this position, which may have happened already; 0 means
                the first that happens from now on.
            timeout_s: How long it may take; None means for ever.

        Raises:
            errors.MaterializationTimeoutError: There was none in time.
        """
        return self._portal.run(
            self._inner.wait_for_materialization(
                asset_key,
                partition_key=partition_key,
                after_event_id=after_event_id,
                timeout_s=timeout_s,
            )
        )

"""The event log of a host: pages of it, and a watch that does not end when a connection does.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import events_pb2 as api_pb2
from atoll.client import events as original
from atoll.client.sync import portal as portals
from atoll.events.v1 import events_pb2


class Events:
    """Reads and watches the event log."""

    def __init__(self, portal: portals.Portal, inner: original.Events) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self, query: api_pb2.EventFilter | None = None, *, limit: int | None = None
    ) -> Iterator[events_pb2.StoredEvent]:
        """Yield stored events in the order of the log.

        Args:
            query: Which events; None means all.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.list(query, limit=limit))

    def watch(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        resume_token: str = "",
        from_beginning: bool = False,
        patience_s: float | None = 60.0,
    ) -> "Watch":
        """Return an iterator over matching events that goes on as new ones arrive.

        Args:
            query: Which events; None means all.
            resume_token: Goes on after what the holder of the token has seen; empty begins with
                the next event.
            from_beginning: With no token, begins with the oldest stored event instead.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        return Watch(
            self._portal,
            self._portal.call(
                lambda: self._inner.watch(
                    query,
                    resume_token=resume_token,
                    from_beginning=from_beginning,
                    patience_s=patience_s,
                )
            ),
        )


class Watch:
    """Every matching event, in order and each once, through lost connections and restarts.

    Iterate over it, and close it at the end (it is a context manager).
    """

    def __init__(self, portal: portals.Portal, inner: original.Watch) -> None:
        self._portal = portal
        self._inner = inner

    @property
    def resume_token(self) -> str:
        """What a later watch needs to go on after the batch that was last received."""
        return self._inner.resume_token

    def __enter__(self) -> "Watch":  # noqa: PYI034  # no Self in Python 3.10
        self._portal.run(self._inner.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._portal.run(self._inner.__aexit__(None, None, None))

    def close(self) -> None:
        """End the watch."""
        return self._portal.call(self._inner.close)

    def opened(self) -> None:
        """Wait until the host has fixed where the watch begins: what happens later is seen.

        Raises:
            errors.RpcError: The host refused, or was away for too long.
        """
        return self._portal.run(self._inner.opened())

    def __iter__(self) -> Iterator[events_pb2.StoredEvent]:
        return self

    def __next__(self) -> events_pb2.StoredEvent:
        return self._portal.following(self._inner)

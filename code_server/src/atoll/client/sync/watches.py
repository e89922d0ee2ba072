"""Watches: what a host streams, through lost connections and restarts, each once and in order.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.client import watches as original
from atoll.client.sync import portal as portals


class Watch:
    """What a host streams. Iterate over it, and close it at the end: it is a context manager.

    Nothing is read before it is asked for: a reader that is slow slows the host down.
    """

    def __init__(self, portal: portals.Portal, inner: original.Watch) -> None:
        self._portal = portal
        self._inner = inner

    @property
    def resume_token(self) -> str:
        """What a later watch needs to go on after the answer that was last received."""
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

    def __iter__(self) -> Iterator[original.Item]:
        return self

    def __next__(self) -> original.Item:
        return self._portal.following(self._inner)

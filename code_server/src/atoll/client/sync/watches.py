"""Watches for programs that do not await: what a host streams, each once and in order.

Returned by the methods of this package that watch something.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

from atoll.client import watches as original
from atoll.client.sync import portal as portals

Item = TypeVar("Item")


class Watch(Generic[Item]):
    """What a host streams. Iterate over it, and close it at the end: it is a context manager.

    Nothing is read before it is asked for: a reader that is slow slows the host down.
    """

    def __init__(self, portal: portals.Portal, inner: original.Watch[Item]) -> None:
        self._portal = portal
        self._inner = inner

    @property
    def resume_token(self) -> str:
        """What a later watch needs to go on after the answer that was last received."""
        return self._inner.resume_token

    def __enter__(self) -> "Watch[Item]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the watch."""
        self._portal.call(self._inner.close)

    def opened(self) -> None:
        """Wait until the host has fixed where the watch begins: what happens later is seen.

        Raises:
            errors.RpcError: The host refused, or was away for too long.
        """
        self._portal.run(self._inner.opened())

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        return self._portal.following(self._inner)

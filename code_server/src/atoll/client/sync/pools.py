"""Pools and their limits, as a host keeps them.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import pools_pb2
from atoll.client import pools as original
from atoll.client.sync import portal as portals


class Pools:
    """Lists pools, shows who has their slots, and sets their limits."""

    def __init__(self, portal: portals.Portal, inner: original.Pools) -> None:
        self._portal = portal
        self._inner = inner

    def list(self, *, limit: int | None = None) -> Iterator[pools_pb2.Pool]:
        """Yield pools by name.

        Args:
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(lambda: self._inner.list(limit=limit))

    def get(self, name: str) -> pools_pb2.GetPoolResponse:
        """Return one pool with everybody who has a slot of it or waits for one.

        Raises:
            errors.NotFoundError: Nobody knows it.
        """
        return self._portal.run(self._inner.get(name))

    def set_limit(self, name: str, limit: int) -> pools_pb2.Pool:
        """Give a pool a limit of its own; return the pool."""
        return self._portal.run(self._inner.set_limit(name, limit))

    def delete(self, name: str) -> bool:
        """Take the limit of its own from a pool; return whether it had one."""
        return self._portal.run(self._inner.delete(name))

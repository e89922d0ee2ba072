"""Jobs of all locations, as a host knows them. One of them with its ops is with `locations`.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import jobs_pb2
from atoll.client import jobs as original
from atoll.client.sync import portal as portals


class Jobs:
    """Lists jobs."""

    def __init__(self, portal: portals.Portal, inner: original.Jobs) -> None:
        self._portal = portal
        self._inner = inner

    def list(
        self,
        *,
        location_name: str = "",
        with_config: bool = False,
        with_implicit: bool = False,
        limit: int | None = None,
    ) -> Iterator[jobs_pb2.Job]:
        """Yield the jobs of all locations, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            with_config: Whether the schema of the configuration and the default one are wanted.
            with_implicit: Whether the job for any selection of assets is wanted as well.
            limit: How many at the most; None means all.
        """
        return self._portal.iterate(
            lambda: self._inner.list(
                location_name=location_name,
                with_config=with_config,
                with_implicit=with_implicit,
                limit=limit,
            )
        )

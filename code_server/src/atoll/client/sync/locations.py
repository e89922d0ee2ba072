"""Code locations, as a host knows them.

For programs that do not await.
"""

from collections.abc import Iterator

from atoll.api.v1 import locations_pb2
from atoll.client import locations as original
from atoll.client.sync import portal as portals


class Locations:
    """Lists, shows and reloads code locations."""

    def __init__(self, portal: portals.Portal, inner: original.Locations) -> None:
        self._portal = portal
        self._inner = inner

    def list(self, *, limit: int | None = None) -> Iterator[locations_pb2.Location]:
        """Yield the locations that ever registered, by name."""
        return self._portal.iterate(lambda: self._inner.list(limit=limit))

    def get(self, name: str) -> locations_pb2.Location:
        """Return one location."""
        return self._portal.run(self._inner.get(name))

    def job(self, job_name: str, *, location_name: str = "") -> locations_pb2.GetJobResponse:
        """Return one job with the graphs and ops that it is made of.

        Args:
            job_name: The job.
            location_name: The location; may be empty where only one has a job of that name.
        """
        return self._portal.run(self._inner.job(job_name, location_name=location_name))

    def reload(
        self, name: str, *, build_id: str = "", timeout_s: float = original.RELOAD_DEADLINE_S
    ) -> locations_pb2.ReloadLocationResponse:
        """Make a location load its code anew; the answer says how it went.

        Args:
            name: The location.
            build_id: The id of the new build; empty generates one.
            timeout_s: How long the load may take.
        """
        return self._portal.run(self._inner.reload(name, build_id=build_id, timeout_s=timeout_s))

"""Code locations, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import grpc.aio

from atoll.api.v1 import locations_pb2, locations_pb2_grpc
from atoll.client import calls

# A load imports the location's code, however long that takes; the code server has its own bound.
RELOAD_DEADLINE_S: Final = 300.0


class Locations:
    """Lists, shows and reloads code locations."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "locations_pb2_grpc.LocationsServiceAsyncStub",
            locations_pb2_grpc.LocationsServiceStub(channel),
        )
        self._caller = caller

    def list(self, *, limit: int | None = None) -> AsyncIterator[locations_pb2.Location]:
        """Yield the locations that ever registered, by name."""

        async def fetch(size: int, token: str) -> tuple[Sequence[locations_pb2.Location], str]:
            request = locations_pb2.ListLocationsRequest(page_size=size, page_token=token)
            answer = await self._caller.unary(self._stub.ListLocations, request)
            return answer.locations, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, name: str) -> locations_pb2.Location:
        """Return one location."""
        request = locations_pb2.GetLocationRequest(name=name)
        return (await self._caller.unary(self._stub.GetLocation, request)).location

    async def job(self, job_name: str, *, location_name: str = "") -> locations_pb2.GetJobResponse:
        """Return one job with the graphs and ops that it is made of.

        Args:
            job_name: The job.
            location_name: The location; may be empty where only one has a job of that name.
        """
        request = locations_pb2.GetJobRequest(job_name=job_name, location_name=location_name)
        return await self._caller.unary(self._stub.GetJob, request)

    async def reload(
        self, name: str, *, build_id: str = "", timeout_s: float = RELOAD_DEADLINE_S
    ) -> locations_pb2.ReloadLocationResponse:
        """Make a location load its code anew; the answer says how it went.

        Args:
            name: The location.
            build_id: The id of the new build; empty generates one.
            timeout_s: How long the load may take.
        """
        request = locations_pb2.ReloadLocationRequest(name=name, build_id=build_id)
        # Not repeated: a second load would be another build.
        return await self._caller.unary(
            self._stub.ReloadLocation, request, deadline_s=timeout_s, repeatable=False
        )

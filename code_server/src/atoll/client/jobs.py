"""Jobs of all locations, as a host knows them. One of them with its ops is with `locations`."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import jobs_pb2, jobs_pb2_grpc
from atoll.client import calls


class Jobs:
    """Lists jobs."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "jobs_pb2_grpc.JobsServiceAsyncStub", jobs_pb2_grpc.JobsServiceStub(channel)
        )
        self._caller = caller

    def list(
        self,
        *,
        location_name: str = "",
        with_config: bool = False,
        with_implicit: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[jobs_pb2.Job]:
        """Yield the jobs of all locations, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            with_config: Whether the schema of the configuration and the default one are wanted.
            with_implicit: Whether the job for any selection of assets is wanted as well.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[jobs_pb2.Job], str]:
            request = jobs_pb2.ListJobsRequest(
                page_size=size,
                page_token=token,
                location_name=location_name,
                with_config=with_config,
                with_implicit=with_implicit,
            )
            answer = await self._caller.unary(self._stub.ListJobs, request)
            return answer.jobs, answer.next_page_token

        return calls.paged(fetch, limit)

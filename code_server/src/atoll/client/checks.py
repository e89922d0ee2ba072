"""The checks of assets and what they found, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import checks_pb2, checks_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import values_pb2
from atoll.events.v1 import events_pb2


class Checks:
    """Lists and shows checks."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "checks_pb2_grpc.ChecksServiceAsyncStub", checks_pb2_grpc.ChecksServiceStub(channel)
        )
        self._caller = caller

    def list(
        self,
        *,
        asset_key: values_pb2.AssetKey | None = None,
        location_name: str = "",
        limit: int | None = None,
    ) -> AsyncIterator[checks_pb2.AssetCheck]:
        """Yield the checks of all locations, by asset key and name.

        Args:
            asset_key: Only those of this asset; None means all.
            location_name: Only those that this location defines; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[checks_pb2.AssetCheck], str]:
            request = checks_pb2.ListAssetChecksRequest(
                page_size=size, page_token=token, asset_key=asset_key, location_name=location_name
            )
            answer = await self._caller.unary(self._stub.ListAssetChecks, request)
            return answer.checks, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, key: values_pb2.AssetCheckKey) -> checks_pb2.AssetCheck:
        """Return one check."""
        request = checks_pb2.GetAssetCheckRequest(key=key)
        return (await self._caller.unary(self._stub.GetAssetCheck, request)).check

    def evaluations(
        self,
        key: values_pb2.AssetCheckKey,
        *,
        partitions: Sequence[str] = (),
        limit: int | None = None,
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield the evaluations of a check, newest first.

        Args:
            key: The check.
            partitions: Only those of these partitions; none means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = checks_pb2.ListAssetCheckEvaluationsRequest(
                key=key, page_size=size, page_token=token, partitions=partitions
            )
            answer = await self._caller.unary(self._stub.ListAssetCheckEvaluations, request)
            return answer.evaluations, answer.next_page_token

        return calls.paged(fetch, limit)

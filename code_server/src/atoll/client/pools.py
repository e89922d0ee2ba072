"""Pools and their limits, as a host keeps them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import pools_pb2, pools_pb2_grpc
from atoll.client import calls


class Pools:
    """Lists pools, shows who has their slots, and sets their limits."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "pools_pb2_grpc.PoolsServiceAsyncStub", pools_pb2_grpc.PoolsServiceStub(channel)
        )
        self._caller = caller

    def list(self, *, limit: int | None = None) -> AsyncIterator[pools_pb2.Pool]:
        """Yield pools by name.

        Args:
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[pools_pb2.Pool], str]:
            request = pools_pb2.ListPoolsRequest(page_size=size, page_token=token)
            answer = await self._caller.unary(self._stub.ListPools, request)
            return answer.pools, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, name: str) -> pools_pb2.GetPoolResponse:
        """Return one pool with everybody who has a slot of it or waits for one.

        Raises:
            errors.NotFoundError: Nobody knows it.
        """
        return await self._caller.unary(self._stub.GetPool, pools_pb2.GetPoolRequest(name=name))

    async def set_limit(self, name: str, limit: int) -> pools_pb2.Pool:
        """Give a pool a limit of its own; return the pool."""
        request = pools_pb2.SetPoolLimitRequest(name=name, limit=limit)
        return (await self._caller.unary(self._stub.SetPoolLimit, request)).pool

    async def delete(self, name: str) -> bool:
        """Take the limit of its own from a pool; return whether it had one."""
        request = pools_pb2.DeletePoolRequest(name=name)
        return (await self._caller.unary(self._stub.DeletePool, request)).deleted

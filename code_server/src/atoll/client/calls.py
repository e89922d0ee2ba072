"""How calls are made: deadlines, retries of what may be repeated, typed errors, pages as iterators.

Used by the modules of this package only. A call is repeated when the host could not be reached or
its storage was away, which is safe because everything this client asks is idempotent, launches by
their request id. The deadline covers all attempts together.
"""

import asyncio
import dataclasses
import datetime as dt
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

import grpc
import grpc.aio
from google.protobuf import timestamp_pb2

from atoll._rpc import errors, options

ATTEMPTS_MAX: Final = 5
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 2.0
PAGE_SIZE: Final = 200

Request = TypeVar("Request")
Response = TypeVar("Response")
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True)
class Caller:
    """Makes the calls on one connection.

    Attributes:
        address: What the connection leads to, for messages.
        deadline_s: How long a call may take that has no reason for another bound.
    """

    address: str
    deadline_s: float = options.DEFAULT_DEADLINE_S

    async def unary(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        request: Request,
        *,
        deadline_s: float | None = None,
        repeatable: bool = True,
    ) -> Response:
        """Make one call.

        Args:
            method: The method of a stub.
            request: The request.
            deadline_s: How long all attempts together may take; None means the default.
            repeatable: Whether it may be sent again when the host was away.

        Raises:
            errors.RpcError: The host refused, or could not be reached in time.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + (self.deadline_s if deadline_s is None else deadline_s)
        attempt = 0
        while True:
            attempt += 1
            try:
                return await method(request, timeout=max(ends_at - loop.time(), 0.001))
            except grpc.aio.AioRpcError as error:
                failure = errors.from_call(error, peer=self.address)
                pause_s = backoff_s(attempt)
                may_repeat = repeatable and isinstance(failure, errors.UnavailableError)
                if not may_repeat or attempt >= ATTEMPTS_MAX or loop.time() + pause_s >= ends_at:
                    raise failure from error
            await asyncio.sleep(pause_s)


def backoff_s(attempt: int) -> float:
    """Return how long to wait after this attempt; jitter keeps clients out of step."""
    bound = min(BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 10), BACKOFF_MAX_S)
    return bound * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it


def timestamp(moment: dt.datetime | None) -> timestamp_pb2.Timestamp | None:
    """Return a time, which must be aware of its zone, as a message; None for None."""
    if moment is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(moment)
    return stamp


async def paged(
    fetch: Callable[[int, str], Awaitable[tuple[Sequence[Item], str]]], limit: int | None
) -> AsyncIterator[Item]:
    """Yield the items of a list, page after page.

    Args:
        fetch: Returns a page and the token of the next for a page size and a token.
        limit: How many items at the most; None means all.
    """
    token = ""
    left = limit
    while left is None or left > 0:
        size = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        items, token = await fetch(size, token)
        for item in items if left is None else items[:left]:
            yield item
        if left is not None:
            left -= len(items)
        if not token:
            return

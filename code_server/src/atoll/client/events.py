"""The event log of a host: pages of it, and a watch that does not end when a connection does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, cast

import grpc
import grpc.aio

from atoll._rpc import errors
from atoll.api.v1 import events_pb2 as api_pb2
from atoll.api.v1 import events_pb2_grpc
from atoll.client import calls
from atoll.events.v1 import events_pb2

_RESUMABLE: Final = (
    errors.UnavailableError,
    errors.CanceledError,
    errors.InternalError,
    errors.DeadlineExceededError,
)


class Events:
    """Reads and watches the event log."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "events_pb2_grpc.EventsServiceAsyncStub", events_pb2_grpc.EventsServiceStub(channel)
        )
        self._caller = caller

    def list(
        self, query: api_pb2.EventFilter | None = None, *, limit: int | None = None
    ) -> AsyncIterator[events_pb2.StoredEvent]:
        """Yield stored events in the order of the log.

        Args:
            query: Which events; None means all.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[events_pb2.StoredEvent], str]:
            request = api_pb2.ListEventsRequest(filter=query, page_size=size, page_token=token)
            answer = await self._caller.unary(self._stub.ListEvents, request)
            return answer.events, answer.next_page_token

        return calls.paged(fetch, limit)

    def watch(
        self,
        query: api_pb2.EventFilter | None = None,
        *,
        resume_token: str = "",
        from_beginning: bool = False,
        patience_s: float | None = 60.0,
    ) -> "Watch":
        """Return an iterator over matching events that goes on as new ones arrive.

        Args:
            query: Which events; None means all.
            resume_token: Goes on after what the holder of the token has seen; empty begins with
                the next event.
            from_beginning: With no token, begins with the oldest stored event instead.
            patience_s: How long the host may be away before the watch gives up; None means for
                ever.
        """
        request = api_pb2.WatchEventsRequest(
            filter=query, resume_token=resume_token, from_beginning=from_beginning
        )
        return Watch(self._stub, request, address=self._caller.address, patience_s=patience_s)


class Watch:
    """Every matching event, in order and each once, through lost connections and restarts.

    Iterate over it, and close it at the end (it is an asynchronous context manager).
    """

    def __init__(
        self,
        stub: "events_pb2_grpc.EventsServiceAsyncStub",
        request: api_pb2.WatchEventsRequest,
        *,
        address: str,
        patience_s: float | None,
    ) -> None:
        self._stub = stub
        self._request = request
        self._address = address
        self._patience_s = patience_s
        self._attempt = 0
        self._last_heard: float | None = None
        self._call: (
            grpc.aio.UnaryStreamCall[api_pb2.WatchEventsRequest, api_pb2.WatchEventsResponse] | None
        ) = None
        self._waiting: list[events_pb2.StoredEvent] = []

    @property
    def resume_token(self) -> str:
        """What a later watch needs to go on after the batch that was last received."""
        return self._request.resume_token

    async def __aenter__(self) -> "Watch":  # noqa: PYI034  # no Self in Python 3.10
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the watch."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    async def opened(self) -> None:
        """Wait until the host has fixed where the watch begins: what happens later is seen.

        Raises:
            errors.RpcError: The host refused, or was away for too long.
        """
        while not self._request.resume_token:
            await self._receive()

    def __aiter__(self) -> AsyncIterator[events_pb2.StoredEvent]:
        return self

    async def __anext__(self) -> events_pb2.StoredEvent:
        while not self._waiting:
            await self._receive()
        return self._waiting.pop()

    async def _receive(self) -> None:
        """Take one answer, connecting again where the connection was lost."""
        now = asyncio.get_running_loop().time
        if self._last_heard is None:
            self._last_heard = now()
        try:
            if self._call is None:
                self._call = self._stub.WatchEvents(self._request)
            answer = await self._call.read()
        except grpc.aio.AioRpcError as error:
            await self._lost(errors.from_call(error, peer=self._address), error)
            return
        if not isinstance(answer, api_pb2.WatchEventsResponse):
            ended = errors.UnavailableError(
                f"The host at {self._address} ended the watch. Try again."
            )
            await self._lost(ended, None)
            return
        self._attempt = 0
        self._last_heard = now()
        # Taken from the end, so the newest comes first in the list.
        self._waiting[:0] = reversed(answer.events)
        if answer.resume_token:
            self._request.resume_token = answer.resume_token
            self._request.from_beginning = False

    async def _lost(self, failure: errors.RpcError, cause: BaseException | None) -> None:
        self.close()
        self._attempt += 1
        pause_s = calls.backoff_s(self._attempt)
        away_s = asyncio.get_running_loop().time() + pause_s - (self._last_heard or 0.0)
        given_up = self._patience_s is not None and away_s > self._patience_s
        if given_up or not isinstance(failure, _RESUMABLE):
            raise failure from cause
        await asyncio.sleep(pause_s)

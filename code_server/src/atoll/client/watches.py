"""Watches: what a host streams, through lost connections and restarts, each once and in order.

Used by the modules of this package that watch something. A watch goes on from the token of the last
answer, so an answer that is lost is sent again, and one that arrived never is.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc
import grpc.aio

from atoll._rpc import errors
from atoll.client import calls

_RESUMABLE: Final = (
    errors.UnavailableError,
    errors.CanceledError,
    errors.InternalError,
    errors.DeadlineExceededError,
)

Item = TypeVar("Item")


class Request(Protocol):
    """A request that can be resumed."""

    resume_token: str


@dataclasses.dataclass(frozen=True)
class Stream(Generic[Item]):
    """What a host streams.

    Attributes:
        method: The method of a stub.
        items: Returns what an answer brings; nothing for a bookmark.
        address: What the connection leads to, for messages.
        ends: Whether the host ends it when there is nothing more to come.
        begun: Takes out of the request what only says where to begin.
    """

    method: Callable[[Any], "grpc.aio.UnaryStreamCall[Any, Any]"]
    items: Callable[[Any], Sequence[Item]]
    address: str
    ends: bool = False
    begun: Callable[[Any], object] = lambda request: None


class Watch(Generic[Item]):
    """What a host streams. Iterate over it, and close it at the end: it is a context manager.

    Nothing is read before it is asked for: a reader that is slow slows the host down.
    """

    def __init__(self, stream: Stream[Item], request: Request, *, patience_s: float | None) -> None:
        """Make a watch that has not begun.

        Args:
            stream: What is streamed.
            request: The request.
            patience_s: How long the host may be away; None means for ever.
        """
        self._stream = stream
        self._request = request
        self._patience_s = patience_s
        self._ended = False
        self._attempt = 0
        self._last_heard: float | None = None
        self._call: grpc.aio.UnaryStreamCall[Any, Any] | None = None
        self._waiting: list[Item] = []

    @property
    def resume_token(self) -> str:
        """What a later watch needs to go on after the answer that was last received."""
        return self._request.resume_token

    async def __aenter__(self) -> "Watch[Item]":  # no Self in Python 3.10
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
        while not self._request.resume_token and not self._ended:
            await self._receive()

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            await self._receive()
        return self._waiting.pop()

    async def _receive(self) -> None:
        """Take one answer, connecting again where the connection was lost."""
        now = asyncio.get_running_loop().time
        if self._last_heard is None:
            self._last_heard = now()
        try:
            if self._call is None:
                self._call = self._stream.method(self._request)
            answer: Any = await self._call.read()
        except grpc.aio.AioRpcError as error:
            await self._lost(errors.from_call(error, peer=self._stream.address), error)
            return
        if answer is grpc.aio.EOF:
            if self._stream.ends:
                self.close()
                self._ended = True
                return
            ended = errors.UnavailableError(
                f"The host at {self._stream.address} ended the watch. Try again."
            )
            await self._lost(ended, None)
            return
        self._attempt = 0
        self._last_heard = now()
        # Taken from the end, so the newest comes first in the list.
        self._waiting[:0] = reversed(self._stream.items(answer))
        if answer.resume_token:
            self._request.resume_token = answer.resume_token
            self._stream.begun(self._request)

    async def _lost(self, failure: errors.RpcError, cause: BaseException | None) -> None:
        self.close()
        self._attempt += 1
        pause_s = calls.backoff_s(self._attempt)
        away_s = asyncio.get_running_loop().time() + pause_s - (self._last_heard or 0.0)
        given_up = self._patience_s is not None and away_s > self._patience_s
        if given_up or not isinstance(failure, _RESUMABLE):
            raise failure from cause
        await asyncio.sleep(pause_s)

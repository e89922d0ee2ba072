"""The seam between HTTP and access: what is known of a call, and who is asked about it.

`application` asks a `Gate` before the body is read; `endpoints` puts it round what answers. The
gate of a host is `passing.Through`; `OPEN` lets everybody do everything.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Protocol

from google.protobuf import descriptor, message


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A call over HTTP, before its request is read.

    Attributes:
        method: The rpc; its option `atoll.rpc.v1.access` is the rule.
        headers: The headers by their names in small letters. What was sent twice is joined by
            commas.
        peer: The address of the client.
        uris: The names in the client's certificate, where it gave one that was verified.
    """

    method: descriptor.MethodDescriptor
    headers: Mapping[str, str]
    peer: str = ""
    uris: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The rpc as gRPC names it, such as "/atoll.api.v1.RunsService/GetRun"."""
        return path_of(self.method)


class Gate(Protocol):
    """Says who may call what. Refusals are exceptions that the table of errors knows."""

    async def known(self, call: Call) -> None:
        """Refuse a call by its credentials alone, before its request is read."""
        ...

    async def answer(
        self, call: Call, request: message.Message, work: Callable[[], Awaitable[message.Message]]
    ) -> message.Message:
        """Make a call that has one answer, unless its caller may not; return what they may see."""
        ...

    def stream(
        self,
        call: Call,
        request: message.Message,
        work: Callable[[], AsyncIterator[message.Message]],
    ) -> AsyncGenerator[message.Message, None]:
        """Make a call that is answered by a stream; yield what its caller may see."""
        ...


class _Open:
    """Lets everybody do everything."""

    async def known(self, call: Call) -> None:
        pass

    async def answer(
        self, call: Call, request: message.Message, work: Callable[[], Awaitable[message.Message]]
    ) -> message.Message:
        return await work()

    async def stream(
        self,
        call: Call,
        request: message.Message,
        work: Callable[[], AsyncIterator[message.Message]],
    ) -> AsyncGenerator[message.Message, None]:
        parts = work()
        try:
            async for part in parts:
                yield part
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()


OPEN: Gate = _Open()
"""Asks for no credentials."""

_current: contextvars.ContextVar[Call] = contextvars.ContextVar("call")


@contextlib.contextmanager
def answering(call: Call) -> Generator[None, None, None]:
    """Have the endpoint that is called inside the block know the call."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Call:
    """Return the call that is being answered."""
    return _current.get()


def path_of(method: descriptor.MethodDescriptor) -> str:
    """Return the path of an rpc, the same over gRPC and HTTP."""
    return f"/{method.containing_service.full_name}/{method.name}"

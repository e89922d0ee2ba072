"""What stands round servicers: no traceback leaves, each call is bounded, each error has a reason.

`ErrorInterceptor` is given to `grpc.aio.server` by `atoll._rpc.serving`. Servicers raise
exceptions; the table of `atoll._rpc.errors` says what they become. Servicer methods are
coroutines, or asynchronous generators where they answer with a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import message

from atoll._rpc import errors, options, peer_identities, times

_logger = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]

Admission = Callable[[peer_identities.PeerIdentity | None], None]
"""Raises for whoever may not call at all, known by the certificate alone."""


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps exceptions to statuses and bounds calls that came without a deadline."""

    def __init__(self, table: errors.ErrorTable, admit: Admission | None = None) -> None:
        """Make one for a server.

        Args:
            table: What the server's own exceptions become.
            admit: Asked before each call; None admits everybody.
        """
        self._table = table
        self._admit = admit

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of one call."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED itself.
        method = handler_call_details.method
        codecs = (_reading(handler.request_deserializer), handler.response_serializer)
        bound_s = options.deadline_s(method, streams_response=handler.response_streaming)
        if not handler.response_streaming:
            inner = handler.stream_unary if handler.request_streaming else handler.unary_unary
            answer: Any = self._answering(method, inner, bound_s)
            if handler.request_streaming:
                return grpc.stream_unary_rpc_method_handler(answer, *codecs)
            return grpc.unary_unary_rpc_method_handler(answer, *codecs)
        inner = handler.stream_stream if handler.request_streaming else handler.unary_stream
        stream: Any = self._streaming(method, inner, bound_s)
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(stream, *codecs)
        return grpc.unary_stream_rpc_method_handler(stream, *codecs)

    def _answering(
        self, method: str, inner: Callable[..., Awaitable[Any]], bound_s: float | None
    ) -> Callable[[Any, _Context], Awaitable[Any]]:
        async def answer(request: Any, context: _Context) -> Any:
            try:
                self._check_peer(context)
                asked = _readable(request, method)
                if _has_deadline(context):
                    return await inner(asked, context)
                return await _bounded(inner(asked, context), bound_s, method)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001  # the boundary of the server: recorded and answered
                await self._abort(method, error, context)

        return answer

    def _streaming(
        self, method: str, inner: Callable[..., AsyncGenerator[Any, None]], bound_s: float | None
    ) -> Callable[[Any, _Context], AsyncGenerator[Any, None]]:
        async def stream(request: Any, context: _Context) -> AsyncGenerator[Any, None]:
            ends_at = None
            if bound_s is not None and not _has_deadline(context):
                ends_at = asyncio.get_running_loop().time() + bound_s
            try:
                self._check_peer(context)
                asked = _readable(request, method)
                async with contextlib.aclosing(inner(asked, context)) as parts:
                    while True:
                        try:
                            part = await _bounded(anext(parts), _remaining_s(ends_at), method)
                        except StopAsyncIteration:
                            return
                        yield part
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001  # the boundary of the server: recorded and answered
                await self._abort(method, error, context)

        return stream

    def _check_peer(self, context: _Context) -> None:
        if self._admit is not None:
            self._admit(peer_identities.of_auth_context(context.auth_context()))

    async def _abort(self, method: str, error: Exception, context: _Context) -> NoReturn:
        described = self._table.describe(error)
        if described is None:
            error_id = secrets.token_hex(4)
            _logger.error(
                "A call failed unexpectedly",
                extra={"action": "serve_call", "method": method, "error_id": error_id},
                exc_info=error,
            )
            described = errors.internal(error_id)
        await context.abort(described.code, described.message, described.trailers())


class _Unreadable:
    """Stands for a request that is no message; gRPC itself would make UNKNOWN of it."""


def _reading(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Return what reads a request, and leaves it to the servicer's side to refuse it."""
    if deserialize is None:
        return None
    read = deserialize

    def reading(data: bytes) -> Any:
        try:
            return read(data)
        except message.DecodeError:
            return _Unreadable()

    return reading


def _readable(request: Any, method: str) -> Any:
    """Return a request, or the stream of them, unless it cannot be read.

    Raises:
        errors.InvalidArgumentError: It is no message of this rpc, or has a time that there is not.
    """
    if isinstance(request, _Unreadable):
        raise _no_message(method)
    if isinstance(request, message.Message):
        times.check(request)
        return request
    return _each_readable(request, method)


async def _each_readable(requests: AsyncIterator[Any], method: str) -> AsyncGenerator[Any, None]:
    async for request in requests:
        if isinstance(request, _Unreadable):
            raise _no_message(method)
        yield request


def _no_message(method: str) -> errors.InvalidArgumentError:
    return errors.InvalidArgumentError(
        f"What was sent to {method} is no message of this call. Encode it anew from the protos."
    )


def _has_deadline(context: _Context) -> bool:
    # The stubs promise a number; without a deadline it is None.
    remaining: Any = context.time_remaining()
    return remaining is not None


def _remaining_s(ends_at: float | None) -> float | None:
    return None if ends_at is None else ends_at - asyncio.get_running_loop().time()


async def _bounded(awaitable: Awaitable[Any], bound_s: float | None, method: str) -> Any:
    """Await something for at most `bound_s` seconds; what is late is canceled and waited for."""
    if bound_s is None:
        return await awaitable
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({task}, timeout=max(bound_s, 0))
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    raise errors.DeadlineExceededError(
        f"{method} took longer than a call without a deadline may. Give the call a deadline."
    )

"""The gate round every call over gRPC. Thin: what it decides is in `access.gate`.

Given to the server of `serving`, inside what turns exceptions into statuses. Health and reflection
are for anyone, and have no contract of ours; anything else without one is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor, descriptor_pool

from atoll_host import errors
from atoll_host.access import credentials, gate

_FOR_ANYONE = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/")

_Handler = Any


class AccessInterceptor(grpc.aio.ServerInterceptor):
    """Puts the gate round the handlers of calls."""

    def __init__(self, through: gate.Gate) -> None:
        self._gate = through
        self._methods: dict[str, descriptor.MethodDescriptor | None] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of one call."""
        found = await continuation(handler_call_details)
        name = handler_call_details.method
        if found is None or name.startswith(_FOR_ANYONE):
            return found
        handler: _Handler = found
        method = self._method(name)
        codecs = (handler.request_deserializer, handler.response_serializer)
        if method is None:
            return _refusing(name, handler)
        if handler.request_streaming and not handler.response_streaming:
            collected: Any = self._collected(method, handler.stream_unary)
            return grpc.stream_unary_rpc_method_handler(collected, *codecs)
        if handler.request_streaming:
            both: Any = self._both(method, handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(both, *codecs)
        if handler.response_streaming:
            stream: Any = self._stream(method, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(stream, *codecs)
        answer: Any = self._answer(method, handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(answer, *codecs)

    def _method(self, name: str) -> descriptor.MethodDescriptor | None:
        """Return the contract of a method that is served; there are only so many of those."""
        if name not in self._methods:
            try:
                found = descriptor_pool.Default().FindMethodByName(name[1:].replace("/", "."))
            except KeyError:
                found = None
            self._methods[name] = found
        return self._methods[name]

    def _answer(self, method: descriptor.MethodDescriptor, inner: Callable[..., Any]) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            given = _credentials(context)
            return await self._gate.answer(method, request, given, lambda: inner(request, context))

        return answer

    def _stream(self, method: descriptor.MethodDescriptor, inner: Callable[..., Any]) -> Any:
        def stream(request: Any, context: Any) -> AsyncIterator[Any]:
            given = _credentials(context)
            return self._gate.stream(method, request, given, lambda: inner(request, context))

        return stream

    def _both(self, method: descriptor.MethodDescriptor, inner: Callable[..., Any]) -> Any:
        def both(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            given = _credentials(context)

            def call(checked: AsyncIterator[Any]) -> AsyncIterator[Any]:
                answered: AsyncIterator[Any] = inner(checked, context)
                return answered

            return self._gate.both(method, requests, given, call)

        return both

    def _collected(self, method: descriptor.MethodDescriptor, inner: Callable[..., Any]) -> Any:
        async def collected(requests: AsyncIterator[Any], context: Any) -> Any:
            given = _credentials(context)
            return await self._gate.collected(
                method, requests, given, lambda checked: inner(checked, context)
            )

        return collected


def _credentials(context: Any) -> credentials.Credentials:
    return credentials.of_metadata(context.invocation_metadata() or (), context.auth_context())


def _refusing(name: str, handler: _Handler) -> grpc.RpcMethodHandler[Any, Any]:
    """Return a handler that refuses what has no contract."""

    async def refuse(_request: Any, _context: Any) -> Any:
        raise errors.PolicyForbids(
            f"{name} has no rule that says who may call it, so nobody may. Call another method."
        )

    async def refuse_stream(request: Any, context: Any) -> AsyncIterator[Any]:
        yield await refuse(request, context)

    codecs = (handler.request_deserializer, handler.response_serializer)
    if not handler.response_streaming:
        answer: Any = refuse
        make = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make(answer, *codecs)
    stream: Any = refuse_stream
    make_stream = (
        grpc.stream_stream_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_stream_rpc_method_handler
    )
    return make_stream(stream, *codecs)

"""By what the code server knows that a host calls it: a token that it makes at each start.

It tells the host when it registers; hosts keep it with what they know of the code server, and send
it with each call. Everything of the contract of locations takes it; handshake, health and
reflection do not. Who shows the certificate of a host needs none: where certificates are asked for,
`securing.only_hosts` lets nobody else in.

A host of a release that sends no tokens says so in the handshake, by not naming the feature. Nobody
calls before the code server has spoken to a host, so until then a token is asked for.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any

import grpc
import grpc.aio

from atoll._rpc import authorization, errors, peer_identities, reasons

HOST_FEATURE = "control_tokens"
"""What a host that sends the token names among its features."""

_GUARDED = "/atoll.location.v1.CodeLocationService/"
_TOKEN_BYTES = 32
_SCHEME = "Bearer "

_Context = grpc.aio.ServicerContext[Any, Any]


class ControlToken:
    """The token, and whether it is asked for. It shows in no representation."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._asked_for = True

    def host_says(self, features: Iterable[str]) -> None:
        """Take note of what the host of a new session can do."""
        self._asked_for = HOST_FEATURE in features

    def check(self, context: _Context) -> None:
        """Refuse a call that no host makes.

        Raises:
            errors.UnauthenticatedError: Nothing shows that a host calls.
        """
        peer = peer_identities.of_auth_context(context.auth_context())
        if peer is not None and peer.kind is peer_identities.PeerKind.HOST:
            return
        if self._asked_for and not self._is_shown(context):
            raise errors.UnauthenticatedError(
                "Only hosts call a code server, and nothing shows that one does: the call came "
                "without the control token that this process told the host when it registered. A "
                "host calls again once it has heard of this start of the code server; everybody "
                "else asks the host.",
                reason=reasons.HOST_UNPROVEN,
            )

    def _is_shown(self, context: _Context) -> bool:
        expected = f"{_SCHEME}{self.token}".encode()
        sent = [
            value.encode() if isinstance(value, str) else value
            for key, value in context.invocation_metadata() or ()
            if key == authorization.HEADER
        ]
        return len(sent) == 1 and hmac.compare_digest(sent[0], expected)


class Guard(grpc.aio.ServerInterceptor):
    """Asks for the token before each call of the contract of locations.

    Args:
        control: The token.
    """

    def __init__(self, control: ControlToken) -> None:
        self._control = control

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of one call."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(_GUARDED):
            found: grpc.RpcMethodHandler[Any, Any] | None = handler
            return found
        codecs = (handler.request_deserializer, handler.response_serializer)
        if handler.response_streaming:
            stream: Any = self._streaming(handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(stream, *codecs)
        answer: Any = self._answering(handler.unary_unary)
        return grpc.unary_unary_rpc_method_handler(answer, *codecs)

    def _answering(
        self, inner: Callable[..., Awaitable[Any]]
    ) -> Callable[[Any, _Context], Awaitable[Any]]:
        async def answer(request: Any, context: _Context) -> Any:
            self._control.check(context)
            return await inner(request, context)

        return answer

    def _streaming(
        self, inner: Callable[..., AsyncGenerator[Any, None]]
    ) -> Callable[[Any, _Context], AsyncGenerator[Any, None]]:
        async def stream(request: Any, context: _Context) -> AsyncGenerator[Any, None]:
            self._control.check(context)
            async for part in inner(request, context):
                yield part

        return stream

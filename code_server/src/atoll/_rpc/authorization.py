"""A channel whose every call carries a token.

Used by the client and by code servers. It wraps a channel rather than intercepting its calls:
interceptors of gRPC make each call a task of its own, and streams with them lose half of what they
can do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import grpc.aio

from atoll._rpc import addresses, errors, reasons

HEADER = "authorization"


class _Authorized:
    """See the module. The token shows in no representation."""

    def __init__(self, channel: grpc.aio.Channel, token: Callable[[], str]) -> None:
        self._channel = channel
        self._token = token

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def __aenter__(self) -> Any:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def unary_unary(self, *path: Any, **codecs: Any) -> Callable[..., Any]:
        return self._with_token(self._channel.unary_unary(*path, **codecs))

    def unary_stream(self, *path: Any, **codecs: Any) -> Callable[..., Any]:
        return self._with_token(self._channel.unary_stream(*path, **codecs))

    def stream_unary(self, *path: Any, **codecs: Any) -> Callable[..., Any]:
        return self._with_token(self._channel.stream_unary(*path, **codecs))

    def stream_stream(self, *path: Any, **codecs: Any) -> Callable[..., Any]:
        return self._with_token(self._channel.stream_stream(*path, **codecs))

    def _with_token(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def authorized(*request: Any, metadata: Any = None, **options: Any) -> Any:
            token = self._token()
            sent = tuple(metadata or ())
            if token:
                sent = (*sent, (HEADER, f"Bearer {token}"))
            return call(*request, metadata=sent, **options)

        return authorized


def authorized(channel: grpc.aio.Channel, token: str | Callable[[], str]) -> grpc.aio.Channel:
    """Return a channel that sends a token with each call; the same one where there is no token.

    Args:
        channel: The channel.
        token: The token, or what gives the one of that moment.
    """
    if not token:
        return channel
    given = token if callable(token) else lambda: token
    return cast("grpc.aio.Channel", _Authorized(channel, given))


def check_protected(address: str, *, secured: bool) -> None:
    """Refuse to send a token where others can read it.

    Args:
        address: Where it would be sent, as host:port.
        secured: Whether TLS is spoken there.

    Raises:
        errors.FailedPreconditionError: It is another machine, and nothing protects the connection.
        errors.InvalidArgumentError: It is no address.
    """
    if not secured and not addresses.parse(address).is_loopback:
        raise errors.FailedPreconditionError(
            f"A token is sent to {address} over TLS only, since others on the way could read it. "
            "Name the authority of the host's certificate with --ca-file or ATOLL_CA_FILE, or, for "
            "a code server, with --host-ca or ATOLL_HOST_CA.",
            reason=reasons.TOKEN_UNPROTECTED,
            metadata={"address": address},
        )

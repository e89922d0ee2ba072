"""A channel whose every call carries a token.

Used by the client and by code servers. It wraps a channel rather than intercepting its calls:
interceptors of gRPC make each call a task of its own, and streams with them lose half of what they
can do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import grpc.aio

HEADER = "authorization"


class _Authorized:
    """See the module. The token shows in no representation."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self._channel = channel
        self._pair = (HEADER, f"Bearer {token}")

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
            return call(*request, metadata=(*(metadata or ()), self._pair), **options)

        return authorized


def authorized(channel: grpc.aio.Channel, token: str) -> grpc.aio.Channel:
    """Return a channel that sends a token with each call; the same one where there is no token."""
    return cast("grpc.aio.Channel", _Authorized(channel, token)) if token else channel

"""Puts the gate of the host, which stands round calls of gRPC too, round calls over HTTP.

Made by `host`. Thin: what it decides is in `access.gate`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from google.protobuf import message

from atoll_host.access import credentials, gate
from atoll_host.http import calls


class Through:
    """The gate of the host, for calls over HTTP."""

    def __init__(self, through: gate.Gate) -> None:
        """Make it.

        Args:
            through: The gate.
        """
        self._gate = through

    async def known(self, call: calls.Call) -> None:
        """Refuse a call by its credentials alone."""
        await self._gate.known(call.method, _credentials(call))

    async def answer(
        self,
        call: calls.Call,
        request: message.Message,
        work: Callable[[], Awaitable[message.Message]],
    ) -> message.Message:
        """Make a call that has one answer."""
        return await self._gate.answer(call.method, request, _credentials(call), work)

    def stream(
        self,
        call: calls.Call,
        request: message.Message,
        work: Callable[[], AsyncIterator[message.Message]],
    ) -> AsyncGenerator[message.Message, None]:
        """Make a call that is answered by a stream."""
        return self._gate.stream(call.method, request, _credentials(call), work)


def _credentials(call: calls.Call) -> credentials.Credentials:
    sent = call.headers.get(credentials.HEADER)
    return credentials.Credentials(() if sent is None else (sent,), call.uris)

"""Sends one request to a receiver, and tells how it fared.

Called by `delivering` and by the API, which tries receivers. A name is resolved here, each address
is checked by `destinations`, and the connection goes to just that address. Redirects are not
followed, no proxy of the environment is used, and of the answer only the status line and
Retry-After count; the body is read within a bound and thrown away. What goes wrong is told in words
of our own: neither URLs nor answers are repeated, since both may hold secrets.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Mapping

import h11

from atoll_host import clock as clocks
from atoll_host.subscriptions import deciding, destinations, subscription_settings

ANSWER_BYTES_MAX = 64 * 1024
HEAD_BYTES_MAX = 32 * 1024
ADDRESSES_MAX = 4
_CHUNK = 16 * 1024
_REDIRECTS = range(300, 400)


class _Failed(Exception):
    """The request did not get its answer. The message says why, without secrets."""


class Sender:
    """Sends requests."""

    def __init__(
        self, settings: subscription_settings.SubscriptionSettings, clock: clocks.Clock
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._trusted: ssl.SSLContext | None = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> deciding.Answer:
        """Send a request; return how it fared. Never raises but when cancelled."""
        began = self._clock.monotonic()
        status, retry_after_s, error = 0, 0.0, ""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status, retry_after_s = await self._send(url, headers, body)
        except TimeoutError:
            error = f"nothing was answered within {self._settings.timeout_s:g} s"
        except (_Failed, destinations.Forbidden) as failure:
            error = str(failure)
        except (ssl.SSLError, OSError, ValueError, h11.ProtocolError) as failure:
            error = _told(failure)
        if status and not deciding.Answer(status).arrived:
            error = f"the answer had status {status}"
            error += "; redirects are not followed" if status in _REDIRECTS else ""
        duration_ms = round(1000 * (self._clock.monotonic() - began))
        return deciding.Answer(status, error, retry_after_s, duration_ms)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float]:
        destination = destinations.read(url, self._settings)
        reader, writer = await self._connect(destination)
        try:
            connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES_MAX)
            told = [
                ("host", destination.authority),
                ("connection", "close"),
                ("content-length", str(len(body))),
                *headers.items(),
            ]
            request = h11.Request(method="POST", target=destination.target, headers=told)
            for event in (request, h11.Data(data=body), h11.EndOfMessage()):
                data = connection.send(event)
                # A receiver that answers without reading all of it may close first.
                with contextlib.suppress(ConnectionError):
                    writer.write(data or b"")
                    await writer.drain()
            return await _answer(connection, reader)
        finally:
            # Closed at once: nothing more is wanted of it.
            writer.transport.abort()

    async def _connect(
        self, destination: destinations.Destination
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self._context() if destination.encrypted else None
        problem: Exception = _Failed("the name of the receiver has no address")
        for address in await self._resolve(destination):
            try:
                return await asyncio.open_connection(
                    address,
                    destination.port,
                    ssl=context,
                    server_hostname=destination.host if context else None,
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                problem = error
        raise problem

    async def _resolve(self, destination: destinations.Destination) -> list[str]:
        """Return the addresses of a receiver, all of which may be called.

        One that may not be called spoils the others: a name that leads to both is no accident.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                destination.host, destination.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            raise _Failed("the name of the receiver cannot be resolved") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        for address in addresses:
            destinations.check(ipaddress.ip_address(address), self._settings)
        return addresses[:ADDRESSES_MAX]

    def _context(self) -> ssl.SSLContext:
        if self._trusted is None:
            context = ssl.create_default_context()
            if self._settings.ca_file:
                try:
                    context.load_verify_locations(cafile=self._settings.ca_file)
                except OSError:
                    raise _Failed(
                        "the certificates of [subscriptions] ca_file cannot be read"
                    ) from None
            self._trusted = context
        return self._trusted


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[int, float]:
    """Read an answer; return its status, and when it wants to be asked again."""
    status, retry_after_s, size = 0, 0.0, 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK)
            size += len(data)
            if status and size > ANSWER_BYTES_MAX:
                return status, retry_after_s
            if not data and not status:
                raise _Failed("the connection was closed without an answer")
            connection.receive_data(data)
        elif isinstance(event, h11.Response):
            status, retry_after_s = event.status_code, _retry_after(event)
        elif not isinstance(event, h11.InformationalResponse | h11.Data):
            return status, retry_after_s


def _retry_after(response: h11.Response) -> float:
    for name, value in response.headers:
        if name == b"retry-after" and value.isdigit() and len(value) <= 6:  # noqa: PLR2004 - 11 days
            return float(value)
    return 0.0


def _told(error: Exception) -> str:
    """Say what went wrong, in words that hold no URL and nothing of an answer."""
    if isinstance(error, ssl.SSLError):
        return "the encrypted connection failed: the certificate or the protocol does not fit"
    if isinstance(error, h11.ProtocolError):
        return "the answer was no HTTP"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    # A name that no connection can be made to is a ValueError.
    return f"no connection ({type(error).__name__})"

"""A server of HTTP/1.1 on one socket, such as the listeners of the host have.

Made by `http.listening` for the API and by `webhooks.listening` for webhooks. It knows sockets,
TLS and uvicorn; what is answered is the business of the application that it serves.
"""

import asyncio
import contextlib
import dataclasses
import socket
import ssl
from collections.abc import Callable, Generator
from typing import Any, Final

import h11
import uvicorn
from starlette import types
from uvicorn.protocols.http import h11_impl

from atoll._rpc import addresses, peer_identities, tls
from atoll_host.tls import securing

CONNECTION_KEY: Final = "atoll.connection"
"""Where the scope of a request holds its `Connection`."""

_HEAD_BYTES_MAX = 64 * 1024
_STOP_S = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """What is told to the application of the connection of a request.

    Attributes:
        uris: The names in the certificate of the client, where it gave one that was verified.
        abort: Ends the connection without sending what waits to be sent.
    """

    uris: tuple[str, ...]
    abort: Callable[[], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """What a server takes.

    Attributes:
        connections_max: How many connections there may be at once.
        head_timeout_s: How long the head of a request may take to arrive.
    """

    connections_max: int
    head_timeout_s: float


class Server:
    """A server that is started once.

    Attributes:
        address: Where it listens, as host:port; empty before it started.
    """

    def __init__(
        self,
        name: str,
        bounds: Bounds,
        security: securing.Tls = securing.NO_TLS,
        asked: tls.ClientCertificates | None = None,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            name: What its task is called.
            bounds: What it takes.
            security: What protects connections.
            asked: Whether clients have to show a certificate; None means what the settings say.
        """
        self._name = name
        self._bounds = bounds
        self._security = security
        self._asked = asked
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self.address = ""

    async def start(self, address: addresses.Address, served: types.ASGIApp) -> None:
        """Listen.

        Args:
            address: Where; port 0 takes any free one.
            served: What answers.

        Raises:
            OSError: The address cannot be listened on.
        """
        config = _config(served, self._bounds)
        self._security.secure(config, self._asked)
        opened = _listen(address)
        host, port = opened.getsockname()[:2]
        self.address = str(addresses.Address(host, port))
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve([opened]), name=self._name)
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Take no more; requests under way are answered, for a while."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._serving], timeout=_STOP_S)
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


class _Uvicorn(uvicorn.Server):
    """A server that leaves the signals of the process to the host, and tells when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class _Protocol(h11_impl.H11Protocol):
    """HTTP/1.1 that hands the names of the client to the application, and bounds slow heads.

    uvicorn closes connections on which nothing happens, but waits for a head once it began.
    """

    head_timeout_s = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        # An answer is written in parts: each would wait for the client's acknowledgement of the one
        # before, 40 ms. asyncio sees to that only for sockets that it opened itself.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app = _of_connection(self.app, Connection(_uris(transport), transport.abort))
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget_head()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _uris(transport: asyncio.Transport) -> tuple[str, ...]:
    """Return the names in the client's certificate, which TLS has verified if there is one."""
    encrypted: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    certificate = encrypted.getpeercert() if encrypted is not None else None
    return peer_identities.uris_of(certificate or {})


def _of_connection(inner: Any, connection: Connection) -> Any:
    async def asked(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        scope[CONNECTION_KEY] = connection
        await inner(scope, receive, send)

    return asked


def _config(served: types.ASGIApp, bounds: Bounds) -> uvicorn.Config:
    protocol = type("_BoundProtocol", (_Protocol,), {"head_timeout_s": bounds.head_timeout_s})
    return uvicorn.Config(
        served,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=bounds.connections_max,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        timeout_graceful_shutdown=_STOP_S,
    )


def _listen(address: addresses.Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=128)

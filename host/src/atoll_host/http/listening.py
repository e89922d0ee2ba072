"""The HTTP listener of the API as a service of the host.

Made by `host`. It knows sockets, TLS and uvicorn; what is answered is `application`'s business.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Generator
from typing import Any

import h11
import uvicorn
from starlette import types
from uvicorn.protocols.http import h11_impl

from atoll._rpc import addresses
from atoll_host import errors
from atoll_host.http import application, guarding, http_settings
from atoll_host.tls import securing

_log = logging.getLogger(__name__)

_HEAD_BYTES_MAX = 64 * 1024
_STOP_S = 3


class Listener:
    """The listener as a service; without an address it does nothing.

    Attributes:
        started: Set once it listens, or once it is known that it has nothing to do.
        address: Where it listens, as host:port; empty if nowhere.
    """

    name = "http listener"

    def __init__(
        self,
        listen: str,
        served: application.Served,
        settings: http_settings.HttpSettings,
        tls: securing.Tls = securing.NO_TLS,
    ) -> None:
        """Make a listener that does not listen yet.

        Args:
            listen: Where to listen, as host:port; empty means nowhere.
            served: What to serve.
            settings: The bounds.
            tls: What protects connections.
        """
        self._listen = listen
        self._served = served
        self._settings = settings
        self._tls = tls
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.started = asyncio.Event()
        self.address = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            errors.StartError: The address cannot be listened on.
        """
        if self._listen:
            asked = addresses.parse(self._listen)
            policy = guarding.policy(
                asked.host, self._settings.allowed_hosts, self._settings.allowed_origins
            )
            served = application.application(self._served, self._settings, policy)
            config = _config(served, self._settings)
            self._tls.secure(config)
            self._server = _Server(config)
            opened = _listen(asked)
            host, port = opened.getsockname()[:2]
            self.address = str(addresses.Address(host, port))
            self._serving = asyncio.create_task(self._server.serve([opened]), name=self.name)
            await self._server.ready.wait()
            _log.info(
                "the API is served over HTTP",
                extra={"action": "http_served", "address": self.address},
            )
        self.started.set()

    async def stop(self) -> None:
        """Take no more; requests under way are answered, for a while."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._serving], timeout=_STOP_S)
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)


class _Server(uvicorn.Server):
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

    The server closes connections on which nothing happens, but waits for a head once it began.
    """

    head_timeout_s = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        # An answer is written in parts: each would wait for the client's acknowledgement of the one
        # before, 40 ms. asyncio sees to that only for sockets that it opened itself.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = application.Connection(_uris(transport), transport.abort)
        self.app = _of_connection(self.app, connection)
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
    named: Any = (certificate or {}).get("subjectAltName", ())
    return tuple(value for kind, value in named if kind == "URI")


def _of_connection(inner: Any, connection: application.Connection) -> Any:
    async def asked(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        scope[application.CONNECTION_KEY] = connection
        await inner(scope, receive, send)

    return asked


def _config(served: types.ASGIApp, settings: http_settings.HttpSettings) -> uvicorn.Config:
    protocol = type("_BoundProtocol", (_Protocol,), {"head_timeout_s": settings.receive_timeout_s})
    return uvicorn.Config(
        served,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.connections_max,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        timeout_graceful_shutdown=_STOP_S,
    )


def _listen(address: addresses.Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as error:
        raise errors.StartError(
            f"The API cannot be served over HTTP on {address}: {error.strerror or error}. Give "
            'another address to http.listen, or "" to serve it over gRPC only.'
        ) from error

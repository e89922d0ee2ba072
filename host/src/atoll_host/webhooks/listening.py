"""The HTTP listener for webhooks: reads requests within bounds, and says what `receiving` decided.

Made by `host`. Where the host has a certificate, it speaks TLS; without one it listens on loopback
only, and what reaches it from elsewhere comes through a proxy that speaks TLS. It serves one path
and knows no sessions.
"""

import asyncio
import contextlib
import http
import logging
import socket
from collections.abc import Generator

import uvicorn
from starlette import applications, requests, responses, routing
from starlette import exceptions as http_errors

from atoll._rpc import addresses
from atoll._rpc import tls as rpc_tls
from atoll_host import errors
from atoll_host.tls import securing
from atoll_host.webhooks import receiving, webhook_settings

_log = logging.getLogger(__name__)

PATH = "/webhooks/{location_name}/{sensor_name}"
CONNECTIONS_MAX = 200
HEAD_BYTES_MAX = 64 * 1024
_STOP_S = 3


class Listener:
    """The listener as a service; without an address it does nothing.

    Attributes:
        started: Set once it listens, or once it is known that it has nothing to do.
    """

    name = "webhook listener"

    def __init__(
        self,
        receiver: receiving.Receiver,
        settings: webhook_settings.WebhookSettings,
        tls: securing.Tls = securing.NO_TLS,
    ) -> None:
        """Make a listener that does not listen yet."""
        self._tls = tls
        self._receiver = receiver
        self._settings = settings
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.started = asyncio.Event()
        self.address = ""

    async def start(self) -> None:
        """Listen.

        Raises:
            errors.StartError: The address cannot be listened on.
        """
        if self._settings.listen:
            secured = self._tls.server is not None
            opened = _listen(addresses.parse_loopback(self._settings.listen, secured=secured))
            host, port = opened.getsockname()[:2]
            self.address = str(addresses.Address(host, port))
            config = _config(application(self._receiver, self._settings))
            # Who sends webhooks has signatures to show, and no certificates of this mesh.
            self._tls.secure(config, rpc_tls.ClientCertificates.NONE)
            self._server = _Server(config)
            self._serving = asyncio.create_task(self._server.serve([opened]), name=self.name)
            await self._server.ready.wait()
            _log.info(
                "webhooks are taken", extra={"action": "webhooks_taken", "address": self.address}
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


def application(
    receiver: receiving.Receiver, settings: webhook_settings.WebhookSettings
) -> applications.Starlette:
    """Return the application that answers requests.

    Args:
        receiver: Decides on them.
        settings: The bounds.
    """

    async def receive(request: requests.Request) -> responses.Response:
        body = await _body_of(request, settings)
        if isinstance(body, receiving.Reply):
            return _response(body)
        told = receiving.Request(
            location_name=request.path_params["location_name"],
            sensor_name=request.path_params["sensor_name"],
            headers=dict(request.headers),
            body=body,
        )
        return _response(await receiver.receive(told))

    async def refuse(_: requests.Request, error: Exception) -> responses.Response:
        status = http.HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, http_errors.HTTPException):
            status = http.HTTPStatus(error.status_code)
        told = f"{status.phrase}. Deliveries are sent by POST to /webhooks/<location>/<sensor>."
        return _response(receiving.problem(status, status.name, told))

    route = routing.Route(PATH, receive, methods=["POST"])
    return applications.Starlette(
        routes=[route], exception_handlers={http_errors.HTTPException: refuse}
    )


async def _body_of(
    request: requests.Request, settings: webhook_settings.WebhookSettings
) -> bytes | receiving.Reply:
    """Read the body; nothing is kept of one that is too long, or comes too slowly."""
    too_long = receiving.problem(
        http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "BODY_TOO_LONG",
        f"The body is longer than {settings.body_bytes_max} bytes. Send less, or a reference.",
    )
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.body_bytes_max:
        return too_long
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(settings.receive_timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > settings.body_bytes_max:
                    return too_long
                chunks.append(chunk)
    except (TimeoutError, requests.ClientDisconnect):
        return receiving.problem(
            http.HTTPStatus.REQUEST_TIMEOUT,
            "TOO_SLOW",
            f"The body did not arrive within {settings.receive_timeout_s:g} s. Send it again.",
        )
    return b"".join(chunks)


def _response(reply: receiving.Reply) -> responses.Response:
    headers = {"retry-after": str(reply.retry_after_s)} if reply.retry_after_s else None
    return responses.JSONResponse(
        dict(reply.content), status_code=int(reply.status), headers=headers
    )


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


def _config(served: applications.Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        served,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_graceful_shutdown=_STOP_S,
    )


def _listen(address: addresses.Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=128)
    except OSError as error:
        raise errors.StartError(
            f"Webhooks cannot be listened for on {address}: {error.strerror or error}. Give "
            "another address to webhooks.listen, or leave it out."
        ) from error

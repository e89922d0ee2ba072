"""The HTTP listener for webhooks: reads requests within bounds, and says what `receiving` decided.

Made by `host`. Where the host has a certificate, it speaks TLS; without one it listens on loopback
only, and what reaches it from elsewhere comes through a proxy that speaks TLS. It serves one path
and knows no sessions.
"""

import asyncio
import http
import logging

from starlette import applications, requests, responses, routing
from starlette import exceptions as http_errors

from atoll._rpc import addresses
from atoll._rpc import tls as rpc_tls
from atoll_host import errors, http_server
from atoll_host.tls import securing
from atoll_host.webhooks import receiving, webhook_settings

_log = logging.getLogger(__name__)

PATH = "/webhooks/{location_name}/{sensor_name}"
CONNECTIONS_MAX = 200


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
        self._receiver = receiver
        self._settings = settings
        self._secured = tls.server is not None
        bounds = http_server.Bounds(CONNECTIONS_MAX, settings.receive_timeout_s)
        # Who sends webhooks has signatures to show, and no certificates of this mesh.
        self._server = http_server.Server(self.name, bounds, tls, rpc_tls.ClientCertificates.NONE)
        self.started = asyncio.Event()

    @property
    def address(self) -> str:
        """Where it listens, as host:port; empty if nowhere."""
        return self._server.address

    async def start(self) -> None:
        """Listen.

        Raises:
            errors.StartError: The address cannot be listened on.
        """
        if self._settings.listen:
            asked = addresses.parse_loopback(self._settings.listen, secured=self._secured)
            try:
                await self._server.start(asked, application(self._receiver, self._settings))
            except OSError as error:
                raise errors.StartError(
                    f"Webhooks cannot be listened for on {asked}: {error.strerror or error}. Give "
                    "another address to webhooks.listen, or leave it out."
                ) from error
            _log.info(
                "webhooks are taken", extra={"action": "webhooks_taken", "address": self.address}
            )
        self.started.set()

    async def stop(self) -> None:
        """Take no more; requests under way are answered, for a while."""
        await self._server.stop()


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

"""The HTTP listener of the API as a service of the host.

Made by `host`. `http_server` knows sockets and connections; what is answered is `application`'s
business.
"""

import asyncio
import logging

from atoll._rpc import addresses
from atoll_host import errors, http_server
from atoll_host.http import application, guarding, http_settings
from atoll_host.tls import securing

_log = logging.getLogger(__name__)


class Listener:
    """The listener as a service; without an address it does nothing.

    Attributes:
        started: Set once it listens, or once it is known that it has nothing to do.
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
        bounds = http_server.Bounds(settings.connections_max, settings.receive_timeout_s)
        self._server = http_server.Server(self.name, bounds, tls)
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
        if self._listen:
            asked = addresses.parse(self._listen)
            policy = guarding.policy(
                asked.host, self._settings.allowed_hosts, self._settings.allowed_origins
            )
            served = application.application(self._served, self._settings, policy)
            try:
                await self._server.start(asked, served)
            except OSError as error:
                raise errors.StartError(
                    f"The API cannot be served over HTTP on {asked}: {error.strerror or error}. "
                    'Give another address to http.listen, or "" to serve it over gRPC only.'
                ) from error
            _log.info(
                "the API is served over HTTP",
                extra={"action": "http_served", "address": self.address},
            )
        self.started.set()

    async def stop(self) -> None:
        """Take no more; requests under way are answered, for a while."""
        await self._server.stop()

"""What the host protects its connections with, made of its settings once and given to its parts.

`Tls` goes to the gRPC server (`grpc_security`), to the HTTP listeners (`secure`) and to what dials
code servers (`locations`). Certificates are read anew when their files change, at the next
connection; see `atoll._rpc.tls`.

How an HTTP listener uses it:

    config = uvicorn.Config(application, http=securing.HttpProtocol, ...)
    tls.secure(config)                        # does nothing where the host speaks no TLS
    server = uvicorn.Server(config)

and in the application, `securing.peer_of(scope)` is who called by the certificate they showed.
"""

import asyncio
from collections.abc import Mapping, MutableMapping
from typing import Any

import uvicorn
from uvicorn.protocols.http import h11_impl

from atoll._rpc import peer_identities, serving, tls
from atoll_host.tls import tls_settings

_EXTENSION = "atoll.peer"


class Tls:
    """The TLS of one host.

    Attributes:
        server: What it shows where it listens; None without TLS.
        locations: What it dials code servers with; None where it can verify none.
    """

    def __init__(self, settings: tls_settings.TlsSettings) -> None:
        """Read the files.

        Raises:
            atoll._rpc.errors.FailedPreconditionError: One cannot be used; the message says why.
        """
        served, dialed = settings.server_files(), settings.location_files()
        self.server = None if served is None else tls.ServerTls(served)
        self.locations = None if dialed is None else tls.ClientTls(dialed)
        self._certificates_listen = settings.certificates_listen

    def grpc_security(self) -> serving.Security | None:
        """Return how the gRPC server protects its connections; None without TLS."""
        if self.server is None:
            return None
        return serving.Security(self.server, certificates_listen=self._certificates_listen)

    def secure(self, config: uvicorn.Config, asked: tls.ClientCertificates | None = None) -> None:
        """Have an HTTP server speak TLS; nothing changes where the host speaks none.

        Args:
            config: Of the server, not loaded yet.
            asked: Whether clients have to show a certificate; None means what the settings say.
        """
        if self.server is not None:
            # Loading it later would set the context to none again.
            config.load()
            config.ssl = self.server.ssl_context(asked)


NO_TLS = Tls(tls_settings.DEFAULT)
"""For hosts on loopback, and for tests."""


class HttpProtocol(h11_impl.H11Protocol):
    """HTTP/1.1 that tells the application who showed which certificate."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note who is at the other end."""
        super().connection_made(transport)
        peer = peer_identities.of_ssl_object(transport.get_extra_info("ssl_object"))
        served = self.app

        async def telling(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = peer
            await served(scope, receive, send)

        self.app = telling


def peer_of(scope: Mapping[str, Any]) -> peer_identities.PeerIdentity | None:
    """Return who called, by the certificate that they showed; None where none says.

    Args:
        scope: Of a request that `HttpProtocol` served.
    """
    extensions: Mapping[str, peer_identities.PeerIdentity | None] = scope.get("extensions") or {}
    return extensions.get(_EXTENSION)

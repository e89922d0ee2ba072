"""What the host protects its connections with, made of its settings once and given to its parts.

`Tls` goes to the gRPC server (`grpc_security`), to the HTTP servers (`secure`) and to what dials
code servers (`locations`). Certificates are read anew when their files change, at the next
connection; see `atoll._rpc.tls`.
"""

import uvicorn

from atoll._rpc import serving, tls
from atoll_host.tls import tls_settings


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

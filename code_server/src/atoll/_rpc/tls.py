"""TLS of Atoll's servers and clients: credentials out of files, read anew when they change.

Made by the servers and clients out of what people configured. Certificates live for days, processes
for months: so the files are looked at when a connection begins, never in between, and what has
changed is used from that connection on. Connections that are open go on. A change that cannot be
used is logged, and what was there before goes on being used.

`ServerTls` serves gRPC and HTTP; `ClientTls` dials. gRPC in Python cannot ask for a client
certificate without requiring one, so there OPTIONAL takes a second port, see `serving`.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import pathlib
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

from atoll._rpc import addresses, errors, options, pem_files, reasons

_logger = logging.getLogger(__name__)

_READ_ATTEMPTS_MAX = 3

Loaded = TypeVar("Loaded")


class ClientCertificates(enum.Enum):
    """Whether clients have to show a certificate."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclasses.dataclass(frozen=True)
class ServerFiles:
    """What a server shows and whom it trusts.

    Attributes:
        pair: Its certificate and key.
        client_ca: The authorities of client certificates.
        client_certificates: Whether clients have to show one.
    """

    pair: pem_files.Pair
    client_ca: pathlib.Path | None = None
    client_certificates: ClientCertificates = ClientCertificates.NONE

    @property
    def paths(self) -> tuple[pathlib.Path, ...]:
        """The files."""
        authority = () if self.client_ca is None else (self.client_ca,)
        return (self.pair.certificate, self.pair.key, *authority)


@dataclasses.dataclass(frozen=True)
class ClientFiles:
    """Whom a client trusts and what it shows.

    Attributes:
        ca: The authorities of servers' certificates.
        pair: Its own certificate and key; None shows none.
        server_name: The name to find in the server's certificate, instead of that in the address.
    """

    ca: pathlib.Path
    pair: pem_files.Pair | None = None
    server_name: str = ""

    @property
    def paths(self) -> tuple[pathlib.Path, ...]:
        """The files."""
        return (self.ca, *((self.pair.certificate, self.pair.key) if self.pair else ()))


@dataclasses.dataclass(frozen=True, repr=False)
class _ServerMaterial:
    configuration: grpc.ServerCertificateConfiguration
    context: ssl.SSLContext


class _Watched(Generic[Loaded]):
    """What some files give, loaded anew once they have changed. Called from gRPC's threads too."""

    def __init__(self, paths: tuple[pathlib.Path, ...], load: Callable[[], Loaded]) -> None:
        self._paths = paths
        self._load = load
        self._lock = threading.Lock()
        self._seen, loaded = self._read()
        if isinstance(loaded, errors.RpcError):
            raise loaded
        self._loaded = loaded
        self._generation = 1

    def look(self) -> tuple[int, Loaded]:
        """Return what the files give now, or gave before, and a number that tells both apart."""
        with self._lock:
            if pem_files.fingerprint(*self._paths) != self._seen:
                self._replace()
            return self._generation, self._loaded

    def _replace(self) -> None:
        # Noted also where they cannot be used, so that it is told once for each state of the files.
        self._seen, loaded = self._read()
        if isinstance(loaded, errors.RpcError):
            _logger.warning(
                "Certificates have changed and cannot be used; those before stay in use",
                extra={"action": "reload_certificates", "problem": loaded.message},
            )
            return
        self._loaded = loaded
        self._generation += 1
        _logger.info(
            "Certificates have changed and are used from now on",
            extra={"action": "reload_certificates", "path": str(self._paths[0])},
        )

    def _read(self) -> tuple[pem_files.Fingerprint, Loaded | errors.RpcError]:
        """Return what the files give, or why they cannot be used, and which state that was.

        Whoever replaces files one after the other may be in the middle of it: then it is read once
        more, and what changes after that is seen by the next look.
        """
        attempt = 0
        while True:
            attempt += 1
            before = pem_files.fingerprint(*self._paths)
            loaded = self._tried()
            is_quiet = pem_files.fingerprint(*self._paths) == before
            if is_quiet or attempt == _READ_ATTEMPTS_MAX:
                return before, loaded

    def _tried(self) -> Loaded | errors.RpcError:
        try:
            return self._load()
        except errors.RpcError as error:
            return error


class ServerTls:
    """The TLS of a server."""

    def __init__(self, files: ServerFiles, *, now_s: Callable[[], float] = time.time) -> None:
        """Read the files.

        Args:
            files: Where they are.
            now_s: Tells the time, in seconds since 1970.

        Raises:
            errors.FailedPreconditionError: One cannot be used; the message says why.
        """
        if files.client_certificates is not ClientCertificates.NONE and files.client_ca is None:
            raise errors.FailedPreconditionError(
                f"Client certificates are {files.client_certificates.value}, but the authority "
                "that they are of is not named. Name the file of its certificate.",
                reason=reasons.TLS_FILE_UNUSABLE,
            )
        self.files = files
        self._now_s = now_s
        self._watched = _Watched(files.paths, self._load)

    def grpc_credentials(self, *, require_client: bool) -> grpc.ServerCredentials:
        """Return credentials for one port of a gRPC server.

        Args:
            require_client: Whether whoever connects has to show a certificate.
        """
        given, material = self._watched.look()

        def fetch() -> Any:
            nonlocal given
            generation, current = self._watched.look()
            if generation == given:
                return None  # No change, for gRPC; the stubs do not know that.
            given = generation
            return current.configuration

        return grpc.dynamic_ssl_server_credentials(
            material.configuration, fetch, require_client_authentication=require_client
        )

    def ssl_context(self, asked: ClientCertificates | None = None) -> ssl.SSLContext:
        """Return a context for a server of asyncio or uvicorn; each handshake uses the newest.

        Args:
            asked: Whether clients have to show a certificate; None means what the files say.
        """
        context = self._context()
        if asked is not None:
            # It stays so when another context lends its certificates below.
            context.verify_mode = _VERIFY_MODES[asked]

        def choose(tls: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            tls.context = self._watched.look()[1].context

        # OpenSSL asks at every handshake, also when the client names no server.
        context.sni_callback = choose
        return context

    def _load(self) -> _ServerMaterial:
        certificate, key = pem_files.read_pair(self.files.pair, now_s=self._now_s())
        authority = None
        if self.files.client_ca is not None:
            authority = pem_files.read_authority(self.files.client_ca)
        return _ServerMaterial(
            configuration=grpc.ssl_server_certificate_configuration(
                [(key, certificate)], root_certificates=authority
            ),
            context=self._context(),
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # No session is resumed: each connection meets the certificates of its own time.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.verify_mode = _VERIFY_MODES[self.files.client_certificates]
        if self.files.client_ca is not None:
            context.load_verify_locations(
                cadata=pem_files.read_authority(self.files.client_ca).decode()
            )
        pem_files.load_pair(context, self.files.pair)
        return context


_VERIFY_MODES = {
    ClientCertificates.NONE: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}


class ClientTls:
    """The TLS of a client."""

    def __init__(self, files: ClientFiles, *, now_s: Callable[[], float] = time.time) -> None:
        """Read the files.

        Args:
            files: Where they are.
            now_s: Tells the time, in seconds since 1970.

        Raises:
            errors.FailedPreconditionError: One cannot be used; the message says why.
        """
        self.files = files
        self._now_s = now_s
        self._watched = _Watched(files.paths, self._load)

    @property
    def generation(self) -> int:
        """A number that grows when the files have changed: channels made before keep the old."""
        return self._watched.look()[0]

    def channel(self, address: str) -> grpc.aio.Channel:
        """Return a channel that verifies the server. It connects when first used.

        Args:
            address: Where the server listens, as host:port.

        Raises:
            errors.InvalidArgumentError: It is no address.
        """
        target = str(addresses.parse(address))
        _, credentials = self._watched.look()
        named: options.Options = ()
        if self.files.server_name:
            named = (("grpc.ssl_target_name_override", self.files.server_name),)
        return grpc.aio.secure_channel(
            target, credentials, options=(*options.SECURED_CHANNEL, *named)
        )

    def _load(self) -> grpc.ChannelCredentials:
        authority = pem_files.read_authority(self.files.ca)
        if self.files.pair is None:
            return grpc.ssl_channel_credentials(authority)
        certificate, key = pem_files.read_pair(self.files.pair, now_s=self._now_s())
        return grpc.ssl_channel_credentials(authority, key, certificate)


def client_files(
    ca: pathlib.Path | None,
    certificate: pathlib.Path | None,
    key: pathlib.Path | None,
    *,
    server_name: str = "",
) -> ClientFiles | None:
    """Return the files of a client as people name them; None where they name none.

    Raises:
        errors.InvalidArgumentError: Some are named without the others that they need.
    """
    if (certificate is None) != (key is None):
        named, lacking = ("certificate", "key") if key is None else ("key", "certificate")
        raise errors.InvalidArgumentError(
            f"A {named} is named, but not its {lacking}: {certificate or key}. Name both.",
            reason=reasons.TLS_FILE_UNUSABLE,
        )
    if ca is None:
        if certificate is None and not server_name:
            return None
        raise errors.InvalidArgumentError(
            "A certificate or a server name is given, but not the authority that the server's "
            "certificate is of. Name the file of its certificate.",
            reason=reasons.TLS_FILE_UNUSABLE,
        )
    pair = None if certificate is None or key is None else pem_files.Pair(certificate, key)
    return ClientFiles(ca, pair, server_name)

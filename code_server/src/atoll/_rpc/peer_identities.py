"""Who a peer is by the certificate that it showed: a pure reading of what TLS has verified.

Called by what authenticates calls, over gRPC and over HTTP. The identity is a URI among the
alternative names of the certificate:

    atoll:host              a host
    atoll:location:<name>   the code server of a location
    atoll:user:<name>       a person or a service

That the certificate is of a trusted authority was checked by the handshake: without client
certificates being asked for, there is nothing to read. What an identity may do is not decided here.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Any

_LOCATION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}")
_SCHEME = "atoll:"


class PeerKind(enum.Enum):
    """What a peer is."""

    HOST = "host"
    LOCATION = "location"
    USER = "user"


@dataclasses.dataclass(frozen=True)
class PeerIdentity:
    """Who a peer is.

    Attributes:
        kind: What it is.
        name: The location or the user; empty for a host.
        fingerprint: The SHA-256 of its certificate, in hex; tells certificates apart.
    """

    kind: PeerKind
    name: str = ""
    fingerprint: str = ""

    @property
    def uri(self) -> str:
        """The identity as certificates have it."""
        return f"{_SCHEME}{self.kind.value}" + (f":{self.name}" if self.name else "")


def of_uris(uris: Iterable[str], *, fingerprint: str = "") -> PeerIdentity | None:
    """Return the identity among the URIs of a certificate.

    None where there is none that makes sense, or where there are several: a certificate that could
    be two would be whichever serves an attacker.

    Args:
        uris: The URIs among the alternative names.
        fingerprint: The SHA-256 of the certificate.
    """
    found = {uri for uri in uris if uri.startswith(_SCHEME)}
    if len(found) != 1:
        return None
    kind, separator, name = found.pop().removeprefix(_SCHEME).partition(":")
    if kind == PeerKind.HOST.value and not separator:
        return PeerIdentity(PeerKind.HOST, fingerprint=fingerprint)
    if kind == PeerKind.LOCATION.value and _LOCATION.fullmatch(name):
        return PeerIdentity(PeerKind.LOCATION, name, fingerprint)
    if kind == PeerKind.USER.value and _USER.fullmatch(name):
        return PeerIdentity(PeerKind.USER, name, fingerprint)
    return None


def of_auth_context(context: Mapping[str, Iterable[bytes]]) -> PeerIdentity | None:
    """Return who calls over gRPC; None where no certificate says.

    Args:
        context: What `auth_context()` of the context of a call returns.
    """
    # The property x509_subject_alternative_name mixes names of all kinds, so that a host name could
    # pass for a URI; this one has nothing but URIs.
    uris = [uri.decode("utf-8", "replace") for uri in context.get("peer_uri", ())]
    pem = next(iter(context.get("x509_pem_cert", ())), b"").decode("ascii", "replace")
    try:
        der = ssl.PEM_cert_to_DER_cert(pem) if pem else b""
    except ValueError:
        der = b""
    return of_uris(uris, fingerprint=_fingerprint(der))


def of_ssl_object(tls: ssl.SSLObject | ssl.SSLSocket | None) -> PeerIdentity | None:
    """Return who is at the other end of a connection; None where no certificate says.

    Args:
        tls: What asyncio's transport gives as the extra "ssl_object"; None without TLS.
    """
    if tls is None:
        return None
    return of_peer_certificate(
        tls.getpeercert() or {}, der=tls.getpeercert(binary_form=True) or b""
    )


def of_peer_certificate(certificate: Mapping[str, Any], *, der: bytes = b"") -> PeerIdentity | None:
    """Return who a verified certificate is about.

    Args:
        certificate: What `getpeercert` of the module ssl returns.
        der: The same in DER, for the fingerprint.
    """
    return of_uris(uris_of(certificate), fingerprint=_fingerprint(der))


def uris_of(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the URIs among the alternative names of a verified certificate.

    Args:
        certificate: What `getpeercert` of the module ssl returns.
    """
    names: Iterable[tuple[str, str]] = certificate.get("subjectAltName", ())
    return tuple(value for kind, value in names if kind == "URI")


def _fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest() if der else ""

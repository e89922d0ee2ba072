"""Why no connection came about, in words: what gRPC tells of a failed handshake, and what to do.

Called by `errors`. gRPC gives a text only, which names every layer on the way. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

_NOT_CONNECTED = "failed to connect to all addresses"
_HANDSHAKE = "handshake failed"
_CLOSED = ("Socket closed", "Connection reset by peer", "recvmsg:Connection reset")

_PLAIN_SERVER = (
    "it speaks no TLS, but a certificate of it was asked for. Give that server a certificate, or "
    "leave out the file of its authority"
)
_EXPIRED = "its certificate has expired. Renew it; the server takes the new one without a restart"
_OTHER_NAME = (
    "its certificate is for another name. Use a name or an address that the certificate has, or "
    "make one that has this name"
)
_NOT_TRUSTED = (
    "its certificate is of an authority that is not trusted here. Name the file of the authority "
    "that it is of"
)
_NOT_YET = "its certificate does not hold yet. Check the clocks of both machines"
_NOT_VERIFIED = (
    "its certificate cannot be verified: it is of an authority that is not trusted here, or has "
    "expired. Name the file of the authority that it is of, or renew it"
)
_CAUSES: Mapping[str, str] = {
    "WRONG_VERSION_NUMBER": _PLAIN_SERVER,
    "certificate has expired": _EXPIRED,
    "certificate is not yet valid": _NOT_YET,
    "Hostname Verification Check failed": _OTHER_NAME,
    "is not in peer certificate": _OTHER_NAME,  # So up to gRPC 1.6x.
    "unable to get local issuer certificate": _NOT_TRUSTED,
    "self signed certificate": _NOT_TRUSTED,
    "self-signed certificate": _NOT_TRUSTED,
    "CERTIFICATE_VERIFY_FAILED": _NOT_VERIFIED,
}
"""What gRPC's texts hold, and what is told for it; the first that fits counts."""

_NO_TLS_HERE = (
    "it closed the connection before it answered, as servers do that speak TLS. If it does, name "
    "the file of its authority; else check the address and that it runs"
)
_NO_CERTIFICATE_HERE = (
    "it closed the connection in the handshake, as servers do that ask for a client certificate "
    "and get none, or one of an authority that they do not trust. Name a certificate that fits, "
    "and its key; else check the address and that it runs"
)


def explain(details: str, *, peer: str = "", secured: bool | None = None) -> str | None:
    """Return why TLS kept a connection from coming about; None where it was not TLS.

    Args:
        details: What gRPC told.
        peer: What was called.
        secured: Whether the client speaks TLS; None where that is not known.
    """
    for mark, told in _CAUSES.items():
        if mark in details:
            return _sentence(peer, told)
    if not details.startswith(_NOT_CONNECTED) or secured is None:
        return None
    if secured and _HANDSHAKE in details:
        return _sentence(peer, f"the handshake failed: {last_of(details)}. Check both certificates")
    if details.rstrip(".").endswith(_CLOSED):
        return _sentence(peer, _NO_CERTIFICATE_HERE if secured else _NO_TLS_HERE)
    return None


def last_of(details: str) -> str:
    """Return what happened in the end, of all the layers that gRPC tells of."""
    return details.rpartition(": ")[2] if details.startswith(_NOT_CONNECTED) else details


def _sentence(peer: str, told: str) -> str:
    where = f" to {peer}" if peer else ""
    return f"There is no connection{where}: {told}."

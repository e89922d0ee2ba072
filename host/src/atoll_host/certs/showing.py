"""What a certificate says, for people and for programs; called by `command`.

Reads PEM; private keys are not shown, whatever file they are in.
"""

import datetime as dt
import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from atoll._rpc import peer_identities

_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def describe(pem: bytes, now: dt.datetime) -> list[dict[str, Any]]:
    """Return what the certificates of a file say, in its order.

    Args:
        pem: The file.
        now: The time, for how long they hold.

    Raises:
        ValueError: It holds none, or one that is damaged; the message does not quote it.
    """
    if _KEY.search(pem):
        raise ValueError("holds a private key, which is not shown. Name the certificate.")
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("is no certificate in PEM, or a damaged one.") from None
    return [_described(each, now) for each in found]


def _described(certificate: x509.Certificate, now: dt.datetime) -> dict[str, Any]:
    uris, dns, ips = _names(certificate)
    identity = peer_identities.of_uris(uris)
    left = certificate.not_valid_after_utc - now
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "identity": "" if identity is None else identity.uri,
        "dns": dns,
        "ips": ips,
        "uris": uris,
        "authority": _is_authority(certificate),
        "begins": certificate.not_valid_before_utc.isoformat(),
        "ends": certificate.not_valid_after_utc.isoformat(),
        "days_left": left.days,
        "expired": left.total_seconds() < 0,
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def _names(certificate: x509.Certificate) -> tuple[list[str], list[str], list[str]]:
    """Return the URIs, host names and addresses of a certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], [], []
    return (
        names.get_values_for_type(x509.UniformResourceIdentifier),
        names.get_values_for_type(x509.DNSName),
        [str(each) for each in names.get_values_for_type(x509.IPAddress)],
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False

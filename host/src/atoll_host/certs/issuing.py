"""Makes keys and certificates: the one module that knows the library for them.

Called by `command` and by tests. It reads no clock and touches no file: the time and the authority
are handed in. Keys are ECDSA on P-256; extensions are those that a server or a client of TLS needs
and no more, marked critical where the standard says so.
"""

import dataclasses
import datetime as dt
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_BACKDATED = dt.timedelta(minutes=5)
"""Clocks of machines differ by a little."""

_NAME_LENGTH_MAX = 64
"""What the standard allows; whom a certificate is about stands in its URI."""


@dataclasses.dataclass(frozen=True, repr=False)
class Issued:
    """A certificate and its key, in PEM.

    Attributes:
        certificate: The certificate.
        key: The private key.
    """

    certificate: bytes
    key: bytes


@dataclasses.dataclass(frozen=True)
class Subject:
    """Whom a certificate is about.

    Attributes:
        name: What people read.
        uri: The identity, such as `atoll:location:sales`.
        dns: Under which names it can be reached.
        ips: Under which addresses.
        serves: Whether others connect to it; people only connect to others.
    """

    name: str
    uri: str
    dns: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    serves: bool = True


def authority(name: str, *, now: dt.datetime, days: int) -> Issued:
    """Return a new authority, which signs itself and may sign certificates but no authorities.

    Args:
        name: What people read.
        now: From when on it holds.
        days: For how long.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    own = _name(name)
    builder = _builder(own, own, key, now=now, days=days)
    certificate = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return _issued(certificate, key)


def certificate(of: Issued, subject: Subject, *, now: dt.datetime, days: int) -> Issued:
    """Return a new certificate of an authority, for clients, and for servers where it serves.

    Args:
        of: The authority.
        subject: Whom it is about.
        now: From when on it holds.
        days: For how long; never longer than the authority.

    Raises:
        ValueError: The authority cannot be read or has expired, or an address is none.
    """
    signing = serialization.load_pem_private_key(of.key, password=None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey):
        raise ValueError("the key of the authority is not on an elliptic curve")  # noqa: TRY004
    issuer = x509.load_pem_x509_certificate(of.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    left_days = (issuer.not_valid_after_utc - now).days
    if left_days < 1:
        raise ValueError(f"the authority ends at {issuer.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    own = _name(subject.name)
    builder = _builder(own, issuer.subject, key, now=now, days=min(days, left_days))
    names: list[x509.GeneralName] = [x509.DNSName(each) for each in subject.dns]
    names += [x509.IPAddress(ipaddress.ip_address(each)) for each in subject.ips]
    names.append(x509.UniformResourceIdentifier(subject.uri))
    usages = [oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    if subject.serves:
        usages.insert(0, oid.ExtendedKeyUsageOID.SERVER_AUTH)
    made = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()),
            critical=False,
        )
        .sign(signing, hashes.SHA256())
    )
    return _issued(made, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text[:_NAME_LENGTH_MAX])])


def _issued(made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate=made.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )

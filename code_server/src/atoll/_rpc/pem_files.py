"""Reads the files of certificates and keys, and says all that can be wrong with them.

Called by `tls`. Nothing of a key ever stands in a message: only its path does. What others of the
machine may read is refused as a key; a group may, since services are often given their keys so.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import ssl
import stat
import time
from typing import NoReturn

from atoll._rpc import certificate_dates, errors, reasons

_BYTES_MAX = 1024 * 1024
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")
_ENCRYPTED = re.compile(
    r"-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE
)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Where a certificate and its key are.

    Attributes:
        certificate: The file of the certificate, followed by those between it and the authority.
        key: The file of its private key.
    """

    certificate: pathlib.Path
    key: pathlib.Path


Fingerprint = tuple[tuple[int, int, int] | None, ...]


def fingerprint(*paths: pathlib.Path) -> Fingerprint:
    """Return what changes when one of some files does; cheap."""
    return tuple(_fingerprint_of(path) for path in paths)


def _fingerprint_of(path: pathlib.Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_authority(path: pathlib.Path) -> bytes:
    """Return the certificates of authorities in a file.

    Raises:
        errors.FailedPreconditionError: It cannot be read, or holds none.
    """
    text = _read(path, "the certificate of the authority")
    if _KEY.search(text):
        _fail(
            path,
            "holds a private key, but only the certificate of the authority belongs here. Name "
            "the certificate, and keep that key where nobody else needs it.",
        )
    for der in _certificates(path, text):
        _dates(path, der)
    return text.encode()


def read_pair(pair: Pair, *, now_s: float) -> tuple[bytes, bytes]:
    """Return a certificate and its key, checked.

    Args:
        pair: Where they are.
        now_s: The time, in seconds since 1970.

    Raises:
        errors.FailedPreconditionError: One cannot be read or used, or they do not belong together.
    """
    certificate = _read(pair.certificate, "the certificate")
    _check_dates(pair.certificate, certificate, now_s)
    _check_mode(pair.key)
    key = _read(pair.key, "the private key")
    _check_key(pair.key, key)
    load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair)
    # What was checked is what the files held just now, which somebody may be replacing.
    if (
        _read(pair.certificate, "the certificate") != certificate
        or _read(pair.key, "the private key") != key
    ):
        _fail(pair.certificate, "or its key changed while they were read. Try again.")
    return certificate.encode(), key.encode()


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """Give a context a certificate and its key.

    Raises:
        errors.FailedPreconditionError: They do not belong together, or the key cannot be used.
    """
    try:
        context.load_cert_chain(pair.certificate, pair.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            _fail(
                pair.key,
                f"is not the key of the certificate {pair.certificate}. Name the two that were "
                "made together.",
            )
        _fail(pair.key, f"cannot be used with {pair.certificate}: {_reason(error)}. Make it anew.")
    except OSError as error:
        _fail(pair.key, f"cannot be read: {error.strerror}. Check its permissions.")


def _check_dates(path: pathlib.Path, text: str, now_s: float) -> None:
    # What follows the first belongs to authorities, which peers judge by themselves.
    dates = _dates(path, _certificates(path, text)[0])
    if now_s > dates.ends_s:
        _fail(path, f"expired at {_shown(dates.ends_s)}. Renew the certificate.")
    if now_s < dates.begins_s:
        _fail(
            path,
            f"holds from {_shown(dates.begins_s)} on only. Wait, or check the clock of this "
            "machine.",
        )


def _check_mode(path: pathlib.Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # Reading it tells why.
    if mode & stat.S_IROTH:
        _fail(
            path,
            f"can be read by everybody on this machine (mode {stat.S_IMODE(mode):04o}). "
            f"Run: chmod 600 {path}",
        )


def _check_key(path: pathlib.Path, text: str) -> None:
    if _ENCRYPTED.search(text):
        _fail(
            path,
            "is locked with a passphrase, which nobody can type when a service starts. Name a "
            "key without one, readable by the service only.",
        )
    if not _KEY.search(text):
        _fail(path, "is no private key in PEM (-----BEGIN PRIVATE KEY-----). Name the key's file.")


def _certificates(path: pathlib.Path, text: str) -> list[bytes]:
    found = _CERTIFICATE.findall(text)
    if not found:
        _fail(
            path,
            "is no certificate in PEM (-----BEGIN CERTIFICATE-----). Name the certificate's file.",
        )
    try:
        return [ssl.PEM_cert_to_DER_cert(each) for each in found]
    except ValueError:
        _fail(path, "holds a certificate that is damaged. Make it anew.")


def _dates(path: pathlib.Path, der: bytes) -> certificate_dates.Dates:
    try:
        return certificate_dates.read(der)
    except ValueError as error:
        _fail(path, f"holds something that is no certificate: {error}. Make it anew.")


def _read(path: pathlib.Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _BYTES_MAX:
                _fail(path, f"is longer than {_BYTES_MAX} bytes, so it is not {what}.")
            return file.read(_BYTES_MAX).decode("ascii", "replace")
    except FileNotFoundError:
        _fail(path, f"does not exist. Name the file of {what}.")
    except IsADirectoryError:
        _fail(path, f"is a folder. Name the file of {what}.")
    except OSError as error:
        _fail(path, f"cannot be read: {error.strerror}. Check its permissions.")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "it is damaged").replace("_", " ").lower()


def _shown(moment_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment_s))


def _fail(path: pathlib.Path, problem: str) -> NoReturn:
    raise errors.FailedPreconditionError(
        f"{path} {problem}", reason=reasons.TLS_FILE_UNUSABLE, metadata={"path": str(path)}
    ) from None

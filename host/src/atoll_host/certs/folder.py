"""The folder of an authority for development: its own files and those of whom it vouches for.

Called by `command`. Keys are readable by their owner only from the moment that they exist, nothing
is overwritten unasked, and a file is replaced in one step, so that whoever reads certificates anew
never finds half of one.
"""

import contextlib
import dataclasses
import os
import pathlib

from atoll_host.certs import issuing

AUTHORITY = "ca"


class CertificatesError(Exception):
    """Certificates that cannot be made or shown; the message says why and what to do."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Where a certificate and its key are.

    Attributes:
        certificate: The certificate.
        key: Its private key.
    """

    certificate: pathlib.Path
    key: pathlib.Path


def files_of(folder: pathlib.Path, name: str) -> Files:
    """Return where the certificate of somebody is."""
    return Files(folder / f"{name}.crt", folder / f"{name}.key")


def read_authority(folder: pathlib.Path) -> issuing.Issued:
    """Return the authority of a folder.

    Raises:
        CertificatesError: There is none that can be read.
    """
    files = files_of(folder, AUTHORITY)
    try:
        return issuing.Issued(files.certificate.read_bytes(), files.key.read_bytes())
    except FileNotFoundError as error:
        raise CertificatesError(
            f"There is no authority in {folder} ({error.filename} does not exist). Make one with "
            "'atoll certs init', or name its folder with --directory."
        ) from error
    except OSError as error:
        raise CertificatesError(
            f"{error.filename} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def write(files: Files, issued: issuing.Issued, *, force: bool) -> None:
    """Write a certificate and its key.

    Args:
        files: Where to.
        issued: What.
        force: Whether what is there is replaced.

    Raises:
        CertificatesError: Something is there already, or cannot be written.
    """
    there = [path for path in (files.certificate, files.key) if path.exists()]
    if there and not force:
        raise CertificatesError(
            f"{there[0]} exists. Use --force to replace it, or another --directory."
        )
    try:
        files.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(files.key, issued.key, mode=0o600)
        _replace(files.certificate, issued.certificate, mode=0o644)
    except OSError as error:
        raise CertificatesError(
            f"{error.filename} cannot be written: {error.strerror}. Choose a --directory that "
            "you may write to."
        ) from error


def _replace(path: pathlib.Path, content: bytes, *, mode: int) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()

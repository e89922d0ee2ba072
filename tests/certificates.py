"""Certificates for tests, written as files: an authority and whoever it vouches for."""

import dataclasses
import pathlib

from atoll._rpc import pem_files, serving, tls
from atoll_host import clock
from atoll_host.certs import issuing

NOW = clock.SystemClock().now()


@dataclasses.dataclass
class Authority:
    """An authority whose certificates lie in a folder."""

    folder: pathlib.Path
    name: str = "ca"

    def __post_init__(self) -> None:
        self.issued = issuing.authority(self.name, now=NOW, days=30)
        self.path = self.folder / f"{self.name}.crt"
        self.path.write_bytes(self.issued.certificate)

    def issue(self, uri: str, **changes) -> issuing.Issued:
        """Return a certificate for loopback."""
        values = {"now": NOW, "days": 2, "dns": ("localhost",), "ips": ("127.0.0.1",), **changes}
        subject = issuing.Subject("test", uri, values["dns"], values["ips"])
        return issuing.certificate(self.issued, subject, now=values["now"], days=values["days"])

    def pair(self, file_name: str, uri: str, **changes) -> pem_files.Pair:
        """Write a certificate and its key; a pair of that name is replaced."""
        pair = pem_files.Pair(self.folder / f"{file_name}.crt", self.folder / f"{file_name}.key")
        write(pair, self.issue(uri, **changes))
        return pair


def write(pair: pem_files.Pair, issued: issuing.Issued) -> None:
    """Replace the files of a pair, one after the other."""
    for path, content in ((pair.certificate, issued.certificate), (pair.key, issued.key)):
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.chmod(0o600)
        new.replace(path)


def security(
    pair: pem_files.Pair, ca: Authority | None = None, *, second: str = ""
) -> serving.Security:
    """Protect a server; with an authority, client certificates are required."""
    mode = tls.ClientCertificates.NONE if ca is None or second else tls.ClientCertificates.REQUIRED
    files = tls.ServerFiles(pair, None if ca is None else ca.path, mode)
    return serving.Security(tls.ServerTls(files), certificates_listen=second)

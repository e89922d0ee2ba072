"""What the host may be told about TLS: the section `[tls]` of the settings.

Only paths stand here; keys are read where they are used. Without a certificate the host speaks no
TLS, and then it listens on loopback only (`check_listening`).
"""

import pathlib
from typing import Literal, Self

import pydantic

from atoll._rpc import addresses, pem_files, tls
from atoll._rpc import errors as rpc_errors

_PATHS = (
    "certificate",
    "key",
    "client_ca",
    "locations_ca",
    "locations_certificate",
    "locations_key",
)


class TlsSettings(pydantic.BaseModel):
    """The certificates of the host, and those that it asks for.

    Attributes:
        certificate: The file of the host's certificate, followed by those between it and the
            authority; empty means that the host speaks no TLS.
        key: The file of its private key.
        client_ca: The file of the authorities of client certificates.
        client_certificates: Whether whoever connects has to show one.
        certificates_listen: A second gRPC address, where one has to be shown although the first
            does not ask for it.
        locations_ca: The file of the authorities of code servers' certificates.
        locations_certificate: The file of what the host shows to code servers; empty means
            `certificate`.
        locations_key: The file of its private key.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    certificate: str = pydantic.Field(
        default="", max_length=4096, description="the file of the host's certificate"
    )
    key: str = pydantic.Field(
        default="", max_length=4096, description="the file of its private key"
    )
    client_ca: str = pydantic.Field(
        default="", max_length=4096, description="the file of the authority of clients"
    )
    client_certificates: Literal["none", "optional", "required"] = pydantic.Field(
        default="none", description="whether clients have to show a certificate"
    )
    certificates_listen: str = pydantic.Field(
        default="",
        max_length=300,
        description="a second gRPC address, where clients have to show a certificate",
    )
    locations_ca: str = pydantic.Field(
        default="", max_length=4096, description="the file of the authority of code servers"
    )
    locations_certificate: str = pydantic.Field(
        default="", max_length=4096, description="what the host shows to code servers"
    )
    locations_key: str = pydantic.Field(
        default="", max_length=4096, description="the file of the private key of that"
    )

    @pydantic.field_validator("certificates_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            return str(addresses.parse(value)) if value else value
        except rpc_errors.InvalidArgumentError as error:
            raise ValueError(error.message) from error

    @pydantic.model_validator(mode="after")
    def _is_whole(self) -> Self:
        if problem := _problem(self):
            raise ValueError(problem)
        return self

    @property
    def serves_tls(self) -> bool:
        """Whether the host speaks TLS where it listens."""
        return bool(self.certificate)

    def below(self, folder: pathlib.Path) -> Self:
        """Return the same with relative paths taken as relative to a folder."""
        given = {name: getattr(self, name) for name in _PATHS}
        return self.model_copy(
            update={name: str(folder / path) for name, path in given.items() if path}
        )

    def server_files(self) -> tls.ServerFiles | None:
        """Return what the host shows where it listens; None without TLS."""
        if not self.certificate:
            return None
        return tls.ServerFiles(
            pem_files.Pair(pathlib.Path(self.certificate), pathlib.Path(self.key)),
            pathlib.Path(self.client_ca) if self.client_ca else None,
            tls.ClientCertificates(self.client_certificates),
        )

    def location_files(self) -> tls.ClientFiles | None:
        """Return what the host dials code servers with; None where it cannot verify them."""
        if not self.locations_ca:
            return None
        certificate = self.locations_certificate or self.certificate
        key = self.locations_key or self.key
        pair = pem_files.Pair(pathlib.Path(certificate), pathlib.Path(key)) if certificate else None
        return tls.ClientFiles(pathlib.Path(self.locations_ca), pair)


def check_listening(listen: str, settings: TlsSettings) -> str | None:
    """Return what is wrong with an address to listen on; None when nothing is.

    Args:
        listen: The address, as host:port.
        settings: Whether there is TLS.
    """
    try:
        addresses.parse_loopback(listen, secured=settings.serves_tls)
    except rpc_errors.InvalidArgumentError as error:
        return error.message
    return None


def _problem(given: TlsSettings) -> str | None:
    """Return what is wrong with the settings taken together, the first of it."""
    asks, second = given.client_certificates, given.certificates_listen
    rules = {
        "certificate and key belong together: give both or neither": bool(given.certificate)
        != bool(given.key),
        "locations_certificate and locations_key belong together: give both or neither": bool(
            given.locations_certificate
        )
        != bool(given.locations_key),
        "client_ca and certificates_listen say nothing without a certificate and its key": bool(
            given.client_ca or second
        )
        and not given.certificate,
        f"client_certificates is {asks!r}, which needs client_ca: the authority that they are of": (
            asks != "none" and not given.client_ca
        ),
        "certificates_listen needs client_ca: the authority of the certificates": bool(second)
        and not given.client_ca,
        "client certificates are required everywhere, so certificates_listen adds nothing": bool(
            second
        )
        and asks == "required",
    }
    return next((told for told, broken in rules.items() if broken), None)


DEFAULT = TlsSettings()
"""No TLS."""

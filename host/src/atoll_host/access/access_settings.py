"""What the host may be told about who calls it: the section `[access]` of the settings."""

from typing import Literal

import pydantic

from atoll_host.access import oidc_settings


class CertificateSettings(pydantic.BaseModel):
    """What whoever has a certificate may do: one with the URI `atoll:user:<name>`.

    Attributes:
        name: The name in the certificate.
        role: The role.
        locations: For which locations; empty means all.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = pydantic.Field(
        min_length=1, max_length=200, description="the name in the certificate"
    )
    role: Literal["viewer", "launcher", "operator", "admin"] = pydantic.Field(
        description="what its owner may do"
    )
    locations: list[str] = pydantic.Field(
        default=[], max_length=1000, description="for which locations; empty means all"
    )


class AccessSettings(pydantic.BaseModel):
    """Who may call the host.

    Attributes:
        required: Whether callers need credentials. Without, the host listens on loopback only.
        first_token: Whether a host that has no token at all makes one for an admin when it starts,
            and writes it to `admin.token` in the data directory.
        token_days_default: How long a token lives that is made without a lifetime.
        token_days_max: How long a token may live.
        certificates: What owners of certificates may do.
        oidc: The provider at which people log in; None without one.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    required: bool = pydantic.Field(default=True, description="whether callers need credentials")
    first_token: bool = pydantic.Field(
        default=True, description="whether a host without tokens makes one for an admin"
    )
    token_days_default: int = pydantic.Field(
        default=90, ge=1, le=3650, description="the usual lifetime of a token"
    )
    token_days_max: int = pydantic.Field(
        default=365, ge=1, le=36500, description="the longest lifetime of a token"
    )
    certificates: list[CertificateSettings] = pydantic.Field(
        default=[], max_length=1000, description="what owners of certificates may do"
    )
    oidc: oidc_settings.OidcSettings | None = pydantic.Field(
        default=None, description="the provider at which people log in"
    )

    @pydantic.model_validator(mode="after")
    def _default_is_no_longer_than_the_longest(self) -> "AccessSettings":
        if self.token_days_default > self.token_days_max:
            raise ValueError(
                f"token_days_default is {self.token_days_default}, more than token_days_max "
                f"({self.token_days_max})"
            )
        return self


DEFAULT = AccessSettings()
"""Callers need credentials."""

OPEN = AccessSettings(required=False)
"""Nobody is asked: on loopback, in development."""

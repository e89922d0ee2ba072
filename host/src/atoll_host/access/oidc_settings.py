"""What the host may be told about people who log in at a provider: `[access.oidc]`."""

from typing import Literal
from urllib import parse

import pydantic

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

EVERYBODY = "*"
"""The group of whoever the provider knows."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class GroupSettings(pydantic.BaseModel):
    """What the members of a group may do.

    Attributes:
        group: The group as the provider names it; `*` for everybody whom it knows.
        role: The role.
        locations: For which locations; empty means all.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    group: str = pydantic.Field(
        min_length=1, max_length=200, description="the group as the provider names it; * is all"
    )
    role: Literal["viewer", "launcher", "operator", "admin"] = pydantic.Field(
        description="what its members may do"
    )
    locations: list[str] = pydantic.Field(
        default=[], max_length=1000, description="for which locations; empty means all"
    )


class OidcSettings(pydantic.BaseModel):
    """The provider (OpenID Connect) at which people log in.

    Attributes:
        issuer: The URL by which the provider names itself.
        client_id: What the command line is to the provider: a public client, without a secret.
        audience: Whom a token must be for; empty means the client id.
        bearer: Which of the provider's tokens is sent to the host.
        scopes: What the command line asks the provider for.
        name_claim: The claim that people are called by; the subject where it is absent.
        groups_claim: The claim that holds the groups; dots lead into objects.
        groups: What members of groups may do.
        algorithms: With which algorithms a token may be signed.
        clock_skew_s: By how much the clocks of provider and host may differ.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    issuer: str = pydantic.Field(min_length=1, max_length=500, description="the provider's URL")
    client_id: str = pydantic.Field(
        min_length=1, max_length=200, description="what the command line is to the provider"
    )
    audience: str = pydantic.Field(
        default="", max_length=200, description="whom a token must be for; empty: the client id"
    )
    bearer: Literal["id_token", "access_token"] = pydantic.Field(
        default="id_token", description="which of the provider's tokens is sent to the host"
    )
    scopes: list[str] = pydantic.Field(
        default=["openid", "email", "profile", "offline_access"],
        max_length=50,
        description="what the command line asks the provider for",
    )
    name_claim: str = pydantic.Field(
        default="email", min_length=1, max_length=200, description="what people are called by"
    )
    groups_claim: str = pydantic.Field(
        default="groups", min_length=1, max_length=200, description="where the groups stand"
    )
    groups: list[GroupSettings] = pydantic.Field(
        default=[], max_length=1000, description="what members of groups may do"
    )
    algorithms: list[Algorithm] = pydantic.Field(
        default=["RS256", "ES256"],
        min_length=1,
        max_length=10,
        description="with which algorithms a token may be signed",
    )
    clock_skew_s: float = pydantic.Field(
        default=30.0, ge=0, le=300, description="by how much clocks may differ"
    )

    @pydantic.field_validator("issuer")
    @classmethod
    def _issuer_is_safe(cls, issuer: str) -> str:
        if not is_safe(issuer):
            raise ValueError(
                f"{issuer} is no URL that begins with https://, which is needed except on this "
                "machine"
            )
        return issuer

    @pydantic.model_validator(mode="after")
    def _access_tokens_have_an_audience(self) -> "OidcSettings":
        if self.bearer == "access_token" and not self.audience:
            raise ValueError(
                "bearer is access_token, and audience is not given: name whom the provider makes "
                "access tokens for, or anybody's would do"
            )
        return self

    @property
    def audience_wanted(self) -> str:
        """Whom a token must be for."""
        return self.audience or self.client_id


def is_safe(url: str) -> bool:
    """Say whether nobody on the way can change what a URL gives. Pure."""
    try:
        found = parse.urlsplit(url)
    except ValueError:
        return False
    if found.username is not None or found.fragment or not found.hostname:
        return False
    return found.scheme == "https" or (found.scheme == "http" and found.hostname in _LOOPBACK)

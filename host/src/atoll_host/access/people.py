"""People who logged in at a provider: what its token says, checked, and who that is here.

Called by `engine` with each call whose bearer is a JWT. The provider says who somebody is and in
which groups; what these may do stands in the settings of the host. `caller_of` is pure.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import jwt

from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers, oidc_settings, provider_keys

_KNOWN_MAX = 2000
_NAME_LENGTH_MAX = 200
# Others, such as those that tell of a log-out, are signed with the same keys for other ends.
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")


class Keys(Protocol):
    """The keys of a provider (`provider_keys`)."""

    version: int

    async def key(self, key_id: str) -> provider_keys.ProviderKey | None:
        """Return a key by its id."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    caller: callers.Caller
    ends_at: float
    version: int


class People:
    """Tells callers by the tokens of a provider."""

    def __init__(
        self, settings: oidc_settings.OidcSettings, keys: Keys, clock: clocks.Clock
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._known: collections.OrderedDict[bytes, _Known] = collections.OrderedDict()

    async def caller(self, token: str) -> callers.Caller:
        """Return who bears a token.

        Raises:
            errors.CredentialsInvalid: It is not valid; in which way is not told.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known.version == self._keys.version:
            if self._clock.now().timestamp() >= known.ends_at:
                raise errors.CredentialsInvalid
            return known.caller
        try:
            claims = await self._claims(token)
            ends_at = int(claims["exp"]) + self._settings.clock_skew_s
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise errors.CredentialsInvalid from error
        caller = caller_of(claims, self._settings)
        self._known[digest] = _Known(caller, ends_at, self._keys.version)
        self._known.move_to_end(digest)
        if len(self._known) > _KNOWN_MAX:
            self._known.popitem(last=False)
        return caller

    async def _claims(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        # Before any key is looked for: nobody chooses the algorithm but the settings.
        if algorithm not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError
        if str(header.get("typ", "")).lower() not in _TYPES:
            raise jwt.InvalidTokenError
        key = await self._keys.key(str(header.get("kid", "")))
        if key is None or not key.fits(str(algorithm)):
            raise jwt.InvalidKeyError
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key.key,
            algorithms=[str(algorithm)],
            audience=self._settings.audience_wanted,
            issuer=self._settings.issuer,
            options={
                "require": list(_REQUIRED),
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
        check(claims, self._settings, self._clock.now().timestamp())
        return claims


def check(claims: Mapping[str, Any], settings: oidc_settings.OidcSettings, now_s: float) -> None:
    """Refuse what the signature says nothing about. Pure.

    Args:
        claims: What a token claims, its signature, issuer and audience being right.
        settings: Of the provider.
        now_s: The time.

    Raises:
        jwt.InvalidTokenError: It is not for now, or not for this.
    """
    skew_s = settings.clock_skew_s
    if now_s >= int(claims["exp"]) + skew_s:
        raise jwt.ExpiredSignatureError
    if int(claims["iat"]) > now_s + skew_s or int(claims.get("nbf", 0)) > now_s + skew_s:
        raise jwt.ImmatureSignatureError
    audience = claims["aud"]
    for_several = not isinstance(audience, str) and len(audience) > 1
    by = claims.get("azp")
    is_told = settings.bearer == "id_token" and (for_several or by is not None)
    if is_told and by != settings.client_id:
        # Made for somebody else, who could show it to this host as well.
        raise jwt.InvalidAudienceError
    if "events" in claims:
        raise jwt.InvalidTokenError


def caller_of(claims: Mapping[str, Any], settings: oidc_settings.OidcSettings) -> callers.Caller:
    """Return who somebody is here. Pure.

    Args:
        claims: What the provider says of them.
        settings: What the groups may do.
    """
    subject = str(claims["sub"])
    name = _at(claims, settings.name_claim)
    is_unsure = settings.name_claim == "email" and claims.get("email_verified") is False
    if not isinstance(name, str) or not name.strip() or is_unsure:
        name = subject
    groups = {oidc_settings.EVERYBODY, *_texts(_at(claims, settings.groups_claim))}
    grants = tuple(
        callers.Grant(
            callers.Role[each.role.upper()],
            frozenset(each.locations) if each.locations else None,
        )
        for each in settings.groups
        if each.group in groups
    )
    return callers.Caller(_shown(name), callers.Kind.PERSON, grants, credential_id=_shown(subject))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim. One whose name has dots comes before what the dots lead to."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        if not isinstance(found, dict):
            return None
        found = cast("dict[str, Any]", found).get(step)
    return found


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [each for each in cast("list[object]", value) if isinstance(each, str)]
    return []


def _shown(text: str) -> str:
    return "".join(each for each in text if each.isprintable())[:_NAME_LENGTH_MAX]

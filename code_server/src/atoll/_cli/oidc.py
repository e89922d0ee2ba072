"""Logging in at an identity provider (OpenID Connect): the device grant of RFC 8628, and renewing.

The device grant works where people sit and on servers alike: the command shows an address and a
code, and the browser may be on another machine. Used by `login` and `logins`. The provider is asked
directly; the host only says which one it is, and checks what the provider signs.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import http.client
import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import click

_TIMEOUT_S: Final = 10.0
_BYTES_MAX: Final = 1_000_000
_INTERVAL_S: Final = 5.0
_INTERVAL_MIN_S: Final = 1.0
_SLOWER_BY_S: Final = 5.0
_LONGEST_S: Final = 1800.0
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"


class OidcError(click.ClickException):
    """The provider refused, or says what is not to be believed."""


class ProviderAway(OidcError):
    """The provider does not answer."""


class LoginEnded(click.ClickException):
    """Who is logged in is logged in no more."""

    # As for a host that does not know who calls.
    exit_code = 4


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the host says of the log-in.

    Attributes:
        issuer: The URL by which the provider names itself.
        client_id: What the command line is to it.
        scopes: What to ask for.
        audience: Whom the token is to be for; empty where the provider knows.
        bearer: ``id_token`` or ``access_token``: which of its tokens the host takes.
    """

    issuer: str
    client_id: str
    scopes: tuple[str, ...]
    audience: str = ""
    bearer: str = "id_token"


@dataclasses.dataclass(frozen=True)
class Session:
    """A log-in at a provider.

    Attributes:
        issuer: The provider.
        client_id: What the command line is to it.
        bearer: Which of its tokens the host takes.
        ends_at: When that ends, in seconds since 1970.
        refresh_token: What renews it; empty where the provider gives none.
    """

    issuer: str
    client_id: str
    bearer: str
    ends_at: float
    refresh_token: str = dataclasses.field(default="", repr=False)


def log_in(asked: Asked, show: Callable[[str, str], None]) -> tuple[str, Session]:
    """Have somebody log in; return what to send to the host, and how to renew it.

    Args:
        asked: At which provider, as what.
        show: Shows people the address to open, and the code to type there.

    Raises:
        OidcError: They did not, or the provider cannot be used.
    """
    provider = _discovered(asked.issuer)
    url = _endpoint(provider, "device_authorization_endpoint", asked.issuer)
    wanted = {"client_id": asked.client_id, "scope": " ".join(asked.scopes)}
    if asked.audience:
        wanted["audience"] = asked.audience
    begun = _post(url, wanted)
    show(
        str(begun.get("verification_uri_complete") or begun.get("verification_uri", "")),
        str(begun.get("user_code", "")),
    )
    answer = _awaited(_endpoint(provider, "token_endpoint", asked.issuer), asked.client_id, begun)
    return _session(answer, Session(asked.issuer, asked.client_id, asked.bearer, 0.0))


def renew(session: Session) -> tuple[str, Session]:
    """Return what to send to the host from now on, and how to renew that.

    Raises:
        ProviderAway: The provider does not answer now.
        OidcError: It refuses.
    """
    if not session.refresh_token:
        raise OidcError(f"{session.issuer} gave nothing that renews the log-in.")
    provider = _discovered(session.issuer)
    asked = {
        "grant_type": "refresh_token",
        "client_id": session.client_id,
        "refresh_token": session.refresh_token,
    }
    return _session(_post(_endpoint(provider, "token_endpoint", session.issuer), asked), session)


def revoke(session: Session) -> None:
    """Have the provider forget a log-in, where it can.

    Raises:
        OidcError: It does not.
    """
    url = _discovered(session.issuer).get("revocation_endpoint")
    if not session.refresh_token or not isinstance(url, str) or not _is_safe(url):
        return
    _post(
        url,
        {
            "client_id": session.client_id,
            "token": session.refresh_token,
            "token_type_hint": "refresh_token",
        },
    )


def _awaited(url: str, client_id: str, begun: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask for the tokens until somebody has logged in."""
    interval_s = max(_number(begun.get("interval"), _INTERVAL_S), _INTERVAL_MIN_S)
    ends_at = time.monotonic() + min(_number(begun.get("expires_in"), _LONGEST_S), _LONGEST_S)
    asked = {
        "grant_type": _DEVICE_GRANT,
        "client_id": client_id,
        "device_code": str(begun.get("device_code", "")),
    }
    pause = threading.Event()
    while time.monotonic() + interval_s < ends_at:
        pause.wait(interval_s)
        try:
            return _post(url, asked)
        except _Refused as refused:
            if refused.code == "slow_down":
                interval_s += _SLOWER_BY_S
            elif refused.code != "authorization_pending":
                raise
        except ProviderAway:
            interval_s = min(interval_s * 2, 60.0)
    raise OidcError("Nobody logged in before the code ended. Run the command again.")


class _Refused(OidcError):
    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _session(answer: Mapping[str, Any], before: Session) -> tuple[str, Session]:
    bearer = answer.get(before.bearer)
    if not isinstance(bearer, str) or not bearer.isascii() or not bearer.isprintable():
        raise OidcError(
            f"{before.issuer} gave no {before.bearer}, which the host wants. Tell an admin of the "
            "host: scopes and bearer in [access.oidc] must fit the provider."
        )
    lives_s = _number(answer.get("expires_in"), 300.0)
    ends_at = _claimed_end(bearer) or time.time() + lives_s
    # One that gives no new token that renews leaves the old one valid.
    refresh_token = str(answer.get("refresh_token") or before.refresh_token)
    return bearer, dataclasses.replace(before, ends_at=ends_at, refresh_token=refresh_token)


def _claimed_end(token: str) -> float | None:
    """Return when a token says that it ends. Only the host needs to check that."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _discovered(issuer: str) -> Mapping[str, Any]:
    if not _is_safe(issuer):
        raise OidcError(
            f"The host names the provider {issuer}, which is no address that begins with https://. "
            "Tell an admin of the host."
        )
    found = _call(f"{issuer.rstrip('/')}/.well-known/openid-configuration", None)
    if found.get("issuer") != issuer:
        raise OidcError(
            f"The provider at {issuer} says that it is {found.get('issuer')!r}. Tell an admin of "
            "the host: issuer in [access.oidc] must be what the provider says."
        )
    return found


def _endpoint(provider: Mapping[str, Any], name: str, issuer: str) -> str:
    url = provider.get(name)
    if not isinstance(url, str) or not _is_safe(url):
        raise OidcError(
            f"The provider {issuer} has no {name}, which logging in from a command line needs. "
            "Allow the device authorization grant there, or log in with a token: atoll login"
        )
    return url


def _post(url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    return _call(url, urllib.parse.urlencode(form).encode())


def _call(url: str, body: bytes | None) -> Mapping[str, Any]:
    request = urllib.request.Request(url, body, {"Accept": "application/json"})  # noqa: S310 - checked
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return _object(answer.read(_BYTES_MAX))
    except urllib.error.HTTPError as error:
        if error.code >= _SERVER_ERROR or error.code < _BAD_REQUEST:
            raise ProviderAway(_away(url, f"it answers with {error.code}")) from error
        said = _object(error.read(_BYTES_MAX))
        code = str(said.get("error", error.code))
        why = str(said.get("error_description", "")).strip()
        raise _Refused(f"{url} refuses: {code}{f' ({why})' if why else ''}.", code) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ProviderAway(_away(url, str(reason))) from error


def _away(url: str, why: str) -> str:
    return f"The identity provider cannot be asked at {url}: {why}. Try again later."


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        found: object = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another address is another party, who must not see what is sent."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _is_safe(url: str) -> bool:
    try:
        found = urllib.parse.urlsplit(url)
    except ValueError:
        return False
    if found.username is not None or not found.hostname:
        return False
    return found.scheme == "https" or (found.scheme == "http" and found.hostname in _LOOPBACK)


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else default

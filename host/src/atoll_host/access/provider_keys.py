"""The keys with which a provider signs: fetched from it, kept, and fetched anew when they change.

Read by `people` with each token. What is known goes on to count while the provider is away, so an
outage of it logs nobody out. A key that is not known has them fetched, at most once in
`REFETCH_AFTER_S`, however many tokens name keys that there are not; a key that the provider took
back is forgotten with the next fetch, after `FRESH_S` at the latest.
"""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import logging
import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any, cast

import jwt

from atoll_host import clock as clocks
from atoll_host import services
from atoll_host.access import oidc_settings

FRESH_S = 600.0
REFETCH_AFTER_S = 10.0
FETCH_TIMEOUT_S = 5.0
_WAIT_S = 12.0
_BYTES_MAX = 1_000_000
_KEYS_MAX = 100
_KINDS = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}

_log = logging.getLogger(__name__)


class ProviderError(Exception):
    """What a provider says of itself cannot be had, or is not to be believed.

    Attributes:
        url: What was asked for.
    """

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{url}: {problem}. Check `issuer` in [access.oidc], and the provider.")
        self.url = url


@dataclasses.dataclass(frozen=True, slots=True)
class ProviderKey:
    """A key of a provider.

    Attributes:
        key: What signatures are checked with.
        kind: RSA, EC or OKP.
        algorithm: The one that it is for; empty where the provider does not say.
    """

    key: Any = dataclasses.field(repr=False)
    kind: str
    algorithm: str = ""

    def fits(self, algorithm: str) -> bool:
        """Say whether it may be used with an algorithm."""
        fitting = algorithm.startswith(_KINDS.get(self.kind, ()))
        return fitting and self.algorithm in {"", algorithm}


class ProviderKeys(services.Loop):
    """The keys of one provider, by their ids."""

    def __init__(self, issuer: str, clock: clocks.Clock) -> None:
        super().__init__("keys of the identity provider")
        self._issuer = issuer
        self._clock = clock
        self._keys: Mapping[str, ProviderKey] = {}
        self._asked_at: float | None = None
        self._is_fetching = False
        self._wanted = asyncio.Event()
        self._fetched = asyncio.Event()
        self.version = 0

    async def key(self, key_id: str) -> ProviderKey | None:
        """Return a key by its id, None where the provider has none of it.

        Args:
            key_id: The id; empty names the only key of a provider that has one.
        """
        found = self._found(key_id)
        if found is None and self._may_ask():
            # Tokens by the hundred may wait for the same fetch.
            fetched = self._fetched
            if not self._is_fetching:
                self._wanted.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(fetched.wait(), _WAIT_S)
            found = self._found(key_id)
        return found

    async def run(self) -> None:
        """Fetch the keys, then again when they are old or when one is wanted that is not there."""
        while True:
            self._wanted.clear()
            self._asked_at = self._clock.monotonic()
            self._is_fetching = True
            try:
                self._keys = await asyncio.to_thread(fetch, self._issuer)
                self.version += 1
            except ProviderError as error:
                _log.warning(
                    "the keys of the identity provider cannot be fetched; those known go on "
                    "to count",
                    extra={"action": "fetch_provider_keys", "cause": str(error)},
                )
            finally:
                self._is_fetching = False
                self._fetched.set()
                self._fetched = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), FRESH_S)

    def _found(self, key_id: str) -> ProviderKey | None:
        if not key_id and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _may_ask(self) -> bool:
        """Say whether it is time to fetch; whoever comes during a fetch waits for that one."""
        if self._asked_at is None or self._is_fetching or self._wanted.is_set():
            return True
        return self._clock.monotonic() - self._asked_at >= REFETCH_AFTER_S


def of(
    settings: oidc_settings.OidcSettings | None, clock: clocks.Clock
) -> tuple[ProviderKeys, ...]:
    """Return the services that a host needs for its provider: one, or none without a provider."""
    return () if settings is None else (ProviderKeys(settings.issuer, clock),)


def fetch(issuer: str) -> dict[str, ProviderKey]:
    """Return what keys a provider signs with. Blocks for some seconds at the most.

    Raises:
        ProviderError: They cannot be had.
    """
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    described = _document(url)
    if described.get("issuer") != issuer:
        raise ProviderError(url, f"it is of {described.get('issuer')!r}, not of {issuer!r}")
    keys_url = described.get("jwks_uri")
    if not isinstance(keys_url, str) or not oidc_settings.is_safe(keys_url):
        raise ProviderError(url, f"its jwks_uri is {keys_url!r}, no URL to trust")
    listed = _document(keys_url).get("keys")
    if not isinstance(listed, list):
        raise ProviderError(keys_url, "it has no list of keys")
    found = usable(cast("list[object]", listed))
    if not found:
        raise ProviderError(keys_url, "it has no key that signs")
    return found


def usable(listed: list[object]) -> dict[str, ProviderKey]:
    """Return those of the keys that sign and are not secret, by their ids. Pure."""
    found: dict[str, ProviderKey] = {}
    for each in listed[:_KEYS_MAX]:
        if not isinstance(each, dict):
            continue
        told = cast("dict[str, Any]", each)
        if str(told.get("kty")) not in _KINDS or told.get("use", "sig") != "sig":
            continue
        # A provider may have keys for what this host knows nothing of.
        with contextlib.suppress(jwt.PyJWTError, ValueError, TypeError, KeyError):
            key = jwt.PyJWK(told).key
            kept = ProviderKey(key, str(told["kty"]), str(told.get("alg", "")))
            found[str(told.get("kid", ""))] = kept
    return found


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Another address is another party."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _document(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(
        _NoRedirects, urllib.request.HTTPSHandler(context=ssl.create_default_context())
    )
    asked = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked: oidc_settings.is_safe
    try:
        with opener.open(asked, timeout=FETCH_TIMEOUT_S) as answer:
            read = answer.read(_BYTES_MAX)
        document = json.loads(read)
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise ProviderError(url, f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict):
        raise ProviderError(url, "it is no JSON object")
    return cast("dict[str, Any]", document)

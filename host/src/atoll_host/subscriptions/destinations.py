"""Decides where requests may go: which URLs, and which addresses behind their names. Pure.

Called by the API when a URL is given, and by `sending` for each address that a name resolves to,
right before it connects to just that address: a name that points elsewhere a moment later leads
nowhere.
"""

import dataclasses
import fnmatch
import ipaddress
import urllib.parse

from atoll_host.subscriptions import subscription_settings

URL_CHARACTERS_MAX = 2048
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """A request may not go there. The message says why, and holds no part of a URL but its host."""


@dataclasses.dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads.

    Attributes:
        encrypted: Whether it is https.
        host: The name or address.
        port: The port.
        target: Path and query, as a request line has them.
    """

    encrypted: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the header Host says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == _PORTS["https" if self.encrypted else "http"]
        return host if usual else f"{host}:{self.port}"


def read(url: str, settings: subscription_settings.SubscriptionSettings) -> Destination:
    """Return where a URL leads, as far as the URL tells.

    Raises:
        Forbidden: It is none, or its host may not be called.
    """
    destination = _parse(url)
    if settings.allowed_hosts and not any(
        fnmatch.fnmatchcase(destination.host, pattern.lower()) for pattern in settings.allowed_hosts
    ):
        raise Forbidden(
            f"The host {destination.host!r} is none that [subscriptions] allowed_hosts names."
        )
    address = _address_of(destination.host)
    if address is not None:
        check(address, settings)
    is_local = destination.host == "localhost" or (address is not None and address.is_loopback)
    if not destination.encrypted and not (is_local and settings.allow_loopback):
        raise Forbidden(
            "The URL is not encrypted. Write https://; http:// is for loopback only, where "
            "[subscriptions] allow_loopback is set."
        )
    return destination


def check(address: Address, settings: subscription_settings.SubscriptionSettings) -> None:
    """Refuse an address that may not be called.

    Raises:
        Forbidden: It is private, of this machine, or of no single machine.
    """
    meant = _meant(address)
    if meant.is_multicast or meant.is_unspecified:
        raise Forbidden(f"The address {meant} is that of no single machine.")
    if meant.is_loopback:
        if not settings.allow_loopback:
            raise Forbidden(
                f"The address {meant} is that of the host itself, which [subscriptions] "
                "allow_loopback would have to allow."
            )
        return
    if not meant.is_global and not any(
        meant.version == network.version and meant in network
        for network in settings.allowed_networks
    ):
        raise Forbidden(
            f"The address {meant} is private. An operator of the host can allow it in "
            "[subscriptions] allowed_networks."
        )


def _parse(url: str) -> Destination:
    problem = Forbidden(
        "That is no URL that can be called. Write one such as https://example.org/hook, without "
        "user, password and fragment."
    )
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise problem
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        raise problem from None
    well_formed = (
        parts.scheme in _PORTS
        and host
        and port != 0
        and not parts.fragment
        and "@" not in parts.netloc
        and "%" not in host
        and "\\" not in url
    )
    if not well_formed:
        raise problem
    query = f"?{parts.query}" if parts.query else ""
    return Destination(
        parts.scheme == "https", host, port or _PORTS[parts.scheme], (parts.path or "/") + query
    )


def _address_of(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _meant(address: Address) -> Address:
    """Return the address that is meant by one that carries another."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address

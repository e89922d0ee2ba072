"""Requests go to public places over https, and elsewhere only where settings say so."""

import ipaddress

import pytest

from atoll_host.subscriptions import destinations, subscription_settings


def settings_of(**fields) -> subscription_settings.SubscriptionSettings:
    return subscription_settings.SubscriptionSettings(**fields)


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "authority"),
    [
        ("https://example.org", "example.org", 443, "/", "example.org"),
        ("https://Example.org:8443/a/b?c=d", "example.org", 8443, "/a/b?c=d", "example.org:8443"),
        ("https://93.184.216.34/x", "93.184.216.34", 443, "/x", "93.184.216.34"),
        ("https://[2606:2800::1]:444/", "2606:2800::1", 444, "/", "[2606:2800::1]:444"),
    ],
)
def test_public_places_are_called(url, host, port, target, authority) -> None:
    found = destinations.read(url, settings_of())
    assert found == destinations.Destination(True, host, port, target)
    assert found.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://example.org/hook",
        "https://",
        "https://user:secret@example.org/",
        "https://example.org@evil.test/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://example.org/\r\nhost: other",
        "https://example.org\\@evil.test/",
        "https://bücher.example/",
        "https://example.org/" + "x" * 2050,
        "https://[::1",
        "https://%31%32%37.0.0.1/",
    ],
)
def test_what_is_no_place_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(destinations.Forbidden) as raised:
        destinations.read(url, settings_of(allow_loopback=True))
    assert "secret" not in str(raised.value)


PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104 - refused, not bound to
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:a00:1::",
    "2001:db8::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address: str) -> None:
    with pytest.raises(destinations.Forbidden):
        destinations.check(ipaddress.ip_address(address), settings_of())
    shown = f"[{address}]" if ":" in address else address
    with pytest.raises(destinations.Forbidden):
        destinations.read(f"https://{shown}/", settings_of())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5"])
def test_a_private_network_can_be_allowed(address: str) -> None:
    allowed = settings_of(allowed_networks=["10.1.0.0/16", "fd00:1::/32"])
    destinations.check(ipaddress.ip_address(address), allowed)
    with pytest.raises(destinations.Forbidden):
        destinations.check(ipaddress.ip_address("10.2.2.3"), allowed)


def test_loopback_is_allowed_by_its_own_setting_and_without_encryption() -> None:
    allowed = settings_of(allow_loopback=True)
    destinations.check(ipaddress.ip_address("127.0.0.1"), allowed)
    assert not destinations.read("http://127.0.0.1:80/", allowed).encrypted
    assert not destinations.read("http://localhost/", allowed).encrypted
    with pytest.raises(destinations.Forbidden):
        destinations.read("http://localhost/", settings_of(allowed_networks=["127.0.0.0/8"]))


def test_hosts_can_be_narrowed() -> None:
    narrowed = settings_of(allowed_hosts=["*.example.org", "hooks.test"])
    for host in ("a.example.org", "hooks.test"):
        destinations.read(f"https://{host}/", narrowed)
    for host in ("example.org", "example.org.evil.test", "other.test"):
        with pytest.raises(destinations.Forbidden, match="allowed_hosts"):
            destinations.read(f"https://{host}/", narrowed)

"""What a code server makes of the options for its certificates."""

import pytest

from atoll._rpc import errors, peer_identities
from atoll._server import securing, settings
from tests import certificates


def chosen(**changes) -> settings.Settings:
    values = {"location_name": "here", "target": None, "state_path": None}
    return settings.Settings(**values, **changes)


@pytest.mark.parametrize(
    ("advertise", "told"),
    [
        ("", "127.0.0.1:4711"),
        ("sales.example.org", "sales.example.org:4711"),
        ("sales.example.org:80", "sales.example.org:80"),
        ("sales.example.org:0", "sales.example.org:4711"),
        ("[fd00::1]", "[fd00::1]:4711"),
    ],
)
def test_the_host_is_told_where_to_reach_it(advertise, told):
    assert securing.advertised(chosen(advertise=advertise), "127.0.0.1:4711") == told


def test_every_address_of_a_machine_is_nothing_to_connect_to():
    with pytest.raises(errors.InvalidArgumentError, match="--advertise"):
        securing.advertised(chosen(), "0.0.0.0:4711")
    assert securing.advertised(chosen(advertise="10.0.0.5"), "0.0.0.0:4711") == "10.0.0.5:4711"


@pytest.mark.parametrize(
    "peer",
    [
        None,
        peer_identities.PeerIdentity(peer_identities.PeerKind.LOCATION, "other"),
        peer_identities.PeerIdentity(peer_identities.PeerKind.USER, "ann"),
    ],
)
def test_nobody_but_hosts_may_call(peer):
    securing.only_hosts(peer_identities.PeerIdentity(peer_identities.PeerKind.HOST))
    with pytest.raises(errors.PermissionDeniedError, match="Only hosts"):
        securing.only_hosts(peer)


def test_files_that_lack_others_are_told(tmp_path):
    pair = certificates.Authority(tmp_path).pair("sales", "atoll:location:sales")
    for given, told in (
        (settings.Certificates(pair.certificate), "--tls-key is missing"),
        (settings.Certificates(None, pair.key), "--tls-certificate is missing"),
        (settings.Certificates(client_ca=pair.certificate), "--tls-client-ca"),
    ):
        with pytest.raises(errors.InvalidArgumentError, match=told):
            securing.security_of(given)


def test_with_an_authority_of_hosts_certificates_are_required(tmp_path):
    ca = certificates.Authority(tmp_path)
    pair = ca.pair("sales", "atoll:location:sales")
    open_to_all = securing.security_of(settings.Certificates(pair.certificate, pair.key))
    assert open_to_all is not None
    assert open_to_all.admit is None
    asking = securing.security_of(settings.Certificates(pair.certificate, pair.key, ca.path))
    assert asking is not None
    assert asking.admit is securing.only_hosts
    assert securing.security_of(settings.Certificates()) is None

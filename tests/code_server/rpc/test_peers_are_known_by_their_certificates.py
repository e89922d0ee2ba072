"""Who a peer is, from what gRPC and ssl tell of a verified certificate."""

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll._rpc import peer_identities
from atoll._rpc.peer_identities import PeerIdentity, PeerKind


@pytest.mark.parametrize(
    ("uri", "identity"),
    [
        ("atoll:host", PeerIdentity(PeerKind.HOST)),
        ("atoll:location:sales", PeerIdentity(PeerKind.LOCATION, "sales")),
        ("atoll:user:ann@example.org", PeerIdentity(PeerKind.USER, "ann@example.org")),
    ],
)
def test_an_identity_is_a_uri(uri, identity):
    assert peer_identities.of_uris([uri, "spiffe://else/where"]) == identity
    assert identity.uri == uri
    assert peer_identities.of_auth_context({"peer_uri": [uri.encode()]}) == identity
    names = (("DNS", "atoll:host"), ("URI", uri))
    assert peer_identities.of_peer_certificate({"subjectAltName": names}) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "atoll:",
        "atoll:host:",
        "atoll:host:x",
        "atoll:location:",
        "atoll:location:a b",
        "atoll:location:a/b",
        "atoll:location:" + "x" * 101,
        "atoll:user:",
        "atoll:user:\n",
        "atoll:location:sales\n",
        "ATOLL:host",
        "atoll:admin",
    ],
)
def test_what_makes_no_sense_is_nobody(uri):
    assert peer_identities.of_uris([uri]) is None


def test_a_certificate_with_two_identities_is_nobody():
    assert peer_identities.of_uris(["atoll:host", "atoll:location:sales"]) is None
    assert peer_identities.of_uris(["atoll:host", "atoll:host"]) is not None


def test_a_host_name_does_not_pass_for_a_uri():
    context = {"x509_subject_alternative_name": [b"atoll:host"], "peer_dns": [b"atoll:host"]}
    assert peer_identities.of_auth_context(context) is None


def test_no_certificate_is_nobody():
    assert peer_identities.of_auth_context({"transport_security_type": [b"ssl"]}) is None
    assert peer_identities.of_ssl_object(None) is None


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.lists(st.text(max_size=30) | st.text(max_size=10).map("atoll:".__add__)))
def test_whatever_is_read_is_written_alike(uris):
    found = peer_identities.of_uris(uris)
    if found is not None:
        assert found.uri in uris

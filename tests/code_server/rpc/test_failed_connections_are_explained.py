"""What gRPC tells of a failed handshake, in several releases of it, and what people are told."""

import hypothesis
import pytest
from hypothesis import strategies as st

from atoll._rpc import connecting

BEGIN = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ("Ssl handshake failed: SSL_ERROR_SSL: WRONG_VERSION_NUMBER", "it speaks no TLS"),
        ("Peer name other is not in peer certificate", "is for another name"),
        ("Custom verification check failed: Hostname Verification Check failed.", "another name"),
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired", "Renew it"),
        ("CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate", "not trusted here."),
        ("CERTIFICATE_VERIFY_FAILED: self signed certificate: OK", "not trusted here."),
        ("CERTIFICATE_VERIFY_FAILED", "cannot be verified"),
        ("CERTIFICATE_VERIFY_FAILED: certificate is not yet valid", "Check the clocks"),
    ],
)
@pytest.mark.parametrize("secured", [True, None])
def test_a_cause_is_told_with_what_to_do(details, told, secured):
    explained = connecting.explain(BEGIN + details, peer="a:1", secured=secured)
    assert explained is not None
    assert explained.startswith("There is no connection to a:1: ")
    assert told in explained


def test_a_closed_connection_means_something_else_on_either_side():
    plain = connecting.explain(BEGIN + "Socket closed", secured=False)
    secured = connecting.explain(BEGIN + "Socket closed", secured=True)
    assert "as servers do that speak TLS" in (plain or "")
    assert "as servers do that ask for a client certificate" in (secured or "")
    assert connecting.explain(BEGIN + "Socket closed") is None


@pytest.mark.parametrize("secured", [True, False, None])
def test_nobody_there_is_not_blamed_on_tls(secured):
    assert connecting.explain(BEGIN + "Connection refused", secured=secured) is None
    assert connecting.last_of(BEGIN + "Connection refused") == "Connection refused"


@hypothesis.settings(max_examples=100)
@hypothesis.given(st.text(), st.sampled_from([True, False, None]))
def test_any_other_text_is_left_to_others(details, secured):
    assert connecting.explain(details, secured=secured) is None

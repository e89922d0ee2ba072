"""What requests are taken, and which pages may have sent them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll_host.http import guarding

LOOPBACK = guarding.policy("127.0.0.1", (), ())


def judged(policy=LOOPBACK, scheme="http", target=b"/", count=1, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("host", "127.0.0.1:4701")
    found = guarding.judge(policy, scheme=scheme, target=target, headers=named, count=count)
    return None if found is None else found.status


@pytest.mark.parametrize(
    "host", ["127.0.0.1:4701", "localhost", "LOCALHOST:4701", "[::1]:4701", "[::1]", "127.0.0.1"]
)
def test_loopback_is_called_by_its_own_names(host):
    assert judged(host=host) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4701", "", "127.0.0.1.evil.example", "[::1", "10.0.0.1"]
)
def test_no_other_name_reaches_loopback(host):
    assert judged(host=host) == 421


def test_names_can_be_allowed():
    policy = guarding.policy("127.0.0.1", ["data.example.com"], ())
    assert judged(policy, host="data.example.com:443") is None
    assert judged(policy, host="localhost:1") is None
    assert judged(policy, host="other.example.com") == 421


def test_a_host_that_others_reach_is_called_by_any_name_unless_some_are_given():
    assert judged(guarding.policy("10.0.0.1", (), ()), host="whatever:1") is None
    named = guarding.policy("10.0.0.1", ["data.example.com"], ())
    assert judged(named, host="whatever:1") == 421
    assert judged(named, host="10.0.0.1:4701") is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "https://127.0.0.1:4701",
        "http://127.0.0.1",
        "http://127.0.0.1:4702",
        "http://127.0.0.1:4701.evil.example",
    ],
)
def test_pages_of_other_origins_may_not_call(origin):
    assert judged(origin=origin) == 403


def test_pages_of_the_host_itself_and_of_allowed_origins_may_call():
    policy = guarding.policy("127.0.0.1", (), ["https://data.example.com"])
    assert judged(origin="http://127.0.0.1:4701") is None
    assert judged(scheme="https", origin="https://127.0.0.1:4701") is None
    assert judged(policy, origin="https://data.example.com", sec_fetch_site="cross-site") is None


@pytest.mark.parametrize(
    ("site", "status"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", None), ("none", None), ("?", 403)],
)
def test_what_a_browser_sends_for_another_site_is_refused(site, status):
    assert judged(sec_fetch_site=site) == status


def test_heads_that_are_no_text_or_too_long_are_refused():
    assert guarding.head_of([(b"host", b"\xff")]) is None
    refused = guarding.judge(LOOPBACK, scheme="http", target=b"/", headers=None)
    assert refused is not None
    assert refused.status == 400
    assert judged(count=1000) == 400
    assert judged(target=b"/" * 40_000) == 414


def test_headers_that_come_twice_are_joined():
    found = guarding.head_of([(b"Origin", b"a"), (b"origin", b"b"), (b"x", "é".encode())])
    assert found == {"origin": "a, b", "x": "é"}


def called(method="POST", query=b"", *, reads=True, streams=False, bytes_max=100, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    rpc = guarding.Rpc(reads, streams)
    found = guarding.judge_call(method, query, named, rpc=rpc, bytes_max=bytes_max)
    return None if found is None else found.status


@pytest.mark.parametrize(
    ("content_type", "streams", "status"),
    [
        ("application/json", False, None),
        ("Application/JSON; charset=utf-8", False, None),
        ("application/proto", False, None),
        ("application/connect+json", True, None),
        ("application/connect+proto", True, None),
        ("application/json", True, None),
        ("application/connect+json", False, 415),
        ("text/plain", False, 415),
        ("application/x-www-form-urlencoded", False, 415),
        ("multipart/form-data", False, 415),
        ("application/grpc", False, 415),
        ("", False, 415),
    ],
)
def test_a_body_says_what_it_is(content_type, streams, status):
    assert called(streams=streams, content_type=content_type) == status


@pytest.mark.parametrize(
    ("method", "reads", "streams", "status"),
    [
        ("GET", True, False, None),
        ("GET", False, False, 405),
        ("GET", True, True, 405),
        ("PUT", True, False, 405),
        ("HEAD", True, False, 405),
    ],
)
def test_only_what_reads_is_called_with_get(method, reads, streams, status):
    query = b"encoding=json&message=%7B%7D"
    assert called(method, query, reads=reads, streams=streams) == status


@pytest.mark.parametrize("query", [b"", b"encoding=json", b"message=x", b"encoding=x&message=x"])
def test_with_get_the_request_is_in_the_query(query):
    assert called("GET", query) == 400


def test_what_is_too_long_or_compressed_is_refused_before_it_is_read():
    json = "application/json"
    assert called(content_type=json, content_length="100") is None
    assert called(content_type=json, content_length="101") == 413
    assert called(content_type=json, content_length="9" * 5000) == 413
    assert called(content_type=json, content_encoding="gzip") == 415


@given(
    host=st.text(max_size=40),
    origin=st.none() | st.text(max_size=40),
    site=st.none() | st.text(max_size=10),
    query=st.binary(max_size=40),
)
def test_nothing_that_is_sent_makes_the_judge_stumble(host, origin, site, query):
    headers = {"host": host, "origin": origin, "sec_fetch_site": site}
    judged(**{name: value for name, value in headers.items() if value is not None})
    called("GET", query)

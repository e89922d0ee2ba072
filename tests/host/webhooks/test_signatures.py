"""Who holds the secret gets in, lately; nobody else does."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll_host.webhooks import deliveries, signatures

SECRET = b"a secret"
NOW = 1_800_000_000.0
RULES = signatures.Rules(tolerance_s=300.0)
STRICT = signatures.Rules(tolerance_s=300.0, require_timestamp=True)


def signed(body: bytes, *, header: str = "x-atoll-signature-256", secret: bytes = SECRET, **more):
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return {header: f"sha256={digest}", **more}


def is_valid(headers, body: bytes = b"body", *, secret=SECRET, rules=RULES) -> bool:
    return signatures.is_valid(secret, headers, body, NOW, rules)


@pytest.mark.parametrize("header", signatures.SIGNATURE_HEADERS)
def test_a_signature_of_the_body_is_taken(header) -> None:
    assert is_valid(signed(b"body", header=header))
    upper = {header: signed(b"body")["x-atoll-signature-256"].replace("sha256=", "")}
    upper = {header: "sha256=" + upper[header].upper()}
    assert is_valid(upper)


@given(body=st.binary(max_size=200), secret=st.binary(min_size=1, max_size=64))
def test_what_is_signed_is_what_is_checked(body: bytes, secret: bytes) -> None:
    headers = {"x-atoll-signature-256": signatures.sign(secret, body)}
    assert is_valid(headers, body, secret=secret)
    assert not is_valid(headers, body + b"x", secret=secret)
    assert not is_valid(headers, body, secret=secret + b"x")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-atoll-signature-256": ""},
        {"x-atoll-signature-256": "sha256="},
        {"x-atoll-signature-256": "sha256=" + "0" * 64},
        {"x-atoll-signature-256": "sha1=" + "0" * 64},
        {"x-atoll-signature-256": signed(b"body")["x-atoll-signature-256"][7:]},
        {"x-atoll-signature-256": "sha256=" + "\u0663" * 64},
        signed(b"other"),
        signed(b"body", secret=b"guess"),
        # The first header counts; a second one is no second try.
        {**signed(b"body", header="x-hub-signature-256"), "x-atoll-signature-256": "sha256=x"},
    ],
)
def test_anything_else_is_refused(headers) -> None:
    assert not is_valid(headers)


def test_where_there_is_no_secret_nothing_fits() -> None:
    nobodys = {"x-atoll-signature-256": signatures.sign(b"\0" * 32, b"body")}
    assert not is_valid(nobodys, secret=None)


@pytest.mark.parametrize(
    ("age_s", "fits"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_signed_timestamp_has_to_be_of_late(age_s: int, fits: bool) -> None:
    timestamp = str(int(NOW) - age_s)
    headers = {
        "x-atoll-signature-256": signatures.sign(SECRET, b"body", timestamp),
        "x-atoll-timestamp": timestamp,
    }
    assert is_valid(headers) is fits
    assert is_valid(headers, rules=STRICT) is fits


def test_a_timestamp_is_part_of_what_is_signed() -> None:
    timestamp = str(int(NOW))
    assert not is_valid({**signed(b"body"), "x-atoll-timestamp": timestamp})
    headers = {"x-atoll-signature-256": signatures.sign(SECRET, b"body", timestamp)}
    assert not is_valid(headers)
    for wrong in ("now", "-1", "1e9", "9" * 20):
        told = {
            "x-atoll-signature-256": signatures.sign(SECRET, b"body", wrong),
            "x-atoll-timestamp": wrong,
        }
        assert not is_valid(told)


def test_a_timestamp_may_be_demanded() -> None:
    assert is_valid(signed(b"body"))
    assert not is_valid(signed(b"body"), rules=STRICT)


def test_the_id_of_a_delivery_is_that_of_its_sender() -> None:
    assert deliveries.id_of({"x-github-delivery": " abc "}, lambda: "new") == "abc"
    assert deliveries.id_of({"x-atoll-delivery": "a", "x-github-delivery": "b"}, str) == "a"
    assert deliveries.id_of({}, lambda: "new") == "new"
    long = deliveries.id_of({"webhook-id": "x" * 5000}, str)
    assert long == deliveries.id_of({"webhook-id": "x" * 5000}, str)
    assert len(long) < 100
    assert deliveries.id_of({"webhook-id": "a\x00b"}, str).startswith("sha256:")


def test_headers_that_hold_credentials_are_not_kept() -> None:
    given_headers = {
        "authorization": "Bearer x",
        "cookie": "session",
        "x-api-key": "k",
        "x-atoll-signature-256": "sha256=x",
        "x-hub-signature-256": "sha256=x",
        "content-type": "text/plain",
        "x-event": "a\x00b",
    }
    assert deliveries.kept(given_headers) == {"content-type": "text/plain", "x-event": "a\ufffdb"}
    many = {f"h{number}": "v" * 20_000 for number in range(500)}
    kept = deliveries.kept(many)
    assert len(kept) == deliveries.HEADERS_MAX
    assert {len(value) for value in kept.values()} == {deliveries.HEADER_CHARACTERS_MAX}


def test_a_message_is_signed_as_the_scheme_of_standard_webhooks_says() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = signatures.sign_message(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

"""Each mistake with the files of certificates and keys is told with its file and what to do."""

import datetime as dt
import re

import hypothesis
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from atoll._rpc import certificate_dates, errors, pem_files, reasons, tls
from atoll_host.certs import issuing
from tests import certificates


@pytest.fixture
def ca(tmp_path):
    return certificates.Authority(tmp_path)


@pytest.fixture
def pair(ca):
    return ca.pair("host", "atoll:host")


def problem(files: tls.ServerFiles | tls.ClientFiles) -> str:
    kind = tls.ServerTls if isinstance(files, tls.ServerFiles) else tls.ClientTls
    with pytest.raises(errors.FailedPreconditionError) as caught:
        kind(files)
    assert caught.value.reason == reasons.TLS_FILE_UNUSABLE
    return caught.value.message


def told(pair: pem_files.Pair) -> str:
    message = problem(tls.ServerFiles(pair))
    assert str(pair.certificate) in message or str(pair.key) in message
    return message


def test_a_file_that_is_not_there(pair):
    pair.key.unlink()
    assert "does not exist. Name the file of the private key" in told(pair)
    pair.certificate.unlink()
    assert "does not exist. Name the file of the certificate" in told(pair)


def test_a_folder_instead_of_a_file(pair):
    pair.key.unlink()
    pair.key.mkdir(mode=0o700)
    assert "is a folder" in told(pair)


def test_a_certificate_that_is_no_pem(pair):
    pair.certificate.write_text("hello")
    assert "is no certificate in PEM" in told(pair)


@pytest.mark.parametrize("content", ["AAAA", "MIIB", "!!", ""])
def test_a_certificate_that_is_damaged(pair, content):
    pair.certificate.write_text(
        f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n"
    )
    assert "Make it anew" in told(pair)


def test_a_key_that_is_no_pem(pair):
    pair.key.write_text("hello")
    assert "is no private key in PEM" in told(pair)


def test_a_key_of_another_certificate(pair, ca):
    certificates.write(
        pem_files.Pair(pair.certificate.with_suffix(".x"), pair.key), ca.issue("atoll:host")
    )
    assert f"is not the key of the certificate {pair.certificate}" in told(pair)


def test_a_key_that_everybody_may_read_is_refused_and_one_for_a_group_is_not(pair):
    pair.key.chmod(0o640)
    tls.ServerTls(tls.ServerFiles(pair))
    pair.key.chmod(0o604)
    assert re.search(r"everybody on this machine \(mode 0604\)\. Run: chmod 600", told(pair))


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(pair):
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    pair.key.write_bytes(locked)
    assert "locked with a passphrase" in told(pair)


def test_a_certificate_that_has_expired(ca):
    pair = ca.pair("old", "atoll:host", now=certificates.NOW - dt.timedelta(days=9), days=1)
    assert re.search(r"expired at \d{4}-\d\d-\d\d .* Renew", told(pair))


def test_a_certificate_that_does_not_hold_yet(ca):
    pair = ca.pair("new", "atoll:host", now=certificates.NOW + dt.timedelta(days=9))
    assert "on only. Wait, or check the clock" in told(pair)


def test_a_private_key_among_authorities(pair):
    assert "holds a private key" in problem(tls.ClientFiles(pair.key))


def test_client_certificates_without_their_authority(pair):
    files = tls.ServerFiles(pair, client_certificates=tls.ClientCertificates.REQUIRED)
    assert "Name the file" in problem(files)


@pytest.mark.parametrize(("certificate", "key"), [("c", None), (None, "k"), ("c", "k")])
def test_files_of_a_client_that_lack_others(tmp_path, certificate, key):
    with pytest.raises(errors.InvalidArgumentError, match="Name"):
        tls.client_files(None, certificate and tmp_path / certificate, key and tmp_path / key)
    assert tls.client_files(None, None, None) is None


def test_nothing_of_a_key_is_in_a_representation(pair, ca):
    secret = pair.key.read_text().splitlines()[1]
    given = tls.ServerTls(tls.ServerFiles(pair))
    dialed = tls.ClientTls(tls.ClientFiles(ca.path, pair))
    shown = [
        repr(each) for each in (given, vars(given), dialed, vars(dialed), given._watched.look())
    ]
    shown.append(repr(ca.issue("atoll:host")))
    assert not any(secret in each or "PRIVATE" in each for each in shown)


@hypothesis.settings(max_examples=20)
@hypothesis.given(
    st.integers(-6000, 40_000),
    st.integers(1, 9000),
)
def test_the_dates_are_those_that_the_certificate_has(begins, days):
    now = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=begins)
    made = issuing.authority("x", now=now, days=days)
    known = x509.load_pem_x509_certificate(made.certificate)
    dates = certificate_dates.read(known.public_bytes(serialization.Encoding.DER))
    assert dates.begins_s == known.not_valid_before_utc.timestamp()
    assert dates.ends_s == known.not_valid_after_utc.timestamp()


@hypothesis.settings(max_examples=200)
@hypothesis.given(st.binary(max_size=80))
def test_what_is_no_certificate_is_said_to_be_none(data):
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        certificate_dates.read(data)

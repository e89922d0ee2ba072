"""`atoll certs`: what it writes, what it refuses, and what it shows."""

import datetime as dt
import json
import stat

import pytest
from click import testing
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid, verification

from atoll._rpc import pem_files, tls
from atoll_host.certs import command
from tests import certificates


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "certs"


def run(*arguments: str) -> testing.Result:
    return testing.CliRunner().invoke(command.certs, [*arguments])


def made(*arguments: str) -> str:
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    assert "PRIVATE" not in done.output
    return done.output


def read(path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def verified(folder, name: str) -> x509.Certificate:
    """Verify as a strict peer would, for serving at localhost and for calling."""
    found = read(folder / f"{name}.crt")
    builder = verification.PolicyBuilder().store(verification.Store([read(folder / "ca.crt")]))
    builder.build_client_verifier().verify(found, [])
    if not name.startswith("user"):
        subject = x509.DNSName("localhost")
        builder.build_server_verifier(subject).verify(found, [])
    return found


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.mark.parametrize(
    ("arguments", "file", "uri"),
    [
        (["host"], "host", "atoll:host"),
        (["location", "sales"], "location-sales", "atoll:location:sales"),
        (["user", "ann@example.org"], "user-ann@example.org", "atoll:user:ann@example.org"),
    ],
)
def test_what_is_made_is_what_a_strict_peer_takes(folder, arguments, file, uri):
    made("init")
    out = made("create", *arguments)
    assert str(folder.name + f"/{file}.crt") in out
    found = verified(folder, file)
    assert names(found).get_values_for_type(x509.UniformResourceIdentifier) == [uri]
    assert isinstance(found.public_key(), ec.EllipticCurvePublicKey)
    assert found.public_key().curve.name == "secp256r1"
    pair = pem_files.Pair(folder / f"{file}.crt", folder / f"{file}.key")
    tls.ServerTls(tls.ServerFiles(pair, folder / "ca.crt"))


def test_only_the_owner_reads_keys(folder):
    made("init")
    made("create", "host")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert modes == {"ca.key": 0o600, "host.key": 0o600}
    assert sorted(path.name for path in folder.iterdir()) == [
        "ca.crt",
        "ca.key",
        "host.crt",
        "host.key",
    ]


def test_names_and_addresses_are_added_to_those_of_this_machine(folder):
    made("init")
    made("create", "host", "--dns", "h.example.org", "--ip", "10.0.0.5", "--ip", "fd00::1")
    found = names(read(folder / "host.crt"))
    assert found.get_values_for_type(x509.DNSName) == ["localhost", "h.example.org"]
    shown = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    assert shown == ["127.0.0.1", "::1", "10.0.0.5", "fd00::1"]


def test_a_user_cannot_pass_for_a_server(folder):
    made("init")
    made("create", "user", "ann")
    usages = read(folder / "user-ann.crt").extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usages.value) == [oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_nothing_is_replaced_unasked(folder):
    made("init")
    made("create", "host")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (("init",), ("create", "host")):
        done = run(*arguments)
        assert done.exit_code == 1
        assert "exists. Use --force" in done.output
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    made("create", "host", "--force")
    assert (folder / "host.key").read_bytes() != before[folder / "host.key"]


def test_lives_are_short_and_end_with_the_authority(folder):
    made("init", "--days", "10")
    made("create", "host", "--days", "3")
    made("create", "user", "ann")
    ends = {name: read(folder / f"{name}.crt").not_valid_after_utc for name in ("ca", "host")}
    assert ends["host"] - read(folder / "host.crt").not_valid_before_utc < dt.timedelta(days=3.1)
    assert read(folder / "user-ann.crt").not_valid_after_utc <= ends["ca"]


def test_without_an_authority_nothing_is_made(folder):
    done = run("create", "host")
    assert done.exit_code == 1
    assert "atoll certs init" in done.output
    assert not folder.exists()


def test_an_authority_that_ends_makes_nothing(folder):
    folder.mkdir()
    authority = certificates.issuing.authority(
        "old", now=certificates.NOW - dt.timedelta(days=9), days=8
    )
    (folder / "ca.crt").write_bytes(authority.certificate)
    (folder / "ca.key").write_bytes(authority.key)
    done = run("create", "host")
    assert done.exit_code == 1
    assert "the authority ends at" in done.output


@pytest.mark.parametrize("arguments", [("location", "../x"), ("user", "a b"), ("location", "")])
def test_what_is_no_name_is_refused(folder, arguments):
    made("init")
    done = run("create", *arguments)
    assert done.exit_code == 2
    assert "is no name" in done.output


def test_what_is_no_address_is_refused(folder):
    made("init")
    done = run("create", "host", "--ip", "10.0.0")
    assert done.exit_code == 1
    assert "Check --ip" in done.output
    assert not (folder / "host.key").exists()


def test_a_certificate_is_shown_to_people_and_programs(folder):
    made("init")
    made("create", "location", "sales", "--dns", "s.example.org")
    shown = made("show", "certs/location-sales.crt")
    assert "identity:  atoll:location:sales" in shown
    assert "s.example.org" in shown
    (told,) = json.loads(made("show", "certs/location-sales.crt", "--json"))
    assert told["identity"] == "atoll:location:sales"
    assert told["dns"] == ["localhost", "s.example.org"]
    assert not told["authority"]
    assert not told["expired"]
    (authority,) = json.loads(made("show", "certs/ca.crt", "--json"))
    assert authority["authority"]


def test_a_key_is_not_shown(folder):
    made("init")
    done = run("show", "certs/ca.key")
    assert done.exit_code == 1
    assert "is not shown" in done.output
    assert (folder / "ca.key").read_text().splitlines()[1] not in done.output


def test_what_is_no_certificate_is_said_to_be_none(folder):
    folder.mkdir()
    (folder / "x").write_text("hello")
    done = run("show", "certs/x")
    assert done.exit_code == 1
    assert "is no certificate" in done.output

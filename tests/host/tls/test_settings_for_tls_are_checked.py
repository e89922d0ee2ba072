"""The section [tls], and which addresses need it."""

import pathlib

import pytest

from atoll_host import errors, settings, settings_file
from atoll_host.dev import project
from atoll_host.tls import tls_settings
from atoll_host.webhooks import webhook_settings

PAIR = {"certificate": "c", "key": "k"}


def problems(document) -> list[str]:
    _, found = settings_file.read(document, pathlib.Path("/etc/atoll"))
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"certificate": "c"}, "give both or neither"),
        ({"locations_key": "c"}, "give both or neither"),
        ({"client_ca": "c"}, "say nothing without a certificate"),
        ({**PAIR, "client_certificates": "required"}, "needs client_ca"),
        ({**PAIR, "client_certificates": "sometimes"}, "'none', 'optional' or 'required'"),
        ({**PAIR, "certificates_listen": "127.0.0.1:1"}, "needs client_ca"),
        ({**PAIR, "client_ca": "a", "certificates_listen": "x"}, "is no address"),
        (
            {
                **PAIR,
                "client_ca": "a",
                "client_certificates": "required",
                "certificates_listen": "0.0.0.0:1",
            },
            "adds nothing",
        ),
    ],
)
def test_what_makes_no_sense_is_told(given, told):
    (problem,) = problems({"tls": given})
    assert "[tls]" in problem
    assert told in problem


def test_paths_are_relative_to_the_file():
    document = {"tls": {**PAIR, "client_ca": "/elsewhere/ca.crt"}}
    values, found = settings_file.read(document, pathlib.Path("/etc/atoll"))
    assert found == []
    files = values["tls"].server_files()
    assert files.pair.certificate == pathlib.Path("/etc/atoll/c")
    assert files.client_ca == pathlib.Path("/elsewhere/ca.crt")


@pytest.mark.parametrize("section", ["host", "webhooks"])
def test_beyond_loopback_a_certificate_is_needed(section):
    document = {section: {"listen": "0.0.0.0:4700"}}
    (problem,) = problems(document)
    assert problem.startswith(f"[{section}], listen: 0.0.0.0:4700 can be reached")
    assert "named in [tls]" in problem
    assert problems({**document, "tls": PAIR}) == []


def test_options_that_win_over_the_file_are_checked_with_it():
    with pytest.raises(errors.SettingsError, match="no certificate") as caught:
        settings.Settings(listen="0.0.0.0:4700")
    assert caught.value.setting == "listen"
    webhooks = webhook_settings.WebhookSettings(listen="0.0.0.0:1")
    with pytest.raises(errors.SettingsError, match="no certificate"):
        settings.Settings(webhooks=webhooks)
    settings.Settings(listen="0.0.0.0:1", webhooks=webhooks, tls=tls_settings.TlsSettings(**PAIR))


def test_code_servers_are_shown_the_certificate_of_the_host_unless_another_is_named():
    shown = tls_settings.TlsSettings(**PAIR, locations_ca="a").location_files()
    assert str(shown.pair.certificate) == "c"
    other = {"locations_certificate": "o", "locations_key": "ok"}
    shown = tls_settings.TlsSettings(**PAIR, **other, locations_ca="a").location_files()
    assert (str(shown.pair.certificate), str(shown.pair.key)) == ("o", "ok")
    assert tls_settings.TlsSettings(locations_ca="a").location_files().pair is None
    assert tls_settings.TlsSettings(**PAIR).location_files() is None


def test_atoll_dev_speaks_no_tls(tmp_path):
    file = tmp_path / "atoll.toml"
    (tmp_path / "a.py").touch()
    file.write_text('[locations.a]\nfile = "a.py"\n[tls]\ncertificate = "c"\nkey = "k"\n')
    with pytest.raises(project.ProjectError, match="without TLS"):
        project.load(file)

"""The options for certificates stand before the command, or in the environment."""

import pytest

from atoll._cli import main
from tests import certificates


@pytest.fixture
def ca(tmp_path):
    return certificates.Authority(tmp_path)


def test_a_host_without_tls_is_told_of_when_one_is_named(say, ca):
    result = say(main.main, "--ca-file", str(ca.path), "locations", "list")
    assert result.exit_code == 3
    assert "it speaks no TLS" in result.output


def test_a_file_that_is_not_there_is_a_wrong_command_line(say, tmp_path):
    result = say(main.main, "--ca-file", str(tmp_path / "none"), "locations", "list")
    assert result.exit_code == 2
    assert f"{tmp_path / 'none'} does not exist" in result.output


def test_a_certificate_without_its_key_is_a_wrong_command_line(say, ca, monkeypatch):
    monkeypatch.setenv("ATOLL_CA_FILE", str(ca.path))
    result = say(main.main, "--cert-file", str(ca.path), "locations", "list")
    assert result.exit_code == 2
    assert "Name both" in result.output


def test_without_them_nothing_changes(say):
    result = say(main.main, "locations", "list")
    assert result.exit_code == 0

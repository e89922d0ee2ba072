"""Issue item 8: each mistake gets a clear error, no traceback, and nothing is left half done."""

import contextlib
import pathlib
import socket
import subprocess

import pytest

from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def assert_told(done: subprocess.CompletedProcess, *parts: str, code: int = 1) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    for part in parts:
        assert part in said


@pytest.fixture
def nothing_changes(two_locations):
    """Asserts that no run came into being while the test ran."""
    before = two_locations.cli("runs", "list", "--json", "--limit", "1000").stdout.count("run_id")
    yield two_locations
    after = two_locations.cli("runs", "list", "--json", "--limit", "1000").stdout.count("run_id")
    assert after == before


def test_an_unknown_job(nothing_changes):
    done = nothing_changes.cli("runs", "launch", "--job", "nonsense")
    assert_told(done, "Error: ", "'nonsense'")


def test_an_unknown_job_of_a_known_location(nothing_changes):
    done = nothing_changes.cli("runs", "launch", "--job", "add_up", "--location", "up")
    assert_told(done, "add_up", "up")


def test_an_unknown_location(nothing_changes):
    done = nothing_changes.cli("runs", "launch", "--job", "add_up", "--location", "nowhere")
    assert_told(done, "'nowhere'")


def test_an_asset_of_no_location(nothing_changes):
    assert_told(nothing_changes.cli("assets", "show", "no/such"), "no/such")
    assert_told(nothing_changes.cli("runs", "launch", "--asset", "no/such"), "no/such")


def test_an_asset_that_is_not_of_the_job(nothing_changes):
    done = nothing_changes.cli("runs", "launch", "--job", "make_numbers", "--asset", "broken")
    assert_told(done, "broken")


@pytest.mark.parametrize(
    "config",
    [
        '{"ops": {"numbers": {"config": {"count": "many"}}}}',
        '{"ops": {"numbers": {"config": {"bound": 1}}}}',
        '{"ops": {"nonsense": {}}}',
    ],
)
def test_a_run_config_that_does_not_fit(nothing_changes, config):
    arguments = ["--job", "make_numbers", "--config-json", config]
    done = nothing_changes.cli("runs", "launch", *arguments)
    assert_told(done, "config")


def test_an_unknown_sensor(nothing_changes):
    assert_told(nothing_changes.cli("sensors", "start", "nonsense"), "'nonsense'")


def test_a_malformed_project_file(tmp_path):
    (tmp_path / "atoll.toml").write_text('[locations.a]\nfile = "a.py"\ncolour = "red"\n')
    done = mesh.run_cli("dev", folder=tmp_path)
    assert_told(done, "atoll.toml", "[locations.a]", "'colour'", "'red'", code=2)
    assert [file.name for file in tmp_path.iterdir()] == ["atoll.toml"]


def test_an_interpreter_without_atoll(tmp_path):
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho \'{"python": [3, 12, 0], "atoll": null, "problem": "gone"}\'\n'
    )
    python.chmod(0o755)
    project = '[locations.a]\nmodule = "m"\npython = "python"\n[host]\nlisten = "127.0.0.1:0"\n'
    (tmp_path / "atoll.toml").write_text(project)
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = mesh.run_cli("dev", folder=tmp_path, timeout_s=20)
        assert_told(done, "[locations.a], python", "cannot import atoll")
        assert not (tmp_path / ".atoll").exists()
        return
    pytest.fail("atoll dev went on with an interpreter that cannot run Atoll")


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = mesh.run_cli("host", "--listen", address, "--data-dir", str(tmp_path / "data"))
    assert_told(done, address, "in use")


def test_a_port_in_use_is_told_before_a_project_starts(tmp_path):
    (tmp_path / "a.py").touch()
    (tmp_path / "atoll.toml").write_text('[locations.a]\nfile = "a.py"\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = mesh.run_cli("dev", "--listen", address, folder=tmp_path)
    assert_told(done, f"Error: The host cannot listen on {address}", "--listen")
    assert "Ready" not in done.stdout
    assert not (tmp_path / ".atoll").exists()


def test_an_address_that_others_could_reach(tmp_path):
    done = mesh.run_cli("host", "--listen", "0.0.0.0:0", "--data-dir", str(tmp_path / "data"))
    assert_told(done, "0.0.0.0", "loopback", code=2)  # noqa: S104 - it must not be bound to
    assert not (tmp_path / "data").exists()


def test_a_postgres_that_refuses(tmp_path):
    url = f"postgresql://user:secret-word@127.0.0.1:{mesh.free_port()}/db"
    environment = {"ATOLL_DATABASE_URL": url}
    options = ["--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data")]
    done = mesh.run_cli("host", *options, environment=environment)
    assert_told(done, "Error: ")
    assert "secret-word" not in done.stdout + done.stderr


def test_a_data_directory_that_is_none(tmp_path):
    file = tmp_path / "data"
    file.write_text("mine")
    done = mesh.run_cli("host", "--listen", "127.0.0.1:0", "--data-dir", str(file))
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert str(file) in done.stderr
    assert file.read_text() == "mine"


def test_a_data_directory_with_something_else_in_it(tmp_path):
    folder: pathlib.Path = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_text("dear")
    done = mesh.run_cli("host", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path / "data"))
    assert_told(done, "data")
    assert [file.name for file in folder.iterdir()] == ["letter.txt"]


def test_code_that_is_not_there(tmp_path):
    done = mesh.run_cli("serve", "--file", str(tmp_path / "gone.py"), folder=tmp_path)
    assert done.returncode in (1, 2)
    assert "gone.py" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

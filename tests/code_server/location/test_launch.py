"""Launch parameters arrive whole, and no credential arrives with them."""

import json
import os
import sys

import pytest

from atoll._location import errors, launch

PARAMETERS = launch.LaunchParameters(
    target=launch.Target(kind=launch.TargetKind.FILE, value="a b/ä.py", working_directory="/w"),
    socket_path="/s",
    nonce="secret",
    location_name="here",
    build_id="b1",
    start_method=launch.StartMethodOption.SPAWN,
    role=launch.Role.RUN_WORKER,
    run_directory="/r",
    run_id="run-1",
)


def test_parameters_come_back_as_they_were():
    assert launch.LaunchParameters.decode(PARAMETERS.encode()) == PARAMETERS


@pytest.mark.parametrize("text", ["", "{", "{}", json.dumps({"target": {}}), "[]"])
def test_nonsense_is_refused_with_what_to_do(text):
    with pytest.raises(errors.LaunchParametersError, match="atoll serve"):
        launch.LaunchParameters.decode(text)


def test_the_command_line_tells_people_who_runs_and_no_secret():
    argv = PARAMETERS.argv()
    assert argv[0] == sys.executable
    assert argv[-3:] == ["run_worker", "here@b1", "run-1"]
    assert "secret" not in " ".join(argv)


def test_credentials_of_the_launcher_stay_behind():
    environment = PARAMETERS.environment({"ATOLL_DATABASE_URL": "postgres://", "PATH": "/bin"})
    assert "ATOLL_DATABASE_URL" not in environment
    assert environment["PATH"] == "/bin"


def test_taking_the_parameters_removes_them_from_the_environment(monkeypatch):
    monkeypatch.setenv(launch.ENVIRONMENT_VARIABLE, PARAMETERS.encode())
    monkeypatch.setenv("ATOLL_DATABASE_URL", "postgres://")
    assert launch.take_from_environment() == PARAMETERS
    assert launch.ENVIRONMENT_VARIABLE not in os.environ
    assert "ATOLL_DATABASE_URL" not in os.environ

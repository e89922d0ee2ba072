"""The systemd units start commands that exist, with options that exist, and stop them rightly."""

import configparser
import shlex
from pathlib import Path

import click
import pytest

from atoll._cli import main as cli

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))


def _unit(path: Path) -> configparser.ConfigParser:
    # Keys may come twice in a unit, and percent signs are systemd's own.
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path)
    return parser


def test_there_is_a_unit_for_the_host_and_one_for_locations():
    assert [path.name for path in UNITS] == ["atoll-host.service", "atoll-location@.service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_exists_with_options_that_exist(path: Path):
    program, name, *arguments = shlex.split(_unit(path)["Service"]["ExecStart"])
    assert program.endswith("/bin/atoll")
    context = click.Context(cli.main)
    command = cli.main.get_command(context, name)
    assert command is not None, f"there is no command {name!r}"
    known = {opt for option in command.params for opt in option.opts}
    unknown = [word for word in arguments if word.startswith("--") and word not in known]
    assert not unknown, f"{path.name}: `atoll {name}` has no {unknown}"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_runs_as_nobody_who_may_do_more(path: Path):
    service = _unit(path)["Service"]
    assert service["User"] != "root"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"


def test_stopping_the_unit_of_a_location_leaves_its_run_workers_alive():
    location = next(path for path in UNITS if "location" in path.name)
    service = _unit(location)["Service"]
    assert service["KillMode"] == "process"
    # A private temporary folder would be removed under the workers.
    assert service["PrivateTmp"] == "no"


def test_the_unit_of_a_location_lets_no_database_credential_through():
    location = next(path for path in UNITS if "location" in path.name)
    assert "ATOLL_DATABASE_URL" in _unit(location)["Service"]["UnsetEnvironment"]

"""What a team gets with `atoll` in a location's environment, and what it does not get."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.packaging import environments

DISTRIBUTIONS_MAX = 12
SITE_PACKAGES_BYTES_MAX = 45_000_000
# A database driver or a web framework has no place beside user code, nor what they bring.
UNWANTED = {
    "alembic",
    "fastapi",
    "flask",
    "greenlet",
    "jinja2",
    "psycopg",
    "psycopg-binary",
    "psycopg2",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "watchdog",
    "atoll-host",
    "atoll-storage",
}
MODULES_MAX = 250

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def light() -> environments.Environment:
    return environments.environment(Path(sys.executable))


def test_it_installs_at_most_twelve_distributions(light: environments.Environment):
    versions = light.versions()
    assert "atoll" in versions
    assert len(versions) <= DISTRIBUTIONS_MAX, versions


def test_it_installs_at_most_forty_five_megabytes(light: environments.Environment):
    assert 5_000_000 < light.size_bytes() <= SITE_PACKAGES_BYTES_MAX


def test_it_brings_no_database_driver_and_no_web_framework(light: environments.Environment):
    assert not UNWANTED & set(light.versions())


def test_importing_it_loads_what_definitions_need_and_no_more(light: environments.Environment):
    outcome = light.run(
        light.python, "-c", "import atoll, json, sys; print(json.dumps(sorted(sys.modules)))"
    )
    assert outcome.returncode == 0, outcome.stderr
    modules = json.loads(outcome.stdout)
    loaded = {module.split(".")[0] for module in modules}
    assert not loaded & {"grpc", "pydantic", "pydantic_core", "google", "asyncio", "click"}
    assert len(modules) < MODULES_MAX


def test_its_types_are_published(light: environments.Environment):
    assert (light.site_packages / "atoll" / "py.typed").is_file()
    assert (light.site_packages / "atoll_pipes" / "py.typed").is_file()


def test_the_side_of_external_programs_comes_along_and_loads_nothing_of_it(
    light: environments.Environment,
):
    outcome = light.run(
        light.python, "-c", "import atoll_pipes, json, sys; print(json.dumps(sorted(sys.modules)))"
    )
    assert outcome.returncode == 0, outcome.stderr
    loaded = {module.split(".")[0] for module in json.loads(outcome.stdout)}
    assert "atoll" not in loaded
    assert not loaded & {"asyncio", "unittest", "pydantic"}


def test_the_command_works_and_offers_nothing_of_the_host(light: environments.Environment):
    outcome = light.run(light.atoll, "--help")
    assert outcome.returncode == 0, outcome.stderr
    # Commands stand below titles, by subject.
    commands = set(re.findall(r"^  ([a-z]+)  ", outcome.stdout, re.MULTILINE))
    assert {"serve", "check", "runs", "locations"} <= commands
    assert not commands & {"host", "dev"}


@pytest.mark.parametrize("command", ["dev", "host"])
def test_a_command_of_the_host_says_what_to_install(light: environments.Environment, command: str):
    outcome = light.run(light.atoll, command)
    assert outcome.returncode == 2
    assert "atoll[host]" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_command_tells_the_version_that_is_installed(light: environments.Environment):
    outcome = light.run(light.atoll, "--version")
    assert outcome.returncode == 0, outcome.stderr
    assert light.versions()["atoll"] in outcome.stdout

"""The three distributions are released together: their versions, pins and Python ranges agree."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"atoll": "code_server", "atoll-storage": "storage", "atoll-host": "host"}
# Who may depend on whom, downwards.
ALLOWED = {
    "atoll": set[str](),
    "atoll-storage": {"atoll"},
    "atoll-host": {"atoll", "atoll-storage"},
}


def _project(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / FOLDERS[name] / "pyproject.toml").read_text())["project"]


def _requirement_name(requirement: str) -> str:
    return re.split(r"[\[=><;~! ]", requirement, maxsplit=1)[0]


def test_all_distributions_have_one_version():
    versions = {name: _project(name)["version"] for name in FOLDERS}
    assert len(set(versions.values())) == 1, versions


@pytest.mark.parametrize("name", FOLDERS)
def test_a_distribution_pins_its_siblings_to_its_own_version(name: str):
    project = _project(name)
    siblings = [
        requirement
        for requirement in project["dependencies"]
        + project.get("optional-dependencies", {}).get("host", [])
        if _requirement_name(requirement) in FOLDERS
    ]
    assert all(requirement.endswith(f"=={project['version']}") for requirement in siblings), (
        siblings
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_a_distribution_depends_downwards_only(name: str):
    siblings = {
        _requirement_name(requirement) for requirement in _project(name)["dependencies"]
    } & set(FOLDERS)
    assert siblings == ALLOWED[name]


def test_the_version_that_servers_tell_is_that_of_the_distribution():
    version = _project("atoll")["version"]
    told = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in FOLDERS.values()
        for path in (ROOT / folder / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == version
    ]
    # One place, since asking the installed metadata costs every start of a code server 20 ms.
    assert len(told) == 1, f"The version is written out at {told}; it stands in _version alone."
    assert told[0].startswith("code_server/src/atoll/_version.py:")


def test_generated_code_is_made_with_the_lowest_supported_versions():
    # Generated code runs on newer runtimes, never on older ones.
    pins = dict(
        line.split("==")
        for line in (ROOT / "requirements" / "codegen.txt").read_text().splitlines()
        if "==" in line and ";" not in line
    )
    floors = dict(
        requirement.split(",")[0].split(">=")
        for requirement in _project("atoll")["dependencies"]
        if _requirement_name(requirement) in {"grpcio", "protobuf"}
    )
    assert floors == {"grpcio": pins["grpcio-tools"], "protobuf": pins["protobuf"]}


def test_the_light_distribution_supports_the_oldest_python_and_the_others_the_next():
    supported = {name: _project(name)["requires-python"] for name in FOLDERS}
    assert supported == {"atoll": ">=3.10", "atoll-storage": ">=3.11", "atoll-host": ">=3.11"}

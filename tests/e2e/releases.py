"""Hosts and locations of two releases: which earlier state counts, and an environment of it.

Tests ask for `in_every_combination`; the fixture `releases` says which interpreters the host and
the locations of a mesh get. Until there are releases, the one before is the newest first parent
whose contracts differ from those in the tree: with fewer differences there would be nothing to
find. Its three wheels are built from git and installed with the versions that it was pinned to,
once, under `build/releases`. A clone without that commit fails with what to do.
"""

import dataclasses
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tests.contracts import history

DISTRIBUTIONS = ("code_server", "storage", "host")
PINS = "requirements/dev.txt"
FOLDER = history.ROOT / "build" / "releases"
UV = pathlib.Path(sys.executable).with_name("uv")
INSTALL_TIMEOUT_S = 240
_READY = "ready"


@dataclasses.dataclass(frozen=True)
class Releases:
    """Which interpreter runs what."""

    name: str
    host: str = sys.executable
    locations: str = sys.executable


COMBINATIONS = ("one release", "older locations", "older host")
in_every_combination = pytest.mark.parametrize("releases", COMBINATIONS, indirect=True)


def combination(name: str) -> Releases:
    """Return one of the combinations; installs the release before where it takes part."""
    if name == "older locations":
        return Releases(name, locations=older_python())
    if name == "older host":
        return Releases(name, host=older_python())
    return Releases(name)


def older_commit() -> str:
    """Return the commit that counts as the release before."""
    if history.has_changes("protos"):
        return history.commit("HEAD")
    return history.changed_at("protos", "HEAD")


def older_python() -> str:
    """Return the interpreter of an environment with the release before."""
    commit = older_commit()
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = FOLDER / commit[:12]
    # Several processes of one test run may want it at once: one makes it.
    with (FOLDER / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _READY).exists():
            _make(commit, folder)
    return str(folder / "bin" / "python")


def _make(commit: str, folder: pathlib.Path) -> None:
    for other in FOLDER.iterdir():
        if other.is_dir() and other != folder:
            shutil.rmtree(other, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="atoll-release-") as place:
        tree = pathlib.Path(place)
        history.extract(commit, tree, *DISTRIBUTIONS, "requirements", "pyproject.toml")
        wheels = tree / "wheels"
        for name in DISTRIBUTIONS:
            _uv("build", "--quiet", "--wheel", "--out-dir", str(wheels), str(tree / name))
        _uv("venv", "--quiet", "--python", sys.executable, str(folder))
        python = folder / "bin" / "python"
        built = [str(wheel) for wheel in sorted(wheels.glob("*.whl"))]
        pins = ("--constraints", str(tree / PINS))
        _uv("pip", "install", "--quiet", "--python", str(python), *pins, *built)
    _check(python, folder)
    (folder / _READY).touch()


def _check(python: pathlib.Path, folder: pathlib.Path) -> None:
    """Make sure that it is the earlier code which runs, and not that of the tree."""
    code = "import atoll, atoll_host; print(atoll.__file__, atoll_host.__file__)"
    told = subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    for file in told.stdout.split():
        if folder not in pathlib.Path(file).parents:
            raise RuntimeError(f"{file} is not of the release in {folder}")


def _uv(*arguments: str) -> None:
    outcome = subprocess.run(
        [str(UV), *arguments],
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
    )
    if outcome.returncode != 0:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{outcome.stderr}")

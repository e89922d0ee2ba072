"""Wheels and virtual environments for the tests of what a code location installs.

Building them takes seconds to minutes, so they are kept between test runs, in a folder of this
user's cache, under a name made of everything that went into them: a change of any source file makes
a new one. Workers of one test run may ask for the same at the same time; a file lock lets one of
them build. What was not used for a week is removed.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE_SERVER = ROOT / "code_server"
UV = Path(sys.executable).with_name("uv")
SUPPORTED_PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_READY = "ready"
_KEPT_S = 7 * 24 * 3600
_INSTALL_TIMEOUT_S = 240


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment that holds the light distribution, installed from its wheel."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.folder / "bin" / "python"

    @property
    def atoll(self) -> Path:
        """The command."""
        return self.folder / "bin" / "atoll"

    @property
    def site_packages(self) -> Path:
        """Where distributions are installed."""
        return next((self.folder / "lib").glob("python3.*")) / "site-packages"

    def run(
        self, *arguments: str | Path, timeout_s: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in an environment without anything of the caller's."""
        return subprocess.run(
            [str(argument) for argument in arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self.variables(),
            cwd=self.folder,
        )

    def variables(self) -> dict[str, str]:
        """Return environment variables that let nothing of the development environment through."""
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
        }

    def size_bytes(self) -> int:
        """Return the size of everything installed, without bytecode: that is made, not shipped."""
        files = [path for path in self.site_packages.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files if path.suffix != ".pyc")

    def versions(self) -> dict[str, str]:
        """Return the installed distributions and their versions."""
        listing = _uv("pip", "list", "--quiet", "--format", "json", "--python", str(self.python))
        return {entry["name"]: entry["version"] for entry in json.loads(listing)}


def interpreter(version: str) -> Path | None:
    """Find an interpreter of a minor version on this machine; None where there is none."""
    candidates = [Path(sys.executable)] if version == "{}.{}".format(*sys.version_info) else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates += sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidates.append(Path(folder) / f"python{version}")
    return next((path for path in candidates if path.is_file() and _runs(path, version)), None)


def _runs(path: Path, version: str) -> bool:
    # A file of that name may be a shim for a version that is not there, or lack modules.
    check = "import ssl, sys; print('{}.{}'.format(*sys.version_info))"
    try:
        outcome = subprocess.run(
            [path, "-c", check], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return False
    return outcome.returncode == 0 and outcome.stdout.strip() == version


def wheel() -> Path:
    """Return the wheel of the light distribution, built from the tree as it is."""
    sources = [CODE_SERVER / "pyproject.toml", *sorted((CODE_SERVER / "src").rglob("*"))]
    files = [path for path in sources if path.is_file() and "__pycache__" not in path.parts]
    key = _digest(
        *(part for path in files for part in (str(path.relative_to(ROOT)), path.read_bytes()))
    )
    with _made_once(f"wheel-{key}") as (folder, is_ready):
        if not is_ready:
            _uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(CODE_SERVER))
    return next(folder.glob("*.whl"))


def environment(python: Path, requirements: Sequence[str] = ()) -> Environment:
    """Return an environment with the wheel and these requirements, the rest as it resolves.

    Args:
        python: The interpreter.
        requirements: What else must hold, such as "grpcio==1.66.2".
    """
    built = wheel()
    pins = (ROOT / "requirements" / "dev.txt").read_bytes()
    with _made_once(f"env-{_digest(str(python), built.parent.name, *requirements, pins)}") as (
        folder,
        is_ready,
    ):
        if not is_ready:
            _uv("venv", "--quiet", "--allow-existing", "--python", str(python), str(folder))
            interpreter_of = ("--python", str(folder / "bin" / "python"))
            _uv("pip", "install", "--quiet", *interpreter_of, str(built), *requirements)
    return Environment(folder)


def newest(*distributions: str) -> list[str]:
    """Return these distributions at the versions that development is pinned to, the newest."""
    lines = (ROOT / "requirements" / "dev.txt").read_text().splitlines()
    pins = dict(
        line.split(";")[0].strip().split("==") for line in lines if "==" in line.split(";")[0]
    )
    return [f"{name}=={pins[name]}" for name in distributions]


def _uv(*arguments: str) -> str:
    outcome = subprocess.run(
        [str(UV), *arguments],
        capture_output=True,
        text=True,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
        env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
    )
    if outcome.returncode != 0:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{outcome.stderr}")
    return outcome.stdout


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME")
    base = Path(given) if given else Path(tempfile.gettempdir()) / f"atoll-tests-{os.getuid()}"
    folder = base / "atoll-packaging"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else: remove it or set XDG_CACHE_HOME")
    return folder


@contextlib.contextmanager
def _made_once(name: str) -> Iterator[tuple[Path, bool]]:
    """Hold the lock of a cached folder; tells whether it is complete and completes it otherwise."""
    cache = _cache()
    folder = cache / name
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_ready = (folder / _READY).exists()
        if not is_ready:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
        yield folder, is_ready
        (folder / _READY).touch()
    _prune(cache)


def _prune(cache: Path) -> None:
    oldest = time.time() - _KEPT_S
    for marker in cache.glob(f"*/{_READY}"):
        with contextlib.suppress(FileNotFoundError):
            if marker.stat().st_mtime < oldest:
                shutil.rmtree(marker.parent, ignore_errors=True)


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:20]

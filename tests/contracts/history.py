"""Earlier states of this repository, for what must work together with them.

Used by the comparison of contracts and by the meshes of two releases. It only reads git: a clone
that lacks what is asked for is told so, with what to do, and nothing is fetched.
"""

import io
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 60


class HistoryMissing(Exception):
    """An earlier state is not in this clone. The message says why and what to do."""


def commit(name: str, root: Path = ROOT) -> str:
    """Return the id of a commit.

    Raises:
        HistoryMissing: It is not there.
    """
    if _git(root, "rev-parse", "--git-dir").returncode:
        raise HistoryMissing(
            f"{root} is no git repository, so there is nothing earlier to compare with. Run this "
            "in a clone."
        )
    found = _git(root, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    if _git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
        raise HistoryMissing(
            f"{name} is not in this clone, which is shallow. Get more of its history with "
            "`git fetch --deepen=50`, or clone without --depth."
        )
    raise HistoryMissing(f"There is no commit {name}: the history ends before it.")


def has_changes(*paths: str, root: Path = ROOT) -> bool:
    """Whether the files of the tree differ from those of the newest commit."""
    return bool(_git(root, "status", "--porcelain", "--", *paths).stdout.strip())


def changed_at(path: str, before: str, root: Path = ROOT) -> str:
    """Return the newest first parent of a commit that has other files at a path than it has.

    Raises:
        HistoryMissing: There is none in this clone.
    """
    commit(before, root)
    logged = _git(root, "log", "--first-parent", "--format=%H", "-1", before, "--", path)
    changing = logged.stdout.decode().strip()
    if not changing:
        raise HistoryMissing(f"No commit up to {before} changed {path}.")
    return commit(f"{changing}~1", root)


def has(commit_id: str, path: str, root: Path = ROOT) -> bool:
    """Whether a commit has a file or folder."""
    return _git(root, "cat-file", "-e", f"{commit_id}:{path}").returncode == 0


def extract(commit_id: str, folder: Path, *paths: str, root: Path = ROOT) -> None:
    """Write files of a commit into a folder.

    Raises:
        HistoryMissing: The commit lacks one of them.
    """
    archive = _git(root, "archive", "--format=tar", commit_id, *paths)
    if archive.returncode:
        raise HistoryMissing(
            f"{', '.join(paths)} of {commit_id} cannot be read: {archive.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-C", str(root), *arguments],
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )

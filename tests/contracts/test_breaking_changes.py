"""A change that would break the other side of a contract is found before it is taken."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contracts import breaking, history

pytestmark = pytest.mark.slow

SLOTS = Path("protos/atoll/mesh/v1/slots.proto")


def git(folder, *arguments):
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def copy(tmp_path):
    """A repository with the contracts as they are, in two commits of which the first differs."""
    root = tmp_path / "copy"
    shutil.copytree(history.ROOT / "protos", root / "protos")
    shutil.copy(history.ROOT / "buf.yaml", root)
    git(tmp_path, "init", "--quiet", "copy")
    now = (root / SLOTS).read_text()
    planted = now.replace("string pool = 2;", "string pool = 2;\nstring gone = 9;", 1)
    assert planted != now
    (root / SLOTS).write_text(planted)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "one")
    (root / SLOTS).write_text(now)
    git(root, "commit", "--quiet", "--all", "--message", "two")
    return root


def test_a_break_in_the_newest_commit_is_found_by_comparing_with_the_one_before(copy, capsys):
    assert breaking.compare("HEAD", copy) == []
    (found,) = breaking.compare("HEAD~1", copy)
    assert "slots.proto" in found
    assert '"gone"' in found
    assert breaking.main(["HEAD", "HEAD~1"], copy) == 1
    told = capsys.readouterr().out
    assert "No breaking change against HEAD." in told
    assert "These changes break what HEAD~1 has:" in told


@pytest.mark.parametrize(
    "planted",
    [
        ("string pool = 2;", "string pool = 3;"),
        ("string pool = 2;", "int64 pool = 2;"),
        ("string pool = 2;", "string of_pool = 2;"),
    ],
    ids=["renumbered", "retyped", "renamed"],
)
def test_a_break_that_is_not_committed_yet_is_found(copy, planted):
    file = copy / SLOTS
    file.write_text(file.read_text().replace(*planted))
    assert breaking.compare("HEAD", copy)


def test_a_field_that_is_added_breaks_nothing(copy):
    file = copy / SLOTS
    file.write_text(file.read_text().replace("string pool = 2;", "string pool = 2;\nbool x = 99;"))
    assert breaking.compare("HEAD", copy) == []


def test_a_shallow_clone_says_what_was_not_compared(copy, tmp_path, capsys):
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{copy}", "shallow")
    assert breaking.main(["HEAD", "HEAD~1"], tmp_path / "shallow") == 0
    told = capsys.readouterr().out
    assert "No breaking change against HEAD." in told
    assert "Not compared with HEAD~1: HEAD~1 is not in this clone, which is shallow." in told
    assert "git fetch --deepen=50" in told


def test_a_tree_without_history_says_that_nothing_was_compared(tmp_path, capsys):
    assert breaking.main(["HEAD"], tmp_path) == 0
    told = capsys.readouterr().out
    assert "is no git repository" in told
    assert "WARNING: the contracts were compared with nothing." in told

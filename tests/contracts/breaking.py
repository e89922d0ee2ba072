"""Compares the contracts with earlier commits: `python -m tests.contracts.breaking HEAD HEAD~1`.

`make breaking` calls it, and so does `make protos`. The newest commit is compared for whoever has
changed files, the one before it for a clean clone. A commit that is not in the clone is told and
passed over; where nothing at all could be compared, that is said too. Ends with status 1 if a
change would break whoever has the other side.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.contracts import history

BUF = Path(sys.executable).with_name("buf")
_TIMEOUT_S = 120


def compare(name: str, root: Path = history.ROOT) -> list[str]:
    """Return the changes of the contracts in the tree that break those of a commit.

    Raises:
        history.HistoryMissing: The commit, or its contracts, are not in this clone.
    """
    commit_id = history.commit(name, root)
    if not history.has(commit_id, "protos", root):
        raise history.HistoryMissing(f"{name} has no protos.")
    with tempfile.TemporaryDirectory(prefix="atoll-protos-") as folder:
        history.extract(commit_id, Path(folder), "buf.yaml", "protos", root=root)
        outcome = subprocess.run(
            [str(BUF), "breaking", "--against", folder],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    told = [*outcome.stdout.splitlines(), *outcome.stderr.splitlines()]
    return told or [f"buf ended with status {outcome.returncode}"] if outcome.returncode else []


def main(names: list[str], root: Path = history.ROOT) -> int:
    """Compare with each commit and print how it went; return the exit status."""
    broken = compared = 0
    for name in names:
        try:
            found = compare(name, root)
        except history.HistoryMissing as error:
            _tell(f"Not compared with {name}: {error}")
            continue
        compared += 1
        broken += bool(found)
        if found:
            _tell("\n".join([f"These changes break what {name} has:", *found]))
        else:
            _tell(f"No breaking change against {name}.")
    if not compared:
        _tell("WARNING: the contracts were compared with nothing.")
    return 1 if broken else 0


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Look for changes that break the contracts.")
    parser.add_argument("commits", nargs="+")
    sys.exit(main(parser.parse_args().commits))

"""The contracts of .importlinter hold: who may import whom."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_import_contract_is_kept():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


def test_no_contract_has_an_exception():
    # A broken contract means a wrong contract or wrong code: no ignore list settles either.
    assert "ignore_imports" not in (ROOT / ".importlinter").read_text()

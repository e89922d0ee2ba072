"""docs/guarantees.md states every promise of the design, and each names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "guarantees.md").read_text()
PROMISES = [f"G{number}" for number in range(1, 13)]
_HEADING = re.compile(r"^## (G\d+):", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _sections() -> dict[str, str]:
    parts = _HEADING.split(TEXT)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_promise_is_stated_in_order():
    assert list(_sections()) == PROMISES


def test_every_promise_names_a_test():
    assert not [promise for promise, text in _sections().items() if not _TEST.search(text)]


def test_every_named_test_exists():
    missing = [
        f"{file}::{name}"
        for file, name in _TEST.findall(TEXT)
        if not (ROOT / file).is_file() or name not in _functions(ROOT / file)
    ]
    assert not missing, missing

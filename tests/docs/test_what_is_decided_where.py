"""docs/automation.md says what decides what: every module and every test that it names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "automation.md").read_text()
_AUTOMATION = "host/src/atoll_host/automation/"
_MODULE = re.compile(r"`((?:host|storage|code_server|automation)/[\w/]+\.py)`")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_PURE = re.compile(r"pure\b|no i/o", re.IGNORECASE)
# What decides here is one statement, or a function of a module that does more.
_NOT_PURE = {
    "automation/dispatching.py",
    "code_server/src/atoll/_definitions/nodes/retries.py",
    "storage/src/atoll_storage/leadership.py",
    "storage/src/atoll_storage/pool_store.py",
    "storage/src/atoll_storage/retention_store.py",
}


def _path(name: str) -> Path:
    return ROOT / name.replace("automation/", _AUTOMATION, 1) if name[0] == "a" else ROOT / name


def _names(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_every_module_is_there():
    named = set(_MODULE.findall(TEXT))
    assert len(named) >= 25
    assert [name for name in named if not _path(name).is_file()] == []


def test_what_is_said_to_decide_says_of_itself_that_it_is_pure():
    modules = set(_MODULE.findall(TEXT)) - _NOT_PURE
    impure = [name for name in modules if not _PURE.search(_path(name).read_text())]
    assert impure == []


def test_every_module_that_decides_is_named():
    deciding = {
        str(path.relative_to(ROOT)).replace(_AUTOMATION, "automation/")
        for path in (ROOT / "host" / "src" / "atoll_host").rglob("deciding.py")
    }
    assert deciding <= set(_MODULE.findall(TEXT))


def test_every_test_is_there():
    named = _TEST.findall(TEXT)
    assert len(named) >= 15
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in _names(ROOT / file)
    ]
    assert missing == []

"""The limits of every module and function, and what a module must say about itself."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_FOLDERS = ("code_server/src", "storage/src", "host/src")
OTHER_FOLDERS = ("tests", "benchmarks", "examples")
OWN_PACKAGES = ("atoll", "atoll_pipes", "atoll_storage", "atoll_host")
MODULE_LINES_MAX = 600
# One file, so that programs without any of our distributions can take a copy of it.
COPIED_MODULE = ROOT / "code_server/src/atoll_pipes/__init__.py"
COPIED_MODULE_LINES_MAX = 900
FUNCTION_LINES_MAX = 70
# Names under which everything and nothing can be put.
FORBIDDEN_WORDS = frozenset({"util", "utils", "common", "helper", "base", "manager", "misc"})
# Folders below these hold what running left there.
_MADE_BY_RUNNING = frozenset({".venv", ".venvs", ".atoll", "out"})
# The one manager that is a word of the field.
DOMAIN_WORD = "io_manager"

Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom


def _is_generated(path: Path) -> bool:
    # The packages above generated ones hold nothing: no one writes into them.
    return path.parent.name == "v1" or (path.parent / "v1").is_dir()


@functools.cache
def _sources() -> tuple[Path, ...]:
    return tuple(
        path
        for folder in SOURCE_FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not _is_generated(path)
    )


@functools.cache
def _everything() -> tuple[Path, ...]:
    others = (path for folder in OTHER_FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return (*_sources(), *(path for path in others if not _MADE_BY_RUNNING & {*path.parts}))


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, Function))


def _imports(node: ast.AST) -> Iterator[Import]:
    return (inner for inner in ast.walk(node) if isinstance(inner, Import))


def _body_lines(function: Function) -> int:
    """Count the lines of a function without its docstring: documentation is not to be saved on."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def _fail_on(problems: list[str], rule: str) -> None:
    if problems:
        pytest.fail("\n".join([rule, *problems]), pytrace=False)


def test_there_is_something_to_look_at():
    found = {path.parts[len(ROOT.parts)] for path in _everything()}
    assert {"code_server", "storage", "host", "tests", "benchmarks", "examples"} <= found


def test_a_module_is_no_longer_than_can_be_held_in_mind():
    lengths = {path: len(path.read_text().splitlines()) for path in _everything()}
    copied = lengths.pop(COPIED_MODULE)
    assert copied <= COPIED_MODULE_LINES_MAX
    long = [f"{_name(path)}: {n}" for path, n in lengths.items() if n > MODULE_LINES_MAX]
    _fail_on(long, f"A module has at most {MODULE_LINES_MAX} lines: split these.")


def test_a_function_fits_a_screen():
    long = [
        f"{_name(path)}:{function.lineno} {function.name}: {_body_lines(function)}"
        for path in _everything()
        for function in _functions(path)
        if _body_lines(function) > FUNCTION_LINES_MAX
    ]
    _fail_on(long, f"A function has at most {FUNCTION_LINES_MAX} lines: split these.")


def test_a_module_says_what_it_is_for():
    mute = [
        _name(path)
        for path in _everything()
        if ast.get_docstring(_tree(path)) is None and not _speaks_for_itself(path)
    ]
    _fail_on(mute, "A module opens with what it is for, who calls it and what must stay out.")


def _speaks_for_itself(path: Path) -> bool:
    """A test's name is the behaviour that it shows, and an empty __init__.py holds nothing."""
    if path in _sources():
        return False
    return path.name.startswith("test_") or (path.name == "__init__.py" and not _tree(path).body)


def test_a_module_is_named_after_what_it_holds():
    wrong = [
        _name(path)
        for path in _sources()
        for part in path.relative_to(ROOT).with_suffix("").parts
        if FORBIDDEN_WORDS
        & set(part.removesuffix("s").replace(DOMAIN_WORD, "").strip("_").split("_"))
    ]
    _fail_on(wrong, "A module is named after what it holds or the process that it runs.")


def test_imports_stand_at_the_top_of_the_module():
    inside = [
        f"{_name(path)}:{node.lineno} {function.name}"
        for path in _sources()
        for function in _functions(path)
        for node in _imports(function)
    ]
    _fail_on(inside, "No imports inside functions: wanting one means that the layer is wrong.")


def test_no_module_of_ours_is_imported_for_types_only():
    guarded = [
        f"{_name(path)}:{node.lineno}"
        for path in _sources()
        # The public package resolves some names late; type checkers need to see them.
        if path != ROOT / "code_server/src/atoll/__init__.py"
        for block in ast.walk(_tree(path))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in _imports(block)
        if {name.split(".")[0] for name in _imported(node)} & set(OWN_PACKAGES)
    ]
    _fail_on(guarded, "No imports of our own under TYPE_CHECKING: the layer is wrong.")


def _imported(node: Import) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]

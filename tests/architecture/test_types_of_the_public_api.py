"""What type checkers say of right and wrong uses of the public API, and what they see of it.

The programs stand in typed_uses/, apart from the code that is linted. A line that must be refused
carries `# refused:`, the code that mypy gives and the rule that pyright names; `-` stands for a
checker that accepts it. Every other line must pass under strict settings.
"""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll import _exports

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    path.name.removesuffix(".py.txt"): path.read_text()
    for path in sorted(Path(__file__).with_name("typed_uses").glob("*.py.txt"))
}
STUB = ROOT / "code_server" / "src" / "atoll" / "__init__.pyi"
_ERROR = re.compile(r"uses_of_(\w+)\.py:(\d+): error: .*\[([a-z-]+)\]$")
# What both checkers see as a class; see the comment there.
_NAMES_OF_TWO_THINGS = {"definitions": "atoll._definitions_decorator"}
Complaints = set[tuple[str, int, str]]


def _wanted(checker: int) -> Complaints:
    """Return what the programs say that a checker refuses: 0 for mypy, 1 for pyright."""
    return {
        (name, number, rule)
        for name, program in PROGRAMS.items()
        for number, line in enumerate(program.splitlines(), start=1)
        if "# refused: " in line
        for rule in line.partition("# refused: ")[2].split()[checker].split("+")
        if rule != "-"
    }


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name, program in PROGRAMS.items():
        (tmp_path / f"uses_of_{name}.py").write_text(program)
    return tmp_path


def _run(*command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=170
    )
    return done.stdout + done.stderr


def _fail_on_difference(found: Complaints, wanted: Complaints, output: str) -> None:
    told = [
        *(
            f"{name}.py:{line} is accepted, not refused ({rule})"
            for name, line, rule in sorted(wanted - found)
        ),
        *(f"{name}.py:{line} is refused ({rule})" for name, line, rule in sorted(found - wanted)),
    ]
    if told:
        pytest.fail("\n".join([*told, output]), pytrace=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_mypy_passes_right_uses_and_refuses_wrong_ones(programs: Path):
    files = [str(path) for path in sorted(programs.glob("*.py"))]
    cache = programs / "cache"
    output = _run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *files)
    found = {
        (match[1], int(match[2]), match[3])
        for line in output.splitlines()
        if (match := _ERROR.search(line))
    }
    _fail_on_difference(found, _wanted(0), output)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_pyright_passes_right_uses_and_refuses_wrong_ones(programs: Path):
    settings = {
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT / "code_server" / "src")],
        "include": ["."],
    }
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    checker = Path(sys.executable).with_name("basedpyright")
    output = _run(str(checker), "-p", str(programs), "--pythonpath", sys.executable, "--outputjson")
    report = json.loads(output)
    assert report["summary"]["filesAnalyzed"] == len(PROGRAMS)
    found = {
        (
            Path(one["file"]).stem.removeprefix("uses_of_"),
            one["range"]["start"]["line"] + 1,
            one.get("rule", "-"),
        )
        for one in report["generalDiagnostics"]
        if one["severity"] == "error"
    }
    told = "\n".join(
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in report["generalDiagnostics"]
    )
    _fail_on_difference(found, _wanted(1), told)


def _seen() -> Iterator[tuple[str, str]]:
    for node in ast.parse(STUB.read_text()).body:
        assert isinstance(node, ast.ImportFrom), f"{STUB.name}:{node.lineno} is no import"
        for one in node.names:
            assert one.asname == one.name, f"{one.name} is imported without saying `as {one.name}`"
            yield one.name, node.module or ""


def test_type_checkers_see_exactly_the_public_names():
    seen = dict(_seen())
    assert len(seen) == sum(1 for _ in _seen())
    assert seen == {**_exports.MODULES, **_NAMES_OF_TWO_THINGS, "Any": "typing"}


def test_type_checkers_see_the_whole_generated_package_that_shares_its_name_with_a_decorator():
    generated = STUB.with_name("definitions") / "v1"
    seen = STUB.with_name("_definitions_decorator.pyi").read_text()
    modules = {path.stem for path in generated.glob("*_pb2.py")}
    assert modules == set(re.findall(r"import (\w+_pb2) as \1", seen))

"""What no file of the repository may hold, and the form of the files that people add to."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Put together here so that this file does not hold them itself.
_REGISTRY_HOSTS = [
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))
]
_MACHINE_PATHS = [
    "/" + "/".join(parts) for parts in (("root", ""), ("home", ""), ("work", ""), ("Users", ""))
]
_MACHINE_PATH = re.compile(
    r"(?<![\w.:~$}/-])(" + "|".join(map(re.escape, _MACHINE_PATHS)) + r")[\w.]"
)
# <issue>.<type>.md, or <issue>.<type>.<n>.md for a second one of that type.
_FRAGMENT = re.compile(r"(?P<issue>\d+|\+[\w-]+)\.(?P<type>[a-z]+)(\.\d+)?\.md")


def _tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("This is no git repository: nothing says which files belong to the project.")
    paths = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def _texts() -> list[tuple[Path, str]]:
    contents = [(path, path.read_bytes()) for path in _tracked_files()]
    return [(path, data.decode()) for path, data in contents if b"\0" not in data]


def test_no_file_names_a_package_registry():
    named = [
        f"{path.relative_to(ROOT)}: {host}"
        for path, text in _texts()
        for host in _REGISTRY_HOSTS
        if host in text.lower()
    ]
    assert not named, f"Which registry packages come from is a setting of the machine: {named}"


def test_no_file_holds_a_path_of_one_machine():
    held = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path, text in _texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if _MACHINE_PATH.search(line)
    ]
    assert not held, "Paths of one machine:\n" + "\n".join(held)


def test_what_is_built_is_not_kept():
    kept = [
        str(path.relative_to(ROOT))
        for path in _tracked_files()
        if path.suffix in {".pyc", ".whl"} or path.name == "uv.lock" or ".venv" in path.parts
    ]
    assert not kept


def test_every_change_fragment_is_named_after_an_issue_and_a_known_type():
    types = {
        entry["directory"]
        for entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"][
            "type"
        ]
    }
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    for path in fragments:
        match = _FRAGMENT.fullmatch(path.name)
        assert match, f"changes/{path.name}: name it <issue>.<type>.md"
        assert match["type"] in types, f"changes/{path.name}: the type is one of {sorted(types)}"


def test_every_change_fragment_is_prose_that_ends_a_sentence():
    for path in (ROOT / "changes").glob("*.md"):
        if path.name == "README.md":
            continue
        text = path.read_text().strip()
        assert text, f"changes/{path.name} is empty"
        assert not text.startswith("#"), f"changes/{path.name}: no heading; the log has its own"
        assert text[0].isupper() or text[0] in "`*-", f"changes/{path.name}: begin with a capital"
        assert text.endswith("."), f"changes/{path.name}: end with a full stop"


def test_every_make_target_is_described():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    assert phony
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    missing = [target for target in phony[1].split() if f"make {target}" not in contributing]
    assert not missing, f"CONTRIBUTING.md does not say what these do: {missing}"


def test_every_link_between_documents_leads_somewhere():
    documents = [path for path in _tracked_files() if path.suffix == ".md"]
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
        if "://" not in target
        and not target.startswith("mailto:")
        and not (path.parent / target).exists()
    ]
    assert not broken, broken

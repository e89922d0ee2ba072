"""Every Python block of the documentation runs, and does what it says."""

import os
import re
import socket
import sys
from pathlib import Path

import pytest

from tests.docs import blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONCEPTS = [
    "assets", "asset-checks", "asset-specs", "automation-conditions", "backfills", "code-locations",
    "config", "definitions", "executors", "freshness", "graphs", "io-managers", "jobs", "ops",
    "partitions", "resources", "runs-and-the-queue", "schedules", "sensors", "testing", "types",
]  # fmt: skip
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
PROGRAMS = [program for page in PAGES for program in blocks.programs_of(page)]
_ANY_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*(?:py|python|python3|pycon)\b.*$", re.MULTILINE)
_RUNS = re.compile(r"\bassert |execute_in_process\(|materialize\(|evaluate_tick\(|print\(")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """An empty folder, no network, and an environment that is put back."""

    def refused(_self, address):
        raise AssertionError(f"An example of the documentation connects to {address!r}.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", refused)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def _id(program):
    return f"{program.page.relative_to(ROOT)}:{program.line}"


@pytest.mark.parametrize("program", PROGRAMS, ids=_id)
def test_a_block_runs(program):
    for package in sorted(blocks.imported(program.text) - sys.stdlib_module_names):
        pytest.importorskip(package)
    blocks.run(program.text, str(program.page))


def test_all_blocks_were_found():
    found = {page: len(list(blocks.blocks_of(page.read_text()))) for page in PAGES}
    fences = {page: len(_ANY_FENCE.findall(page.read_text())) for page in PAGES}
    assert found == fences, "write the fence as ```python, at the beginning of a line"
    assert sum(found.values()) >= 47
    assert len(PROGRAMS) >= 44
    assert len([page for page, count in found.items() if count]) >= 20


def test_few_blocks_are_left_out():
    left_out = [
        f"{page.relative_to(ROOT)}:{block.line}"
        for page in PAGES
        for block in blocks.blocks_of(page.read_text())
        # What another test runs is not left out.
        if block.mark.startswith("not run") and "tests/docs/" not in block.mark
    ]
    assert len(left_out) <= 4, left_out


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_concept_has_a_whole_example(concept):
    page = DOCS / "concepts" / f"{concept}.md"
    programs = list(blocks.programs_of(page))
    assert programs, "a page of a concept has a block that runs"
    first = programs[0].blocks[0].text
    assert "import atoll as dg\n" in first
    ending = "\n".join(first.rstrip().splitlines()[-12:])
    assert _RUNS.search(ending), "the example ends with something that runs"


def test_the_map_leads_to_every_concept():
    text = (DOCS / "concepts" / "README.md").read_text()
    pages = {path.stem for path in (DOCS / "concepts").glob("*.md")} - {"README"}
    assert pages == set(CONCEPTS)
    assert not [concept for concept in CONCEPTS if f"({concept}.md)" not in text]


def test_every_concept_says_how_it_relates_to_others():
    without = [
        concept
        for concept in CONCEPTS
        if "## Relations" not in (DOCS / "concepts" / f"{concept}.md").read_text()
    ]
    assert without == []


PAGE = """Text.

```python
x = 1
print(x)  # -> {said}
```

<!-- continues -->
```python
assert x == {asserted}
```
"""


def _programs(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    return list(blocks.programs_of(page))


def test_a_block_may_continue_another(tmp_path):
    first, second = _programs(tmp_path, PAGE.format(said=1, asserted=1))
    blocks.run(first.text, "page.md")
    blocks.run(second.text, "page.md")


def test_a_wrong_output_is_noticed(tmp_path):
    first, _ = _programs(tmp_path, PAGE.format(said=2, asserted=1))
    with pytest.raises(AssertionError, match="prints something else"):
        blocks.run(first.text, "page.md")


def test_a_wrong_claim_is_noticed_on_its_line(tmp_path):
    _, second = _programs(tmp_path, PAGE.format(said=1, asserted=2))
    with pytest.raises(AssertionError) as raised:
        blocks.run(second.text, "page.md")
    assert raised.traceback[-1].lineno + 1 == 10


@pytest.mark.parametrize("mark", ["not run:", "not run: no", "not run", "skip"])
def test_a_block_is_left_out_for_a_reason_only(mark):
    with pytest.raises(ValueError, match="the comment above the block"):
        list(blocks.blocks_of(f"<!-- {mark} -->\n```python\nx\n```\n"))


def test_nothing_connects_to_the_network():
    with socket.socket() as one, pytest.raises(AssertionError, match="connects to"):
        one.connect(("127.0.0.1", 9))

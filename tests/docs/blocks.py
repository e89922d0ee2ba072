"""Finds the fenced Python blocks of a page and runs them, for the tests of the documentation.

A block runs by itself. HTML comments just above it say otherwise:

- `<!-- continues -->`: it goes on where the block before it on the page ended;
- `<!-- not run: reason -->`: it cannot run by itself, for this reason.

A comment `# -> value` behind a `print` is what it prints.
"""

import ast
import builtins
import contextlib
import io
import re
import sys
import tokenize
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!--(.*?)-->\s*\Z", re.DOTALL)
_NOT_RUN = re.compile(r"not run: \S.{10,}", re.DOTALL)
_EXPECTED = "# -> "
MODULE = "documented"


class Block(NamedTuple):
    """A block of a page: its text, its first line, and what its comment says of it."""

    text: str
    line: int
    mark: str


class Program(NamedTuple):
    """What runs together: a block, after those that it continues."""

    page: Path
    line: int
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The code, each line where it stands on the page, so that tracebacks lead there."""
        lines: list[str] = []
        for block in self.blocks:
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.text.splitlines()
        return "\n".join(lines) + "\n"


def blocks_of(text: str) -> Iterator[Block]:
    """Find the blocks of a page.

    Raises:
        ValueError: A comment above a block says something unknown.
    """
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start(1)) + 1
        marked = _MARK.search(text[: found.start()])
        mark = marked[1].strip() if marked else ""
        if mark and mark != "continues" and not _NOT_RUN.fullmatch(mark):
            raise ValueError(
                f"Line {line}: the comment above the block says {mark!r}. It says `continues`, or "
                "`not run:` with a reason that helps readers."
            )
        yield Block(found[1], line, mark)


def programs_of(page: Path) -> Iterator[Program]:
    """Find what runs of a page, a program a block."""
    before: tuple[Block, ...] = ()
    for block in blocks_of(page.read_text()):
        if block.mark.startswith("not run"):
            before = ()
            continue
        if block.mark == "continues" and not before:
            raise ValueError(f"{page}:{block.line}: there is no block before this one to continue.")
        before = (*before, block) if block.mark == "continues" else (block,)
        yield Program(page, block.line, before)


def imported(text: str) -> set[str]:
    """Return the packages that code imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def expected(text: str) -> list[str]:
    """Return what code says it prints."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [
        one.string.removeprefix(_EXPECTED)
        for one in tokens
        if one.type == tokenize.COMMENT and one.string.startswith(_EXPECTED)
    ]


def run(text: str, filename: str) -> types.ModuleType:
    """Run code in a fresh module, and compare what it prints with what it says.

    Raises:
        AssertionError: It printed something else.
    """
    module = types.ModuleType(MODULE)
    module.__file__ = filename
    said = expected(text)
    printed = io.StringIO()
    sys.modules[MODULE] = module
    try:
        with contextlib.redirect_stdout(printed) if said else contextlib.nullcontext():
            # Documentation is code that people copy: running it is the point.
            builtins.exec(compile(text, filename, "exec"), module.__dict__)  # noqa: S102
    finally:
        del sys.modules[MODULE]
    if said:
        assert printed.getvalue().splitlines() == said, f"{filename} prints something else"
    return module

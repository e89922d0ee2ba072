"""Gates at which user code waits until a test lets it go on.

A gate is a named pipe of which the test holds an end: user code that opens it for reading and reads
a byte waits for `open`. Whoever still waits when the gate is closed reads its end, and goes on.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

WAIT = """
def wait_at(name):
    with (pathlib.Path(__file__).parent / name).open("rb", buffering=0) as gate:
        gate.read(1)  # and not a byte more: it lets another one go on
"""
"""Source text for locations: the other side of a gate. It needs pathlib."""


class Gate:
    """One gate."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def open(self) -> None:
        """Let one go on, now or when it comes."""
        os.write(self._descriptor, b"x")

    def close(self) -> None:
        """Let go of everybody."""
        self._path.unlink()
        os.close(self._descriptor)


@contextlib.contextmanager
def gate(folder: pathlib.Path, name: str = "gate") -> Iterator[Gate]:
    """Have a gate for a while."""
    made = Gate(folder / name)
    try:
        yield made
    finally:
        made.close()

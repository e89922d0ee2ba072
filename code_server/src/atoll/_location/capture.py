"""Captures standard output and error of a run worker into files, one pair a step.

The descriptors 1 and 2 themselves are pointed at the files, so that what C code and child
processes write is captured too, and so that nothing pumps: a thread would make the forks of user
code unsafe. The price is that the bound on a file is enforced after the fact: by the worker at the
end of the step, and by the code server (`enforce_bound`) whenever it looks. Uploading stays
outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pathlib
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator

from atoll._location import run_directory

STREAM_BYTES_MAX = 10 * 1024 * 1024
"""How much of one stream of one step is kept."""

LAST_OUTPUT_BYTES = 8 * 1024
"""How much of what was written last is told of a process that died."""

CUT_NOTE = b"\n[Only the first 10 MiB of this output are kept.]\n"

_DESCRIPTORS = {"out": 1, "err": 2}
_LIBC = ctypes.CDLL(None)


class StepCapture:
    """Points the standard streams of this process at the files of the step that runs.

    Args:
        directory: The directory of the run.
    """

    def __init__(self, directory: run_directory.RunDirectory) -> None:
        self._directory = directory
        self._outside = self._files(run_directory.OUTSIDE_STEPS)
        self._current = self._outside

    def begin(self) -> None:
        """Capture what is written outside any step from here on."""
        self._point_at(self._outside)

    @contextlib.contextmanager
    def step(self, step_key: str) -> Generator[None]:
        """Capture a step apart for as long as the context lasts.

        Args:
            step_key: The step.
        """
        outer = self._current
        self._point_at(self._files(step_key))
        try:
            yield
        finally:
            self._point_at(outer)

    def end(self) -> None:
        """Write out what is buffered and enforce the bound. What follows is still captured."""
        flush_standard_streams()
        self._enforce()

    def _files(self, step_key: str) -> dict[int, pathlib.Path]:
        """Return the file of each descriptor."""
        return {
            descriptor: self._directory.output_file(step_key, stream)
            for stream, descriptor in _DESCRIPTORS.items()
        }

    def _point_at(self, files: dict[int, pathlib.Path]) -> None:
        flush_standard_streams()
        for descriptor, path in files.items():
            redirect(descriptor, path)
        self._enforce()
        self._current = files

    def _enforce(self) -> None:
        for path in self._current.values():
            enforce_bound(path)


def redirect(descriptor: int, path: pathlib.Path) -> None:
    """Point a descriptor at the end of a file.

    Args:
        descriptor: The descriptor; children inherit it.
        path: The file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    opened = os.open(path, flags, 0o600)
    os.dup2(opened, descriptor, inheritable=True)
    os.close(opened)


def flush_standard_streams() -> None:
    """Write out what Python and the C library have buffered for the standard streams."""
    for stream in (sys.stdout, sys.stderr):
        # User code may have closed the streams or put anything in their place.
        with contextlib.suppress(Exception):
            stream.flush()
    _LIBC.fflush(None)


def enforce_bound(path: pathlib.Path) -> int:
    """Cut a captured stream that has grown past its bound, leaving a note. May be repeated.

    Who still writes goes on behind the note, and is cut off there the next time.

    Args:
        path: The file; it may be missing.

    Returns:
        How much of the file is to be kept: its size, but for what was written behind the note
        meanwhile.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    size_max = STREAM_BYTES_MAX + len(CUT_NOTE)
    if size <= size_max:
        return size
    with path.open("r+b", buffering=0) as file:
        file.seek(STREAM_BYTES_MAX)
        file.write(CUT_NOTE)
        file.truncate()
    return size_max


def tail(path: pathlib.Path, bytes_max: int) -> str:
    """Return the last whole lines of a captured stream.

    Args:
        path: The file; it may be missing.
        bytes_max: How much at the most.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - bytes_max, 0))
            data = file.read(bytes_max)
    except OSError:
        return ""
    if size > bytes_max and b"\n" in data:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace").rstrip()


def last_output(directory: run_directory.RunDirectory, step_keys: Iterable[str]) -> str:
    """Return the last lines of the first stream that has any, errors before the rest.

    Args:
        directory: The directory of the run.
        step_keys: The steps to look at, in this order.
    """
    for step_key in step_keys:
        for stream in ("err", "out"):
            text = tail(directory.output_file(step_key, stream), LAST_OUTPUT_BYTES)
            if text:
                return text
    return ""


class TickCapture:
    """Keeps what an evaluator writes in files without a name, emptied for each tick."""

    def __init__(self) -> None:
        self._files = {
            # They stay open for as long as the process lives.
            stream: tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            for stream in _DESCRIPTORS
        }
        for file in self._files.values():
            # Appending, so that what a child of an earlier tick still writes leaves no hole.
            flags = fcntl.fcntl(file.fileno(), fcntl.F_GETFL)
            fcntl.fcntl(file.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)

    def begin(self) -> None:
        """Empty the files and point the standard streams at them."""
        flush_standard_streams()
        for stream, file in self._files.items():
            os.ftruncate(file.fileno(), 0)
            os.dup2(file.fileno(), _DESCRIPTORS[stream], inheritable=True)

    def take(self, bytes_max: int) -> Iterator[tuple[str, str]]:
        """Yield each stream and the beginning of what was written to it since `begin`.

        Args:
            bytes_max: How much of each at the most.
        """
        flush_standard_streams()
        for stream, file in self._files.items():
            data = os.pread(file.fileno(), bytes_max, 0)
            if data:
                yield stream, data.decode("utf-8", "replace")

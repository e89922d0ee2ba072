"""Handles of files: what user code passes on instead of the content of a file.

Called by users, and by file managers, which give them out.
"""

import abc
import os


def file_relative_path(dunderfile: str, relative_path: str) -> str:
    """Return a path beside a file of code.

    Args:
        dunderfile: The `__file__` of the module.
        relative_path: Where, from the folder of the module.

    Example:
        `file_relative_path(__file__, "queries/orders.sql")`
    """
    return os.path.join(os.path.dirname(dunderfile), relative_path)  # noqa: PTH118, PTH120 - importing pathlib costs


class FileHandle(abc.ABC):
    """A file, wherever it is."""

    @property
    @abc.abstractmethod
    def path_desc(self) -> str:
        """Where the file is, for people."""


class LocalFileHandle(FileHandle):
    """A file of this machine.

    Args:
        path: Where it is.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = os.fspath(path)

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._path

    @property
    def path_desc(self) -> str:
        """Where the file is, for people."""
        return self._path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalFileHandle) and self._path == other.path

    def __hash__(self) -> int:
        return hash(self._path)

    def __repr__(self) -> str:
        return f"LocalFileHandle({self._path!r})"
